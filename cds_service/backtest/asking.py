"""A past session as a call: what a server would have sent, decided by the code that answers calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from cds_service.backtest.history import element
from cds_service.backtest.sessions import ORDER_TYPES, Session
from cds_service.errors import CdsError
from cds_service.fhir import conformance, statuses
from cds_service.fhir.bundles import Resource
from cds_service.fhir.prefetch import gather, query_type
from cds_service.guideline import drafts
from cds_service.guideline.decided import Decided
from cds_service.guideline.drafts import Draft
from cds_service.guideline.guidance import decide_orders
from cds_service.guideline.guideline import Sources
from cds_service.guideline.services import CdsService
from cds_service.protocol.request import HookRequest, OrderSignContext

ENCOUNTER = "Encounter"
"""Read beside what templates ask for: it tells the department."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The guidelines that decide: as the service has them, and from the folder compared with, by their id."""

    now: tuple[CdsService, ...]
    compared: Mapping[str, CdsService] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, frozenset[str]]:
        """Return the resource types that are read, and with which codes: for templates, and orders and encounters."""
        return {**self.asked, **dict.fromkeys((*ORDER_TYPES, ENCOUNTER, "Patient"), frozenset())}

    @property
    def asked(self) -> dict[str, frozenset[str]]:
        """Return for each resource type that templates ask for the codes they ask for; none stands for all."""
        found: dict[str, frozenset[str]] = {}
        for service in self.every:
            for _, kind, _, codes in _templates(tuple(service.queries.items())):
                known = found.get(kind, codes)
                found[kind] = known | codes if known and codes else frozenset()
        return found

    @property
    def every(self) -> tuple[CdsService, ...]:
        """Return all services, of both versions."""
        return (*self.now, *self.compared.values())

    def in_scope(self, code: str | None) -> bool:
        """Return whether an order with this code, as JSON, is in scope of any guideline."""
        order = {"resourceType": "ServiceRequest", "code": orjson.loads(code) if code else None}
        return any(orders_in_scope(service, [order]) for service in self.every)


@dataclass(frozen=True, slots=True)
class Setup:
    """The setup of every deciding process; it can be pickled.

    Attributes:
        load: returns the guidelines, in the process that decides.
        present: resource types of which the export has files; others were not sent, as in a live call.
        key: for keyed hashes.
        zone: name of the hospital's time zone, or "".
        session: the longest time between two orders of a session.
        first, last: days of orders that are decided, as ISO dates, or "".
    """

    load: Callable[[], Versions]
    present: frozenset[str]
    key: str
    zone: str = ""
    session: timedelta = timedelta(hours=1)
    first: str = ""
    last: str = ""


def orders_in_scope(service: CdsService, orders: Iterable[Resource]) -> tuple[Draft, ...]:
    """Return the orders that a guideline is about."""
    bundle = {"entry": [{"resource": order} for order in orders]}
    return drafts.read(bundle, None, service.knowledge.orders, service.knowledge.value_sets).orders


def draft(order: Resource) -> Resource:
    """Return an order as it was before it was signed, whatever happened later."""
    return {**order, "status": "draft"}


def decide(
    service: CdsService, patient: str, session: Session, entries: Sequence[Resource], present: frozenset[str]
) -> tuple[dict[int, Decided], str]:
    """Decide a session as the live service decides a call of order-sign, with what a server would send for its queries.

    Args:
        service: which guideline.
        patient: the patient's id.
        session: the orders that are signed.
        entries: the chart as it was.
        present: resource types that the export has files of.

    Returns:
        What is decided for each order in scope, by its place in the session; or why nothing can be.
    """
    by_type: dict[str, list[Resource]] = defaultdict(list)
    for entry in entries:
        by_type[entry["resourceType"]].append(entry)
    prefetch = {
        key: _answer(kind, [entry for entry in by_type[kind] if _found(entry, states, codes)])
        for key, kind, states, codes in _templates(tuple(service.queries.items()))
        if kind in present
    }
    drafted = [draft(order) for order in session.orders]
    bundle = {"resourceType": "Bundle", "entry": [{"resource": order} for order in drafted]}
    places = {id(order): place for place, order in enumerate(drafted)}
    context = OrderSignContext.model_construct(user_id="Practitioner/x", patient_id=patient, draft_orders=bundle)
    request = HookRequest("order-sign", "", context, prefetch)
    try:
        with conformance.bounded():
            read = service.drafts(request)
            chart = gather(patient, prefetch, service.queries, bundle)
            decided = decide_orders(service.guideline, Sources(read, chart, service.knowledge, session.moment.day))
    except CdsError as refused:
        return {}, f"refused {refused.status}"
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as defect:
        return {}, f"failed {type(defect).__name__}"  # a defect of this code is counted, and the run continues
    return {places[id(item.draft.resource)]: item for item in decided}, ""


@cache
def _templates(queries: tuple[tuple[str, str], ...]) -> list[tuple[str, str, frozenset[str], frozenset[str]]]:
    """Return for each prefetch template its key, its resource type, and the statuses and codes it asks for."""
    found = []
    for key, query in queries:
        asked = dict(parse_qsl(urlsplit(query).query))
        states, codes = (frozenset(filter(None, asked.get(name, "").split(","))) for name in ("status", "code"))
        found.append((key, query_type(query), states, codes))
    return found


def coded(resource: Resource, tokens: frozenset[str]) -> bool:
    """Return whether a search for any of these codes, as `system|code`, finds a resource; without codes it does."""
    listed = element(resource, "code.coding") if tokens else None
    return not tokens or any(
        f"{coding.get('system')}|{coding.get('code')}" in tokens
        for coding in (listed if isinstance(listed, list) else ())
        if isinstance(coding, dict)
    )


def _found(resource: Resource, states: frozenset[str], codes: frozenset[str]) -> bool:
    return (not states or statuses.word(resource.get("status")) in states) and coded(resource, codes)


def _answer(kind: str, entries: Sequence[Resource]) -> Any:
    """Return what a prefetch template is answered with: a Patient is read, everything else is searched for."""
    if kind == "Patient":
        return entries[0] if entries else None
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": entry} for entry in entries]}
