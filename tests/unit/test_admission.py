"""How much is done at once: turns, waits, refusals and rates."""

from __future__ import annotations

import threading
import time

import pytest

from cds_service.errors import TooManyRequests, Unavailable
from cds_service.web.admission import Admission, RateLimit


def test_one_computes_at_a_time_and_others_while_it_waits():
    admission = Admission(600)
    told = []

    def compute():
        with admission.turn(time.monotonic()):
            told.append("another computed")

    with admission.turn(time.monotonic()):
        other = threading.Thread(target=compute)
        other.start()
        other.join(0.05)
        assert told == []
        with admission.released():
            other.join(600)
        told.append("went on")
    assert told == ["another computed", "went on"]
    with admission.turn(time.monotonic()):
        pass  # it was given back


def test_a_wait_ends():
    admission = Admission(0.05)
    with admission.turn(time.monotonic()):
        with pytest.raises(Unavailable, match="Too many calls") as refused, admission.turn(time.monotonic()):
            pytest.fail("two calls got the only turn")
        assert refused.value.headers["Retry-After"] == "1"


def test_a_call_that_has_waited_elsewhere_is_refused_at_once():
    admission = Admission(600)
    with admission.turn(0), pytest.raises(Unavailable), admission.turn(time.monotonic() - 600):
        pytest.fail("two calls got the only turn")
    with admission.turn(time.monotonic() - 600):
        pass  # it need not wait


def test_a_turn_is_given_back_after_a_failure():
    admission = Admission(0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), admission.turn(time.monotonic()), admission.released():
            raise ZeroDivisionError
    with admission.turn(time.monotonic()):
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
