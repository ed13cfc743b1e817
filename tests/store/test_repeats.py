"""Not twice: what was overridden at order-select is not shown again at order-sign, unless something is new."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from cds_service.store import repeats
from cds_service.store.tables import cards, feedback
from tests.cases import TODAY
from tests.charts import bundle, code, condition, needling, request

SELECT = "/cds-services/dry-needling-order-select"
SIGN = "/cds-services/dry-needling-order-sign"
WAIT_OF_THE_SERVICE = repeats.WAIT_SECONDS
CHRONIC = condition("278860009", "sct")


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """On a busy machine a test may wait longer than a clinician does; how long that is, has a test of its own."""
    monkeypatch.setattr(repeats, "WAIT_SECONDS", 10)


def signing(*conditions, patient="p1", orders=None, instance="b2"):
    """Return an order-sign request, as a client sends it a while after order-select: with another hookInstance."""
    sent = copy.deepcopy(request(*conditions))
    sent["hook"] = "order-sign"
    sent["hookInstance"] = f"00000000-0000-4000-8000-0000000000{instance}"
    sent["context"]["patientId"] = patient
    sent["context"]["draftOrders"] = bundle(*(orders or [needling()]))
    del sent["context"]["selections"]
    return sent


def overridden(app, sent, outcome="overridden", moment="2026-11-23T17:30:00Z"):
    """Show the cards of a request and send feedback on each."""
    client = app.test_client()
    shown = client.post(SELECT, json=sent).json["cards"]
    assert app.extensions["store"].recorder.settle()
    for card in shown:
        entry = {"card": card["uuid"], "outcome": outcome, "outcomeTimestamp": moment}
        if outcome == "accepted":
            entry["acceptedSuggestions"] = [{"id": card["suggestions"][0]["uuid"]}]
        assert client.post(f"{SELECT}/feedback", json={"feedback": [entry]}).status_code == 200
    assert app.extensions["store"].recorder.settle()
    return shown


def shown_at_signing(client, sent):
    return client.post(SIGN, json=sent).json["cards"]


def test_an_overridden_card_is_not_shown_again_and_that_is_recorded_and_counted(app, client, database):
    assert overridden(app, request(CHRONIC))
    assert shown_at_signing(client, signing(CHRONIC)) == []
    assert app.extensions["store"].recorder.settle()
    with database.reading() as connection:
        kept = connection.execute(select(cards.c.rule, cards.c.repeat).order_by(cards.c.repeat)).fetchall()
    assert [tuple(row) for row in kept] == [("dry-needling/R1", False), ("dry-needling/R1", True)]
    text = client.get("/metrics").text
    assert 'cds_repeats_withheld_total{service="dry-needling-order-sign"} 1.0' in text


def test_a_card_nobody_answered_is_shown_again(app, client):
    client.post(SELECT, json=request(CHRONIC))
    assert app.extensions["store"].recorder.settle()
    assert shown_at_signing(client, signing(CHRONIC))


def test_an_accepted_card_is_shown_again_when_the_order_is_signed_all_the_same(app, client):
    overridden(app, request(CHRONIC))
    overridden(app, request(CHRONIC), outcome="accepted")
    assert shown_at_signing(client, signing(CHRONIC))


def test_selecting_again_shows_the_card_again(app, client):
    """Only signing is spared."""
    overridden(app, request(CHRONIC))
    assert client.post(SELECT, json=request(CHRONIC)).json["cards"]


def test_another_patient_is_warned(app, client):
    overridden(app, request(CHRONIC))
    other = {**CHRONIC, "subject": {"reference": "Patient/p2"}}
    assert shown_at_signing(client, signing(other, patient="p2", orders=[needling(subject=other["subject"])]))


def test_a_new_rule_is_shown(app, client):
    """Warnings whose deciding evidence has changed are shown again."""
    overridden(app, request(CHRONIC))
    (card,) = shown_at_signing(client, signing(CHRONIC, condition("M54.16")))
    assert card["indicator"] == "info"


def test_a_new_deciding_entry_is_shown_and_a_vanished_one_is_nothing_new(app, client):
    both = (CHRONIC, condition("M54.50", onsetDateTime="2020-01-01"))
    overridden(app, request(CHRONIC))
    assert shown_at_signing(client, signing(*both))
    overridden(app, request(*both))
    assert shown_at_signing(client, signing(CHRONIC)) == []


def test_another_reason_of_the_order_is_something_new_and_another_draft_id_is_not(app, client):
    """The draft may have another id when it is signed; what it is for may not change unnoticed."""
    reason = code("sct", "278860009", display="Chronic low back pain")
    overridden(app, request(order=needling(reasonCode=[reason])))
    assert shown_at_signing(client, signing(orders=[needling(id="signed", reasonCode=[reason])])) == []
    other = code("sct", "278860009", display="Chronic low back pain (finding)")
    assert shown_at_signing(client, signing(orders=[needling(reasonCode=[other])], instance="c4"))


def test_another_order_is_shown_and_orders_overridden_one_by_one_are_not(app, client):
    more = needling(id="second", code=code("cpt", "20561"))
    overridden(app, request(CHRONIC))
    assert shown_at_signing(client, signing(CHRONIC, orders=[needling(), more]))
    overridden(app, {**request(CHRONIC, order=more), "hookInstance": "00000000-0000-4000-8000-0000000000c3"})
    assert shown_at_signing(client, signing(CHRONIC, orders=[needling(), more], instance="d4")) == []


def test_an_order_known_by_its_words_only_is_the_same_order(app, client):
    order = needling(code={"text": "Dry Needling, low back"})
    overridden(app, request(CHRONIC, order=order))
    assert shown_at_signing(client, signing(CHRONIC, orders=[order])) == []
    assert shown_at_signing(client, signing(CHRONIC, orders=[needling(code={"text": "dry needling, hip"})]))


@pytest.mark.parametrize(("hours", "later", "again"), [(24, 23, False), (24, 25, True), (2, 3, True), (0, 0, True)])
def test_for_how_long_is_a_setting(hours, later, again, make_app):
    overridden(make_app(), request(CHRONIC))
    after = make_app(clock=lambda: TODAY + timedelta(hours=later), repeat_hours=hours)
    assert bool(shown_at_signing(after.test_client(), signing(CHRONIC))) == again


def test_feedback_that_comes_late_counts_from_when_the_card_was_overridden(app, client):
    overridden(app, request(CHRONIC), moment="2026-11-22T09:00:00-08:00")
    assert shown_at_signing(client, signing(CHRONIC))


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("0001-01-01T00:00:00Z", 200),
        ("0001-01-01T00:00:00+14:00", 400),
        ("9999-12-31T23:59:59.999999999Z", 200),
        ("9999-12-31T23:59:59-00:01", 400),
        ("2026-11-23T17:30:00.1234567890123456789Z", 200),
        ("2026-11-23T17:30:00.1234567890123456789012345678901234567890-08:00", 200),
        ("2026-11-23T17:30:00.000000000+23:59", 200),
        ("2026-11-23T17:30:00+24:00", 400),
        ("2026-11-23T17:30:60Z", 400),
    ],
)
def test_no_timestamp_of_feedback_keeps_an_order_from_being_answered(moment, status, app, client):
    (card,) = client.post(SELECT, json=request(CHRONIC)).json["cards"]
    assert app.extensions["store"].recorder.settle()
    entry = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": moment}
    assert client.post(f"{SELECT}/feedback", json={"feedback": [entry]}).status_code == status
    assert app.extensions["store"].recorder.settle()
    assert client.post(SIGN, json=signing(CHRONIC)).status_code == 200


@pytest.mark.parametrize("column", ["outcome_timestamp", "received", "service"])
@pytest.mark.parametrize("stored", ["", "yesterday", "9999-99-99", "2026-11-23T17:30:00.1234567890"])
def test_nothing_that_is_stored_keeps_an_order_from_being_answered(column, stored, app, client, database):
    overridden(app, request(CHRONIC))
    with database.writing() as connection:
        connection.execute(feedback.update().values({column: stored}))
        connection.execute(cards.update().values(grounds=stored))
    assert client.post(SIGN, json=signing(CHRONIC)).status_code == 200


def test_new_content_is_something_new(make_app, registry):
    """What was overridden was said by other words."""
    app = make_app()
    overridden(app, request(CHRONIC))
    services = [
        replace(service, knowledge=replace(service.knowledge, fingerprint="other")) for service in registry.services
    ]
    changed = make_app(services=services)
    assert shown_at_signing(changed.test_client(), signing(CHRONIC))


def test_when_the_database_cannot_be_asked_the_card_is_shown(make_app):
    app = make_app(database_url="sqlite:////nowhere/cds.sqlite3")
    client = app.test_client()
    assert shown_at_signing(client, signing(CHRONIC))
    assert 'cds_store_failures_total{operation="repeats"} 1.0' in client.get("/metrics").text


def test_a_database_that_answers_too_slowly_is_not_waited_for(app, client, monkeypatch):
    overridden(app, request(CHRONIC))
    monkeypatch.setattr(repeats, "WAIT_SECONDS", WAIT_OF_THE_SERVICE)
    asked = app.extensions["store"].repeats
    released, waited = threading.Event(), []
    monkeypatch.setattr(asked, "_overridden", lambda *_: waited.append(released.wait(600)))
    assert shown_at_signing(client, signing(CHRONIC))
    assert waited == []
    released.set()
