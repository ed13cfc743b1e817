"""Writes rows to the database, each once: existing rows are skipped, so that everything can be written again."""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.errors import StoreRefused
from cds_service.store.records import Row, Rows
from cds_service.store.tables import IN_ORDER

MOST_AT_ONCE = 500
"""Rows per statement."""

_EMPTY: dict[str, Row] = {table.name: dict.fromkeys(table.columns.keys()) for table in IN_ORDER}
_REQUIRED = {table.name: {column.name for column in table.columns if not column.nullable} for table in IN_ORDER}


def rows_of(record: bytes) -> Rows:
    """Return the rows of a waiting record; optional columns may be missing, as in a record from before an upgrade.

    Raises:
        StoreRefused: neither this nor an earlier version writes such a record.
    """
    try:
        found = orjson.loads(record)
    except orjson.JSONDecodeError:
        raise StoreRefused("the record is not JSON") from None
    if not isinstance(found, dict) or not found.keys() <= _EMPTY.keys():
        raise StoreRefused("the record names a table that does not exist")
    return {name: [_whole(name, row) for row in _listed(rows)] for name, rows in found.items()}


def _listed(rows: object) -> list[object]:
    if not isinstance(rows, list):
        raise StoreRefused("the record holds no rows")
    return rows


def _whole(table: str, row: object) -> Row:
    empty, required = _EMPTY[table], _REQUIRED[table]
    if not isinstance(row, dict) or not required <= row.keys() <= empty.keys():
        raise StoreRefused("the record has other columns than the table")
    return {**empty, **row}


def write(connection: Connection, rows: Rows) -> None:
    """Write rows in the connection's transaction; skip rows whose key exists."""
    for table in IN_ORDER:
        new = rows.get(table.name, [])
        for start in range(0, len(new), MOST_AT_ONCE):
            connection.execute(_insert_new(connection, table), new[start : start + MOST_AT_ONCE])


def is_new(connection: Connection, table: Table, row: Row) -> bool:
    """Insert a row; return whether its key was new.

    The statement returns the row, because PostgreSQL's driver does not always know how many were written.
    """
    key = table.primary_key.columns
    return connection.execute(_insert_new(connection, table).values(row).returning(*key)).first() is not None


def _insert_new(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
