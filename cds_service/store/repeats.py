"""Recently overridden cards, so that the same card is not shown twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, select

from cds_service.errors import StoreUnavailable
from cds_service.store.database import Database
from cds_service.store.records import CardRecord, utc
from cds_service.store.tables import calls, cards, feedback

SHOWN_AT = "order-select"
"""Cards that were overridden at this hook are not shown again ..."""

ASKED_AT = "order-sign"
"""... at this one."""

WAIT_SECONDS = 0.1
"""How long an answer waits for the database; then the card is shown again, which is safe."""


@dataclass(frozen=True, slots=True)
class Overridden:
    """A card that was overridden."""

    rule: str
    orders: frozenset[str]
    grounds: frozenset[str]


class Repeats:
    """Finds the cards of a call that would repeat an overridden one."""

    def __init__(self, database: Database, hours: float, failed: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            database: where feedback and cards are.
            hours: how long an override counts; 0 turns this off.
            failed: called when the query failed.
        """
        self._database = database
        self._span = timedelta(hours=hours)
        self._failed = failed
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="repeats")

    def asked_at(self, hook: str) -> bool:
        """Return whether cards of this hook may be repeats."""
        return bool(self._span) and hook == ASKED_AT

    def among(self, patient: str, asked: list[CardRecord], now: datetime) -> frozenset[str]:
        """Return the uuids of the cards that repeat an overridden one: same rule and orders, and nothing new behind it.

        Never raises: if the database does not answer in time, no card is a repeat.

        Args:
            patient: keyed hash of the patient in context.
            asked: the cards to check.
            now: the time of the call.
        """
        asking = self._threads.submit(self._overridden, patient, now)
        try:
            earlier = asking.result(timeout=WAIT_SECONDS)
        except (StoreUnavailable, TookTooLong):
            asking.cancel()  # if it has not begun, it is no longer needed
            self._failed("repeats")
            return frozenset()
        return frozenset(card.uuid for card in asked if _repeats(card, earlier))

    def _overridden(self, patient: str, now: datetime) -> list[Overridden]:
        since = utc(now - self._span)
        accepted = feedback.alias("accepted")
        query = (
            select(cards.c.rule, cards.c.orders, cards.c.grounds)
            .join(calls, cards.c.call == calls.c.id)
            .join(feedback, feedback.c.card == cards.c.uuid)
            .where(
                calls.c.patient == patient,
                calls.c.hook == SHOWN_AT,
                feedback.c.outcome == "overridden",
                feedback.c.received >= since,
                feedback.c.outcome_timestamp >= since,
                ~exists().where(and_(accepted.c.card == cards.c.uuid, accepted.c.outcome == "accepted")),
            )
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).fetchall()
        return [
            Overridden(rule, frozenset(orders.split()), frozenset(grounds.split())) for rule, orders, grounds in rows
        ]


def _repeats(card: CardRecord, earlier: list[Overridden]) -> bool:
    """Return whether every order of a card was overridden for the same rule, with all of its present grounds."""
    covered = frozenset[str]().union(
        *(found.orders for found in earlier if found.rule == card.rule and card.grounds <= found.grounds)
    )
    return bool(card.orders) and card.orders <= covered
