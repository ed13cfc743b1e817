"""A SQLite file that several processes share: readers beside one writer, and writes that survive a power cut."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from cds_service.store.private_files import make_private

BUSY_MILLISECONDS = 2000
"""How long a process waits for another one's write."""


def sqlite_file(url: URL) -> Engine:
    """Return an engine for the file, without opening it.

    Use `execution_options(for_writing=True)` for transactions that write.
    """
    path = url.database
    # Opening a file is cheap, and a connection that nobody uses is closed, however the process ends.
    engine = create_engine(url, poolclass=NullPool)
    if path and path != ":memory:":
        event.listen(engine, "do_connect", lambda *_: make_private(path))  # its log gets the same mode
    event.listen(engine, "connect", _share_between_processes)
    event.listen(engine, "begin", _begin)
    return engine


def _share_between_processes(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions too late to wait; see _begin
    connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")  # as PostgreSQL does by default


def _begin(connection: Connection) -> None:
    """Begin a transaction; one that writes takes the lock now, because SQLite would not wait for it later."""
    writes = connection.get_execution_options().get("for_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
