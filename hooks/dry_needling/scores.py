"""Observation resources to pain scores in points from 0 to 10, read only where the decision looks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from cds_service.bounds import MOST_COMPONENTS
from cds_service.fhir import dates
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart, reference_to
from cds_service.fhir.conformance import UnreadableEntry, check
from cds_service.fhir.dates import FhirDate
from cds_service.fhir.systems import LOINC
from hooks.dry_needling.durations import BASELINE_WINDOW, TWELVE_WEEKS
from hooks.dry_needling.findings import Entry, PainScore, Session
from hooks.dry_needling.guideline import Guideline

_COUNTED = ("final", "amended", "corrected", "preliminary")
_NUMBER = re.compile(r"\s*(\d{1,3}(?:\.\d+)?)\s*(?:/\s*(10|100))?\s*", re.ASCII)
_MILLIMETRES = frozenset({"mm", "millimeter", "millimeters", "millimetre", "millimetres"})
_OUT_OF_100 = frozenset({"/100", "{score}/100", "out of 100", "0-100"})
_READ = (
    "status", "code", "component", "effectiveDateTime", "effectiveInstant", "effectivePeriod", "issued",
    "valueQuantity", "valueInteger", "valueCodeableConcept", "valueString", "referenceRange",
)  # fmt: skip

Window = tuple[date, date]


def windows(sessions: Sequence[Session], today: date) -> tuple[Window, ...]:
    """Return the spans of days in which a score can matter: the baseline's, and those around earlier needling."""
    found = [(today - BASELINE_WINDOW, today)]
    for modality in {session.modality for session in sessions}:
        same = [session for session in sessions if session.modality is modality]
        first, last = min(s.first for s in same), max(s.last for s in same)
        found += [(_back(first, TWELVE_WEEKS), first), (last, min(today, last + TWELVE_WEEKS))]
    return tuple(found)


def _back(day: date, span: timedelta) -> date:
    return day - span if day - date.min > span else date.min


def read(chart: Chart, guideline: Guideline, spans: Sequence[Window]) -> tuple[list[PainScore], list[Entry]]:
    """Read the pain scores that fall into one of the spans.

    Returns:
        The scores, and the entries that could not be read: undated, on no known scale, with too many components, or not
        conforming to FHIR.
    """
    scores: list[PainScore] = []
    unreadable: list[Entry] = []
    earliest = min(first for first, _ in spans).isoformat()

    def may_matter(resources: Sequence[Resource]) -> Sequence[Resource]:
        """Leave out what is long past, as a comparison of the written dates shows, and what is no pain score."""
        recent = [
            resource
            for resource in resources
            if not isinstance(taken := resource.get("effectiveDateTime"), str) or taken[:10] >= earliest[: len(taken)]
        ]
        panels = [resource for resource in recent if "component" in resource]
        return panels + guideline.value_sets.meaningful([one for one in recent if "component" not in one])

    for resource in chart.entries("Observation", may_matter):
        components = resource.get("component")
        too_many = isinstance(components, list) and len(components) > MOST_COMPONENTS
        parts = tuple(_score_parts(resource, guideline))
        if not (parts or too_many) or resource.get("status") not in _COUNTED:
            continue
        entry = Entry(reference_to(resource), "pain score")
        when = _taken(resource)
        if when is not None and not any(first <= when.earliest <= last for first, last in spans):
            continue
        if when is None or too_many:
            unreadable.append(entry)
            continue
        try:
            check(resource, _READ)
            found = [_points(part, guideline) for part in parts]
        except UnreadableEntry:
            unreadable.append(entry)
        else:
            scores += [PainScore(entry, points, when.earliest, when.instant) for points in found if points is not None]
    return scores, unreadable


def _score_parts(resource: Resource, guideline: Guideline) -> Iterator[Resource]:
    """Yield the observation itself or those of its components that are pain scores."""
    if "pain-score" in guideline.value_sets.of_concept(resource.get("code")).value_sets:
        yield resource
    components = resource.get("component")
    for component in components[:MOST_COMPONENTS] if isinstance(components, list) else ():
        concept = guideline.value_sets.of_concept(component.get("code") if isinstance(component, dict) else None)
        if "pain-score" in concept.value_sets:
            yield component


def _taken(resource: Resource) -> FhirDate | None:
    period = resource.get("effectivePeriod")
    for text in (
        resource.get("effectiveDateTime"),
        resource.get("effectiveInstant"),
        *((period.get("start"), period.get("end")) if isinstance(period, dict) else ()),
        resource.get("issued"),
    ):
        if (when := dates.parse(text)) is not None:
            return when
    return None


def _points(part: Resource, guideline: Guideline) -> float | None:
    """Return a score on the scale of 0 to 10 points; None when no value was recorded.

    Millimetres and values on a documented scale of 0 to 100 are divided by 10.

    Raises:
        UnreadableEntry: there is a value, but it fits no scale.
    """
    quantity = part.get("valueQuantity")
    concept = part.get("valueCodeableConcept")
    text = part.get("valueString")
    number: object = part.get("valueInteger")
    out_of_100 = _range_ends_at_100(part)
    if isinstance(quantity, dict):
        if quantity.get("comparator"):  # "more than 7" is no point on a scale
            raise UnreadableEntry("value")
        number = quantity.get("value")
        units = {u.strip().lower() for u in (quantity.get("code"), quantity.get("unit")) if isinstance(u, str)}
        out_of_100 = out_of_100 or bool(units & (_MILLIMETRES | _OUT_OF_100))
        if units & {"%", "percent"}:
            raise UnreadableEntry("value")
    elif isinstance(concept, dict):
        number = _answer(concept, guideline)
        if number is None:
            text = guideline.value_sets.of_concept(concept).words
    if number is None and isinstance(text, str) and (match := _NUMBER.fullmatch(text)):
        number, out_of_100 = float(match[1]), out_of_100 or match[2] == "100"
    if number is None and not (concept or text):
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise UnreadableEntry("value")
    points = number / 10 if out_of_100 else float(number)
    if not 0 <= points <= 10:
        raise UnreadableEntry("value")
    return points


def _answer(concept: Resource, guideline: Guideline) -> float | None:
    """Return the points of a LOINC answer code."""
    answers = guideline.value_sets.displays["pain-score-answers"]
    codings = concept.get("coding")
    for coding in codings if isinstance(codings, list) else ():
        if not isinstance(coding, dict) or not isinstance(code := coding.get("code"), str):
            continue
        if "pain-score-answers" in (guideline.value_sets.of_code(coding.get("system"), code) or ()):
            return float(answers[LOINC, code.strip().upper()])
    return None


def _range_ends_at_100(part: Resource) -> bool:
    ranges = part.get("referenceRange")
    for item in ranges if isinstance(ranges, list) else ():
        high = item.get("high") if isinstance(item, dict) else None
        if isinstance(high, dict) and high.get("value") == 100:
            return True
    return False
