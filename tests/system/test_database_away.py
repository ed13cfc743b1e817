"""A start without a usable database: the service answers, keeps records and says so; tokens are refused meanwhile."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
import requests
from sqlalchemy import text

from cds_service.store.database import HEAD, Database
from cds_service.store.tables import calls
from tests.charts import condition, request
from tests.system.conftest import served
from tests.tokens import ISS, public_key, token
from tests.waiting import wait_for

PATH = "/cds-services/dry-needling-order-select"
SENT = request(condition("M54.2"))


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a database that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield f"postgresql://cds:secret@127.0.0.1:{listener.getsockname()[1]}/cds"


def test_a_database_of_a_newer_version_is_told_and_used_once_it_is_ours(database_url, tmp_path):
    database = Database(database_url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    log = tmp_path / "log"
    with served(log, CDS_DATABASE_URL=database_url, CDS_WORKERS="1") as (url, _):
        assert requests.post(url + PATH, json=SENT, timeout=30).json()["cards"]
        wait_for(lambda: requests.get(f"{url}/health/ready", timeout=30).json()["store"]["waitingRecords"] == 1)
        assert not requests.get(f"{url}/health/ready", timeout=30).json()["store"]["reachable"]
        with database.writing() as connection:
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
            connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD})
        wait_for(lambda: requests.get(f"{url}/health/ready", timeout=30).json()["store"]["waitingRecords"] == 0)
    with database.reading() as connection:
        assert len(connection.execute(calls.select()).fetchall()) == 1
    database.close()
    said = log.read_text(encoding="utf-8")
    assert "a newer version of this service made the database" in said
    assert "Traceback" not in said


def test_a_database_that_never_says_a_word_delays_neither_start_nor_answers(silent, tmp_path):
    log = tmp_path / "log"
    with served(log, CDS_DATABASE_URL=silent, CDS_WORKERS="1") as (url, _):
        assert requests.post(url + PATH, json=SENT, timeout=30).json()["cards"]
        wait_for(lambda: requests.get(f"{url}/health/ready", timeout=30).json()["store"]["waitingRecords"] == 1)
        ready = requests.get(f"{url}/health/ready", timeout=30)
        assert ready.status_code == 200, ready.text
    said = log.read_text(encoding="utf-8")
    assert '"event": "database"' in said
    assert "Traceback" not in said
    assert "secret" not in said


@pytest.fixture
def trust(tmp_path) -> dict[str, str]:
    """Settings that ask for tokens of the tests' own issuer."""
    keys = ", ".join(f"{name} = {json.dumps(value)}" for name, value in public_key("ES384").items())
    issuers = tmp_path / "issuers.toml"
    issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n', encoding="utf-8")
    return {"CDS_JWT": "services", "CDS_ISSUERS_FILE": str(issuers), "CDS_WORKERS": "1"}


def test_back_at_the_version_before_the_service_answers_and_checks_tokens_on_the_newer_database(
    database_url, tmp_path, trust
):
    database = Database(database_url)
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE calls ADD COLUMN of_the_future VARCHAR(10)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    log = tmp_path / "log"
    with served(log, CDS_DATABASE_URL=database_url, **trust) as (url, _):
        header = {"Authorization": f"Bearer {token(aud=url + PATH)}"}
        assert requests.post(url + PATH, json=SENT, headers=header, timeout=30).json()["cards"]
        assert requests.post(url + PATH, json=SENT, headers=header, timeout=30).status_code == 401
        ready = requests.get(f"{url}/health/ready", timeout=30)
        assert (ready.status_code, ready.json()["store"]["waitingRecords"]) == (200, 1)
    database.close()
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_where_tokens_are_checked_the_service_starts_and_is_not_ready_without_its_database(silent, tmp_path, trust):
    log = tmp_path / "log"
    with served(log, CDS_DATABASE_URL=silent, **trust) as (url, _):
        header = {"Authorization": f"Bearer {token(aud=url + PATH)}"}
        refused = requests.post(url + PATH, json=SENT, headers=header, timeout=30)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert requests.get(f"{url}/health/ready", timeout=30).status_code == 503
        assert requests.get(f"{url}/health/live", timeout=30).status_code == 200
    said = log.read_text(encoding="utf-8")
    assert "no token can be checked without it" in said
    assert "Traceback" not in said
