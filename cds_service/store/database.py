"""One database for all worker processes: SQLite by default, PostgreSQL by URL; migrated when first used."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    CompileError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    SQLAlchemyError,
)

from cds_service.errors import SettingsError, StoreIsNewer, StoreRefused, StoreUnavailable
from cds_service.store.sqlite_file import sqlite_file
from cds_service.store.tables import used_tokens

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0004"
"""The newest migration; a test compares it with the files. Versions sort as text."""

BACK_TO = ("0002", "0003")
"""Schemas of earlier versions to which the tables can be downgraded without losing a record."""

CONNECT_SECONDS = 2
STATEMENT_MILLISECONDS = 10_000
REST_SECONDS = 0.5
"""After a failed connection no other is tried for this long, so that not every caller waits for a timeout."""

_REFUSALS = (DataError, IntegrityError, ProgrammingError, InterfaceError, CompileError)
"""Errors for rows that the database or its driver rejects: trying again does not help."""

_NEWER = "a newer version of this service made the database"

_POSTGRESQL = ("postgresql", "postgres")
_MIGRATION_LOCK = 7_245_318
"""An arbitrary number that all processes which migrate a PostgreSQL database agree on."""


def database_url(address: str) -> URL:
    """Read a database URL.

    Raises:
        ValueError: it is not a URL, or names an unsupported database.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise ValueError("is no database URL such as sqlite:///cds.sqlite3") from None
    if url.drivername in _POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        return url
    raise ValueError("must begin with sqlite:// or postgresql://")


def shown(address: str) -> str:
    """Return a database URL without its secrets, for display; "" for a URL that cannot be parsed."""
    try:
        url = make_url(address)
    except ArgumentError:
        return "***"
    query = {name: "***" if "pass" in name.lower() else value for name, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)


class Database:
    """The database, shared by everything in one process."""

    def __init__(self, address: str) -> None:
        """Prepare the engine without opening a connection.

        Raises:
            SettingsError: the address is invalid. The reason is left out, because it can quote a password.
        """
        try:
            self._engine = _engine(database_url(address))
        except (ValueError, SQLAlchemyError):
            raise SettingsError("CDS_DATABASE_URL: the database cannot be opened") from None
        self._migrating = threading.Lock()
        self._current = False
        self._rests_until = 0.0
        self._newer_until = 0.0

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Provide a connection for reading.

        Raises:
            StoreUnavailable: the database does not answer, or a newer version of this service made it.
        """
        self._bring_up_to_date()
        with self._connected() as connection, self._named_failures():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Provide a connection whose writes are committed together when the block ends, or not at all.

        Raises:
            StoreUnavailable: the database does not answer, or a newer version made it; nothing was stored.
            StoreRefused: it rejected what was written; nothing was stored.
        """
        self._bring_up_to_date()
        with self._transaction() as connection:
            yield connection

    @contextmanager
    def remembering(self) -> Iterator[Connection]:
        """Provide a connection for used tokens, like `writing`, but also in a database of a newer version.

        Their table is the same in all versions, so that a rollback does not refuse anyone.

        Raises:
            StoreUnavailable: the database does not answer, or has no such table; nothing was stored.
        """
        with suppress(StoreIsNewer):
            self._bring_up_to_date()
        with self._transaction() as connection:
            yield connection

    def require(self) -> None:
        """Migrate the tables, and read from them.

        Raises:
            StoreUnavailable: as in `reading`.
        """
        with self.reading() as connection:
            connection.execute(select(used_tokens.c.token).limit(1))

    def reachable(self) -> bool:
        """Return whether the database answers."""
        try:
            self.require()
        except StoreUnavailable:
            return False
        return True

    def remembers(self) -> bool:
        """Return whether used tokens can be checked."""
        try:
            with self.remembering() as connection:
                connection.execute(select(used_tokens.c.token).limit(1))
        except StoreUnavailable:
            return False
        return True

    def close(self) -> None:
        """Close the connections; worker processes are forked later and must not share one."""
        self._engine.dispose()

    def _bring_up_to_date(self) -> None:
        """Migrate the tables once per process; callers that waited for a failed attempt do not retry immediately."""
        if self._current:
            return
        with self._migrating:
            if self._current:
                return
            self._refuse_while_resting()
            if time.monotonic() < self._newer_until:
                raise StoreIsNewer(_NEWER)
            try:
                with self._transaction() as connection:
                    _migrate(connection)
            except StoreIsNewer:
                self._newer_until = time.monotonic() + REST_SECONDS
                raise
            except StoreUnavailable:
                self._rest()
                raise
            self._current = True

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._connected(for_writing=True) as connection, self._named_failures(), connection.begin():
            yield connection

    def _connected(self, *, for_writing: bool = False) -> Connection:
        self._refuse_while_resting()
        try:
            return self._engine.execution_options(for_writing=for_writing).connect()
        except SQLAlchemyError as failure:
            self._rest()
            raise StoreUnavailable(type(failure).__name__) from None

    @contextmanager
    def _named_failures(self) -> Iterator[None]:
        """Translate database errors to our own by kind, because their messages quote values and addresses."""
        try:
            yield
        except SQLAlchemyError as failure:
            if isinstance(failure, DBAPIError) and failure.connection_invalidated:
                self._rest()
            elif isinstance(failure, _REFUSALS):
                raise StoreRefused(type(failure).__name__) from None
            raise StoreUnavailable(type(failure).__name__) from None
        except (UnicodeEncodeError, OverflowError) as failure:  # the driver could not even send it
            raise StoreRefused(type(failure).__name__) from None

    def _refuse_while_resting(self) -> None:
        if time.monotonic() < self._rests_until:
            raise StoreUnavailable("the database failed a moment ago")

    def _rest(self) -> None:
        self._rests_until = time.monotonic() + REST_SECONDS


def bring_up_to_date(address: str) -> None:
    """Migrate the tables of a database, and leave no connection open.

    Raises:
        SettingsError: the address is invalid.
        StoreUnavailable: the database does not answer, or a newer version of this service made it.
    """
    database = Database(address)
    try:
        database.require()
    finally:
        database.close()


def take_back(database: Database, schema: str) -> None:
    """Downgrade the tables to the schema of an earlier version, without losing records.

    Raises:
        StoreUnavailable: the database does not answer, or a newer version of this service made it.
    """
    from alembic.command import downgrade  # noqa: PLC0415

    with database.writing() as connection:
        downgrade(_migrations(connection), schema)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return sqlite_file(url)
    return create_engine(
        url,
        pool_size=5,
        max_overflow=5,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_SECONDS, "options": f"-c statement_timeout={STATEMENT_MILLISECONDS}"},
    )


def _migrate(connection: Connection) -> None:
    """Migrate the tables. Processes that start together take turns."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    known = connection.dialect.has_table(connection, "alembic_version")
    version = connection.scalar(text("SELECT version_num FROM alembic_version")) if known else None
    if version == HEAD:
        return
    if version is not None and version > HEAD:
        raise StoreIsNewer(_NEWER)
    # Imported here, because Alembic takes a fifth of a second to load and most starts have nothing to migrate.
    from alembic.command import upgrade  # noqa: PLC0415

    upgrade(_migrations(connection), "head")


def _migrations(connection: Connection) -> Config:
    """Return Alembic's configuration for migrating within the connection's transaction."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))  # large tables take long
    else:
        connection.execute(text("PRAGMA defer_foreign_keys=ON"))  # SQLite changes a table by recreating it
    return config
