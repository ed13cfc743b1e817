"""From procedures, service requests and care plans to care: sessions, treatments, and therapy done or active."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from cds_service.fhir import dates, elements
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart, reference_to
from cds_service.fhir.concepts import Concept
from cds_service.fhir.dates import FhirDate
from cds_service.fhir.scan import AsSent, plain
from cds_service.fhir.shapes import in_r4, listed
from cds_service.fhir.statuses import is_true, word
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline.conditions import entry_of, lost_elements, shown, unread_status
from cds_service.guideline.findings import Entry, Session
from cds_service.guideline.orders import OrderKinds
from cds_service.limits import MOST_COMPONENTS

_READ_PROCEDURE = ("status", "code", "bodySite", "performedDateTime", "performedPeriod")
_PERFORMED = ("performedDateTime", "performedPeriod")
_READ_REQUEST = ("status", "intent", "code", "doNotPerform")
_READ_PLAN = ("status", "intent", "category", "activity")
_PLAN_LISTS = ("category", "activity")
_NEVER_BEGAN = ("cancelled", "entered-in-error", "not-started")
_OVER = ("completed", "stopped", "on-hold")


@dataclass(frozen=True, slots=True)
class CareSought:
    """The care that a guideline looks for.

    Attributes:
        kinds: the kinds of orders whose completed sessions are read.
        therapy: value set of therapies that may be active.
        tried: value set of care that may have been tried; therapies that are over count too.
        words: phrase list that names a therapy as an activity of a care plan; "" for none.
        treatment: value set of one more treatment that may have been done; "" for none.
    """

    kinds: OrderKinds
    therapy: str
    tried: str
    words: str = ""
    treatment: str = ""


@dataclass(slots=True)
class CareRead:
    """What was read from procedures, requests and plans."""

    sessions: list[Session] = field(default_factory=list)
    treated: list[Entry] = field(default_factory=list)
    care_tried: list[Entry] = field(default_factory=list)
    active_therapy: list[Entry] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)
    unreadable: list[Entry] = field(default_factory=list)


def read(chart: Chart, value_sets: ValueSets, sought: CareSought, drafts: Iterable[Resource], today: date) -> CareRead:
    """Read care that was completed, and care that is active or ordered in the same session.

    Args:
        chart: the patient's.
        value_sets: the guideline's.
        sought: what to look for.
        drafts: the draft orders that count as orders, selected or not.
        today: sessions in the future are unreadable.
    """
    reader = _Reader(value_sets, sought, today)
    therapies = [*reader.procedures(chart), *reader.requests(chart)]
    for draft in drafts:
        if reader.is_therapy(draft.get("code")):
            reader.found.active_therapy.append(reader.entry(draft))
    reader.found.active_therapy += reader.planned(chart)
    reader.keep_latest(therapies)
    return reader.found


_Dated = tuple[str, AsSent]
"""A therapy with its date as written, which is enough to find the latest."""


class _Reader:
    """Reads one chart for one guideline and collects the findings."""

    def __init__(self, value_sets: ValueSets, sought: CareSought, today: date) -> None:
        self.found = CareRead()
        self._value_sets = value_sets
        self._sought = sought
        self._tried = frozenset({sought.therapy, sought.tried})
        self._today = today

    def is_therapy(self, concept: object) -> bool:
        """Return whether a concept is a therapy that is looked for."""
        return self._sought.therapy in self._value_sets.of_concept(concept).value_sets

    def was_tried(self, concept: Concept) -> bool:
        """Return whether a concept is care that may have been tried."""
        return not self._tried.isdisjoint(concept.value_sets)

    def entry(self, resource: Resource) -> Entry:
        """Name a chart entry by its code."""
        return entry_of(resource, self._value_sets.of_concept(resource.get("code")))

    def procedures(self, chart: Chart) -> Iterator[_Dated]:
        """Read sessions and treatments; yield the therapies.

        Words count only for a procedure without a code of a known system, because histories are long and coded.
        """
        for sent in chart.sent("Procedure", self._value_sets.meaningful):
            concept = self._value_sets.of_sent(sent)
            status = word(sent.get("status"))
            done = status in ("completed", "in-progress")
            if done and self.was_tried(concept) and (when := _written(*map(sent.get, _PERFORMED))):
                yield when, sent
                continue
            resource = in_r4(plain(sent))
            if not done:
                self.found.lost += unread_status(resource) if concept.value_sets else []
            elif self.was_tried(concept):
                yield _written(*map(resource.get, _PERFORMED)), resource
            elif status == "completed" and self._sought.treatment in concept.value_sets:
                self._keep(resource, _READ_PROCEDURE, self.found.treated)
            elif status == "completed" and (kind := self._sought.kinds.kind_of(concept)):
                self._read_session(resource, kind, concept)

    def requests(self, chart: Chart) -> Iterator[_Dated]:
        """Read requests for therapies: collect active ones, and yield all, as care that was tried."""
        for request in chart.entries("ServiceRequest"):
            status = word(request.get("status"))
            if status not in ("", "active", "completed", "on-hold") or is_true(request.get("doNotPerform")):
                continue
            if not self.was_tried(self._value_sets.of_concept(request.get("code"))):
                continue
            if not status:
                self.found.lost += unread_status(request)
                continue
            if status == "active" and not self.found.active_therapy and self.is_therapy(request.get("code")):
                self._keep(request, _READ_REQUEST, self.found.active_therapy)
            yield _written(request.get("authoredOn")), request

    def _read_session(self, resource: Resource, kind: str, concept: Concept) -> None:
        """Read one completed session. A partial date never lengthens the time between sessions."""
        entry = self.entry(resource)
        reading = elements.read(resource, _READ_PROCEDURE)
        self.found.lost += lost_elements(resource, reading.lost)
        first, last = _performed(reading.resource)
        if first is None or last is None or first.earliest > self._today:
            self.found.unreadable.append(entry)
            return
        begin = min(first.latest, self._today)
        end = max(begin, min(last.earliest, self._today))
        sites = listed(reading.resource.get("bodySite"))[:MOST_COMPONENTS]
        places = tuple(self._value_sets.of_concept(site) for site in sites)
        self.found.sessions.append(Session(entry, kind, begin, end, concept, places))

    def keep_latest(self, therapies: list[_Dated]) -> None:
        """Keep the latest therapy, because one is enough to say that care was tried."""
        if therapies:
            latest = max(written for written, _ in therapies)
            resource = max((in_r4(plain(found)) for written, found in therapies if written == latest), key=reference_to)
            names = _READ_PROCEDURE if resource["resourceType"] == "Procedure" else _READ_REQUEST
            self._keep(resource, names, self.found.care_tried)

    def planned(self, chart: Chart) -> Iterator[Entry]:
        """Yield the therapies of active care plans; those that are over or on hold count as care that was tried."""
        for plan in chart.entries("CarePlan", _begun):
            status = word(plan.get("status"))
            if any(isinstance(found := plan.get(name), list) and len(found) > MOST_COMPONENTS for name in _PLAN_LISTS):
                self.found.unreadable.append(Entry(reference_to(plan), "care plan"))
                continue
            active, over = self._activities(plan)
            if not (active or over):
                continue
            self.found.lost += lost_elements(plan, elements.read(plan, _READ_PLAN).lost)
            if active and status == "active":
                yield Entry(reference_to(plan), shown(active[0].words or "care plan"))
            else:
                self.found.care_tried.append(Entry(reference_to(plan), shown((active or over)[0].words or "care plan")))

    def _activities(self, plan: Resource) -> tuple[list[Concept], list[Concept]]:
        """Return a plan's active therapies, and those that are over or on hold."""
        active: list[Concept] = []
        over: list[Concept] = []
        for status, concept in _plan_concepts(plan):
            read = self._value_sets.of_concept(concept)
            if self._sought.therapy in read.value_sets or self._sought.words in read.said:
                (over if status in _OVER else active).append(read)
        return active, over

    def _keep(self, resource: Resource, names: tuple[str, ...], kept: list[Entry]) -> None:
        kept.append(self.entry(resource))
        self.found.lost += lost_elements(resource, elements.read(resource, names).lost)


def _performed(resource: Resource) -> tuple[FhirDate | None, FhirDate | None]:
    """Return the first and last day of a procedure, equal when only one is given."""
    when = dates.parse(resource.get("performedDateTime"))
    if when is not None:
        return when, when
    period = resource.get("performedPeriod")
    if not isinstance(period, dict):
        return None, None
    start, end = dates.parse(period.get("start")), dates.parse(period.get("end"))
    return start or end, end or start


def _written(when: object, period: object = None) -> str:
    if when is None and isinstance(period, dict):
        when = period.get("start") or period.get("end")
    return when if isinstance(when, str) else ""


def _begun(plans: Sequence[AsSent]) -> Sequence[AsSent]:
    return [plan for plan in plans if word(plan.get("status")) in ("active", "completed", "on-hold")]


def _plan_concepts(plan: Resource) -> Iterator[tuple[str, object]]:
    """Yield a plan's categories and activities with their status, except activities that never began."""
    yield from (("", category) for category in listed(plan.get("category")))
    for activity in listed(plan.get("activity")):
        detail = activity.get("detail")
        if isinstance(detail, dict) and (status := word(detail.get("status"))) not in _NEVER_BEGAN:
            yield status, detail.get("code")
