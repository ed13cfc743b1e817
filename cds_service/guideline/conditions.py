"""Condition resources to problems that count: status, codes and onset; what cannot be read is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cds_service.fhir import dates, elements, statuses
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart, reference_to
from cds_service.fhir.chart_text import plain_line
from cds_service.fhir.dates import FhirDate
from cds_service.fhir.shapes import concept_in, listed, present
from cds_service.fhir.statuses import word
from cds_service.fhir.value_sets import Concept, ValueSets
from cds_service.guideline.findings import Entry, Problem, StatedStatus
from cds_service.limits import MOST_REASONS

_ACTIVE = frozenset({"active", "recurrence", "relapse"})
_RULED_OUT = frozenset({"refuted", "entered-in-error"})
_UNCONFIRMED = frozenset({"unconfirmed", "provisional", "differential"})
_ABATEMENTS = ("abatementDateTime", "abatementAge", "abatementPeriod", "abatementRange", "abatementString")
MOST_WORDS = 80
"""Characters of a chart entry's own words that are shown; the reference names the rest."""
_READ = (
    "verificationStatus", "code", "onsetDateTime", "onsetAge", "onsetPeriod", "onsetRange",
    "onsetString", "recordedDate",
)  # fmt: skip


class UnreadableEntry(Exception):
    """What decides about an entry cannot be read; the entry is skipped, counted and named."""


@dataclass(slots=True)
class ConditionsRead:
    """What became of a list of conditions.

    Attributes:
        problems: those that count, those in mere words too.
        lost: elements of them that could not be read.
        unreadable: entries of which what decides could not be read.
    """

    problems: list[Problem] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)
    unreadable: list[Entry] = field(default_factory=list)


def read(chart: Chart, value_sets: ValueSets, today: date) -> ConditionsRead:
    """Read the patient's conditions. Those that say nothing to the guideline cost one look-up each."""
    found = ConditionsRead()
    if chart.patient is not None:
        found.lost += lost_elements(chart.patient, elements.read(chart.patient, ("birthDate",)).lost)
    for resource in chart.entries("Condition", value_sets.telling):
        concept = value_sets.of_concept(resource.get("code"))
        try:
            if not counts(resource, today):
                continue
            unreadable = concept.empty
        except UnreadableEntry:
            unreadable = True
        if unreadable:
            found.unreadable.append(entry_of(resource, concept))
            continue
        read_problem = problem(resource, concept, chart, value_sets)
        found.problems.append(read_problem)
        found.lost += lost_elements(resource, read_problem.unread)
    return found


def problem(resource: Resource, concept: Concept, chart: Chart, value_sets: ValueSets) -> Problem:
    """Read one condition that counts; what of it could not be read is named in it."""
    reading = elements.read(resource, _READ)
    read = reading.resource
    words = read.get("onsetString")
    categories = frozenset(word(coding.get("code")) for coding in _codings(read.get("category")))
    return Problem(
        entry=entry_of(resource, concept),
        concept=concept,
        onset=_onset(read, chart),
        recorded=dates.parse(read.get("recordedDate")),
        onset_words=plain_line(words) if isinstance(words, str) else "",
        visit="encounter-diagnosis" in categories and "problem-list-item" not in categories,
        encounter=_reference(read.get("encounter")),
        status=StatedStatus.ACTIVE if statuses.clinical(resource.get("clinicalStatus")) else StatedStatus.ABSENT,
        unconfirmed=bool((statuses.verification(resource.get("verificationStatus")) or frozenset()) & _UNCONFIRMED),
        sites=tuple(value_sets.of_concept(site) for site in listed(read.get("bodySite"))[:MOST_REASONS]),
        unread=tuple(dict.fromkeys((*reading.lost, *(["code.coding.code"] if concept.code_unread else [])))),
    )


def _codings(concepts: object) -> Iterator[dict[str, Any]]:
    for concept in listed(concepts)[:MOST_REASONS]:
        yield from listed(concept_in(concept).get("coding"))[:MOST_REASONS]


def _reference(value: object) -> str:
    reference = value.get("reference") if isinstance(value, dict) else None
    return reference if isinstance(reference, str) else ""


def unread_status(resource: Resource) -> list[Entry]:
    """Name the status of a resource whose status is one code, if it is there and cannot be read."""
    status = resource.get("status")
    unread = not word(status) and present(status) is not None
    return lost_elements(resource, ["status"]) if unread else []


def lost_elements(resource: Resource, lost: Iterable[str]) -> list[Entry]:
    """Name elements that could not be read, each with its entry."""
    reference = reference_to(resource)
    return [Entry(reference, name) for name in lost]


def counts(resource: Resource, today: date) -> bool:
    """Tell whether a condition is active and not ruled out.

    A condition without a clinical status counts, unless it has abated.

    Raises:
        UnreadableEntry: the clinical status says nothing we know, or it is absent and the day of abatement is no date.
    """
    if (statuses.verification(resource.get("verificationStatus")) or frozenset()) & _RULED_OUT:
        return False
    status = statuses.clinical(resource.get("clinicalStatus"))
    if status is None:
        raise UnreadableEntry(reference_to(resource))
    return bool(status & _ACTIVE) if status else not _abated(resource, today)


def entry_of(resource: Resource, concept: Concept) -> Entry:
    """Name a chart entry: its reference and its own words, or its code for want of words."""
    return Entry(reference_to(resource), shown(concept.words or _first_code(resource.get("code")) or "no words given"))


def shown(words: str) -> str:
    """Return words of a chart entry, cut to what cards show."""
    return words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 3] + "..."


def _abated(resource: Resource, today: date) -> bool:
    abatement = next((found for name in _ABATEMENTS if (found := present(resource.get(name))) is not None), None)
    if abatement is None:
        return False
    when = dates.parse(resource.get("abatementDateTime"))
    if when is None and present(resource.get("abatementDateTime")):
        raise UnreadableEntry(reference_to(resource))
    return when is None or when.earliest <= today


def _first_code(concept: object) -> str:
    codes = (coding.get("code") for coding in listed(concept_in(concept).get("coding")))
    return next((plain_line(str(code)) for code in codes if isinstance(code, str | int) and code), "")


def _onset(resource: Resource, chart: Chart) -> FhirDate | None:
    """Return when a condition began; onsetString and onsetRange say nothing that can be computed with."""
    period = resource.get("onsetPeriod")
    when = dates.parse(resource.get("onsetDateTime"))
    if when is None and isinstance(period, dict):
        when = dates.parse(period.get("start"))
    return when or _onset_by_age(resource.get("onsetAge"), chart)


def _onset_by_age(age: object, chart: Chart) -> FhirDate | None:
    birth = dates.parse((chart.patient or {}).get("birthDate"))
    if birth is None or not isinstance(age, dict):
        return None
    value = age.get("value")
    return dates.at_age(birth, value, age.get("code")) or dates.at_age(birth, value, age.get("unit"))
