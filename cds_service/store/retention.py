"""Deletes records older than a site wants to keep, and no more if a clock is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, delete, func, select

from cds_service.errors import RemovalRefused
from cds_service.store.database import Database
from cds_service.store.records import utc
from cds_service.store.tables import calls, cards, feedback, suggestions


def purge(database: Database, now: datetime, age: timedelta, *, even_most: bool = False) -> dict[str, int]:
    """Delete calls, with their cards and suggestions, and feedback above a certain age.

    Age is counted from the newest record, because a clock may be wrong. So a service that was off for a year keeps the
    days before. Records in the future are ignored.

    Args:
        now: the current time.
        age: the age at which records are deleted.
        even_most: delete even if that is more than half of the calls or of the feedback.

    Returns:
        How many rows were deleted, by table.

    Raises:
        RemovalRefused: more than half would be deleted, and `even_most` is not set; nothing was deleted.
        StoreUnavailable: the database does not answer; nothing was deleted.
    """
    with database.writing() as connection:
        newest = max(filter(None, (_newest(connection, table, now) for table in (calls, feedback))), default=None)
        if newest is None:
            return dict.fromkeys((table.name for table in (suggestions, cards, calls, feedback)), 0)
        moment = utc(datetime.fromisoformat(newest) - age)
        if not even_most:
            for table in (calls, feedback):
                _refuse_most(connection, table, moment)
        old_calls = select(calls.c.id).where(calls.c.received < moment)
        old_cards = select(cards.c.uuid).where(cards.c.call.in_(old_calls))
        return {
            table.name: connection.execute(delete(table).where(condition)).rowcount
            for table, condition in (
                (suggestions, suggestions.c.card.in_(old_cards)),
                (cards, cards.c.call.in_(old_calls)),
                (calls, calls.c.received < moment),
                (feedback, feedback.c.received < moment),
            )
        }


def _newest(connection: Connection, table: Table, now: datetime) -> str | None:
    """Return when the newest row, not counting rows in the future, was received."""
    found: str | None = connection.scalar(select(func.max(table.c.received)).where(table.c.received <= utc(now)))
    return found


def _refuse_most(connection: Connection, table: Table, moment: str) -> None:
    rows = select(func.count()).select_from(table)
    every, old = connection.scalar(rows) or 0, connection.scalar(rows.where(table.c.received < moment)) or 0
    if old > every / 2:
        raise RemovalRefused(f"{old} of {every} {table.name} would be deleted")
