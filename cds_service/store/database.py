"""One database for all worker processes: SQLite in a file by default, or another by URL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, Text, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from cds_service.errors import SettingsError

BUSY_MILLISECONDS = 2000
"""How long one process waits for another's write to a SQLite file."""

metadata = MetaData()

used_tokens = Table(
    "used_tokens",
    metadata,
    # A hash of issuer and token id: enough to recognise a token, and nothing that identifies anybody.
    Column("token", String(64), primary_key=True),
    Column("expires", Integer, nullable=False, index=True),
)

feedback = Table(
    "feedback",
    metadata,
    # A hash of the whole entry: the same entry sent again is the same row.
    Column("key", String(64), primary_key=True),
    Column("received", String(40), nullable=False, index=True),
    Column("service", String(100), nullable=False),
    Column("card", String(64), nullable=False, index=True),
    Column("outcome", String(10), nullable=False),
    Column("outcome_timestamp", String(40), nullable=False),
    Column("suggestions", Text, nullable=False),
    Column("reason_system", String(256), nullable=False),
    Column("reason_code", String(64), nullable=False),
)


def database_url(text: str) -> URL:
    """Read a database URL.

    Raises:
        ValueError: it is none.
    """
    try:
        return make_url(text)
    except ArgumentError:
        raise ValueError("is no database URL such as sqlite:///cds.sqlite3") from None


def connect(url: str) -> Engine:
    """Return the database with its tables; they are made when they are not there.

    Raises:
        SettingsError: it cannot be opened; the reason is left out, because it can quote a password.
    """
    try:
        parsed = database_url(url)
        if parsed.get_backend_name() == "sqlite":
            # Opening a file is cheap, and a connection that nobody holds is closed, whatever becomes of the process.
            engine = create_engine(parsed, poolclass=NullPool)
            event.listen(engine, "connect", _share_between_processes)
        else:
            engine = create_engine(parsed)
        metadata.create_all(engine)
    except (SQLAlchemyError, ImportError):
        raise SettingsError("CDS_DATABASE_URL: the database cannot be opened") from None
    engine.dispose()  # worker processes are forked later and must not share a connection
    return engine


def _share_between_processes(connection: Any, _: object) -> None:
    """Let readers and one writer work at the same time, and writers wait for each other."""
    connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode=WAL")
