"""A bounded file beside the service that keeps what the database does not take at the moment, safe from a crash."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import orjson
from sqlalchemy import Column, Connection, Engine, Integer, LargeBinary, MetaData, Table, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from cds_service.errors import StoreUnavailable
from cds_service.store.records import Rows
from cds_service.store.sqlite_file import sqlite_file

MOST = 100_000
"""Records that the spool holds at the most."""

_metadata = MetaData()
_records = Table(
    "records",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("rows", LargeBinary, nullable=False),
)


class Spool:
    """Records that wait for the database, shared by all worker processes of a machine."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        """Prepare; the file is made when something has to be kept."""
        self._path = path
        self._most = most
        self._engine: Engine | None = None
        self._opening = threading.Lock()

    def add(self, records: Sequence[Rows]) -> None:
        """Keep records; they are on the disk when this returns.

        Raises:
            StoreUnavailable: the file cannot be written, or is full; nothing was kept.
        """
        try:
            with self._opened().begin() as connection:
                if self._count(connection) + len(records) > self._most:
                    raise StoreUnavailable("the spool is full")
                connection.execute(insert(_records), [{"rows": orjson.dumps(rows)} for rows in records])
        except SQLAlchemyError as failure:
            raise StoreUnavailable(type(failure).__name__) from None

    def oldest(self, most: int) -> list[tuple[int, Rows]]:
        """Return the oldest records with their numbers; none when there is no spool.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        if not self._path.exists():
            return []
        try:
            with self._opened().connect() as connection:
                found = connection.execute(select(_records).order_by(_records.c.number).limit(most))
                return [(number, orjson.loads(rows)) for number, rows in found]
        except SQLAlchemyError as failure:
            raise StoreUnavailable(type(failure).__name__) from None

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget records, because the database has them.

        Raises:
            StoreUnavailable: the file cannot be written; the records will be replayed again, which does no harm.
        """
        try:
            with self._opened().begin() as connection:
                connection.execute(delete(_records).where(_records.c.number.in_(numbers)))
        except SQLAlchemyError as failure:
            raise StoreUnavailable(type(failure).__name__) from None

    def waiting(self) -> int:
        """Return how many records wait; 0 when that cannot be told."""
        if not self._path.exists():
            return 0
        try:
            with self._opened().connect() as connection:
                return self._count(connection)
        except SQLAlchemyError:
            return 0

    @staticmethod
    def _count(connection: Connection) -> int:
        return connection.scalar(select(func.count()).select_from(_records)) or 0

    def _opened(self) -> Engine:
        with self._opening:
            if self._engine is None:
                engine = sqlite_file(f"sqlite:///{self._path}").execution_options(for_writing=True)
                _metadata.create_all(engine)
                self._engine = engine
            return self._engine
