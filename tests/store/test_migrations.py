"""The tables come to be as the code has them: from nothing, from before there were migrations, and back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from cds_service.errors import StoreUnavailable
from cds_service.store import database as database_module
from cds_service.store.database import HEAD, Database
from cds_service.store.tables import calls, cards, metadata
from tests.waiting import wait_for

CALL = {
    "service": "s", "hook": "h", "client": "", "patient": "", "user": "", "orders": 2, "received": "2026",
    "microseconds": 1, "missing": "", "knowledge": "",
}  # fmt: skip
SCRIPTS = Path(database_module.__file__).parent / "migrations"


def config() -> Config:
    found = Config()
    found.set_main_option("script_location", str(SCRIPTS))
    return found


def test_the_tables_are_what_the_migrations_make(database):
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_head_named_in_the_code_is_the_newest_migration():
    assert ScriptDirectory.from_config(config()).get_current_head() == HEAD


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-23T17:30:00Z", "2026-11-23T17:30:00.000+00:00"),
        ("2026-11-23T09:30:00.25-08:00", "2026-11-23T17:30:00.250+00:00"),
        ("2026-11-23T17:30:00.12345678901234567890", "2026-11-23T17:30:00.000+00:00"),  # cut short when it was stored
        ("0001-01-01T00:00:00+14:00", "2026-11-23T17:30:00.000+00:00"),
        ("9999-12-31T23:59:59-12:00", "2026-11-23T17:30:00.000+00:00"),
    ],
)
def test_a_database_of_before_keeps_its_feedback(sent, kept, database_url):
    """Version 0.1.0 made its tables without migrations; an unreadable timestamp becomes that of receiving it."""
    old = Database(database_url)
    with old._engine.execution_options(for_writing=True).begin() as connection:
        connection.execute(
            text(
                """
                CREATE TABLE feedback (
                    key VARCHAR(64) PRIMARY KEY, received VARCHAR(40) NOT NULL, service VARCHAR(100) NOT NULL,
                    card VARCHAR(64) NOT NULL, outcome VARCHAR(10) NOT NULL, outcome_timestamp VARCHAR(40) NOT NULL,
                    suggestions TEXT NOT NULL, reason_system VARCHAR(256) NOT NULL, reason_code VARCHAR(64) NOT NULL)
                """
            )
        )
        connection.execute(
            text(
                """
                INSERT INTO feedback VALUES ('k', '2026-11-23T09:30:00-08:00', 's', 'c', 'accepted', :sent,
                '["a", "b"]', '', '')
                """
            ),
            {"sent": sent},
        )
    with old.reading() as connection:
        query = text("SELECT received, outcome_timestamp, suggestions, comment FROM feedback")
        (row,) = connection.execute(query).fetchall()
    assert tuple(row) == ("2026-11-23T17:30:00.000+00:00", kept, "a b", None)
    old.close()


def test_the_migrations_can_be_taken_back(database):
    with database.writing() as connection:
        told = config()
        told.attributes["connection"] = connection
        command.downgrade(told, "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}


def test_processes_that_start_together_migrate_once(database_url):
    databases = [Database(database_url) for _ in range(6)]
    with ThreadPoolExecutor(6) as starters:
        assert all(starters.map(Database.reachable, databases))
    for database in databases:
        database.close()


def test_a_database_that_a_newer_version_made_is_left_alone_and_used_again_once_it_is_ours(database_url, tmp_path):
    made = Database(database_url)
    with made.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    made.close()
    newer = Database(database_url)
    with pytest.raises(StoreUnavailable, match="a newer version of this service made the database"):
        newer.require()
    with newer._engine.execution_options(for_writing=True).begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
        connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD})
    wait_for(newer.reachable)
    newer.close()


def test_rules_that_are_kept_get_their_guideline_and_lose_it_again(database):
    """F-B8: reports go on over the change of names."""
    card = {"uuid": "u", "call": "1", "indicator": "info", "codes": "", "orders": "", "grounds": "", "repeat": False}
    outcomes = text("SELECT outcome FROM calls UNION ALL SELECT rule FROM cards")
    with database.writing() as connection:
        told = config()
        told.attributes["connection"] = connection
        command.downgrade(told, "0003")
        many = ",".join(["R7"] * 33)
        outcomes_then = {"1": "R1,R7", "2": "silent", "3": many}
        connection.execute(
            calls.insert(), [{**CALL, "id": key, "outcome": said} for key, said in outcomes_then.items()]
        )
        connection.execute(cards.insert(), {**card, "rule": "R7"})
        command.upgrade(told, "0004")
        renamed = sorted(connection.execute(outcomes).scalars())
        command.downgrade(told, "0003")
        assert set(connection.execute(outcomes).scalars()) >= {"R1,R7", "R7", "silent"}
    cut_short = ",".join(["dry-needling/R7"] * 33)[:100]
    assert renamed == ["dry-needling/R1,dry-needling/R7", "dry-needling/R7", cut_short, "silent"]


@pytest.mark.postgresql
def test_a_migration_may_take_longer_than_a_statement(postgres, monkeypatch):
    address = postgres.database()
    made = Database(address)
    with made.writing() as connection:
        told = config()
        told.attributes["connection"] = connection
        command.downgrade(told, "0003")
        connection.execute(calls.insert(), {**CALL, "id": "1", "outcome": "R1"})
        connection.execute(
            text(
                """
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NEW; END';
                CREATE TRIGGER slow BEFORE UPDATE ON calls FOR EACH ROW EXECUTE FUNCTION slow()
                """
            )
        )
    made.close()
    monkeypatch.setattr(database_module, "STATEMENT_MILLISECONDS", 500)
    database = Database(address)
    database.require()
    with database.reading() as connection:
        assert connection.scalar(select(calls.c.outcome)) == "dry-needling/R1"
    database.close()
