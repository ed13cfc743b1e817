"""From Condition resources to problems that count: status, codes and onset; unreadable elements are named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from cds_service.fhir import dates, elements, statuses
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart, reference_to
from cds_service.fhir.chart_text import plain_line
from cds_service.fhir.concepts import Concept
from cds_service.fhir.dates import FhirDate
from cds_service.fhir.scan import AsSent, SentResource, plain
from cds_service.fhir.shapes import concept_in, listed, present
from cds_service.fhir.statuses import word
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline.findings import Entry, Problem, StatedStatus
from cds_service.limits import MOST_REASONS

_ACTIVE = frozenset({"active", "recurrence", "relapse"})
_RULED_OUT = frozenset({"refuted", "entered-in-error"})
_UNCONFIRMED = frozenset({"unconfirmed", "provisional", "differential"})
_ABATEMENTS = (
    "abatementDateTime", "abatementAge", "abatementPeriod", "abatementRange", "abatementString", "abatementBoolean",
)  # fmt: skip
MOST_WORDS = 80
"""Longest text shown of a chart entry, in characters; the reference identifies the rest."""
_READ = (
    "clinicalStatus", "verificationStatus", "category", "code", "bodySite", "subject", "encounter", "onsetDateTime",
    "onsetAge", "onsetPeriod", "onsetRange", "onsetString", "abatementDateTime", "recordedDate",
)  # fmt: skip


@dataclass(slots=True)
class ConditionsRead:
    """What was read from a list of conditions.

    Attributes:
        problems: those that count or may count, including those in words only.
        unrelated: how many more count but are unrelated to the guideline.
        lost: elements of problems that could not be read.
        unreadable: entries without anything that can be read.
    """

    problems: list[Problem] = field(default_factory=list)
    unrelated: int = 0
    lost: list[Entry] = field(default_factory=list)
    unreadable: list[Entry] = field(default_factory=list)


def read(chart: Chart, value_sets: ValueSets, today: date) -> ConditionsRead:
    """Read the patient's conditions. Unrelated ones cost one look-up each."""
    found = ConditionsRead()
    if chart.patient is not None:
        found.lost += lost_elements(chart.patient, elements.read(chart.patient, ("birthDate",)).lost)
    entries = chart.sent("Condition")
    telling = value_sets.telling(entries)
    chart.count_as_read(len(telling))
    for resource in map(plain, telling):
        if not counts(resource, today):
            continue
        concept = value_sets.of_concept(resource.get("code"))
        if concept.empty:
            found.unreadable.append(entry_of(resource, concept))
            continue
        read_problem = problem(resource, concept, chart, value_sets, today)
        found.problems.append(read_problem)
        found.lost += lost_elements(resource, read_problem.unread)
    if len(telling) < len(entries):
        told = {id(resource) for resource in telling}
        found.unrelated = _counted((resource for resource in entries if id(resource) not in told), today)
    return found


def _counted(conditions: Iterable[AsSent], today: date) -> int:
    """Return how many conditions that say nothing count: the statuses of a chart are the same few."""
    known: dict[tuple[bytes, bytes, bytes], bool | None] = {}
    number = 0
    for resource in conditions:
        if not isinstance(resource, SentResource):
            number += _counts_unread(resource, today)
            continue
        form = (bytes(resource.clinical_status), bytes(resource.verification_status), bytes(resource.category))
        if form not in known:
            stated = statuses.clinical(resource.get("clinicalStatus")) != frozenset()
            known[form] = _counts_unread(resource.whole(), today) if stated else None
        counts_by_status = known[form]
        number += _counts_unread(resource.whole(), today) if counts_by_status is None else counts_by_status
    return number


def _counts_unread(resource: Resource, today: date) -> bool:
    """Return whether an unrelated condition counts: the diagnosis of a visit only if it says that it is active."""
    status = _status(resource, today)
    if status is StatedStatus.ACTIVE:
        return True
    return status is StatedStatus.ABSENT and not _is_visit(resource.get("category"))


def problem(resource: Resource, concept: Concept, chart: Chart, value_sets: ValueSets, today: date) -> Problem:
    """Read one condition that counts or may count, and name its unreadable elements."""
    reading = elements.read(resource, _READ)
    read = reading.resource
    return Problem(
        entry=entry_of(resource, concept),
        concept=concept,
        onset=_onset(read, chart),
        recorded=dates.parse(read.get("recordedDate")),
        onset_words=_onset_words(read),
        visit=_is_visit(read.get("category")),
        encounter=reference_in(read.get("encounter")),
        status=_status(resource, today) or StatedStatus.ABSENT,
        unconfirmed=bool((statuses.verification(resource.get("verificationStatus")) or frozenset()) & _UNCONFIRMED),
        sites=tuple(value_sets.of_concept(site) for site in listed(read.get("bodySite"))[:MOST_REASONS]),
        unread=tuple(dict.fromkeys((*reading.lost, *(["code.coding.code"] if concept.code_unread else [])))),
        abated=_abated(resource, today) is True,
    )


def _onset_words(resource: Resource) -> str:
    """Return an onset that is not a date: its text, or the ends of its range."""
    words = resource.get("onsetString")
    if isinstance(words, str):
        return plain_line(words)
    span = resource.get("onsetRange")
    if not isinstance(span, dict):
        return ""
    ends = (span.get(end) for end in ("low", "high"))
    named = (f"{end.get('value')} {end.get('unit') or end.get('code') or ''}" for end in ends if isinstance(end, dict))
    return plain_line(" to ".join(named))


def _is_visit(categories: object) -> bool:
    """Return whether a condition is the diagnosis of a visit and not also on the problem list."""
    codes = {
        word(coding.get("code"))
        for concept in listed(categories)[:MOST_REASONS]
        for coding in listed(concept_in(concept).get("coding"))[:MOST_REASONS]
    }
    return "encounter-diagnosis" in codes and "problem-list-item" not in codes


def reference_in(value: object) -> str:
    """Return the target of a Reference as `Type/id`, however it is written, or ""."""
    reference = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(reference, str):
        return ""
    return "/".join(reference.strip().rstrip("/").split("/_history/", 1)[0].rsplit("/", 2)[-2:])


def unread_status(resource: Resource) -> list[Entry]:
    """Return the status element if it is present but unreadable, for resources whose status is a code."""
    status = resource.get("status")
    unread = not word(status) and present(status) is not None
    return lost_elements(resource, ["status"]) if unread else []


def lost_elements(resource: Resource, lost: Iterable[str]) -> list[Entry]:
    """Return unreadable elements, each with its entry."""
    reference = reference_to(resource)
    return [Entry(reference, name) for name in lost]


def counts(resource: Resource, today: date) -> bool:
    """Return whether a condition is active, as far as can be read, and not ruled out."""
    return _status(resource, today) is not None


def _status(resource: Resource, today: date) -> StatedStatus | None:
    """Return whether a condition states that it is active; None when it is over or ruled out.

    A condition without a clinical status counts unless it has abated. If the abatement is not a date, that is unknown.
    """
    if (statuses.verification(resource.get("verificationStatus")) or frozenset()) & _RULED_OUT:
        return None
    status = statuses.clinical(resource.get("clinicalStatus"))
    if status is None:
        return StatedStatus.UNREADABLE
    if status:
        return StatedStatus.ACTIVE if status & _ACTIVE else None
    abated = _abated(resource, today)
    if abated is None:
        return StatedStatus.UNREADABLE
    return None if abated else StatedStatus.ABSENT


def entry_of(resource: Resource, concept: Concept) -> Entry:
    """Return a chart entry: its reference, and its text or, without text, its code."""
    return Entry(reference_to(resource), shown(concept.words or _first_code(resource.get("code")) or "no words given"))


def shown(words: str) -> str:
    """Return the text of a chart entry, cut to what cards show."""
    return words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 3] + "..."


def _abated(resource: Resource, today: date) -> bool | None:
    """Return whether a condition has ended by today; None when its abatement cannot be read."""
    abatement = next((found for name in _ABATEMENTS if (found := present(resource.get(name))) is not None), None)
    if abatement is None or abatement is False:
        return False
    when = dates.parse(resource.get("abatementDateTime"))
    if when is None and present(resource.get("abatementDateTime")):
        return None
    return when is None or when.earliest <= today


def _first_code(concept: object) -> str:
    codes = (coding.get("code") for coding in listed(concept_in(concept).get("coding")))
    return next((plain_line(str(code)) for code in codes if isinstance(code, str | int) and code), "")


def _onset(resource: Resource, chart: Chart) -> FhirDate | None:
    """Return when a condition began; onsetString and onsetRange are not dates."""
    period = resource.get("onsetPeriod")
    when = dates.parse(resource.get("onsetDateTime"))
    if when is None and isinstance(period, dict):
        when = dates.parse(period.get("start"))
    return when or _onset_by_age(resource.get("onsetAge"), chart)


def _onset_by_age(age: object, chart: Chart) -> FhirDate | None:
    if not isinstance(age, dict):
        return None
    birth = dates.parse((chart.patient or {}).get("birthDate"))
    if birth is None:
        return None
    value = age.get("value")
    return dates.at_age(birth, value, age.get("code")) or dates.at_age(birth, value, age.get("unit"))
