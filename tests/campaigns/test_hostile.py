"""Requests and FHIR servers that broke this service before (B3, C3, C9, P6): their answers, log lines and counts."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import date
from urllib.parse import urlsplit

import orjson
import pytest
import responses

from cds_service import call as call_module
from cds_service.call import Support, answer
from cds_service.errors import PrefetchMissing, Unavailable
from cds_service.fhir.client import Limits
from cds_service.fhir.fetch import FhirAccess
from cds_service.fhir.outcomes import FetchOutcome
from cds_service.fhir.servers import AllowList
from cds_service.main import create
from tests.answering import always, answering, json_answer, raw_answer
from tests.cases import EXTENSION, FIXTURES, TODAY, own_settings
from tests.charts import bundle, condition, needling, request

PATH = "/cds-services/dry-needling-order-select"
TOKEN = {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "s", "subject": "c"}
ON = date(2026, 11, 25)


def sent(name, base=""):
    """Return a request of fixtures/hostile, with the server it names put where `base` is."""
    found = json.loads((FIXTURES / "hostile" / f"{name}.json").read_text(encoding="utf-8"))
    if base:
        parts = urlsplit(found["fhirServer"])
        found["fhirServer"] = found["fhirServer"].replace(f"{parts.scheme}://{parts.netloc}", base)
    return found


def call(document, registry, *servers):
    """Return cards and outcomes of a call that may read servers."""
    access = FhirAccess(AllowList.parse(",".join(f"{url} internal open" for url in servers)), Limits(5, 10))
    answered = answer(registry, "", orjson.dumps(document), ON, Support(access))
    return orjson.loads(answered.body)["cards"], dict(answered.fetched)


def rules(cards):
    return [card["extension"][EXTENSION]["rule"] for card in cards]


def test_a_note_that_is_null_is_as_none(registry):
    assert rules(call(sent("500-note-null"), registry)[0]) == ["R7"]


@pytest.mark.parametrize("name", ["500-fhir-token-euro", "500-reason-reference-bracket"])
def test_a_token_that_no_header_can_hold_and_a_malformed_reference_are_as_a_failed_fetch(name, registry):
    """B3: 412 where the server does not help either, never a 500."""
    with (
        answering(always(json_answer({}, "500 No"))) as server,
        pytest.raises(PrefetchMissing, match="could not be read"),
    ):
        call(sent(name, server.url), registry, f"{server.url}/fhir")
    assert not any("\u20ac" in head or "[" in head for head in server.heads)


def test_a_malformed_reference_keeps_nothing_else_from_being_fetched(registry):
    """B3."""
    with answering(always(json_answer(bundle(condition("M54.2"))))) as server:
        cards, _ = call(sent("500-reason-reference-bracket", server.url), registry, f"{server.url}/fhir")
    assert rules(cards) == ["R7"]
    assert "reason unreadable" in cards[0]["detail"]


@pytest.mark.parametrize("name", ["ssrf-semicolon", "ssrf-query"])
def test_a_base_that_leaves_the_listed_path_is_sent_nothing(name, registry):
    """C3, F2."""
    with (
        answering(always(json_answer(bundle(condition("M54.2"))))) as server,
        pytest.raises(PrefetchMissing, match="not on the list") as refused,
    ):
        call(sent(name, server.url), registry, f"{server.url}/fhir")
    assert set(refused.value.fetched.values()) == {"not-listed"}
    assert server.heads == []


def test_an_id_that_leaves_its_type_is_in_no_suggestion(registry):
    """H4."""
    cards, _ = call(sent("resourceId-traversal"), registry)
    assert cards
    assert "../" not in json.dumps(cards)


def test_an_empty_first_page_of_forty_entries_is_never_an_empty_problem_list(registry):
    """P6."""
    cards, _ = call(sent("partial-empty-page"), registry)
    assert rules(cards) == ["R8"]
    assert "part of the problem list" in cards[0]["detail"]


def page(number, following):
    link = [{"relation": "next", "url": following}] if following else []
    return json_answer(bundle(condition("I10", id=f"c{number}"), link=link))


def outcome_after_the_first_page(connection, head):
    if "page=2" in head:
        connection.sendall(json_answer({"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}))
    else:
        connection.sendall(page(1, head.split(" ")[1].split("?")[0] + "?page=2"))


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("next-link-malformed", always(page(1, "http://[bad"))),
        ("second-page-operation-outcome", outcome_after_the_first_page),
    ],
)
def test_pages_that_cannot_be_read_leave_a_list_that_was_seen_in_part(name, answered, registry):
    """P6, P7."""
    with answering(answered) as server:
        cards, fetched = call(sent(name, server.url), registry, server.url)
    assert rules(cards) == ["R8"]
    assert "part of the problem list" in cards[0]["detail"]
    assert fetched["conditions"] == "ok"


NOTHING = object()
ODD_VALUES = (NOTHING, None, True, 5, -1, 0.5, "", "x", "http://[x", [], [None], {}, {"resourceType": 5}, 10**30)
NODES = [
    (), ("resourceType",), ("type",), ("total",), ("entry",), ("entry", 0), ("entry", 0, "fullUrl"),
    ("entry", 0, "search"), ("entry", 0, "search", "mode"), ("entry", 0, "resource"),
    ("entry", 0, "resource", "resourceType"), ("entry", 0, "resource", "id"), ("entry", 0, "resource", "subject"),
    ("link",), ("link", 0), ("link", 0, "relation"), ("link", 0, "url"),
]  # fmt: skip


def with_odd(node, value):
    """Return a page of a FHIR server with an odd value at a node, or without it."""
    found = bundle(condition("M54.2"), total=1, link=[{"relation": "next", "url": "Condition?page=2"}])
    found["type"] = "searchset"
    found["entry"][0] |= {"fullUrl": "http://h/fhir/Condition/1", "search": {"mode": "match"}}
    if not node:
        return {} if value is NOTHING else value
    holder = found
    for step in node[:-1]:
        holder = holder[step]
    if value is NOTHING:
        del holder[node[-1]]
    else:
        holder[node[-1]] = value
    return found


@pytest.mark.parametrize("node", NODES, ids=lambda node: ".".join(map(str, node)))
def test_whatever_a_fhir_server_answers_ends_in_a_card_or_in_412(node, registry):
    """B3: as any unreadable answer, on the first page and on the next."""
    lacking = request(order=needling())
    lacking["prefetch"] = dict.fromkeys(("patient", "painScores", "procedures", "serviceRequests", "carePlans"))
    lacking |= {"fhirServer": "https://ehr.example.org/fhir", "fhirAuthorization": TOKEN}
    for value in ODD_VALUES:
        for pages in ([with_odd(node, value)] * 2, [with_odd(("total",), 1), with_odd(node, value)]):
            with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
                for number, answered in enumerate(pages):
                    query = "page=2" if number else "patient=p1&_count=500"
                    server.get(
                        f"https://ehr.example.org/fhir/Condition?{query}",
                        body=json.dumps(answered), content_type="application/fhir+json",
                    )  # fmt: skip
                try:
                    cards, _ = call(lacking, registry, "https://ehr.example.org")
                except PrefetchMissing:
                    continue
                assert set(rules(cards)) <= {"R7", "R8"}


# ---------------------------------------------------------------- C9: an odd authorization


@contextmanager
def logged(capsys, tmp_path, **settings):
    """Yield a client of an application that logs, and a list that holds its log lines at the end."""
    lines = []
    app = create(
        own_settings(
            log_level="info", data_folder=str(tmp_path), database_url=f"sqlite:///{tmp_path}/x.sqlite3", **settings
        ),
        lambda: TODAY,
    )
    yield app.test_client(), lines
    app.extensions["store"].recorder.close()
    lines += [json.loads(line) for line in capsys.readouterr().err.splitlines()]


ODD = [
    ({"expires_in": "300"}, "fhirAuthorization.expires_in"),
    ({"expires_in": None}, "fhirAuthorization.expires_in"),
    ({"expires_in": 300.5}, "fhirAuthorization.expires_in"),
    ({"expires_in": True}, "fhirAuthorization.expires_in"),
    ({"expires_in": 0}, "fhirAuthorization.expires_in"),
    ({"expires_in": {}}, "fhirAuthorization.expires_in"),
    ({"expires_in": KeyError}, "fhirAuthorization.expires_in"),
    ({"scope": KeyError}, "fhirAuthorization.scope"),
    ({"scope": None}, "fhirAuthorization.scope"),
    ({"scope": ["a"]}, "fhirAuthorization.scope"),
    ({"subject": KeyError}, "fhirAuthorization.subject"),
    ({"subject": 5}, "fhirAuthorization.subject"),
    ({"patient": 5}, "fhirAuthorization.patient"),
    ({"fhirServer": ""}, "fhirServer"),
]


def odd(document, change):
    found = {**document, "fhirServer": change.get("fhirServer", document.get("fhirServer"))}
    authorization = {**TOKEN, **{key: value for key, value in change.items() if key != "fhirServer"}}
    found["fhirAuthorization"] = {key: value for key, value in authorization.items() if value is not KeyError}
    return found


@pytest.mark.parametrize(("change", "field"), ODD)
def test_an_odd_authorization_refuses_no_call_whose_prefetch_is_complete(change, field, capsys, tmp_path):
    """C9: nothing is fetched, and the log says why."""
    complete = request(condition("M54.2"), prefetch={"patient": None})
    with (
        answering(always(json_answer(bundle()))) as server,
        logged(capsys, tmp_path, fhir_servers=f"{server.url} internal") as (client, lines),
    ):
        response = client.post(PATH, json=odd({**complete, "fhirServer": server.url}, change))
        assert response.json == client.post(PATH, json=complete).json
    assert response.status_code == 200
    assert server.heads == []
    assert [line["unusable"] for line in lines if line["event"] == "nothing fetched"] == [field]


@pytest.mark.parametrize(("change", "field"), ODD)
def test_an_odd_authorization_is_said_where_the_prefetch_is_not_complete(change, field, capsys, tmp_path):
    """C9, P2."""
    lacking = request(order=needling())
    del lacking["prefetch"]["conditions"]
    with (
        answering(always(json_answer(bundle()))) as server,
        logged(capsys, tmp_path, fhir_servers=f"{server.url} internal") as (client, lines),
    ):
        response = client.post(PATH, json=odd({**lacking, "fhirServer": server.url}, change))
    assert response.status_code == 412
    assert "cannot be used (unusable-authorization)" in response.json["issue"][0]["diagnostics"]
    assert server.heads == []
    assert field in [line.get("unusable") for line in lines]
    refused = next(line for line in lines if line["event"] == "refused")
    assert refused["fetched"]["conditions"] == "unusable-authorization"


# ---------------------------------------------------------------- what became of each fetch


@pytest.mark.parametrize(
    ("answered", "outcome"),
    [
        (json_answer({}, "401 No"), "refused-by-server"),
        (json_answer({}, "403 No"), "refused-by-server"),
        (json_answer({}, "404 No"), "not-found"),
        (json_answer({}, "429 No"), "refused-by-server"),
        (json_answer({}, "500 No"), "refused-by-server"),
        (raw_answer(b"<Bundle/>"), "not-json"),
        (json_answer({"resourceType": "Bundle", "entry": 5}), "not-fhir"),
        (json_answer({"resourceType": "Bundle", "entry": True}), "not-fhir"),
        (raw_answer(b"", "302 Found", "Location: /x"), "redirected"),
        (b"no HTTP at all\r\n\r\n", "unreachable"),
        (b"", "timeout"),
    ],
)
def test_the_outcome_of_each_fetch_is_in_the_412_the_log_and_the_metric(answered, outcome, capsys, tmp_path):
    """P2: whoever runs the service sees what to mend."""
    lacking = request(order=needling())
    lacking["prefetch"] = {"patient": None, "painScores": None, "procedures": None}
    lacking |= {"fhirServer": "", "fhirAuthorization": TOKEN}
    with (
        answering(always(answered)) as server,
        logged(
            capsys, tmp_path, fhir_servers=f"{server.url} internal", fhir_request_milliseconds=200, metrics="on"
        ) as (client, lines),
    ):
        response = client.post(PATH, json={**lacking, "fhirServer": server.url})
        counted = client.get("/metrics").text
    assert response.status_code == 412
    (issue,) = response.json["issue"]
    assert issue["diagnostics"].startswith("prefetch.conditions is required for this order and could not be read: ")
    assert issue["diagnostics"].endswith(f" ({outcome})")
    (refused,) = [line for line in lines if line["event"] == "refused"]
    assert refused["fetched"] == dict.fromkeys(("conditions", "serviceRequests", "carePlans", "medications"), outcome)
    for key in refused["fetched"]:
        assert f'cds_fhir_fetches_total{{key="{key}",outcome="{outcome}"}} 1.0' in counted


@pytest.mark.parametrize(
    ("servers", "change", "outcome"),
    [
        ("", {}, "not-listed"),
        ("https://other.example.org", {}, "not-listed"),
        ("https://ehr.example.org", {"fhirAuthorization": None}, "no-token"),
        ("https://ehr.example.org", {"fhirAuthorization": {**TOKEN, "access_token": "\u20ac"}}, "unusable-token"),
    ],
)
def test_a_server_that_was_not_asked_does_not_read_as_if_nothing_was_to_be_had(
    servers, change, outcome, capsys, tmp_path
):
    """P2: `was not sent` is for calls that name no server."""
    lacking = request(order=needling())
    del lacking["prefetch"]["conditions"]
    named = {"fhirServer": "https://ehr.example.org/fhir", "fhirAuthorization": TOKEN, **change}
    with logged(capsys, tmp_path, fhir_servers=servers) as (client, lines):
        said = client.post(PATH, json={**lacking, **named}).json["issue"][0]["diagnostics"]
        unnamed = client.post(PATH, json=lacking).json["issue"][0]["diagnostics"]
    assert "was not sent" not in said
    assert said.endswith(f" ({outcome})")
    assert unnamed == "prefetch.conditions is required for this order and was not sent"
    assert next(line for line in lines if line["event"] == "refused")["fetched"]["conditions"] == outcome


def test_a_call_past_its_deadline_still_says_what_became_of_its_fetches(registry, monkeypatch):
    """R9: the slow server is why."""

    asked = []
    real = FhirAccess.fetch

    def fetch(self, *parts):
        asked.append(self)
        return real(self, *parts)

    def past() -> None:
        if asked:
            raise Unavailable("past")

    monkeypatch.setattr(FhirAccess, "fetch", fetch)
    monkeypatch.setattr(call_module, "step", past)
    lacking = {**request(order=needling()), "prefetch": {}, "fhirServer": "https://ehr.example.org/fhir"}
    with pytest.raises(Unavailable) as refused:
        call(lacking, registry)
    assert refused.value.fetched["conditions"] == "not-listed"


def test_each_outcome_has_words_of_its_own():
    assert len({outcome.words for outcome in FetchOutcome}) == len(FetchOutcome)
    assert all(outcome.words.endswith(f"({outcome})") for outcome in FetchOutcome)
