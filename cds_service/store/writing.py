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
            insert_new(connection, table, new[start : start + MOST_AT_ONCE])


def insert_new(connection: Connection, table: Table, rows: list[Row]) -> int:
    """Insert the rows whose key is not there yet; tell how many those were."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return connection.execute(insert(table).on_conflict_do_nothing(), rows).rowcount
