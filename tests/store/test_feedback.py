"""Feedback (B1-B4, V5): accepted in every shape clients send, validated whole, kept once, and never with words."""

from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import select

from cds_service.main import create
from cds_service.store.outbox import Outbox
from cds_service.store.records import FeedbackRecord
from cds_service.store.tables import feedback
from tests.cases import FIXTURES, TODAY, own_settings
from tests.charts import condition, request
from tests.waiting import wait_for

PATH = "/cds-services/dry-needling-order-select"
HL7 = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
SECRET = "Marigold Secret"
ACCEPTED = {
    "card": "7d85e12a-7ff7-5e82-a387-4edf41f7b0f3",
    "outcome": "accepted",
    "acceptedSuggestions": [{"id": "11111111-2222-5333-8444-555555555555"}],
    "outcomeTimestamp": "2026-11-23T17:30:00Z",
}
OVERRIDDEN = {
    "card": "7d85e12a-7ff7-5e82-a387-4edf41f7b0f3",
    "outcome": "overridden",
    "overrideReason": {
        "reason": {"code": "prefers-alternative", "system": HL7, "display": SECRET},
        "userComment": SECRET,
    },
    "outcomeTimestamp": "2026-11-23T17:31:00.123+02:00",
}


@pytest.fixture
def client(make_app):
    return make_app().test_client()


@pytest.fixture
def kept(database, tmp_path):
    """Return what is in the table of feedback, once all has been forwarded."""
    outbox = Outbox(tmp_path)

    def rows():
        wait_for(lambda: outbox.waiting() == 0)
        with database.reading() as connection:
            query = select(feedback).order_by(feedback.c.outcome, feedback.c.outcome_timestamp)
            return [dict(row) for row in connection.execute(query).mappings()]

    return rows


def send(client, *entries):
    return client.post(f"{PATH}/feedback", json={"feedback": list(entries)})


def test_feedback_on_a_real_card_is_kept(client, kept):
    """B1, B2: several entries in one request."""
    (card,) = client.post(PATH, json=request(condition("278860009", "sct"))).json["cards"]
    accepted = {**ACCEPTED, "card": card["uuid"], "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}]}
    response = send(client, accepted, {**OVERRIDDEN, "card": card["uuid"]})
    assert response.status_code == 200
    first, second = kept()
    assert (first["card"], first["suggestions"]) == (card["uuid"], card["suggestions"][0]["uuid"])
    assert first["received"] == "2026-11-23T17:30:00.000+00:00"
    assert (second["reason_code"], second["reason_system"]) == ("prefers-alternative", HL7)
    assert second["service"] == "dry-needling-order-select"


def test_repeats_and_late_entries_are_normal_and_kept_once(client, kept):
    """B1."""
    for _ in range(3):
        assert send(client, OVERRIDDEN, OVERRIDDEN, ACCEPTED).status_code == 200
    assert len(kept()) == 2


def test_an_unknown_card_is_kept_and_no_error_to_the_clinician(client, kept):
    """B3."""
    assert send(client, {**ACCEPTED, "card": "00000000-0000-4000-8000-000000000000"}).status_code == 200
    assert len(kept()) == 1


@pytest.mark.parametrize(
    "shape",
    [
        {"overrideReasons": {"reason": {"code": "need-more-info", "system": HL7}}},
        {"overrideReasons": [{"reason": {"code": "need-more-info", "system": HL7}}]},
        {"overrideReasons": []},
        {"overrideReason": None},
        {"overrideReason": {"userComment": "because"}},
        {"overrideReason": {"reason": {"code": "need-more-info"}}},
        {"extension": {"org.example.reason": {"code": "x"}}},
        {"overrideReason": {"extension": {"org.example.reason": "words"}}},
        {"overrideReasons": {"extension": {"org.example.reason": "words"}}},
        {"overrideReasons": [{"extension": {"org.example.reason": "words"}}]},
        {"overrideReason": {}},
        {"overrideReason": {"reason": {}}},
        {"overrideReason": {"reason": {"display": "words"}}},
        {"overrideReason": {"reason": None, "userComment": ""}},
        {},
    ],
)
def test_every_shape_of_an_override_is_accepted(shape, client, kept):
    """B4, V5; Sandbox: a dismissal has no reason."""
    entry = {key: value for key, value in OVERRIDDEN.items() if key != "overrideReason"}
    assert send(client, {**entry, **shape}).status_code == 200
    (row,) = kept()
    assert row["outcome"] == "overridden"
    assert row["reason_code"] == ("need-more-info" if "need-more-info" in str(shape) else "")


@pytest.mark.parametrize(
    "shape",
    [
        {"overrideReason": {"code": "need-more-info", "system": HL7, "display": "words"}},
        {"overrideReasons": {"code": "need-more-info"}},
        {"overrideReasons": [{"code": "need-more-info"}, {"code": "prefers-alternative"}]},
        {"overrideReason": [{"reason": {"code": "need-more-info"}}]},
        {"overrideReason": {"reason": [{"code": "need-more-info"}]}},
    ],
)
def test_a_reason_is_found_wherever_clients_put_it(shape, client, kept):
    """B4: a flat Coding, several reasons, a list where one belongs."""
    entry = {key: value for key, value in OVERRIDDEN.items() if key != "overrideReason"}
    assert send(client, {**entry, **shape}).status_code == 200
    assert {row["reason_code"] for row in kept()} == {"need-more-info"}


def test_one_vendors_entries_without_reason_are_kept_and_cost_no_other(client, kept):
    """B4: a reason in an extension only; a card id that is no UUID."""
    body = json.loads((FIXTURES / "feedback" / "extension-without-comment.json").read_bytes())
    assert client.post(f"{PATH}/feedback", json=body).status_code == 200
    assert {(row["card"], row["outcome"], row["reason_code"], row["suggestions"]) for row in kept()} == {
        ("unrecognised", "overridden", "", ""),
        ("00000000-0000-4000-8000-000000000099", "overridden", "", ""),
    }


@pytest.mark.parametrize("card", ["123456", "7d85e12a", SECRET, "x" * 300, "7d85e12a-7ff7-5e82-a387-4edf41f7b0fg"])
def test_a_card_id_that_is_no_uuid_is_kept_as_unmatched_without_the_id(card, client, kept):
    """B4: it may be a record number, so not even a hash that anybody can compute is kept."""
    for _ in range(2):
        assert send(client, {**ACCEPTED, "card": card}, {**ACCEPTED, "card": f"{card}0"}).status_code == 200
    assert len(kept()) == 2, "each once, although the card is not kept"
    record = FeedbackRecord(
        "s",
        card,
        "accepted",
        datetime.fromisoformat(ACCEPTED["outcomeTimestamp"]),
        (ACCEPTED["acceptedSuggestions"][0]["id"],),
    )
    for row in kept():
        assert row["card"] == "unrecognised"
        assert row["key"] != record.key()


@pytest.mark.parametrize(
    "written", ["7D85E12A-7FF7-5E82-A387-4EDF41F7B0F3", "urn:uuid:7d85e12a-7ff7-5e82-a387-4edf41f7b0f3"]
)
def test_ids_are_uuids_in_any_spelling(written, client, kept):
    assert send(client, ACCEPTED, {**ACCEPTED, "card": written}).status_code == 200
    assert [row["card"] for row in kept()] == [ACCEPTED["card"]]


def test_ids_of_suggestions_that_are_no_uuids_are_not_kept(client, kept):
    """B4."""
    known = ACCEPTED["acceptedSuggestions"][0]
    assert (
        send(client, {**ACCEPTED, "acceptedSuggestions": [{"id": SECRET}, known, {"id": "123456"}]}).status_code == 200
    )
    assert [row["suggestions"] for row in kept()] == [known["id"]]


@pytest.mark.parametrize("code", ["123456", "MRN-0042", "x", "unrecognised", "PREFERS-ALTERNATIVE", SECRET])
def test_a_code_that_the_card_does_not_offer_is_kept_as_other(code, client, kept):
    """B4: what looks like a code can be a record number."""
    for reason in ({"code": code, "system": HL7}, {"code": code, "system": SECRET}):
        entry = {**OVERRIDDEN, "overrideReason": {"reason": reason}}
        assert send(client, entry).status_code == 200
    assert {(row["reason_code"], row["reason_system"]) for row in kept()} == {("other", "")}


def test_every_code_that_cards_offer_is_kept(client, kept):
    (card,) = client.post(PATH, json=request(condition("278860009", "sct"))).json["cards"]
    offered = [reason["code"] for reason in card["overrideReasons"]]
    entries = [{**OVERRIDDEN, "overrideReason": {"reason": {"code": code}}} for code in offered]
    assert send(client, *entries).status_code == 200
    assert sorted((row["reason_code"], row["reason_system"]) for row in kept()) == [(c, HL7) for c in sorted(offered)]


def test_what_one_request_may_bring_is_bounded(make_app, kept):
    """413, and nothing is kept."""
    client = make_app(feedback_entries=2, feedback_suggestions=3).test_client()
    known = ACCEPTED["acceptedSuggestions"]
    fits = {**ACCEPTED, "acceptedSuggestions": known * 3}
    for entries, path in (
        ([fits] * 3, "feedback"),
        ([fits, {**ACCEPTED, "acceptedSuggestions": known * 4}], "feedback.1.acceptedSuggestions"),
    ):
        response = send(client, *entries)
        assert (response.status_code, response.json["issue"][0]["expression"]) == (413, [path])
    assert kept() == []
    assert send(client, fits, fits).status_code == 200
    assert len(kept()) == 1


def test_what_a_client_sends_in_a_minute_is_bounded(make_app, kept):
    """Entries count, however they are spread over requests; 429 with Retry-After."""
    client = make_app(feedback_per_minute=5).test_client()
    assert send(client, *[ACCEPTED] * 3).status_code == 200
    refused = send(client, *[OVERRIDDEN] * 3)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert send(client, ACCEPTED, ACCEPTED).status_code == 200
    assert send(client, ACCEPTED).status_code == 429
    other = {"environ_base": {"REMOTE_ADDR": "10.0.0.9"}}
    assert client.post(f"{PATH}/feedback", json={"feedback": [OVERRIDDEN]}, **other).status_code == 200
    assert len(kept()) == 2


def test_no_words_of_the_clinician_are_kept(client, kept):
    """Never leak: comments, displays, and codes that are words."""
    worded = copy.deepcopy(OVERRIDDEN)
    worded["overrideReason"]["reason"].update(code=SECRET, system=SECRET)
    assert send(client, OVERRIDDEN, worded, {**ACCEPTED, "card": SECRET}).status_code == 200
    assert SECRET not in json.dumps(kept())
    assert {row["reason_code"] for row in kept()} == {"prefers-alternative", "other", ""}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"card": None}, "feedback.1.card must be a string"),
        ({"card": ""}, "feedback.1.card must not be empty"),
        ({"outcome": "ignored"}, "feedback.1.outcome is not valid"),
        ({"outcomeTimestamp": "yesterday"}, "feedback.1.outcomeTimestamp must be a date and time with a time zone"),
        ({"outcomeTimestamp": "2026-11-23T17:30:00"}, "feedback.1.outcomeTimestamp must be a date and time with"),
        (
            {"outcomeTimestamp": "2026-02-30T17:30:00Z"},
            "feedback.1.outcomeTimestamp must be a date and time that exist in UTC",
        ),
        ({"acceptedSuggestions": []}, "feedback.1 needs acceptedSuggestions when the outcome is accepted"),
        ({"acceptedSuggestions": None}, "feedback.1 needs acceptedSuggestions when the outcome is accepted"),
        ({"acceptedSuggestions": [{}]}, "feedback.1.acceptedSuggestions.0.id is required"),
        ({"overrideReason": {"reason": 5}}, "feedback.1.overrideReason.reason must be an object"),
        ({"overrideReason": {"reason": {"code": 5}}}, "feedback.1.overrideReason.reason.code must be a string"),
        ({"overrideReasons": 5}, "feedback.1.overrideReason must be an object"),
    ],
)
def test_an_invalid_entry_rejects_the_request_whole_and_is_named(change, said, client, kept):
    """B3: index and field; nothing of that request is kept."""
    response = send(client, OVERRIDDEN, {**ACCEPTED, **change})
    assert response.status_code == 400
    assert response.json["issue"][0]["diagnostics"].startswith(said)
    assert kept() == []


@pytest.mark.parametrize("body", [{}, {"feedback": []}, {"feedback": {}}, {"feedback": [5]}])
def test_what_is_no_feedback(body, client):
    response = client.post(f"{PATH}/feedback", json=body)
    assert response.status_code == 400
    assert response.json["issue"][0]["diagnostics"].startswith("feedback")


def test_the_endpoint_refuses_like_the_others(client):
    """C1."""
    assert client.get(f"{PATH}/feedback").status_code == 405
    assert client.post("/cds-services/nobody/feedback", json={"feedback": [ACCEPTED]}).status_code == 404
    assert client.post(f"{PATH}/feedback", data=b"{", content_type="application/json").status_code == 400
    assert client.post(f"{PATH}/feedback", data=b"{}", content_type="text/plain").status_code == 415


def test_feedback_that_can_be_kept_nowhere_is_not_answered_with_200(tmp_path):
    """Once answered 200, it is durable: so nothing else is answered 200."""
    settings = own_settings(database_url="sqlite:////nowhere/cds.sqlite3", data_folder=str(tmp_path))
    client = create(settings, clock=lambda: TODAY).test_client()
    (tmp_path / "cds-outbox").rmdir()
    response = send(client, ACCEPTED)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert client.post(PATH, json=request(condition("M54.2"))).status_code == 200  # cards do not need it


def test_many_may_send_the_same_at_once(make_app, kept):
    """Idempotent under a race."""
    clients = [make_app().test_client() for _ in range(8)]
    assert send(clients[0], ACCEPTED).status_code == 200
    entries = [{**OVERRIDDEN, "card": str(UUID(int=number))} for number in range(20)]
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda client: send(client, *entries).status_code, clients * 3))
    assert set(answers) == {200}
    assert len(kept()) == 21


def test_comments_are_kept_where_the_site_wants_them_and_cut(make_app, kept):
    client = make_app(keep_comments=True).test_client()
    entry = copy.deepcopy(OVERRIDDEN)
    entry["overrideReason"]["userComment"] = "a\0b" + "c" * 600
    assert send(client, entry).status_code == 200
    assert kept()[0]["comment"] == "a b" + "c" * 497
