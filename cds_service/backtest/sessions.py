"""Orders of a history to the sessions in which they were signed, and why others are left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from cds_service.backtest.history import Moment, element, moment_of
from cds_service.fhir.bundles import Resource
from cds_service.fhir.statuses import is_true, word

ORDER_TYPES = ("ServiceRequest", "ProcedureRequest")
_NO_ORDER = frozenset({"draft", "entered-in-error"})
_INTENTS = frozenset({"", "order", "original-order", "instance-order"})
"""Proposals, plans, fillers' copies and reflex orders would count an order twice."""

_NO_INTENTS = frozenset({"proposal", "plan", "directive", "reflex-order", "filler-order", "option"})
UNDATED = "undated"


@dataclass(frozen=True, slots=True)
class Session:
    """Orders that were signed together: one order-sign call.

    Attributes:
        orders: as exported, in a fixed order.
        moment: of the first of them, so that nothing that came after any of them is seen.
    """

    orders: tuple[Resource, ...]
    moment: Moment


def left_out(order: Resource) -> str:
    """Return why an order is not decided; "" when it is."""
    if word(order.get("status")) in _NO_ORDER:
        return f"status {word(order.get('status'))}"
    if is_true(order.get("doNotPerform")):
        return "not to be performed"
    if word(order.get("intent")) not in _INTENTS:
        intent = word(order.get("intent"))
        return f"intent {intent}" if intent in _NO_INTENTS else "intent other"
    return "" if moment_of(order.get("authoredOn")) else UNDATED


def sessions(orders: Iterable[Resource], zone: tzinfo | None, most: timedelta) -> list[Session]:
    """Return orders by session: same encounter and requester, and at most `most` between neighbors.

    Args:
        orders: those that are not left out.
        zone: where the hospital is; None for the calendar day as written.
        most: the longest time between two orders of a session.
    """
    dated = [(moment, order) for order in orders if (moment := moment_of(order.get("authoredOn"), zone))]
    dated.sort(key=lambda item: (_instant(item[0]), str(item[1].get("id")), str(item[1])))
    open_now: dict[tuple[str, str], list[tuple[Moment, Resource]]] = {}
    found: list[list[tuple[Moment, Resource]]] = []
    for moment, order in dated:
        encounter, requester = element(order, "encounter.reference"), element(order, "requester.reference")
        key = (str(encounter), str(requester))
        group = open_now.get(key)
        if encounter and group and _instant(moment) - _instant(group[-1][0]) <= most:
            group.append((moment, order))
            continue
        open_now[key] = [(moment, order)]
        found.append(open_now[key])
    return [Session(tuple(order for _, order in group), group[0][0]) for group in found]


def _instant(moment: Moment) -> datetime:
    return moment.instant or datetime.combine(moment.day, time(), UTC)
