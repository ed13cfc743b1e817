"""Observation resources to scores in points from 0 to 10, read only where the decision looks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from cds_service.fhir import dates, elements
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart, reference_to
from cds_service.fhir.dates import FhirDate
from cds_service.fhir.shapes import concept_in, listed
from cds_service.fhir.statuses import word
from cds_service.fhir.systems import LOINC, plain
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline.conditions import UnreadableEntry, lost_elements, unread_status
from cds_service.guideline.findings import Entry, Score
from cds_service.limits import MOST_COMPONENTS

_COUNTED = ("final", "amended", "corrected", "preliminary")
_NUMBER = re.compile(r"\s*(\d{1,3}(?:\.\d+)?)\s*(?:/\s*(10|100))?\s*", re.ASCII)
_MILLIMETRES = frozenset({"mm", "millimeter", "millimeters", "millimetre", "millimetres"})
_OUT_OF_100 = frozenset({"/100", "{score}/100", "out of 100", "0-100"})
_READ = (
    "status", "code", "component", "effectiveDateTime", "effectiveInstant", "effectivePeriod", "issued",
    "valueQuantity", "valueInteger", "valueCodeableConcept", "valueString", "referenceRange",
)  # fmt: skip

Window = tuple[date, date]


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale of 0 to 10 points.

    Attributes:
        name: how a card names an entry, such as pain score.
        scores: value set of the observations that are scores.
        answers: value set of coded answers, whose displays are their points.
    """

    name: str
    scores: str
    answers: str


@dataclass(slots=True)
class ScoresRead:
    """What became of observations.

    Attributes:
        unreadable: entries that could not be read: undated, on no known scale, or with too many components.
        lost: elements that could not be read.
    """

    scores: list[Score] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)
    unreadable: list[Entry] = field(default_factory=list)


def read(chart: Chart, value_sets: ValueSets, scale: Scale, spans: Sequence[Window]) -> ScoresRead:
    """Read the scores that fall into one of the spans."""
    read_scores = ScoresRead()
    earliest = min(first for first, _ in spans).isoformat()

    def may_matter(resources: Sequence[Resource]) -> Sequence[Resource]:
        """Leave out what is long past, as a comparison of the written dates shows, and what is no score."""
        recent = [
            resource
            for resource in resources
            if not isinstance(taken := resource.get("effectiveDateTime"), str)
            or taken[:10] >= earliest[: len(taken)]
            or taken[4:5] != "-"  # no date of FHIR's form, so that nothing can be compared
        ]
        panels = [resource for resource in recent if "component" in resource]
        return panels + value_sets.meaningful([one for one in recent if "component" not in one])

    for resource in chart.entries("Observation", may_matter):
        too_many = len(listed(resource.get("component"))) > MOST_COMPONENTS
        parts = tuple(_score_parts(resource, value_sets, scale))
        if not (parts or too_many):
            continue
        if word(resource.get("status")) not in _COUNTED:
            read_scores.lost += unread_status(resource)
            continue
        when = _taken(resource)
        if _outside(when, spans):
            continue
        entry = Entry(reference_to(resource), scale.name)
        if when is None or too_many:
            read_scores.unreadable.append(entry)
            continue
        reading = elements.read(resource, _READ)
        read_scores.lost += lost_elements(resource, reading.lost)
        for part in _score_parts(reading.resource, value_sets, scale):
            try:
                points = _points(part, value_sets, scale)
            except UnreadableEntry:
                read_scores.unreadable.append(entry)
                continue
            read_scores.scores += [] if points is None else [Score(entry, points, when.earliest, when.instant)]
    return read_scores


def _outside(when: FhirDate | None, spans: Sequence[Window]) -> bool:
    return when is not None and not any(first <= when.earliest <= last for first, last in spans)


def _score_parts(resource: Resource, value_sets: ValueSets, scale: Scale) -> Iterator[Resource]:
    """Yield the observation itself or those of its components that are scores."""
    if scale.scores in value_sets.of_concept(resource.get("code")).value_sets:
        yield resource
    for component in listed(resource.get("component"))[:MOST_COMPONENTS]:
        if scale.scores in value_sets.of_concept(component.get("code")).value_sets:
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


def _points(part: Resource, value_sets: ValueSets, scale: Scale) -> float | None:
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
        number = _answer(concept, value_sets, scale)
        if number is None:
            text = value_sets.of_concept(concept).words
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


def _answer(concept: Resource, value_sets: ValueSets, scale: Scale) -> float | None:
    """Return the points of a LOINC answer code."""
    answers = value_sets.displays[scale.answers]
    for coding in listed(concept_in(concept).get("coding")):
        system, code = coding.get("system"), coding.get("code")
        if scale.answers in (value_sets.of_code(system, code) or ()):
            return float(answers[LOINC, plain(LOINC, code)])
    return None


def _range_ends_at_100(part: Resource) -> bool:
    for item in listed(part.get("referenceRange")):
        high = item.get("high")
        if isinstance(high, dict) and high.get("value") == 100:
            return True
    return False
