"""The one deciding function, over Arrow batches: a patient's lines in, one row for each order in scope out.

Every engine calls it; it decides with the code that answers a live call.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa

from cds_service.backtest import rows, tracing
from cds_service.backtest.asking import ENCOUNTER, Setup, coded, decide, draft, orders_in_scope
from cds_service.backtest.history import Past, as_of, element, has_time, latest_of, moment_of
from cds_service.backtest.rows import Row
from cds_service.backtest.sessions import ORDER_TYPES, Session, left_out, sessions
from cds_service.fhir import dates, references, statuses
from cds_service.fhir.bundles import Resource
from cds_service.guideline.decided import Decided
from cds_service.guideline.services import CdsService
from cds_service.store.pseudonyms import Pseudonyms

_ROWS = 512
"""Rows of a batch that is handed on."""
_STATUSES = frozenset(
    {"active", "on-hold", "revoked", "completed", "draft", "entered-in-error", "unknown", "cancelled"}
)
_DONE_DAYS = timedelta(days=90)


def decide_batches(batches: Iterable[pa.RecordBatch], setup: Setup) -> Iterator[pa.RecordBatch]:
    """Decide the orders of patients.

    Args:
        batches: columns `patient` and `line`; lines of one patient are neighbors, also across batches.
        setup: how to decide.

    Yields:
        Batches of rows, by `rows.DECISIONS`.
    """
    decider = Decider(setup)
    found: list[Row] = []
    patient, lines = "", list[bytes]()
    for batch in batches:
        columns = zip(
            batch.column("patient").to_pylist(), batch.column("line").cast(pa.binary()).to_pylist(), strict=True
        )
        for whose, line in columns:
            if whose != patient:
                found += decider.patient(patient, lines)
                patient, lines = whose, []
                if len(found) >= _ROWS:
                    yield rows.batch(found)
                    found = []
            lines.append(line)
    found += decider.patient(patient, lines)
    if found:
        yield rows.batch(found)


@dataclass(slots=True)
class _Chart:
    """One patient's resources, each once.

    Attributes:
        patient: the id.
        resources: what a server may have sent for the templates, whatever its status.
        orders: all of them.
        departments: of encounters.
    """

    patient: str
    resources: list[Resource]
    orders: list[Resource]
    departments: Mapping[str, str]


class Decider:
    """Decides patient by patient."""

    def __init__(self, setup: Setup) -> None:
        """Load what decides."""
        self._setup = setup
        self._versions = setup.load()
        self._asked = self._versions.asked
        self._zone = ZoneInfo(setup.zone) if setup.zone else None
        self._hashes = Pseudonyms(setup.key)

    def patient(self, patient: str, lines: Sequence[bytes]) -> list[Row]:
        """Return a row for each order in scope of one patient, in a fixed order."""
        if not lines:
            return []
        resources, copies = _each_once(patient, lines)
        chart = _Chart(
            patient=patient,
            resources=[r for r in resources if self._may_be_sent(r)],
            orders=[r for r in resources if r["resourceType"] in ORDER_TYPES],
            departments={
                f"Encounter/{r.get('id')}": _department(r) for r in resources if r["resourceType"] == ENCOUNTER
            },
        )
        found = [*self._left_out(chart), *self._decided(chart)]
        if found:
            found[0].copies = copies
        return found

    def _may_be_sent(self, resource: Resource) -> bool:
        codes = self._asked.get(resource["resourceType"])
        return codes is not None and coded(resource, codes)

    def _left_out(self, chart: _Chart) -> Iterator[Row]:
        for order in chart.orders:
            if reason := left_out(order):
                for service in self._versions.now:
                    if orders_in_scope(service, [{**draft(order), "doNotPerform": None}]):
                        yield self._row(service, chart, order, Session((order,), _NO_MOMENT), outcome=reason)

    def _decided(self, chart: _Chart) -> Iterator[Row]:
        placed = [order for order in chart.orders if not left_out(order)]
        for session in sessions(placed, self._zone, self._setup.session):
            for service in self._versions.now:
                other = self._versions.compared.get(service.knowledge.identity.id, service)
                mine = {place for place, order in enumerate(session.orders) if _either(service, other, order)}
                if mine:
                    yield from self._session(service, other, chart, session, mine)

    def _session(
        self, service: CdsService, other: CdsService, chart: _Chart, session: Session, mine: set[int]
    ) -> Iterator[Row]:
        """Yield the rows of a session's orders, by the guideline as it is and as it is compared with."""
        day = session.moment.day.isoformat()
        if day < self._setup.first or (self._setup.last and day > self._setup.last):
            for place in sorted(mine):
                yield self._row(service, chart, session.orders[place], session, outcome=rows.OUTSIDE)
            return
        own = {id(order) for order in session.orders}
        stated = frozenset(_stated(session.orders))
        past = as_of((r for r in chart.resources if id(r) not in own), session.moment, stated)
        present = self._setup.present
        first, outcome = decide(service, chart.patient, session, past.counted, present)
        doubtful = decide(service, chart.patient, session, past.certain, present)[0] if past.causes else first
        compared = decide(other, chart.patient, session, past.counted, present)[0] if other is not service else {}
        for place in sorted(mine):
            order, item, b = session.orders[place], first.get(place), compared.get(place)
            row = self._row(service, chart, order, session, outcome=outcome or rows.DECIDED)
            row.causes, row.in_error = sorted(past.causes), past.in_error
            row.later = [f"{kind}={number}" for kind, number in sorted(past.later.items())]
            if item is not None:
                self._fill(row, item, past, session)
                row.done = row.status == "completed" or _followed(service, item, chart, session)
                again = doubtful.get(place)
                row.other_rule = again.decision.rule.id if again else "not decided"
            if b is not None:
                row.rule_b, row.indicator_b, row.facts_b = b.decision.rule.id, _indicator(b), _facts(b)
            yield row

    def _row(self, service: CdsService, chart: _Chart, order: Resource, session: Session, *, outcome: str) -> Row:
        hashed = self._hashes.of
        moment = moment_of(order.get("authoredOn"), self._zone)
        encounter, requester = element(order, "encounter.reference"), element(order, "requester.reference")
        department = chart.departments.get(_tail(encounter), "")
        status = statuses.word(order.get("status"))
        place = str(order.get("id") or orjson.dumps(order))
        return Row(
            guideline=service.knowledge.identity.id,
            order=hashed("order", chart.patient, order["resourceType"], place),
            patient=hashed("patient", chart.patient),
            session=hashed("session", chart.patient, str(session.orders[0].get("id")), session.moment.day.isoformat()),
            clinician=hashed("user", _tail(requester)) if requester else "",
            department=hashed("department", department) if department else "",
            day=moment.day.isoformat() if moment else "",
            outcome=outcome,
            status=status if status in _STATUSES else "other",
            in_utc=has_time(order.get("authoredOn")) and str(order["authoredOn"]).strip()[-1:] in "Zz",
            together=len(session.orders),
        )

    def _fill(self, row: Row, item: Decided, past: Past, session: Session) -> None:
        chart = item.findings.chart
        named = {entry.reference for ground in item.deciding_grounds for entry in ground.entries}
        named.discard(item.draft.entry.reference)
        row.rule, row.indicator, row.facts = item.decision.rule.id, _indicator(item), _facts(item)
        row.notes = [note.id for note in item.decision.notes]
        row.missing = list(chart.not_available)
        row.unreadable = bool(chart.unreadable or chart.lost)
        row.uncoded = any(not problem.concept.coded for problem in chart.problems)
        row.problems = len(chart.problems)
        row.deciding, row.deciding_changed = len(named), len(named & past.changed)
        row.codes = list(item.draft.codes)
        row.grounds = tracing.grounds(item, session.moment.day)


_NO_MOMENT: Any = moment_of("1900-01-01")


def _either(service: CdsService, other: CdsService, order: Resource) -> bool:
    """Return whether an order is in scope of one of two versions."""
    drafted = [draft(order)]
    return bool(orders_in_scope(service, drafted) or (other is not service and orders_in_scope(other, drafted)))


def _stated(orders: Iterable[Resource]) -> Iterator[str]:
    for order in orders:
        for name in ("reasonReference", "supportingInfo", "reason"):
            listed = order.get(name)
            for item in listed if isinstance(listed, list) else ():
                text = element(item, "reference")
                yield _tail(element(item, "reference.reference") if isinstance(text, Mapping) else text)


def _tail(reference: object) -> str:
    """Return `Type/id` of a reference, however it is written."""
    text = references.plain(reference) if isinstance(reference, str) else ""
    return "/".join(text.split("/")[-2:])


def _department(encounter: Resource) -> str:
    first = encounter.get("location")
    place = element(first[0], "location.reference") if isinstance(first, list) and first else None
    return _tail(element(encounter, "serviceProvider.reference") or place)


def _indicator(item: Decided) -> str:
    return rows.SILENT if item.decision.rule.silent else item.decision.rule.indicator


def _facts(item: Decided) -> list[str]:
    return [f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in item.facts.items()]


def _followed(service: CdsService, item: Decided, chart: _Chart, session: Session) -> bool:
    """Return whether the ordered procedure was done within 90 days of the order."""
    knowledge = service.knowledge
    for entry in chart.resources:
        if entry["resourceType"] == "Procedure" and statuses.word(entry.get("status")) == "completed":
            when = dates.parse(element(entry, "performedPeriod.start") or element(entry, "performedDateTime"))
            if when and timedelta(0) <= when.earliest - session.moment.day <= _DONE_DAYS:
                concept = knowledge.value_sets.of_concept(entry.get("code"))
                if knowledge.orders.kind_of(concept) == item.draft.kind:
                    return True
    return False


def _each_once(patient: str, lines: Iterable[bytes]) -> tuple[list[Resource], list[str]]:
    """Return each resource of a patient once, in a fixed order, and how the copy to use was chosen."""
    copies: dict[tuple[str, str], list[tuple[Resource, bytes]]] = defaultdict(list)
    for line in lines:
        resource = orjson.loads(line)
        identifier = resource.get("id")
        copies[resource["resourceType"], str(identifier or line)].append((_of(patient, resource), line))
    found, kinds = [], Counter[str]()
    for (kind, identifier), same in sorted(copies.items()):
        resource, how = latest_of(same)
        if kind != "Patient" or identifier == patient:
            found.append(resource)
        if len(same) > 1:
            kinds[how] += len(same) - 1
    return found, [f"{how}={number}" for how, number in sorted(kinds.items())]


def _of(patient: str, resource: Resource) -> Resource:
    """Return a resource that names its patient plainly: whose it is was found out, also where patients were merged."""
    for name in ("subject", "patient"):
        subject = resource.get(name)
        if isinstance(subject, dict) and isinstance(subject.get("reference"), str):
            return {**resource, name: {"reference": f"Patient/{patient}"}}
    return resource
