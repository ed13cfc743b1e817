"""Key sets (S3): fetched from configured URLs only, for how long trusted, and what a hiccup of one makes of a call."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import responses

from cds_service.errors import Unauthorized, Unavailable
from cds_service.trust import key_sets as key_sets_module
from cds_service.trust.client_jwt import Gatekeeper
from cds_service.trust.issuers import Issuer
from cds_service.trust.key_sets import HICCUP_SECONDS, UNKNOWN_SECONDS, KeySets, Trust
from tests.answering import Answer, always, answering, drip, json_answer, raw_answer
from tests.tokens import ISS, JKU, URL, public_key, token

KEYS = [public_key(algorithm) for algorithm in ("ES256", "ES384", "RS256")]
EVIL = "https://evil.example.org/jwks.json"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def published():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sets(clock):
    return KeySets(Trust(refresh_seconds=900, stale_seconds=7200), clock)


def identify(*urls, key_sets=None, header=None):
    issuer = Issuer(ISS, urls or (JKU,))
    keeper = Gatekeeper({ISS: issuer}, key_sets or KeySets(), lambda *_: True)
    return keeper.identify(f"Bearer {token(header=header)}", URL)


def test_keys_are_fetched_from_the_configured_url_once(published):
    """S3."""
    published.get(JKU, json={"keys": KEYS})
    sets = KeySets()
    for header in ({}, {"jku": JKU}, {}):
        assert identify(key_sets=sets, header=header)
    assert len(published.calls) == 1


def test_a_jku_that_only_the_token_names_is_never_fetched(published):
    """S3: an SSRF, and a door for whoever signs."""
    published.get(EVIL, json={"keys": KEYS})
    with pytest.raises(Unauthorized, match="jku is not one of the issuer's"):
        identify(header={"jku": EVIL})
    assert len(published.calls) == 0


def test_an_issuer_may_have_several_key_sets_of_which_some_do_not_answer(published):
    """Some vendors sign for many tenants with one issuer."""
    published.get(JKU, json={"keys": [public_key("RS256")]})
    published.get(f"{ISS}/second.json", json={"keys": [public_key("ES384")]})
    published.get(f"{ISS}/third.json", status=500)
    assert identify(f"{ISS}/third.json", JKU, f"{ISS}/second.json")
    with pytest.raises(Unavailable):
        identify(f"{ISS}/third.json", JKU)
    with pytest.raises(Unauthorized):
        identify(JKU)


def test_an_unknown_key_id_refreshes_at_most_once_a_minute(published, clock, sets):
    """S3: a rotated key is found, a flood of unknown ids is not passed on."""
    published.get(JKU, json={"keys": [public_key("ES384", "old")]})
    assert sets.keys([JKU], "old")
    published.replace("GET", JKU, json={"keys": [public_key("ES384", "new")]})
    for _ in range(20):
        assert sets.keys([JKU], "new") == []
    assert len(published.calls) == 1
    clock.now += UNKNOWN_SECONDS + 1
    assert sets.keys([JKU], "new")
    assert len(published.calls) == 2


def test_a_removed_key_is_trusted_until_the_set_is_asked_for_again(published, clock, sets):
    """S3: for as long as the site has set, and no longer."""
    published.get(JKU, json={"keys": [public_key("ES384", "k")]})
    assert sets.keys([JKU], "k")
    published.replace("GET", JKU, json={"keys": []})
    clock.now += 900
    assert sets.keys([JKU], "k")
    clock.now += 1
    assert sets.keys([JKU], "k") == []
    assert len(published.calls) == 2


def test_keys_outlive_a_set_that_does_not_answer_for_as_long_as_is_set_and_then_close_the_door(published, clock, sets):
    """S3."""
    published.get(JKU, json={"keys": [public_key("ES384", "k")]})
    assert sets.keys([JKU], "k")
    published.replace("GET", JKU, status=500)
    clock.now += 901
    for _ in range(5):
        assert sets.keys([JKU], "k")  # asked for again in vain, still known
    assert len(published.calls) == 2
    clock.now += UNKNOWN_SECONDS + 1
    assert sets.keys([JKU], "k")
    assert len(published.calls) == 3
    clock.now += 7200
    with pytest.raises(Unavailable):
        sets.keys([JKU], "k")


def test_the_times_are_settings():
    app_trust = Trust(1, 2)
    clock = Clock()
    sets = KeySets(app_trust, clock)
    with responses.RequestsMock() as mock:
        mock.get(JKU, json={"keys": [public_key("ES384", "k")]})
        assert sets.keys([JKU], "k")
        mock.replace("GET", JKU, json={"keys": []})
        clock.now += UNKNOWN_SECONDS + 1
        assert sets.keys([JKU], "k") == []


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500},
        {"status": 404},
        {"status": 302, "headers": {"Location": EVIL}},
        {"body": "{"},
        {"body": b"\xff"},
        {"body": b"[" * 100_000},
        {"json": []},
        {"json": {"keys": {}}},
        {"body": b" " * 300_000},
        {"body": requests.ConnectionError()},
        {"body": requests.ConnectTimeout()},
    ],
)
def test_a_hiccup_of_a_key_set_is_503_and_the_set_is_asked_again_after_seconds(answer, published, clock, sets):
    """S3: it never opens the door, and does not keep it closed for a minute."""
    published.get(EVIL, json={"keys": KEYS})
    published.get(JKU, **answer)
    for _ in range(3):
        with pytest.raises(Unavailable, match="keys of the token's issuer cannot be read") as refused:
            identify(key_sets=sets)
    assert refused.value.headers["Retry-After"]
    assert {made.request.url for made in published.calls} == {JKU}
    assert len(published.calls) <= 2  # a kept connection that broke is made anew, once
    published.replace("GET", JKU, json={"keys": KEYS})
    clock.now += HICCUP_SECONDS + 1
    assert identify(key_sets=sets)
    assert not any(made.request.url == EVIL for made in published.calls)


def test_entries_of_a_key_set_that_are_no_keys_are_passed_over(published):
    published.get(JKU, json={"keys": ["x", None, 5, *KEYS]})
    assert identify()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_of_a_key_set_is_not_followed(status):
    """S3: whoever can answer for the URL once does not choose the keys from then on."""
    with answering(always(json_answer({"keys": KEYS}))) as evil:
        redirect = raw_answer(b"", status, f"Location: {evil.url}/jwks.json")
        with answering(always(redirect)) as own, pytest.raises(Unavailable):
            identify(f"{own.url}/jwks.json")
    assert evil.heads == []


def test_no_proxy_netrc_or_cookie_goes_to_a_key_set(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("default login somebody password secret\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    with answering(always(json_answer({"keys": []}))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with answering(always(json_answer({"keys": KEYS}, "200 OK", "Set-Cookie: a=b"))) as own:
            clock = Clock()
            sets = KeySets(Trust(1, 2), clock)
            for _ in range(2):
                assert identify(f"{own.url}/jwks.json", key_sets=sets)
                clock.now += UNKNOWN_SECONDS + 1
    assert proxy.heads == []
    assert len(own.heads) == 2
    assert not any(word in head.lower() for head in own.heads for word in ("cookie", "authorization"))


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_key_set_that_drips_ends_at_its_deadline(sent, monkeypatch):
    monkeypatch.setattr(key_sets_module, "FETCH_SECONDS", 0.3)
    with answering(lambda c, _: drip(server, c, sent, b" ")) as server:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            identify(f"{server.url}/jwks.json")
        assert time.monotonic() - started < 10


def held(gate: threading.Event) -> Answer:
    """Answer with the key set once it may."""

    def answer(connection: socket.socket, _: str) -> None:
        gate.wait(10)
        connection.sendall(json_answer({"keys": KEYS}))

    return answer


def test_calls_at_once_share_one_fetch():
    """A service that has just started knows no key yet; the second caller is not told that its key does not exist."""
    gate = threading.Event()
    with answering(held(gate)) as server, ThreadPoolExecutor(4) as callers:
        sets = KeySets()
        calls = [callers.submit(identify, f"{server.url}/jwks.json", key_sets=sets) for _ in range(4)]
        while not server.heads:
            time.sleep(0.01)
        gate.set()
        assert all(call.result() for call in calls)
        assert len(server.heads) == 1


def test_a_call_does_not_wait_long_for_the_fetch_of_another(monkeypatch):
    """An issuer whose key set hangs does not hold all threads: 503 at once for the next of its tokens."""
    monkeypatch.setattr(key_sets_module, "WAIT_SECONDS", 0.05)
    gate = threading.Event()
    with answering(held(gate)) as server, ThreadPoolExecutor(1) as callers:
        sets = KeySets()
        first = callers.submit(identify, f"{server.url}/jwks.json", key_sets=sets)
        while not server.heads:
            time.sleep(0.01)
        with pytest.raises(Unavailable):
            identify(f"{server.url}/jwks.json", key_sets=sets)
        gate.set()
        assert first.result()


def test_a_new_key_is_not_refused_while_another_call_asks_for_the_set_again(clock, monkeypatch):
    """A rotated key: 503 for whoever cannot wait for the answer, not 401."""
    monkeypatch.setattr(key_sets_module, "WAIT_SECONDS", 0.05)
    gate = threading.Event()
    gate.set()

    def answer(connection: socket.socket, _: str) -> None:
        gate.wait(10)
        connection.sendall(json_answer({"keys": KEYS[:1] if len(server.heads) == 1 else KEYS}))

    sets = KeySets(Trust(), clock)
    with answering(answer) as server, ThreadPoolExecutor(1) as callers:
        url = f"{server.url}/jwks.json"
        assert sets.keys([url], "ES384") == []
        gate.clear()
        clock.now += UNKNOWN_SECONDS + 1
        asking = callers.submit(sets.keys, [url], "ES384")
        while len(server.heads) < 2:
            time.sleep(0.01)
        with pytest.raises(Unavailable):
            sets.keys([url], "ES384")
        gate.set()
        assert asking.result()


def test_whoever_has_a_key_goes_on_while_another_asks_for_the_set_again(clock):
    """A rotated key set that is slow holds nobody whose key is known."""
    gate = threading.Event()
    gate.set()

    def answer(connection: socket.socket, _: str) -> None:
        gate.wait(10)
        connection.sendall(json_answer({"keys": KEYS}))

    sets = KeySets(Trust(900, 7200), clock)
    with answering(answer) as server, ThreadPoolExecutor(1) as callers:
        url = f"{server.url}/jwks.json"
        assert sets.keys([url], "ES384")
        gate.clear()
        clock.now += 901
        asking = callers.submit(sets.keys, [url], "ES384")
        while len(server.heads) < 2:
            time.sleep(0.01)
        assert sets.keys([url], "ES384")
        assert not asking.done()
        gate.set()
        assert asking.result()
