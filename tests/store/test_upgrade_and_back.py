"""Upgrade and back: each schema that a version had comes up, and the service of before goes on with a newer database.

fixtures/released_schemas holds, for each schema and database, the tables as the service of the commit named there made
them, and every statement that it then sent while it answered an order-select call, took feedback and answered an
order-sign call, all with tokens. So a service of before is played by what it said.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import select, text

from cds_service.cli import check, commands, main
from cds_service.errors import StoreIsNewer, Unavailable
from cds_service.store.database import BACK_TO, HEAD, Database
from cds_service.store.period import Period
from cds_service.store.report import report
from cds_service.store.tables import calls, cards, feedback, metadata, used_tokens
from cds_service.store.used_tokens import UsedTokens
from tests.cases import FIXTURES, own_settings
from tests.store.filling import fill
from tests.store.test_migrations import config
from tests.tokens import ISS
from tests.waiting import SECONDS

RECORDED = FIXTURES / "released_schemas"
SCHEMAS = sorted({path.name[:4] for path in RECORDED.iterdir()})
LATER = 2**33


@dataclass(frozen=True)
class Service:
    """A service of before, as far as its database saw it."""

    schema: str
    tables: list[str]
    said: list[tuple[str, Any]]

    def make(self, database_url: str) -> None:
        """Make its tables in an empty database."""
        self._send(database_url, [(statement, ()) for statement in self.tables])

    def answer(self, database_url: str) -> None:
        """Say to a database what it said to its own."""
        self._send(database_url, self.said)

    def _send(self, database_url: str, statements: list[tuple[str, Any]]) -> None:
        database = Database(database_url)
        with database._engine.execution_options(for_writing=True).begin() as connection:
            for statement, values in statements:
                connection.exec_driver_sql(statement, tuple(values) if isinstance(values, list) else values)
        database.close()


@pytest.fixture(params=SCHEMAS)
def former(request, database_url) -> Service:
    found = json.loads((RECORDED / f"{request.param}.{database_url.split(':')[0]}.json").read_text(encoding="utf-8"))
    return Service(found["schema"], found["tables"], found["said"])


@pytest.fixture
def made(database_url):
    """A database of the present schema, in use."""
    database = Database(database_url)
    fill(database, 30)
    yield database
    database.close()


def number(database: Database, table) -> int:
    with database.reading() as connection:
        return len(connection.execute(select(table)).fetchall())


def rules(database: Database) -> set[str]:
    return {group.name for group in report(database, Period()).by_rule}


def newer(database: Database) -> None:
    """Make of a database what a version to come may make of it: more columns, another table, another name of it."""
    with database.writing() as connection:
        for table in metadata.tables:
            if table != used_tokens.name:
                connection.execute(text(f"ALTER TABLE {table} ADD COLUMN of_the_future VARCHAR(10)"))
        connection.execute(text("CREATE TABLE of_the_future (id INTEGER PRIMARY KEY)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))


def test_each_schema_that_a_version_had_is_recorded():
    migrations = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    assert set(SCHEMAS) == (migrations - {"0001"}) | {"0000"}  # 0001 is what there was without migrations
    assert set(BACK_TO) == migrations - {"0001", HEAD}


def test_a_database_of_each_schema_comes_up_with_all_that_is_in_it(former, database_url):
    former.make(database_url)
    former.answer(database_url)
    database = Database(database_url)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    with_calls = former.schema != "0000"
    assert [number(database, table) for table in (calls, cards)] == ([2, 2] if with_calls else [0, 0])
    assert [number(database, table) for table in (feedback, used_tokens)] == [2, 4]
    assert rules(database) == ({"dry-needling/R1"} if with_calls else set())
    found = report(database, Period())
    assert (found.total.accepted, found.unmatched) == ((1, 0) if with_calls else (0, 2))
    database.close()


def test_a_token_used_before_the_upgrade_is_refused_after_it(former, database_url):
    former.make(database_url)
    token = hashlib.sha256(f"{ISS}\0a".encode()).hexdigest()
    former._send(database_url, [(f"INSERT INTO used_tokens (token, expires) VALUES ('{token}', {2**31 - 1})", ())])
    database = Database(database_url)
    used = UsedTokens(database)
    assert not used.use(ISS, "a", LATER, 0)
    assert used.use(ISS, "b", LATER, 0)
    database.close()


def test_processes_of_before_go_on_while_another_brings_the_database_up(former, made, database_url):
    before = [number(made, table) for table in (used_tokens, feedback, calls)]
    former.answer(database_url)
    after = [number(made, table) for table in (used_tokens, feedback, calls)]
    new_calls = 0 if former.schema == "0000" else 2
    assert [new - old for old, new in zip(before, after, strict=True)] == [4, 2, new_calls]


def test_the_tables_can_be_taken_back_to_each_schema_and_serve_its_service(former, made, database_url, monkeypatch):
    if former.schema not in BACK_TO:
        pytest.skip("this service's own schema, or one that would lose calls")
    monkeypatch.setenv("CDS_DATABASE_URL", database_url)
    kept = [number(made, table) for table in (used_tokens, feedback, calls, cards)]
    answered = CliRunner().invoke(main, ["downgrade", former.schema])
    assert answered.exit_code == 0, answered.output
    former.answer(database_url)
    made._current = False  # the version after comes back
    assert [number(made, table) for table in (used_tokens, feedback, calls, cards)] == [
        old + new for old, new in zip(kept, (4, 2, 2, 2), strict=True)
    ]
    assert all(rule.startswith("dry-needling/R") for rule in rules(made))


def test_this_service_goes_on_with_a_database_of_a_newer_version(made, database_url, monkeypatch):
    """Tokens are checked as ever, in a process that was there before and in one that starts then."""
    newer(made)
    used, late = UsedTokens(made), Database(database_url)
    assert used.use(ISS, "a", LATER, 0)
    assert not UsedTokens(late).use(ISS, "a", LATER, 0)
    assert UsedTokens(late).use(ISS, "b", LATER, 0)
    assert late.remembers()
    assert not late.reachable()
    with pytest.raises(StoreIsNewer):
        late.require()
    late.close()


@pytest.mark.parametrize("jwt", ["services", "off"])
def test_a_start_says_what_follows_from_a_newer_database(jwt, made, database_url, monkeypatch, tmp_path):
    newer(made)
    heard = []
    monkeypatch.setattr(commands, "DATABASE_SECONDS", SECONDS)
    monkeypatch.setattr(
        commands.telemetry, "log", lambda: SimpleNamespace(warning=lambda _, **said: heard.append(said))
    )
    settings = own_settings(database_url=database_url, data_folder=str(tmp_path), jwt=jwt)
    commands._prepare_database(settings)
    reason = "a newer version of this service made the database"
    assert heard == [{"reason": reason, "consequence": "records wait in the outbox"}]
    assert "records will wait in the outbox" in check._database(settings)


def test_a_newer_version_that_has_no_table_of_used_tokens_lets_nobody_in(made, database_url):
    newer(made)
    with made.writing() as connection:
        connection.execute(text("DROP TABLE used_tokens"))
    late = Database(database_url)
    with pytest.raises(Unavailable):
        UsedTokens(late).use(ISS, "a", LATER, 0)
    assert not late.remembers()
    late.close()
