"""Condition resources to problems that count: status, meaning and onset; what cannot be read is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from cds_service.fhir import dates, elements, statuses
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart, reference_to
from cds_service.fhir.chart_text import plain_line
from cds_service.fhir.dates import FhirDate
from cds_service.fhir.shapes import concept_in, listed, present
from cds_service.fhir.value_sets import Concept
from hooks.dry_needling.findings import Entry, Meaning, Onset, Problem
from hooks.dry_needling.guideline import Guideline

_ACTIVE = frozenset({"active", "recurrence", "relapse"})
_RULED_OUT = frozenset({"refuted", "entered-in-error"})
_UNCONFIRMED = frozenset({"unconfirmed", "provisional", "differential"})
_MEANINGS = {str(meaning): meaning for meaning in Meaning}
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
class DiagnosesRead:
    """What became of a list of conditions."""

    problems: list[Problem] = field(default_factory=list)
    uncoded: list[Entry] = field(default_factory=list)
    coded_elsewhere: list[Entry] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)
    unreadable: list[Entry] = field(default_factory=list)


def read(chart: Chart, guideline: Guideline, today: date) -> DiagnosesRead:
    """Read the patient's conditions. Those that mean nothing to the decision cost one look-up each."""
    found = DiagnosesRead()

    for resource in chart.entries("Condition", guideline.value_sets.telling):
        concept = guideline.value_sets.of_concept(resource.get("code"))
        meanings = meanings_of(concept)
        entry = entry_of(resource, concept)
        try:
            if not counts(resource, today):
                continue
        except UnreadableEntry:
            found.unreadable.append(entry)
            continue
        if meanings:
            read_problem, lost = problem(resource, concept, meanings, chart)
            found.problems.append(read_problem)
            found.lost += lost
        elif concept.coded_elsewhere:
            found.coded_elsewhere.append(entry)
        else:
            (found.uncoded if concept.texts else found.unreadable).append(entry)
    return found


def meanings_of(concept: Concept) -> frozenset[Meaning]:
    """Return what a diagnosis means: by its value sets, by facet words, or that it is something else."""
    meanings = frozenset(_MEANINGS[name] for name in concept.value_sets | concept.said if name in _MEANINGS)
    return meanings or (frozenset({Meaning.SOMETHING_ELSE}) if concept.coded else frozenset())


def problem(
    resource: Resource, concept: Concept, meanings: frozenset[Meaning], chart: Chart
) -> tuple[Problem, list[Entry]]:
    """Read one condition that counts, and return it with the elements that could not be read."""
    reading = elements.read(resource, _READ)
    unconfirmed = bool((statuses.verification(resource.get("verificationStatus")) or frozenset()) & _UNCONFIRMED)
    read_problem = Problem(entry_of(resource, concept), meanings, _onset(reading.resource, chart), unconfirmed)
    return read_problem, lost_elements(resource, reading.lost)


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


def _onset(resource: Resource, chart: Chart) -> Onset | None:
    """Return when a condition began; onsetString and onsetRange say nothing that can be computed with."""
    period = resource.get("onsetPeriod")
    when = dates.parse(resource.get("onsetDateTime"))
    if when is None and isinstance(period, dict):
        when = dates.parse(period.get("start"))
    if when is None:
        when = _onset_by_age(resource.get("onsetAge"), chart)
    if when is not None:
        return Onset(when.earliest, when.latest, when.words)
    recorded = dates.parse(resource.get("recordedDate"))
    if recorded is None:
        return None
    return Onset(recorded.earliest, recorded.latest, recorded.words, at_least=True)


def _onset_by_age(age: object, chart: Chart) -> FhirDate | None:
    birth = dates.parse((chart.patient or {}).get("birthDate"))
    if birth is None or not isinstance(age, dict):
        return None
    return dates.at_age(birth, age.get("value"), age.get("code") or age.get("unit"))
