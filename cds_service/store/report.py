"""The figures of a period: is a card worth its interruption?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from cds_service.store.database import Database
from cds_service.store.period import Period
from cds_service.store.tables import calls, cards, feedback

NO_CLIENT = "(no token asked for)"


@dataclass(frozen=True, slots=True)
class Group:
    """Cards of one group by outcome. A card counts once, as accepted if it was both accepted and overridden."""

    name: str
    cards: int = 0
    accepted: int = 0
    overridden: int = 0
    repeats: int = 0
    """Cards withheld as repeats of an overridden one; not among `cards`."""

    @property
    def no_response(self) -> int:
        """Return how many cards nobody answered."""
        return self.cards - self.accepted - self.overridden


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one period.

    Attributes:
        orders: orders in scope.
        median_milliseconds: median time from request to answer; None without calls.
        unmatched: feedback entries about cards that are not known.
        reasons: codes of override reasons with their counts, most frequent first.
        weeks: by their Monday, earliest first.
    """

    period: Period
    calls: int
    orders: int
    total: Group
    median_milliseconds: float | None
    p95_milliseconds: float | None
    unmatched: int
    by_rule: tuple[Group, ...]
    by_service: tuple[Group, ...]
    by_hook: tuple[Group, ...]
    by_client: tuple[Group, ...]
    weeks: tuple[Group, ...]
    calls_by_week: tuple[tuple[str, int], ...]
    reasons: tuple[tuple[str, int], ...]

    @property
    def cards_per_100_orders(self) -> float | None:
        """Return cards per 100 orders in scope; None without orders."""
        return 100 * self.total.cards / self.orders if self.orders else None

    @property
    def cards_per_1000_calls(self) -> float | None:
        """Return cards per 1,000 calls; None without calls."""
        return 1000 * self.total.cards / self.calls if self.calls else None


@dataclass(frozen=True, slots=True)
class _Cell:
    """Cards that are equal in everything the report groups by."""

    rule: str
    service: str
    hook: str
    client: str
    week: str
    outcome: str
    repeat: bool
    cards: int


def report(database: Database, period: Period) -> Report:
    """Return the figures of a period.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    with database.reading() as connection:
        cells = _cells(connection, period)
        weeks, orders = _calls(connection, period)
        durations = _durations(connection, period)
        unmatched = _unmatched(connection, period)
        reasons = _reasons(connection, period)
    return Report(
        period=period,
        calls=sum(weeks.values()),
        orders=orders,
        total=next(iter(_groups(cells, lambda _: "all")), Group("all")),
        median_milliseconds=_quantile(durations, 0.5),
        p95_milliseconds=_quantile(durations, 0.95),
        unmatched=unmatched,
        by_rule=_groups(cells, lambda cell: cell.rule),
        by_service=_groups(cells, lambda cell: cell.service),
        by_hook=_groups(cells, lambda cell: cell.hook),
        by_client=_groups(cells, lambda cell: cell.client or NO_CLIENT),
        weeks=_groups(cells, lambda cell: cell.week, weeks),
        calls_by_week=tuple(sorted(weeks.items())),
        reasons=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


def _cells(connection: Connection, period: Period) -> list[_Cell]:
    # "accepted" sorts before "overridden": a card with both outcomes was accepted at some point, so it was useful.
    answered = (
        select(feedback.c.card, func.min(feedback.c.outcome).label("outcome")).group_by(feedback.c.card).subquery()
    )
    day = func.substr(calls.c.received, 1, 10)
    outcome = func.coalesce(answered.c.outcome, "")
    same = (cards.c.rule, calls.c.service, calls.c.hook, calls.c.client, day, outcome, cards.c.repeat)
    query = (
        select(*same, func.count())
        .select_from(cards)
        .join(calls, cards.c.call == calls.c.id)
        .outerjoin(answered, answered.c.card == cards.c.uuid)
        .where(*period.of(calls.c.received, calls.c.service))
        .group_by(*same)
    )
    return [
        _Cell(rule, service, hook, client, _week(received), response, bool(repeat), number)
        for rule, service, hook, client, received, response, repeat, number in connection.execute(query)
    ]


def _calls(connection: Connection, period: Period) -> tuple[dict[str, int], int]:
    """Return calls by week, with their orders in scope."""
    day = func.substr(calls.c.received, 1, 10)
    query = (
        select(day, func.count(), func.sum(calls.c.orders))
        .where(*period.of(calls.c.received, calls.c.service))
        .group_by(day)
    )
    weeks: Counter[str] = Counter()
    orders = 0
    for text, number, about in connection.execute(query):
        weeks[_week(text)] += number
        orders += about
    return dict(weeks), orders


def _durations(connection: Connection, period: Period) -> list[tuple[int, int]]:
    """Return counts of calls by duration in tenths of a millisecond, shortest first."""
    tenths = calls.c.microseconds // 100
    query = (
        select(tenths, func.count())
        .where(*period.of(calls.c.received, calls.c.service))
        .group_by(tenths)
        .order_by(tenths)
    )
    return [(duration, number) for duration, number in connection.execute(query)]


def _unmatched(connection: Connection, period: Period) -> int:
    query = (
        select(func.count())
        .select_from(feedback)
        .outerjoin(cards, cards.c.uuid == feedback.c.card)
        .where(cards.c.uuid.is_(None), *period.of(feedback.c.received, feedback.c.service))
    )
    return connection.scalar(query) or 0


def _reasons(connection: Connection, period: Period) -> dict[str, int]:
    """Return the override reasons of feedback received in the period."""
    query = (
        select(feedback.c.reason_code, func.count())
        .where(feedback.c.outcome == "overridden", *period.of(feedback.c.received, feedback.c.service))
        .group_by(feedback.c.reason_code)
    )
    return {code or "(no code given)": number for code, number in connection.execute(query)}


def _groups(cells: Iterable[_Cell], name: Callable[[_Cell], str], also: Iterable[str] = ()) -> tuple[Group, ...]:
    """Add up cells by group, in order of name; `also` names groups to include without cards."""
    sums: dict[str, Counter[str]] = {key: Counter() for key in also}
    for cell in cells:
        counts = sums.setdefault(name(cell), Counter())
        if cell.repeat:
            counts["repeats"] += cell.cards
        else:
            counts["cards"] += cell.cards
            counts[cell.outcome] += cell.cards
    counted = [field.name for field in fields(Group) if field.name != "name"]
    return tuple(Group(key, *(sums[key][of] for of in counted)) for key in sorted(sums))


def _week(day: str) -> str:
    """Return the Monday of a day's week."""
    found = date.fromisoformat(day)
    return (found - timedelta(days=found.weekday())).isoformat()


def _quantile(durations: Sequence[tuple[int, int]], share: float) -> float | None:
    """Return the percentile of the durations, in milliseconds."""
    wanted = share * sum(number for _, number in durations)
    reached: Any = 0
    for duration, number in durations:
        reached += number
        if reached >= wanted:
            return duration / 10
    return None
