"""FHIR access (F1-F3, P1, P2): what is fetched, from whom, and what every failure becomes."""

from __future__ import annotations

import socket
import time

import orjson
import pytest
import requests
import responses

from cds_service.call import Support, answer
from cds_service.errors import PrefetchMissing
from cds_service.fhir import client as client_module
from cds_service.fhir.client import FetchFailed, FhirClient, Limits
from cds_service.fhir.fetch import FhirAccess
from cds_service.fhir.servers import AllowList, is_public
from tests.cases import EXTENSION
from tests.charts import bundle, code, condition, needling, request, score

BASE = "https://ehr.example.org/fhir"
TOKEN = {"access_token": "tok-1", "token_type": "Bearer", "expires_in": 300, "scope": "s", "subject": "c"}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}


@pytest.fixture
def server():
    """Answers for https://ehr.example.org/fhir; asserts nothing about what is asked."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def access(allowed=BASE, **limits):
    return FhirAccess(AllowList.parse(allowed), Limits(**{"request_seconds": 1, "total_seconds": 2, **limits}))


def call(sent, registry, today, fhir=None):
    answered = answer(registry, "", orjson.dumps(sent), today, Support(fhir or access()))
    return orjson.loads(answered.body)["cards"], dict(answered.fetched)


def without(sent, *keys, **more):
    prefetch = {key: value for key, value in sent["prefetch"].items() if key not in keys}
    return {**sent, "prefetch": prefetch, "fhirServer": BASE, "fhirAuthorization": TOKEN, **more}


def serve(mock, path, resource, **options):
    said = {} if "body" in options else {"json": resource}
    mock.get(f"{BASE}/{path}", **{"content_type": "application/fhir+json", **said, **options})


def rule(cards):
    return [card["extension"][EXTENSION]["rule"] for card in cards]


# ---------------------------------------------------------------- the allow-list


@pytest.mark.parametrize(
    ("entry", "url", "covered"),
    [
        (BASE, BASE, True),
        (BASE, f"{BASE}/Patient/1", True),
        (BASE, "https://EHR.example.org:443/fhir/x", True),
        (f"{BASE}/", BASE, True),
        ("https://ehr.example.org", f"{BASE}/x", True),
        (BASE, "https://ehr.example.org/fhirx", False),
        (BASE, "https://ehr.example.org/", False),
        (BASE, "http://ehr.example.org/fhir", False),
        (BASE, "https://ehr.example.org:8443/fhir", False),
        (BASE, "https://ehr.example.org.evil.test/fhir", False),
        (BASE, "https://user@ehr.example.org/fhir", False),
        (BASE, "https://ehr.example.org@evil.test/fhir", False),
        (BASE, "https://ehr.example.org/fhir/../admin", False),
        (BASE, "https://ehr.example.org/fhir/%2e%2e/admin", False),
        (BASE, "https://ehr.example.org/fhir//evil", False),
        (BASE, "https://ehr.example.org/fhir\\..\\admin", False),
        (BASE, "https://ehr.example.org:port/fhir", False),
        (BASE, "file:///etc/passwd", False),
        (BASE, "https://[::1", False),
        ("", BASE, False),
    ],
)
def test_only_listed_servers_are_covered(entry, url, covered):
    """F2: exact origin and path prefix."""
    assert (AllowList.parse(entry).find(url) is not None) == covered


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ehr.example.org", "is no http(s) URL"),
        ("ftp://ehr.example.org", "is no http(s) URL"),
        ("https://ehr.example.org/#x", "is no http(s) URL"),
        ("https://u:p@ehr.example.org", "is no http(s) URL"),
        ("https://ehr.example.org/a/../b", "a path that a server may read in another way"),
        ("https://ehr.example.org public", "followed by public; only internal and open may follow"),
    ],
)
def test_a_wrong_entry_is_refused_at_start(text, said):
    with pytest.raises(ValueError, match=r"ehr\.example\.org") as refused:
        AllowList.parse(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("::ffff:127.0.0.1", False),
        ("not an address", False),
    ],
)
def test_internal_addresses_are_not_public(address, public):
    assert is_public(address) == public


def test_a_listed_name_that_resolves_to_an_internal_address_is_not_connected_to(monkeypatch):
    """F2: DNS answers in loopback, private or metadata ranges are refused, unless the entry says internal."""
    connected = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1", *a, **k))
        monkeypatch.setattr(client_module.HTTPConnection, "connect", _recorded(connected))
        base = f"http://ehr.example.org:{port}/fhir"
        for flags, outcome in (("", "unreachable"), (" internal", "timeout")):
            fhir = access(base + flags, request_seconds=0.2, total_seconds=0.5)
            found = fhir.fetch(base, "t", "p1", {"conditions": "Condition?x"}, ())
            assert found.outcomes == {"conditions": outcome}
    monkeypatch.setattr(socket, "getaddrinfo", _unresolvable)
    found = access("http://ehr.example.org").fetch("http://ehr.example.org", "t", "p1", {"conditions": "C?x"}, ())
    assert found.outcomes == {"conditions": "unreachable"}


def _recorded(connected):
    original = client_module.HTTPConnection.connect

    def connect(self):
        connected.append(self)
        return original(self)

    return connect


def _unresolvable(*_, **__):
    raise socket.gaierror("no such name")


def test_a_public_address_is_connected_to_by_the_very_address_that_was_checked(monkeypatch):
    """No second look-up between the check and the connection."""
    tried = []

    def refuse(address, *_, **__):
        tried.append(address[0])
        raise OSError("no route")

    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    found = access("http://ehr.example.org").fetch("http://ehr.example.org", "t", "p1", {"conditions": "C?x"}, ())
    assert found.outcomes == {"conditions": "unreachable"}
    assert set(tried) == {"93.184.216.34"}


# ---------------------------------------------------------------- what is fetched


def test_an_absent_key_is_fetched_with_the_token_and_decides(server, registry, today):
    """P1, F1, F3."""
    serve(server, "Condition?patient=p1&_count=500", bundle(condition("278860009", "sct")))
    cards, fetched = call(without(request(), "conditions"), registry, today)
    assert rule(cards) == ["R1"]
    assert fetched == {"conditions": "ok", "patient": "unreachable"}
    sent = next(c.request for c in server.calls if "Condition" in c.request.url)
    assert sent.headers["Authorization"] == "Bearer tok-1"
    assert sent.headers["Accept"] == "application/fhir+json"


def test_what_was_prefetched_is_not_fetched(server, registry, today):
    """P1: null means looked for, none there."""
    sent = without(request(condition("M54.2")))
    sent["prefetch"]["patient"] = {"resourceType": "Patient", "id": "p1"}
    cards, fetched = call(sent, registry, today)
    assert rule(cards) == ["R7"]
    assert fetched == {}
    assert len(server.calls) == 0


def test_a_prefetched_outcome_is_tried_once(server, registry, today):
    """P1."""
    serve(server, "Condition?patient=p1&_count=500", bundle(condition("M54.2")))
    sent = without(request())
    sent["prefetch"] = {**sent["prefetch"], "conditions": OUTCOME, "patient": None}
    cards, fetched = call(sent, registry, today)
    assert rule(cards) == ["R7"]
    assert fetched == {"conditions": "ok"}
    assert len(server.calls) == 1


def test_nothing_is_fetched_for_a_call_without_needling(server, registry, today):
    sent = without(request(order=needling(code=code("cpt", "97110"))), "conditions")
    assert call(sent, registry, today) == ([], {})
    assert len(server.calls) == 0


@pytest.mark.parametrize(("allowed", "token"), [("", TOKEN), ("https://other.example.org", TOKEN), (BASE, None)])
def test_nothing_is_fetched_from_an_unlisted_server_or_without_a_token(allowed, token, server, registry, today):
    """F2: off by default."""
    sent = without(request(condition("M54.2")), "painScores")
    sent["fhirAuthorization"] = token
    cards, fetched = call(sent, registry, today, access(allowed))
    assert "Not available: pain scores." in cards[0]["detail"]
    assert fetched == {}
    assert len(server.calls) == 0


def test_an_open_server_needs_no_token_and_gets_none(server, registry, today):
    serve(server, "Condition?patient=p1&_count=500", bundle(condition("M54.2")))
    sent = without(request(), "conditions")
    del sent["fhirAuthorization"]
    cards, _ = call(sent, registry, today, access(f"{BASE} open"))
    assert rule(cards) == ["R7"]
    assert all("Authorization" not in made.request.headers for made in server.calls)


def test_a_reason_given_by_reference_is_read(server, registry, today):
    """A reasonReference that was not sent along."""
    serve(server, "Condition/why", condition("278860009", "sct", id="why"))
    order = needling(reasonReference=[{"reference": "Condition/why"}])
    sent = without(request(order=order))
    cards, fetched = call(sent, registry, today)
    assert rule(cards) == ["R1"]
    assert fetched["reference 0"] == "ok"
    assert "order reason" in cards[0]["detail"]


@pytest.mark.parametrize(
    "reference", ["Condition/why", "https://evil.example.org/fhir/Condition/why", "Condition/../x"]
)
def test_a_reason_that_cannot_be_read_is_told(reference, server, registry, today):
    """F1: an absolute reference to another server is not followed."""
    serve(server, "Condition/why", OUTCOME, status=404)
    order = needling(reasonReference=[{"reference": reference}])
    cards, _ = call(without(request(condition("M54.2"), order=order)), registry, today)
    assert rule(cards) == ["R7"]
    assert "The order's own reason could not be read" in cards[0]["detail"]
    assert all(made.request.url.startswith(BASE) for made in server.calls)


def test_a_read_that_finds_nothing_or_something_else(server):
    fhir = client(server)
    serve(server, "Patient/p1", OUTCOME, status=410)
    assert fhir.read("Patient/p1") is None
    serve(server, "Patient/p2", {"no": "resource"})
    assert fhir.read("Patient/p2") is None
    serve(server, "Patient/p3", OUTCOME, status=500)
    with pytest.raises(FetchFailed, match="refused-by-server"):
        fhir.read("Patient/p3")


# ---------------------------------------------------------------- pages


def client(_, **limits):
    allowed = AllowList.parse(BASE).find(BASE)
    return FhirClient(allowed, BASE, "t", Limits(request_seconds=1, total_seconds=2, **limits), time.monotonic() + 2)


def page(*resources, following=None):
    link = [{"relation": "next", "url": following}] if following else []
    return bundle(*resources, link=[{"relation": "self", "url": f"{BASE}/Condition?x"}, *link])


def relations(found):
    return [link["relation"] for link in found["link"]]


def test_pages_are_followed_absolute_and_relative(server):
    """F3."""
    serve(server, "Condition?x", page(condition("M54.2"), following=f"{BASE}/Condition?page=2"))
    serve(server, "Condition?page=2", page(condition("M54.6"), following="Condition?page=3"))
    serve(server, "Condition?page=3", page(condition("M54.5")))
    found = client(server).search("Condition?x")
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["c-M54.2", "c-M54.6", "c-M54.5"]
    assert relations(found) == ["self"]


@pytest.mark.parametrize(
    "following",
    ["https://evil.example.org/fhir/Condition?page=2", "http://ehr.example.org/fhir/Condition", f"{BASE}/../admin"],
)
def test_a_next_link_to_elsewhere_is_not_followed_and_leaves_the_search_partial(following, server):
    """F1: never with the token to another origin."""
    serve(server, "Condition?x", page(condition("M54.2"), following=following))
    found = client(server).search("Condition?x")
    assert len(found["entry"]) == 1
    assert relations(found) == ["self", "next"]
    assert len(server.calls) == 1


def test_endless_pages_end_at_the_limits(server):
    serve(server, "Condition?x", page(condition("M54.2"), following=f"{BASE}/Condition?x"))
    found = client(server, pages=3).search("Condition?x")
    assert len(found["entry"]) == 3
    assert relations(found) == ["self", "next"]
    found = client(server, resources=2).search("Condition?x")
    assert len(found["entry"]) == 2


def test_a_partial_fetch_is_told_on_the_card(server, registry, today):
    serve(server, "Condition?patient=p1&_count=500", page(condition("M54.2"), following="https://evil.example.org/"))
    cards, _ = call(without(request(), "conditions"), registry, today)
    assert "Only part of the problem list was sent" in cards[0]["detail"]


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ({"status": 401}, "refused-by-server"),
        ({"status": 403}, "refused-by-server"),
        ({"status": 404}, "not-found"),
        ({"status": 429}, "refused-by-server"),
        ({"status": 500}, "refused-by-server"),
        ({"status": 302, "headers": {"Location": "https://evil.example.org/"}}, "redirected"),
        ({"content_type": "text/html"}, "not-json"),
        ({"body": "{"}, "not-json"),
        ({"json": [1]}, "not-json"),
        ({"body": b'{"a":' * 150 + b"1" + b"}" * 150}, "not-json"),
        ({"json": {"resourceType": "Condition"}}, "refused-by-server"),
        ({"body": b"x" * 2000}, "too-large"),
        ({"body": requests.ConnectTimeout()}, "timeout"),
        ({"body": requests.ReadTimeout()}, "timeout"),
        ({"body": requests.ConnectionError()}, "unreachable"),
        ({"body": requests.exceptions.ChunkedEncodingError()}, "unreachable"),
    ],
)
def test_every_failure_has_a_name_and_required_data_is_412(options, outcome, server, registry, today):
    """P2: 412 that names the key; a failing server never makes a 500."""
    serve(server, "Condition?patient=p1&_count=500", bundle(), **options)
    found = access(response_bytes=1000).fetch(BASE, "t", "p1", {"conditions": "Condition?patient=p1"}, ())
    assert found.outcomes == {"conditions": outcome}
    assert found.values == {}
    with pytest.raises(PrefetchMissing, match=r"prefetch\.conditions is required for this order and could not be read"):
        call(without(request(), "conditions"), registry, today, access(response_bytes=1000))


def test_optional_data_that_cannot_be_fetched_is_told(server, registry, today):
    serve(server, "Procedure?patient=p1&_count=500", bundle(), status=500)
    cards, fetched = call(without(request(condition("M54.2")), "procedures"), registry, today)
    assert fetched["procedures"] == "refused-by-server"
    assert "Not available: earlier procedures." in cards[0]["detail"]


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        ({"json": bundle()}, "ok"),
        ({"body": requests.ReadTimeout()}, "timeout"),
        ({"body": requests.ConnectionError()}, "unreachable"),
    ],
)
def test_a_broken_connection_is_tried_once_more(second, outcome, server):
    server.get(f"{BASE}/Condition?x&_count=500", body=requests.ConnectionError())
    server.get(f"{BASE}/Condition?x&_count=500", content_type="application/fhir+json", **second)
    found = access().fetch(BASE, "t", "p1", {"conditions": "Condition?x"}, ())
    assert found.outcomes == {"conditions": outcome}


def test_slow_data_ends_with_the_budget(server, monkeypatch):
    serve(server, "Condition?x&_count=500", bundle())
    monkeypatch.setattr(requests.Response, "iter_content", lambda *_: _trickle())
    started = time.monotonic()
    found = access(total_seconds=0.1).fetch(BASE, "t", "p1", {"conditions": "Condition?x"}, ())
    assert found.outcomes == {"conditions": "timeout"}
    assert time.monotonic() - started < 1


def _trickle():
    for _ in range(100):
        time.sleep(0.03)
        yield b" "


def test_a_spent_budget_starts_nothing(server):
    spent = FhirClient(AllowList.parse(BASE).find(BASE), BASE, "t", Limits(), time.monotonic() - 1)
    with pytest.raises(FetchFailed, match="timeout"):
        spent.search("Condition?x")
    assert len(server.calls) == 0


def test_fetched_scores_and_conditions_give_the_card_of_prefetched_ones(server, registry, today):
    serve(server, "Condition?patient=p1&_count=500", bundle(condition("M54.2")))
    serve(server, "Patient/p1", {"resourceType": "Patient", "id": "p1"})
    pain = bundle(score(8))
    server.get(f"{BASE}/Observation", json=pain, content_type="application/fhir+json")
    fetched, _ = call(without(request(), "conditions", "painScores"), registry, today)
    prefetched, _ = call(request(condition("M54.2"), prefetch={"painScores": pain}), registry, today)
    assert fetched == prefetched
    asked = next(c.request.url for c in server.calls if "Observation" in c.request.url)
    assert "code=http://loinc.org%7C72514-3,http://loinc.org%7C38208-5" in asked
