"""FHIR access (F1-F3, P1, P2): what is fetched, from whom, and what every failure becomes."""

from __future__ import annotations

import re
import time

import orjson
import pytest
import requests
import responses

from cds_service.call import Support, answer
from cds_service.errors import PrefetchMissing
from cds_service.fhir.bundles import is_cut_off
from cds_service.fhir.client import PAGE_ENTRIES, FhirClient, Limits
from cds_service.fhir.fetch import FhirAccess
from cds_service.fhir.outcomes import FetchFailed
from cds_service.fhir.servers import AllowList
from cds_service.outbound import Getter
from tests.answering import always, answering, json_answer
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


# Path segments that some server, or a proxy before it, takes for another path.
LEAVING = (
    "..", "..;", "..;x",
    "..;/..;", ".;", "%2e%2e", "%252e%252e", "%2E.", ".%2e", "..%00", "..%0d", "..%2f", "..\\", "%5c..",
    "%c0%ae%c0%ae", "\uff0e\uff0e", "...", "..x", ".", "x;y=z", "x%20y", "a,b", "a\x00b", "$everything", "*", "x\\..",
)  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "url", "covered"),
    [
        (BASE, BASE, True),
        (BASE, f"{BASE}/Patient/1", True),
        (BASE, "https://EHR.example.org:443/fhir/x", True),
        (f"{BASE}/", BASE, True),
        ("http://ehr.example.org", "http://ehr.example.org:80/fhir", True),
        ("http://ehr.example.org:81", "http://ehr.example.org/fhir", False),
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
        (BASE, f"{BASE}/r4/3f0-a_b.c~d:e=", True),
        (BASE, f"{BASE}?x=1", False),
        (BASE, f"{BASE}?", False),
        (BASE, f"{BASE}#x", False),
        (BASE, f"{BASE}#", False),
        (BASE, f"{BASE}/$export?_since=1&x=", False),
        (BASE, f"{BASE}/$export", False),
        *((BASE, f"{BASE}/{segment}/admin", False) for segment in LEAVING),
        *((BASE, f"{BASE}/{segment}", False) for segment in LEAVING),
        (BASE, "https://ehr.example.org/fh\tir", False),
        (BASE, " https://ehr.example.org/fhir", False),
        (BASE, "https://ehr.example.org\\@evil.test/fhir", False),
        (BASE, "https://ehr.example.org./fhir", False),
        (BASE, "https://[x", False),
        ("http://[::1]:8080/fhir internal", "http://[::1]:8080/fhir", True),
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


@pytest.mark.parametrize(
    ("allowed", "token", "outcome"),
    [
        ("", TOKEN, "not-listed"),
        ("https://other.example.org", TOKEN, "not-listed"),
        (BASE, None, "no-token"),
        (BASE, {**TOKEN, "access_token": "tok\u20ac"}, "unusable-token"),
        (BASE, {**TOKEN, "access_token": "tok\r\nCookie: a=b"}, "unusable-token"),
        (BASE, {**TOKEN, "access_token": "t\xf6k"}, "unusable-token"),
    ],
)
def test_nothing_is_fetched_from_an_unlisted_server_or_without_a_token(
    allowed, token, outcome, server, registry, today
):
    """F2: off by default. A token that no header can hold is as none."""
    sent = without(request(condition("M54.2")), "painScores")
    sent["fhirAuthorization"] = token
    cards, fetched = call(sent, registry, today, access(allowed))
    assert "pain scores" in cards[0]["detail"]
    assert fetched == dict.fromkeys(("patient", "painScores"), outcome)
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
    decided = cards[0]["extension"]["org.dry-needling-cds.explanation"]["decidedBy"]
    assert any(entry["role"].endswith("(order reason)") for entry in decided)


@pytest.mark.parametrize(
    ("reference", "outcome"),
    [
        ("Condition/why", "not-found"),
        ("https://evil.example.org/fhir/Condition/why", "not-listed"),
        ("https://ehr.example.org/other/Condition/why", "not-listed"),
        ("http://[x/Condition/1", "not-listed"),
        ("https://ehr.example.org:99999/fhir/Condition/1", "not-listed"),
        ("Condition", "malformed-url"),
        ("Condition?_id=1", "malformed-url"),
        ("Condition/1?x=y", "malformed-url"),
        (f"{BASE}/Condition/1?x=y", "malformed-url"),
        (f"{BASE}/Condition/$delete", "not-listed"),
        ("$export", "malformed-url"),
        ("metadata", "malformed-url"),
        ("Condition/1/$everything", "malformed-url"),
        ("//evil.example.org/Condition/1", "malformed-url"),
        ("/Condition/1", "malformed-url"),
        ("urn:uuid:d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "malformed-url"),
        ("urn:oid:1.2.3", "malformed-url"),
        ("Condition/" + "x" * 1000, "malformed-url"),
        ("Condition/\u20ac", "malformed-url"),
        *((f"Condition/{segment}", "malformed-url") for segment in LEAVING),
        *((f"{segment}/Condition/1", "malformed-url") for segment in LEAVING),
        *((f"{BASE}/{segment}/Condition/1", "not-listed") for segment in LEAVING if segment != "\uff0e\uff0e"),
    ],
)
def test_a_reference_names_an_instance_below_the_base_or_is_not_asked_for(reference, outcome, server):
    """F1, C3."""
    serve(server, "Condition/why", OUTCOME, status=404)
    found = access().fetch(BASE, "t", "p1", {}, (reference,))
    assert found.outcomes == {"reference 0": outcome}
    assert found.referenced == []
    assert [made.request.url for made in server.calls] == ([f"{BASE}/Condition/why"] if outcome == "not-found" else [])


@pytest.mark.parametrize(
    "reference",
    [
        "Condition/why",
        "https://evil.example.org/fhir/Condition/why",
        "http://[x/Condition/1",
        "http://[x",
        "Condition/../x",
    ],
)
def test_a_reason_that_cannot_be_read_is_told(reference, server, registry, today):
    """F1, B3: an absolute reference to another server is not followed, a malformed one is no 500."""
    serve(server, "Condition/why", OUTCOME, status=404)
    order = needling(reasonReference=[{"reference": reference}])
    cards, _ = call(without(request(condition("M54.2"), order=order)), registry, today)
    assert rule(cards) == ["R7"]
    assert "reason unreadable" in cards[0]["detail"]
    assert all(made.request.url.startswith(BASE) for made in server.calls)


@pytest.mark.parametrize(
    "reference", ["Condition/why", f"{BASE}/Condition/why", "Condition/why/_history/2", f"{BASE}/Condition/a_b:c=.d~e"]
)
def test_an_instance_below_the_base_is_asked_for(reference, server):
    serve(server, reference.removeprefix(f"{BASE}/"), condition("M54.2"))
    assert client().read(reference, soon())["id"] == "c-M54.2"


@pytest.mark.parametrize(
    ("patient_id", "asked"),
    [
        ("p1", "patient=p1&_count=500"),
        ("p1&_id=2", "patient=p1%26_id%3D2&_count=500"),
        ("p1#", "patient=p1%23&_count=500"),
        ("a b+c%d", "patient=a%20b%2Bc%25d&_count=500"),
        ("a/../b", "patient=a%2F..%2Fb&_count=500"),
        ("p1,p2", "patient=p1%5C%2Cp2&_count=500"),
        ("p|1$\\", "patient=p%5C%7C1%5C%24%5C%5C&_count=500"),
        ("\xf6\u20ac", "patient=%C3%B6%E2%82%AC&_count=500"),
        ("\ud800", "patient=%3F&_count=500"),
    ],
)
def test_a_patients_id_is_one_value_of_a_query_whatever_it_holds(patient_id, asked):
    """C3: or whoever writes the id writes the query."""
    with answering(always(json_answer(bundle()))) as server:
        base = f"{server.url}/fhir"
        queries = {"conditions": "Condition?patient={{context.patientId}}"}
        found = access(f"{base} internal open").fetch(base, "", patient_id, queries, ())
    assert found.outcomes == {"conditions": "ok"}
    assert server.paths() == [f"/fhir/Condition?{asked}"]


@pytest.mark.parametrize(
    "patient_id", ["..", "../Practitioner/1", "p1?x=y", "p1/$everything", "a b", "\u20ac", "%2e%2e"]
)
def test_a_patient_whose_id_is_no_path_segment_is_not_read(patient_id, server):
    """C3."""
    found = access().fetch(BASE, "t", patient_id, {"patient": "Patient/{{context.patientId}}"}, ())
    assert found.outcomes == {"patient": "malformed-url"}
    assert len(server.calls) == 0


def test_a_read_that_finds_nothing_or_something_else(server):
    fhir = client()
    serve(server, "Patient/p1", OUTCOME, status=410)
    assert fhir.read("Patient/p1", soon()) is None
    serve(server, "Patient/p2", {"no": "resource"})
    with pytest.raises(FetchFailed, match="not-fhir"):
        fhir.read("Patient/p2", soon())
    serve(server, "Patient/p3", OUTCOME, status=500)
    with pytest.raises(FetchFailed, match="refused-by-server"):
        fhir.read("Patient/p3", soon())


# ---------------------------------------------------------------- pages

FIRST_PAGE = f"Condition?x&_count={PAGE_ENTRIES}"


def client(**limits):
    allowed = AllowList.parse(BASE).find(BASE)
    return FhirClient(Getter(internal=False), allowed, BASE, "t", Limits(request_seconds=1, total_seconds=2, **limits))


def soon():
    return time.monotonic() + 10


def page(*resources, following=None):
    link = [{"relation": "next", "url": following}] if following else []
    return bundle(*resources, link=[{"relation": "self", "url": f"{BASE}/Condition?x"}, *link])


def relations(found):
    return [link["relation"] for link in found["link"]]


def test_pages_are_followed_absolute_and_relative(server):
    """F3."""
    serve(server, FIRST_PAGE, page(condition("M54.2"), following=f"{BASE}/Condition?page=2"))
    serve(server, "Condition?page=2", page(condition("M54.6"), following="Condition?page=3"))
    serve(server, "Condition?page=3", page(condition("M54.5")))
    found = client().search("Condition?x", soon())
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["c-M54.2", "c-M54.6", "c-M54.5"]
    assert relations(found) == ["self"]


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example.org/fhir/Condition?page=2",
        "http://ehr.example.org/fhir/Condition",
        "//evil.example.org/fhir?page=2",
        f"{BASE}/../admin",
        "../admin",
        "/admin?page=2",
        "http://[x",
        "http://[bad?x=y",
        "https://ehr.example.org:port/fhir?page=2",
        "javascript:alert(1)",
        "urn:uuid:d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        f"{BASE}?page=2#x",
        *(f"{BASE}/{segment}/x?page=2" for segment in LEAVING if segment != "\uff0e\uff0e"),
    ],
)
def test_a_next_link_to_elsewhere_is_not_followed_and_leaves_the_search_partial(following, server):
    """F1, C3, P7: never with the token to another origin, never off the path, and malformed ones nowhere."""
    serve(server, FIRST_PAGE, page(condition("M54.2"), following=following))
    found = client().search("Condition?x", soon())
    assert len(found["entry"]) == 1
    assert relations(found) == ["self", "next"]
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("following", "asked"),
    [
        (f"{BASE}/Condition?page=2", "/fhir/Condition?page=2"),
        ("Condition?page=2", "/fhir/Condition?page=2"),
        ("./Condition?page=2", "/fhir/Condition?page=2"),
        ("/fhir/Condition?page=2", "/fhir/Condition?page=2"),
        (f"{BASE}?_getpages=a&_getpagesoffset=2", "/fhir?_getpages=a&_getpagesoffset=2"),
        ("?_getpages=a", "/fhir/?_getpages=a"),
        ("https://EHR.example.org:443/fhir/Condition/_search?page=2", "/fhir/Condition/_search?page=2"),
        ("Condition?words=chronic pain\u20ac", "/fhir/Condition?words=chronic%20pain%E2%82%AC"),
        ("Condition?date=%3E2020&x=[1]", "/fhir/Condition?date=%3E2020&x=%5B1%5D"),
    ],
)
def test_next_links_are_absolute_relative_or_of_the_base(following, asked, server):
    """P7, F3."""
    serve(server, FIRST_PAGE, page(condition("M54.2"), following=following))
    server.get(re.compile(".*"), json=page(condition("M54.6")), content_type="application/fhir+json")
    found = client().search("Condition?x", soon())
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["c-M54.2", "c-M54.6"]
    assert relations(found) == ["self"]
    assert server.calls[1].request.url.removeprefix("https://ehr.example.org") in (
        asked,
        asked.replace("%5B1%5D", "[1]"),
    )


@pytest.mark.parametrize(
    "second",
    [
        {"json": OUTCOME},
        {"json": {"resourceType": "Condition"}},
        {"json": {"resourceType": "Bundle", "entry": 5}},
        {"json": {}},
        {"body": b"{"},
        {"body": b"<html>"},
        {"json": OUTCOME, "status": 410},
        {"json": OUTCOME, "status": 500},
        {"body": requests.ReadTimeout()},
    ],
)
def test_a_later_page_that_is_an_outcome_or_unreadable_leaves_the_search_partial(second, server):
    """P6: what came is used, and is known to be a part."""
    serve(server, FIRST_PAGE, page(condition("M54.2"), following="Condition?page=2"))
    serve(server, "Condition?page=2", None, **second)
    found = client().search("Condition?x", soon())
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["c-M54.2"]
    assert is_cut_off(found)


def test_an_empty_first_page_with_a_next_link_is_followed(server):
    """P6."""
    serve(server, FIRST_PAGE, page(following="Condition?page=2"))
    serve(server, "Condition?page=2", page(condition("M54.2")))
    found = client().search("Condition?x", soon())
    assert len(found["entry"]) == 1
    assert not is_cut_off(found)


@pytest.mark.parametrize(("total", "part"), [(2, False), (3, True), (None, False)])
def test_a_total_above_the_entries_of_all_pages_makes_the_search_partial(total, part, server):
    """P6: some servers count more than they give, and name no next page."""
    serve(server, FIRST_PAGE, {**page(condition("M54.2"), following="Condition?page=2"), "total": total})
    serve(server, "Condition?page=2", page(condition("M54.6")))
    assert is_cut_off(client().search("Condition?x", soon())) == part


def test_a_search_whose_count_is_refused_is_asked_again_without(server):
    """P7."""
    serve(server, FIRST_PAGE, OUTCOME, status=400)
    server.get(f"{BASE}/Condition?x", json=bundle(condition("M54.2")), content_type="application/fhir+json")
    assert len(client().search("Condition?x", soon())["entry"]) == 1
    assert len(server.calls) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 422, 500])
def test_other_refusals_are_not_asked_again(status, server):
    server.get(re.compile(".*"), json=OUTCOME, status=status, content_type="application/fhir+json")
    with pytest.raises(FetchFailed):
        client().search("Condition?x", soon())
    assert len(server.calls) == 1


def test_a_search_refused_with_and_without_a_count_is_refused(server):
    server.get(re.compile(".*"), json=OUTCOME, status=400, content_type="application/fhir+json")
    with pytest.raises(FetchFailed, match="refused-by-server"):
        client().search("Condition?x", soon())
    assert len(server.calls) == 2


def test_endless_pages_end_at_the_limits(server):
    serve(server, FIRST_PAGE, page(condition("M54.2"), following=f"{BASE}/{FIRST_PAGE}"))
    found = client(pages=3).search("Condition?x", soon())
    assert len(found["entry"]) == 3
    assert relations(found) == ["self", "next"]
    found = client(resources=2).search("Condition?x", soon())
    assert len(found["entry"]) == 2


def test_a_partial_fetch_is_told_on_the_card(server, registry, today):
    serve(server, "Condition?patient=p1&_count=500", page(condition("M54.2"), following="https://evil.example.org/"))
    cards, _ = call(without(request(), "conditions"), registry, today)
    assert "part of the problem list" in cards[0]["detail"]


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
        ({"status": 300}, "redirected"),
        ({"status": 399}, "redirected"),
        ({"status": 206}, "refused-by-server"),
        ({"content_type": "text/html"}, "not-json"),
        ({"body": "{"}, "not-json"),
        ({"json": [1]}, "not-json"),
        ({"body": b'{"a":' * 150 + b"1" + b"}" * 150}, "not-json"),
        ({"json": {"resourceType": "Condition"}}, "not-fhir"),
        ({"json": {"resourceType": "OperationOutcome"}}, "refused-by-server"),
        *(
            ({"json": {"resourceType": "Bundle", "entry": entry}}, "not-fhir")
            for entry in (5, True, False, "x", {}, {"a": 1}, 0.5)
        ),
        ({"json": {}}, "not-fhir"),
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


@pytest.mark.parametrize(
    "content_type",
    ["application/fhir+json", "application/json", "application/json+fhir", "text/json", "Application/FHIR+JSON; a=b"],
)
def test_json_has_many_names(content_type, server):
    serve(server, FIRST_PAGE, bundle(condition("M54.2")), content_type=content_type)
    assert len(client().search("Condition?x", soon())["entry"]) == 1


def test_optional_data_that_cannot_be_fetched_is_told(server, registry, today):
    serve(server, "Procedure?patient=p1&_count=500", bundle(), status=500)
    cards, fetched = call(without(request(condition("M54.2")), "procedures"), registry, today)
    assert fetched["procedures"] == "refused-by-server"
    assert "earlier procedures" in cards[0]["detail"]


def test_a_spent_budget_starts_nothing(server):
    with pytest.raises(FetchFailed, match="timeout"):
        client().search("Condition?x", time.monotonic() - 1)
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
