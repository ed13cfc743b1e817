"""Calls and feedback reach the database through the outbox: whatever ends, fails or is refused on the way."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import orjson
import pytest
from sqlalchemy import Connection, select

from cds_service import telemetry
from cds_service.errors import Unavailable
from cds_service.store import outbox as outbox_module
from cds_service.store import recorder as recorder_module
from cds_service.store.database import Database
from cds_service.store.outbox import Outbox
from cds_service.store.recorder import Recorder, Watch
from cds_service.store.records import CallRecord, CardRecord, FeedbackRecord
from cds_service.store.tables import calls, cards, feedback, suggestions
from tests.cases import TODAY
from tests.charts import condition, needling, request
from tests.waiting import wait_for

PATH = "/cds-services/dry-needling-order-select"
HEALTH = "/health/ready"


def rows(database: Database, table) -> list[dict]:
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def call(number: int = 0, **changes) -> CallRecord:
    card = CardRecord(f"card-{number}", "R1", "warning", ("20560",), frozenset({"o"}), frozenset({"g"}), False, {})
    record = {
        "id": f"call-{number}", "received": TODAY, "service": "s", "hook": "order-select", "client": "",
        "patient": "p", "user": "u", "orders": 1, "microseconds": 1500, "missing": (), "knowledge": "1",
        "cards": (card,),
    }  # fmt: skip
    return CallRecord(**{**record, **changes})


@pytest.fixture
def outbox(tmp_path) -> Outbox:
    return Outbox(tmp_path)


@pytest.fixture
def heard() -> list:
    return []


@pytest.fixture
def broken(tmp_path) -> Database:
    """A database whose file cannot be made, until the folder is there."""
    return Database(f"sqlite:///{tmp_path}/later/cds.sqlite3")


@pytest.fixture(autouse=True)
def no_rest(monkeypatch) -> None:
    """Ask a database again at once after a failure, and forward without a pause."""
    monkeypatch.setattr("cds_service.store.database.REST_SECONDS", 0)
    monkeypatch.setattr(recorder_module, "FORWARD_SECONDS", 0.01)
    monkeypatch.setattr(recorder_module, "RETRY_SECONDS", 0.01)


def recorder(database: Database, outbox: Outbox, heard: list, daily=None) -> Recorder:
    return Recorder(database, outbox, Watch(heard.append, heard.append), daily)


def test_a_call_is_kept_with_its_cards_and_suggestions_and_nothing_of_the_patient(make_app, database):
    """Calls: time, service, hook, client, keyed hashes, outcome, duration, keys missing."""
    app = make_app()
    sent = request(condition("278860009", "sct"), prefetch={"procedures": {"resourceType": "OperationOutcome"}})
    answered = app.test_client().post(PATH, json=sent)
    (card,) = answered.json["cards"]
    assert app.extensions["store"].recorder.settle()
    (kept,) = rows(database, calls)
    assert kept["received"] == "2026-11-23T17:30:00.000+00:00"
    assert (kept["service"], kept["hook"], kept["client"]) == ("dry-needling-order-select", "order-select", "")
    assert (kept["outcome"], kept["orders"], kept["missing"]) == ("dry-needling/R1", 1, "patient,procedures")
    assert 100 < kept["microseconds"] < 5_000_000
    assert kept["knowledge"] == answered.headers["Knowledge-Version"]
    (kept_card,) = rows(database, cards)
    assert (kept_card["uuid"], kept_card["rule"], kept_card["indicator"]) == (
        card["uuid"],
        "dry-needling/R1",
        "warning",
    )
    assert (kept_card["codes"], kept_card["repeat"]) == ("20560", False)
    names = {row["uuid"]: row["name"] for row in rows(database, suggestions)}
    assert [names[s["uuid"]] for s in card["suggestions"]] == ["remove-order", "refer-exercise"]
    everything = repr([rows(database, table) for table in (calls, cards, suggestions)])
    for private in ("p1", "Practitioner", "Condition/", "order-1", "278860009"):
        assert private not in everything


def test_the_same_patient_has_the_same_hash_and_another_client_or_key_another(make_app, database):
    app = make_app()
    for server in (None, None, "https://one.example.org/fhir", "https://two.example.org/fhir"):
        app.test_client().post(PATH, json={**request(condition("M54.2")), **({"fhirServer": server} if server else {})})
    assert app.extensions["store"].recorder.settle()
    other = make_app(hash_key="another key of this site")
    other.test_client().post(PATH, json=request(condition("M54.2")))
    assert other.extensions["store"].recorder.settle()
    hashes = [row["patient"] for row in rows(database, calls)]
    assert len(hashes) == 5
    assert len(set(hashes)) == 4
    assert all(len(found) == 32 for found in hashes)


def test_a_silent_call_is_kept_as_silent(make_app, database):
    app = make_app()
    order = needling(code={"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "97110"}]})
    assert app.test_client().post(PATH, json=request(order=order)).json == {"cards": []}
    assert app.extensions["store"].recorder.settle()
    (kept,) = rows(database, calls)
    assert (kept["outcome"], kept["orders"], kept["missing"]) == ("silent", 0, "")


def test_the_same_record_written_twice_is_one(database, outbox, heard):
    writer = recorder(database, outbox, heard)
    for _ in range(2):
        writer.record(call())
        assert writer.settle()
    assert len(rows(database, calls)) == len(rows(database, cards)) == 1
    assert heard == []


def test_calls_wait_in_the_outbox_while_the_database_is_down_and_come_back(broken, outbox, heard, tmp_path):
    writer = recorder(broken, outbox, heard)
    writer.record(call(1))
    writer.record(call(2))
    wait_for(lambda: "forward" in heard)
    assert outbox.waiting() == 2
    (tmp_path / "later").mkdir()
    assert writer.settle()
    assert {row["id"] for row in rows(broken, calls)} == {"call-1", "call-2"}


def test_feedback_that_was_answered_is_there_after_a_crash(broken, outbox, heard, tmp_path, monkeypatch):
    """Durable once answered: another process finds and forwards it."""
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "start", lambda _: None)  # a process that ends before its thread does anything
        recorder(broken, outbox, heard).keep([FeedbackRecord("s", "c", "overridden", TODAY)], TODAY)
    assert len(synced) == 2, "the file and its name"
    outbox.release()  # as the end of its process does
    (tmp_path / "later").mkdir()
    database = Database(f"sqlite:///{tmp_path}/later/cds.sqlite3")
    other = recorder(database, Outbox(tmp_path), heard)
    other.start()
    assert other.settle()
    assert len(rows(database, feedback)) == 1


def test_an_outbox_that_is_full_loses_calls_and_counts_them_and_refuses_feedback(broken, tmp_path, heard):
    outbox = Outbox(tmp_path, most_bytes=1500)
    writer = recorder(broken, outbox, heard)
    for number in range(12):
        writer.record(call(number))
    kept = outbox.waiting()
    assert 0 < kept < 12
    assert heard.count(1) == heard.count("outbox") == 12 - kept
    with pytest.raises(Unavailable, match="cannot be kept"):
        writer.keep([FeedbackRecord("s", "c" * 36, "overridden", TODAY)] * 9, TODAY)
    assert outbox.waiting() == kept


@pytest.mark.parametrize("started", [True, False])
def test_all_that_waits_is_written_when_the_process_ends(started, database, outbox, heard, monkeypatch):
    monkeypatch.setattr(recorder_module, "FORWARD_SECONDS", 3600)
    monkeypatch.setattr(outbox_module, "MOST_AT_ONCE", 3)
    keeper = recorder(database, outbox, heard)
    if not started:
        monkeypatch.setattr(keeper, "start", lambda: None)
    for number in range(10):
        keeper.record(call(number))
    assert rows(database, calls) == []
    for _ in range(2):
        keeper.close()
        assert len(rows(database, calls)) == 10
    assert not any(thread is keeper._thread for thread in threading.enumerate())
    assert heard == []


GOOD = call(1).rows()
CARD = call(2).rows()["cards"][0]


@pytest.mark.parametrize(
    "bad",
    [
        orjson.dumps({"cards": [{**CARD, "rule": None}]}),  # the database refuses it
        orjson.dumps({"cards": [{**CARD, "call": "nowhere"}]}),  # a card of no call
        orjson.dumps({"cards": [{**CARD, "rule": "R1\0"}]}),
        orjson.dumps({"cards": [{**CARD, "rule": {"a": 1}}]}),
        orjson.dumps({"calls": [{**call(2).rows()["calls"][0], "orders": 2**62}]}),
        orjson.dumps({"calls": [{**call(2).rows()["calls"][0], "id": "x" * 100}]}),
        orjson.dumps({"cards": [{**CARD, "color": "red"}]}),  # an unknown column
        orjson.dumps({"cards": [{"uuid": "only"}]}),
        orjson.dumps({"nowhere": [CARD]}),
        orjson.dumps({"cards": CARD}),
        orjson.dumps({"cards": ["card"]}),
        b"[]",
        b"5",
        b"",
        b'{"cards": [{"uu',  # torn by a power cut
        b"\xff\xfe",
    ],
)
def test_a_record_that_cannot_be_written_keeps_no_others_waiting(bad, database, outbox, heard, monkeypatch):
    """It is set aside and counted, and the thread goes on."""
    forwarding = recorder(database, outbox, heard)
    monkeypatch.setattr(forwarding, "start", lambda: None)
    for record in (bad, orjson.dumps(GOOD), bad):
        outbox.append(record)
    forwarding._forward()
    assert outbox.waiting() == 0
    assert [row["id"] for row in rows(database, calls) if row["id"] == "call-1"] == ["call-1"]
    refused = (outbox._folder / "refused").read_bytes() if (outbox._folder / "refused").exists() else b""
    if database._engine.name == "postgresql" or heard:
        assert refused == (bad + b"\n") * 2
        assert heard == [1, 1]
    assert database.reachable(), "a record that is refused is no reason to rest"


def test_a_bad_record_in_the_outbox_does_not_end_the_thread(database, outbox, heard):
    keeper = recorder(database, outbox, heard)
    outbox.append(b"bad")
    keeper.record(call(1))
    assert keeper.settle()
    keeper.record(call(2))
    assert keeper.settle()
    assert not keeper.ended
    assert {row["id"] for row in rows(database, calls)} == {"call-1", "call-2"}


def test_a_database_that_failed_is_left_alone_for_a_moment(broken, tmp_path, monkeypatch):
    """So that not every caller waits for it in turn."""
    monkeypatch.setattr("cds_service.store.database.REST_SECONDS", 60)
    assert not broken.reachable()
    (tmp_path / "later").mkdir()
    assert not broken.reachable()


def test_those_who_wait_for_a_database_that_does_not_answer_wait_for_one_try(broken, monkeypatch):
    """Not each for a try of its own, one after the other."""
    monkeypatch.setattr("cds_service.store.database.REST_SECONDS", 60)
    tries, three_wait = [], threading.Event()
    connect = broken._engine.connect

    def slow() -> Connection:
        tries.append(1)
        assert three_wait.wait(60)
        return connect()

    monkeypatch.setattr(broken, "_engine", SimpleNamespace(execution_options=lambda **_: SimpleNamespace(connect=slow)))
    with ThreadPoolExecutor(3) as callers:
        answers = [callers.submit(broken.reachable) for _ in range(3)]
        wait_for(lambda: bool(tries))
        three_wait.set()
        assert not any(answer.result(60) for answer in answers)
    assert len(tries) == 1


def test_the_daily_task_is_done(database, outbox, heard):
    recorder(database, outbox, heard, daily=lambda: heard.append("today")).start()
    wait_for(lambda: heard == ["today"])


def test_readiness_tells_of_the_store_and_stays_ready_without_it(make_app, monkeypatch):
    """Cards do not need the database; what waits and what was lost is seen."""
    app = make_app(database_url="sqlite:////nowhere/cds.sqlite3")
    client = app.test_client()
    assert client.post(PATH, json=request(condition("M54.2"))).status_code == 200
    ready = client.get(HEALTH)
    assert ready.status_code == 200
    assert ready.json["store"] == {"reachable": False, "waitingRecords": 1, "lostRecords": 0, "recording": True}
    monkeypatch.setattr(app.extensions["store"].recorder._outbox, "_most_bytes", 0)
    assert client.post(PATH, json=request(condition("M54.2"))).status_code == 200
    assert client.get(HEALTH).json["store"]["lostRecords"] == 1


def test_readiness_tells_when_the_recorder_has_ended(make_app, monkeypatch, capfd):
    """Its defect is logged by place and kind, without its words, which can quote data."""
    monkeypatch.setattr(threading, "excepthook", telemetry.log_defect)
    app = make_app()
    keeper = app.extensions["store"].recorder
    monkeypatch.setattr(keeper._outbox, "forward", lambda _: {}["a defect"])
    keeper.start()
    wait_for(lambda: keeper.ended)
    ready = app.test_client().get(HEALTH)
    assert (ready.status_code, ready.json["store"]["recording"]) == (503, False)
    monkeypatch.undo()
    told = capfd.readouterr().err
    assert '"event": "defect"' in told
    assert '"cause": "KeyError"' in told
    assert "a defect" not in told
