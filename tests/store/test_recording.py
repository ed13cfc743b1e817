"""Calls and cards are kept behind the answer; while the database is down they wait in the spool, and come back."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, select

from cds_service.errors import StoreRefused, StoreUnavailable
from cds_service.store import recorder as recorder_module
from cds_service.store.database import Database
from cds_service.store.recorder import Recorder, Watch
from cds_service.store.records import CallRecord, CardRecord, FeedbackRecord
from cds_service.store.spool import Spool
from cds_service.store.tables import calls, cards, feedback, suggestions
from tests.cases import TODAY
from tests.charts import condition, needling, request
from tests.store.waiting import wait_for

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
def spool(tmp_path) -> Spool:
    return Spool(tmp_path / "spool.sqlite3", most=10)


@pytest.fixture
def heard() -> list:
    return []


@pytest.fixture
def broken(tmp_path) -> Database:
    """A database whose file cannot be made, until the folder is there."""
    return Database(f"sqlite:///{tmp_path}/later/cds.sqlite3")


@pytest.fixture(autouse=True)
def no_rest(monkeypatch) -> None:
    """Ask a database again at once after a failure, and write without gathering."""
    monkeypatch.setattr("cds_service.store.database.REST_SECONDS", 0)
    monkeypatch.setattr(recorder_module, "GATHER_SECONDS", 0)
    monkeypatch.setattr(recorder_module, "IDLE_SECONDS", 0.01)


def recorder(database: Database, spool: Spool, heard: list, daily=None) -> Recorder:
    return Recorder(database, spool, Watch(heard.append, heard.append), daily)


def test_a_call_is_kept_with_its_cards_and_suggestions_and_nothing_of_the_patient(make_app, database):
    """Calls: time, service, hook, client, keyed hashes, outcome, duration, keys missing."""
    app = make_app()
    sent = request(condition("278860009", "sct"), prefetch={"procedures": {"resourceType": "OperationOutcome"}})
    (card,) = app.test_client().post(PATH, json=sent).json["cards"]
    assert app.extensions["store"].recorder.settle()
    (kept,) = rows(database, calls)
    assert kept["received"] == "2026-11-23T17:30:00.000+00:00"
    assert (kept["service"], kept["hook"], kept["client"]) == ("dry-needling-order-select", "order-select", "")
    assert (kept["outcome"], kept["orders"], kept["missing"]) == ("R1", 1, "patient,procedures")
    assert 100 < kept["microseconds"] < 5_000_000
    assert kept["knowledge"].startswith("1.")
    (kept_card,) = rows(database, cards)
    assert (kept_card["uuid"], kept_card["rule"], kept_card["indicator"]) == (card["uuid"], "R1", "warning")
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


def test_the_same_record_written_twice_is_one(database, spool, heard):
    writer = recorder(database, spool, heard)
    for _ in range(2):
        writer.record(call())
        assert writer.settle()
    assert len(rows(database, calls)) == len(rows(database, cards)) == 1
    assert heard == []


def test_calls_wait_in_the_spool_while_the_database_is_down_and_come_back(broken, spool, heard, tmp_path):
    writer = recorder(broken, spool, heard)
    writer.record(call(1))
    writer.record(call(2))
    assert writer.settle()
    assert "calls" in heard
    assert spool.waiting() == 2
    (tmp_path / "later").mkdir()
    wait_for(lambda: spool.waiting() == 0)
    assert {row["id"] for row in rows(broken, calls)} == {"call-1", "call-2"}


def test_feedback_that_the_spool_took_is_there_after_a_crash(broken, spool, heard, tmp_path, monkeypatch):
    """Durable once answered: another process finds the spool and replays it."""
    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "start", lambda _: None)  # a process that ends before its thread does anything
        recorder(broken, spool, heard).keep([FeedbackRecord("s", "c", "overridden", TODAY)], TODAY)
    (tmp_path / "later").mkdir()
    database = Database(f"sqlite:///{tmp_path}/later/cds.sqlite3")
    recorder(database, Spool(tmp_path / "spool.sqlite3"), heard).start()
    wait_for(lambda: database.reachable() and len(rows(database, feedback)) == 1)


def test_the_spool_is_bounded_and_what_does_not_fit_is_counted_as_lost(broken, spool, heard):
    writer = recorder(broken, spool, heard)
    for number in range(12):
        writer.record(call(number))
        assert writer.settle()
    assert spool.waiting() == 10
    assert heard.count(1) == 2
    assert heard.count("spool") == 2


def test_a_full_queue_loses_calls_and_counts_them_and_delays_nobody(database, spool, heard, monkeypatch):
    monkeypatch.setattr(recorder_module, "MOST_QUEUED", 1)
    writer = recorder(database, spool, heard)
    monkeypatch.setattr(writer, "start", lambda: None)
    writer.record(call(1))
    writer.record(call(2))
    assert heard == [1]
    writer.close()
    assert [row["id"] for row in rows(database, calls)] == ["call-1"]


def test_all_that_waits_is_written_when_the_process_ends(database, spool, heard, monkeypatch):
    monkeypatch.setattr(recorder_module, "MOST_AT_ONCE", 3)
    keeper = recorder(database, spool, heard)
    monkeypatch.setattr(keeper, "start", lambda: None)  # no thread that could write them
    for number in range(10):
        keeper.record(call(number))
    assert rows(database, calls) == []
    keeper.close()
    assert len(rows(database, calls)) == 10


def test_what_the_thread_holds_is_written_too_when_the_process_ends(database, spool, heard, monkeypatch):
    """It gathers for longer than anybody waits, and is woken and awaited."""
    monkeypatch.setattr(recorder_module, "GATHER_SECONDS", 3600)
    keeper = recorder(database, spool, heard)
    for number in range(10):
        keeper.record(call(number))
    wait_for(lambda: keeper._queue.qsize() < 10)  # the thread has some in its hands
    keeper.close()
    assert len(rows(database, calls)) == 10
    keeper.close()
    assert heard == []


def test_an_idle_thread_does_not_delay_the_end(database, spool, heard, monkeypatch):
    monkeypatch.setattr(recorder_module, "IDLE_SECONDS", 3600)
    keeper = recorder(database, spool, heard)
    keeper.start()
    keeper.close()
    assert not keeper._thread.is_alive()


def test_a_spooled_record_that_the_database_refuses_does_not_hold_up_the_others(database, spool, heard):
    good = call(1).rows()
    orphan = {"cards": [{**call(2).rows()["cards"][0], "rule": None}]}
    spool.add([orphan, good])
    recorder(database, spool, heard).start()
    wait_for(lambda: spool.waiting() == 0)
    assert [row["id"] for row in rows(database, calls)] == ["call-1"]
    assert heard == [1]
    with pytest.raises(StoreRefused), database.writing() as connection:
        connection.execute(cards.insert(), orphan["cards"])


def test_a_spool_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "folder").mkdir()
    spool = Spool(tmp_path / "folder")
    for use in (lambda: spool.add([{}]), lambda: spool.oldest(1), lambda: spool.remove([1])):
        with pytest.raises(StoreUnavailable):
            use()
    assert spool.waiting() == 0


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


def test_the_daily_task_is_done(database, spool, heard):
    recorder(database, spool, heard, daily=lambda: heard.append("today")).start()
    wait_for(lambda: heard == ["today"])


def test_readiness_tells_of_the_store_and_stays_ready_without_it(make_app, tmp_path):
    """Cards do not need the database; what waits and what was lost is seen."""
    app = make_app(database_url="sqlite:////nowhere/cds.sqlite3")
    client = app.test_client()
    assert client.post(PATH, json=request(condition("M54.2"))).status_code == 200
    assert app.extensions["store"].recorder.settle()
    ready = client.get(HEALTH)
    assert ready.status_code == 200
    assert ready.json["store"] == {"reachable": False, "spooledRecords": 1, "lostRecords": 0}
    with closing(sqlite3.connect(tmp_path / "cds-spool.sqlite3")) as connection:
        connection.execute("DROP TABLE records")
    client.post(PATH, json=request(condition("M54.2")))
    assert app.extensions["store"].recorder.settle()
    assert client.get(HEALTH).json["store"]["lostRecords"] == 1
