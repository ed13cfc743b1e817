"""Rows to the database, each once: what is there already is passed over, so that everything may be written again."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.store.records import Row, Rows
from cds_service.store.tables import IN_ORDER

MOST_AT_ONCE = 500
"""Rows in one statement."""


def write(connection: Connection, rows: Rows) -> None:
    """Write rows within the connection's transaction; rows whose key is there already are passed over."""
    for table in IN_ORDER:
        new = rows.get(table.name, [])
        for start in range(0, len(new), MOST_AT_ONCE):
            connection.execute(_insert_new(connection, table), new[start : start + MOST_AT_ONCE])


def is_new(connection: Connection, table: Table, row: Row) -> bool:
    """Insert a row; return whether its key was not there yet.

    The database is asked for the row: how many were written is not always known to the driver of PostgreSQL.
    """
    key = table.primary_key.columns
    return connection.execute(_insert_new(connection, table).values(row).returning(*key)).first() is not None


def _insert_new(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
