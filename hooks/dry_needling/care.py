"""Procedures, service requests and care plans to what was done and what is active: needling, ablation, exercise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from cds_service.bounds import MOST_COMPONENTS
from cds_service.fhir import dates, elements
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart, reference_to
from cds_service.fhir.dates import FhirDate
from cds_service.fhir.shapes import in_r4, listed
from cds_service.fhir.statuses import is_true, word
from hooks.dry_needling.diagnoses import entry_of, lost_elements, shown
from hooks.dry_needling.findings import Entry, Modality, Session
from hooks.dry_needling.guideline import Guideline

_THERAPY = "active-therapy"
_ABLATION = "lumbar-radiofrequency-ablation"
_READ_PROCEDURE = ("status", "code", "performedDateTime", "performedPeriod")
_READ_REQUEST = ("status", "intent", "code", "doNotPerform")
_READ_PLAN = ("status", "intent", "category", "activity")
_ENDED_ACTIVITY = ("cancelled", "stopped", "completed", "entered-in-error", "not-started")


@dataclass(slots=True)
class CareRead:
    """What became of procedures, requests and plans."""

    sessions: list[Session] = field(default_factory=list)
    ablations: list[Entry] = field(default_factory=list)
    care_tried: list[Entry] = field(default_factory=list)
    active_therapy: list[Entry] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)
    unreadable: list[Entry] = field(default_factory=list)


def read(chart: Chart, guideline: Guideline, drafts: Iterable[Resource], today: date) -> CareRead:
    """Read care that was given, and care that is active or ordered in the same session.

    Args:
        drafts: the draft orders that count as orders, selected or not.
    """
    found = CareRead()
    therapies = [*_read_procedures(chart, guideline, today, found), *_read_requests(chart, guideline, found)]
    for draft in drafts:
        if _is(_THERAPY, draft, guideline):
            found.active_therapy.append(_entry(draft, guideline))
    found.active_therapy += _planned(chart, guideline, found)
    _read_latest_therapy(therapies, guideline, found)
    return found


_Dated = tuple[str, Resource]
"""A therapy and its date as written: enough to find the latest."""


def _is(value_set: str, resource: Resource, guideline: Guideline) -> bool:
    return value_set in guideline.value_sets.of_concept(resource.get("code")).value_sets


def _read_procedures(chart: Chart, guideline: Guideline, today: date, found: CareRead) -> Iterator[_Dated]:
    """Read needling sessions and ablations; yield the therapies.

    Words count only for a procedure that has no code of a system we know: history is long, and coded.
    """
    for sent in chart.entries("Procedure", guideline.value_sets.meaningful):
        resource = in_r4(sent)
        status = word(resource.get("status"))
        if status not in ("completed", "in-progress"):
            continue
        concept = guideline.value_sets.of_concept(resource.get("code"))
        if _THERAPY in concept.value_sets:
            yield _written(resource.get("performedDateTime"), resource.get("performedPeriod")), resource
        elif status == "completed" and _ABLATION in concept.value_sets:
            _read_entry(resource, _READ_PROCEDURE, guideline, found.ablations, found.lost)
        elif status == "completed" and (modality := guideline.modality(concept)) is not Modality.NONE:
            _read_session(resource, modality, guideline, today, found)


def _read_requests(chart: Chart, guideline: Guideline, found: CareRead) -> Iterator[_Dated]:
    """Read therapies that are active on request; yield all that were ordered, as care that was tried."""
    for request in chart.entries("ServiceRequest"):
        status = word(request.get("status"))
        if status not in ("active", "completed") or is_true(request.get("doNotPerform")):
            continue
        if not _is(_THERAPY, request, guideline):
            continue
        if status == "active" and not found.active_therapy:
            _read_entry(request, _READ_REQUEST, guideline, found.active_therapy, found.lost)
        yield _written(request.get("authoredOn")), request


def _read_session(resource: Resource, modality: Modality, guideline: Guideline, today: date, found: CareRead) -> None:
    """Read one completed session. A partial date is read so that it never lengthens the span between sessions."""
    entry = _entry(resource, guideline)
    reading = elements.read(resource, _READ_PROCEDURE)
    found.lost += lost_elements(resource, reading.lost)
    first, last = _performed(reading.resource)
    if first is None or last is None or first.earliest > today:
        found.unreadable.append(entry)
        return
    begin = min(first.latest, today)
    found.sessions.append(Session(entry, modality, begin, max(begin, min(last.earliest, today))))


def _performed(resource: Resource) -> tuple[FhirDate | None, FhirDate | None]:
    """Return the first and the last day of a procedure; both the same when only one is given."""
    when = dates.parse(resource.get("performedDateTime"))
    if when is not None:
        return when, when
    period = resource.get("performedPeriod")
    if not isinstance(period, dict):
        return None, None
    start, end = dates.parse(period.get("start")), dates.parse(period.get("end"))
    return start or end, end or start


def _read_latest_therapy(therapies: list[_Dated], guideline: Guideline, found: CareRead) -> None:
    """Keep the latest therapy: one is enough to say that care was tried."""
    if therapies:
        _, resource = max(therapies, key=_latest)
        names = _READ_PROCEDURE if resource["resourceType"] == "Procedure" else _READ_REQUEST
        _read_entry(resource, names, guideline, found.care_tried, found.lost)


def _latest(item: _Dated) -> tuple[str, str]:
    written, resource = item
    return written, reference_to(resource)


def _written(when: object, period: object = None) -> str:
    if when is None and isinstance(period, dict):
        when = period.get("start") or period.get("end")
    return when if isinstance(when, str) else ""


def _planned(chart: Chart, guideline: Guideline, found: CareRead) -> Iterator[Entry]:
    """Yield the exercise and physical therapy of active care plans."""
    for plan in chart.entries("CarePlan"):
        if word(plan.get("status")) != "active":
            continue
        if any(
            isinstance(plan.get(name), list) and len(plan[name]) > MOST_COMPONENTS for name in ("category", "activity")
        ):
            found.unreadable.append(Entry(reference_to(plan), "care plan"))
            continue
        concepts = [
            concept
            for concept in _plan_concepts(plan)
            if _THERAPY in guideline.value_sets.of_concept(concept).value_sets
        ]
        if not concepts:
            continue
        words = guideline.value_sets.of_concept(concepts[0]).words
        found.lost += lost_elements(plan, elements.read(plan, _READ_PLAN).lost)
        yield Entry(reference_to(plan), shown(words or "care plan"))


def _plan_concepts(plan: Resource) -> Iterator[object]:
    yield from listed(plan.get("category"))
    for activity in listed(plan.get("activity")):
        detail = activity.get("detail")
        if isinstance(detail, dict) and word(detail.get("status")) not in _ENDED_ACTIVITY:
            yield detail.get("code")


def _entry(resource: Resource, guideline: Guideline) -> Entry:
    return entry_of(resource, guideline.value_sets.of_concept(resource.get("code")))


def _read_entry(
    resource: Resource, names: tuple[str, ...], guideline: Guideline, kept: list[Entry], lost: list[Entry]
) -> None:
    kept.append(_entry(resource, guideline))
    lost += lost_elements(resource, elements.read(resource, names).lost)
