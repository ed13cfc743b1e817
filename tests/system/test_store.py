"""The store under a real server: the database killed in the middle, and counts that are right across processes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
import requests

from tests.charts import condition, request
from tests.postgres import PostgresServer
from tests.system.conftest import served
from tests.waiting import wait_for

SELECT = "/cds-services/dry-needling-order-select"
CALLS = 1000
AT_ONCE = 8


@pytest.fixture
def own_postgres():
    server = PostgresServer()
    yield server
    server.close()


def sent() -> dict:
    return {**request(condition("278860009", "sct")), "hookInstance": str(uuid4())}


def overridden(card: str) -> dict:
    entry = {"card": card, "outcome": "overridden", "outcomeTimestamp": "2026-11-23T17:30:00Z"}
    return {"feedback": [entry]}


def count(address: str, table: str) -> int:
    with psycopg.connect(address) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.mark.postgresql
def test_killing_the_database_loses_no_answer_and_no_feedback(own_postgres, tmp_path, capsys):
    """1,000 calls at 8 at once, each answered with a card and feedback on it; the database is gone for a while."""
    address = own_postgres.database()
    environ = {"CDS_DATABASE_URL": address, "CDS_DATA_FOLDER": str(tmp_path), "CDS_LOG_LEVEL": "error"}
    done = threading.Semaphore(0)
    answered: list[int] = []
    slowest = 0.0
    with served(**environ) as (url, _):
        session = requests.Session()
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE))

        def call(_: int) -> tuple[int, float, str]:
            started = time.perf_counter()
            response = session.post(url + SELECT, json=sent(), timeout=30)
            seconds = time.perf_counter() - started
            (card,) = response.json()["cards"]
            kept = session.post(f"{url}{SELECT}/feedback", json=overridden(card["uuid"]), timeout=30)
            done.release()
            return response.status_code, seconds, "" if kept.ok else f"{kept.status_code} {kept.text}"

        def kill_and_return() -> None:
            for _ in range(CALLS // 4):
                done.acquire()
            own_postgres.kill()
            for _ in range(CALLS // 2):
                done.acquire()
            own_postgres.start()

        killer = threading.Thread(target=kill_and_return)
        killer.start()
        with ThreadPoolExecutor(AT_ONCE) as callers:
            results = list(callers.map(call, range(CALLS)))
        killer.join(60)
        answered = [status for status, _, _ in results]
        slowest = max(seconds for _, seconds, _ in results)
        refused = [refusal for _, _, refusal in results if refusal]
        # The tables too may be there only now: a database that does not answer at start is not waited for.
        wait_for(lambda: requests.get(f"{url}/health/ready", timeout=30).json()["store"]["waitingRecords"] == 0)
        store = requests.get(f"{url}/health/ready", timeout=30).json()["store"]
        metrics = requests.get(f"{url}/metrics", timeout=5).text
    assert answered == [200] * CALLS
    assert refused == []
    assert {table: count(address, table) for table in ("feedback", "calls", "cards")} == dict.fromkeys(
        ("feedback", "calls", "cards"), CALLS
    )
    assert store == {"reachable": True, "waitingRecords": 0, "lostRecords": 0, "recording": True}
    assert "cds_store_failures_total{" in metrics
    with capsys.disabled():
        print(  # noqa: T201
            f"\nDB killed during {CALLS} calls at {AT_ONCE}: {len(answered)} answered, {CALLS} feedback entries"
            f" accepted and kept, slowest answer {slowest * 1000:.0f} ms"
        )


def test_counts_of_several_processes_add_up():
    with served(CDS_WORKERS="3", CDS_LOG_LEVEL="error") as (url, _):
        with ThreadPoolExecutor(6) as callers:
            list(callers.map(lambda _: requests.post(url + SELECT, json=sent(), timeout=10), range(60)))
        requests.post(f"{url}{SELECT}/feedback", json=overridden("0" * 8), timeout=5)
        requests.post(url + SELECT, json={"hook": "order-select"}, timeout=5)
        requests.post(f"{url}/cds-services/nobody", json={}, timeout=5)
        wait_for(lambda: "cds_waiting_records 0.0" in requests.get(f"{url}/metrics", timeout=30).text)
        text = requests.get(f"{url}/metrics", timeout=30).text
    service = "dry-needling-order-select"
    for line in (
        f'cds_calls_total{{hook="order-select",rule="dry-needling/R1",service="{service}",status="200"}} 60.0',
        f'cds_calls_total{{hook="",rule="",service="{service}",status="400"}} 1.0',
        'cds_calls_total{hook="",rule="",service="unknown",status="404"} 1.0',
        f'cds_feedback_total{{outcome="overridden",service="{service}"}} 1.0',
        f'cds_call_seconds_count{{service="{service}"}} 61.0',
        "cds_store_reachable 1.0",
        "cds_waiting_records 0.0",
    ):
        assert line in text.splitlines(), text
