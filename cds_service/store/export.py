"""Exports feedback with its cards, entry by entry, for analysis elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from cds_service.store.database import Database
from cds_service.store.period import Period
from cds_service.store.tables import calls, cards, feedback, suggestions

AT_ONCE = 1000
"""Entries or suggestion names per query; databases limit the number of values in a statement."""


def feedback_entries(database: Database, period: Period) -> Iterator[dict[str, Any]]:
    """Yield the feedback of a period, oldest first.

    Each entry has `received`, `service`, `card`, `outcome`, `outcomeTimestamp`, `matched`; where there are any
    `acceptedSuggestions` (id, and name where known), `reason` (system, code), `comment`; and, where the card is known,
    `rule`, `indicator`, `hook`, `client`, `orderCodes`, `knowledgeVersion`.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    columns = (cards.c.rule, cards.c.indicator, cards.c.codes, calls.c.hook, calls.c.client, calls.c.knowledge)
    query = (
        select(feedback, *columns)
        .select_from(feedback)
        .outerjoin(cards, feedback.c.card == cards.c.uuid)
        .outerjoin(calls, cards.c.call == calls.c.id)
        .where(*period.of(feedback.c.received, feedback.c.service))
        .order_by(feedback.c.received, feedback.c.key)
    )
    with database.reading() as connection:
        found = connection.execution_options(yield_per=AT_ONCE).execute(query)
        for part in found.mappings().partitions():
            ids = sorted({name for row in part for name in row["suggestions"].split()})
            named: dict[str, str] = {}
            for start in range(0, len(ids), AT_ONCE):
                query = select(suggestions.c.uuid, suggestions.c.name)
                query = query.where(suggestions.c.uuid.in_(ids[start : start + AT_ONCE]))
                named |= {row.uuid: row.name for row in connection.execute(query)}
            yield from (_entry(row, named) for row in part)


def _entry(row: Any, named: dict[str, str]) -> dict[str, Any]:
    matched = row["rule"] is not None
    accepted = [{"id": name, **({"name": named[name]} if name in named else {})} for name in row["suggestions"].split()]
    known = {
        "rule": row["rule"],
        "indicator": row["indicator"],
        "hook": row["hook"],
        "client": row["client"],
        "orderCodes": (row["codes"] or "").split(","),
        "knowledgeVersion": row["knowledge"],
    }
    return {
        "received": row["received"],
        "service": row["service"],
        "card": row["card"],
        "outcome": row["outcome"],
        "outcomeTimestamp": row["outcome_timestamp"],
        "matched": matched,
        **({"acceptedSuggestions": accepted} if accepted else {}),
        **({"reason": {"system": row["reason_system"], "code": row["reason_code"]}} if row["reason_code"] else {}),
        **({"comment": row["comment"]} if row["comment"] else {}),
        **(known if matched else {}),
    }
