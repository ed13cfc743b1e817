"""How much is done at once: turns, waits, refusals and rates."""

from __future__ import annotations

import threading
import time

import pytest

from cds_service.errors import TooManyRequests, Unavailable
from cds_service.web.load import Baton, RateLimit, Turnstile


def test_so_many_run_so_many_wait_and_the_next_is_refused_at_once():
    turnstile = Turnstile(running=1, waiting=1, wait_seconds=600)
    inside, leave, waited = threading.Event(), threading.Event(), threading.Event()

    def run():
        with turnstile.turn():
            inside.set()
            leave.wait(60)

    def wait():
        with turnstile.turn():
            waited.set()

    runner, waiter = threading.Thread(target=run), threading.Thread(target=wait)
    runner.start()
    assert inside.wait(60)
    waiter.start()
    while turnstile._places:
        time.sleep(0.001)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="Too many calls") as refused, turnstile.turn():
        pytest.fail("a third call got a turn")
    assert time.monotonic() - started < 300, "it was not made to wait"
    assert refused.value.headers["Retry-After"] == "1"
    leave.set()
    assert waited.wait(60)
    runner.join(60)
    waiter.join(60)
    with turnstile.turn():
        pass  # all turns were given back


def test_a_wait_ends():
    turnstile = Turnstile(running=1, waiting=1, wait_seconds=0.05)
    with turnstile.turn(), pytest.raises(Unavailable), turnstile.turn():
        pytest.fail("two calls got the only turn")
    assert turnstile._places == 1


def test_a_turn_is_given_back_after_a_failure():
    turnstile = Turnstile(running=1, waiting=0, wait_seconds=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turnstile.turn():
            raise ZeroDivisionError


def test_one_computes_at_a_time_and_others_while_it_waits():
    baton = Baton()
    told = []

    def compute():
        with baton.held():
            told.append("another computed")

    with baton.held():
        other = threading.Thread(target=compute)
        other.start()
        other.join(0.05)
        assert told == []
        with baton.put_down():
            other.join(5)
        told.append("went on")
    assert told == ["another computed", "went on"]
    with baton.held():
        pass  # it was given back


def test_the_baton_is_taken_up_again_when_waiting_failed():
    baton = Baton()
    with pytest.raises(ZeroDivisionError), baton.held(), baton.put_down():
        raise ZeroDivisionError
    with baton.held():
        pass


def test_each_client_has_its_own_rate():
    rate = RateLimit(2)
    for client in ("a", "b", "a", "b"):
        rate.count(client)
    with pytest.raises(TooManyRequests) as refused:
        rate.count("a")
    assert refused.value.headers["Retry-After"] == "60"


def test_no_rate_is_no_limit():
    rate = RateLimit(0)
    for _ in range(1000):
        rate.count("a")
