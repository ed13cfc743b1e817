"""Removes what is older than a site wants to keep."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from cds_service.store.database import Database
from cds_service.store.records import utc
from cds_service.store.tables import calls, cards, feedback, suggestions


def purge(database: Database, before: datetime) -> dict[str, int]:
    """Remove calls, with their cards and suggestions, and feedback that were received before a moment.

    Returns:
        How many rows were removed, by table.

    Raises:
        StoreUnavailable: the database does not answer; nothing was removed.
    """
    moment = utc(before)
    old_calls = select(calls.c.id).where(calls.c.received < moment)
    old_cards = select(cards.c.uuid).where(cards.c.call.in_(old_calls))
    with database.writing() as connection:
        return {
            table.name: connection.execute(delete(table).where(condition)).rowcount
            for table, condition in (
                (suggestions, suggestions.c.card.in_(old_cards)),
                (cards, cards.c.call.in_(old_calls)),
                (calls, calls.c.received < moment),
                (feedback, feedback.c.received < moment),
            )
        }
