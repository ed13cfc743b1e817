"""From Observation resources to scores of 0 to 10 points, read only for the dates that matter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from cds_service.fhir import dates, elements
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart, reference_to
from cds_service.fhir.dates import FhirDate
from cds_service.fhir.scan import AsSent
from cds_service.fhir.shapes import concept_in, listed
from cds_service.fhir.statuses import word
from cds_service.fhir.systems import LOINC, plain
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline.conditions import lost_elements, unread_status
from cds_service.guideline.findings import Entry, Score
from cds_service.limits import MOST_COMPONENTS

_COUNTED = ("final", "amended", "corrected", "preliminary")
_NUMBER = re.compile(r"\s*(\d{1,3}(?:\.\d+)?)\s*(?:/\s*(\d{1,3}))?\s*", re.ASCII)
_MILLIMETRES = frozenset({"mm", "millimeter", "millimeters", "millimetre", "millimetres"})
_OUT_OF_100 = frozenset({"/100", "{score}/100", "out of 100", "0-100"})
_READ = (
    "status", "code", "component", "effectiveDateTime", "effectiveInstant", "effectivePeriod", "issued",
    "valueQuantity", "valueInteger", "valueCodeableConcept", "valueString", "referenceRange", "bodySite",
)  # fmt: skip

Window = tuple[date, date]


class NoScore(Exception):
    """A value fits no scale, so its entry is named as unreadable."""


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
    """What was read from observations.

    Attributes:
        unreadable: entries that could not be read: undated, on no known scale, or with too many components.
        lost: elements that could not be read.
    """

    scores: list[Score] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)
    unreadable: list[Entry] = field(default_factory=list)


def read(chart: Chart, value_sets: ValueSets, scale: Scale, spans: Sequence[Window]) -> ScoresRead:
    """Read the scores within one of the date ranges."""
    read_scores = ScoresRead()
    earliest = min(first for first, _ in spans).isoformat()

    def may_matter(resources: Sequence[AsSent]) -> Sequence[AsSent]:
        """Leave out old observations, by comparing dates as text, and those that are not scores."""
        recent = [
            resource
            for resource in resources
            if not isinstance(taken := resource.get("effectiveDateTime"), str)
            or taken[:10] >= earliest[: len(taken)]
            or taken[4:5] != "-"  # not a FHIR date, so it cannot be compared
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
        site = reading.resource.get("bodySite")
        sites = (value_sets.of_concept(site),) if site else ()
        for part in _score_parts(reading.resource, value_sets, scale):
            try:
                points = _points(part, value_sets, scale)
            except NoScore:
                read_scores.unreadable.append(entry)
                continue
            read_scores.scores += [] if points is None else [Score(entry, points, when.earliest, when.instant, sites)]
    return read_scores


def _outside(when: FhirDate | None, spans: Sequence[Window]) -> bool:
    return when is not None and not any(first <= when.earliest <= last for first, last in spans)


def _score_parts(resource: Resource, value_sets: ValueSets, scale: Scale) -> Iterator[Resource]:
    """Yield the observation, or its components, if they are scores."""
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

    The reference range or unit determines the scale: a 4 on 0 to 5 is 8 points, and 25 mm is 2.5.

    Raises:
        NoScore: there is a value, but it fits no scale.
    """
    quantity = part.get("valueQuantity")
    concept = part.get("valueCodeableConcept")
    text = part.get("valueString")
    number: object = part.get("valueInteger")
    end = _range_end(part)
    if isinstance(quantity, dict):
        if quantity.get("comparator"):  # "more than 7" is not a score
            raise NoScore("value")
        number = quantity.get("value")
        units = {u.strip().lower() for u in (quantity.get("code"), quantity.get("unit")) if isinstance(u, str)}
        if units & (_MILLIMETRES | _OUT_OF_100):
            end = 100
        if units & {"%", "percent"}:
            raise NoScore("value")
    elif isinstance(concept, dict):
        number = _answer(concept, value_sets, scale)
        if number is None:
            text = value_sets.of_concept(concept).words
    if number is None and isinstance(text, str) and (match := _NUMBER.fullmatch(text)):
        number, end = float(match[1]), float(match[2] or end)
    if number is None and not (concept or text):
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or end <= 0 or not 0 <= number <= end:
        raise NoScore("value")
    return number * 10 / end


def _answer(concept: Resource, value_sets: ValueSets, scale: Scale) -> float | None:
    """Return the points of a LOINC answer code."""
    answers = value_sets.displays[scale.answers]
    for coding in listed(concept_in(concept).get("coding")):
        system, code = coding.get("system"), coding.get("code")
        if scale.answers in (value_sets.of_code(system, code) or ()):
            return float(answers[LOINC, plain(LOINC, code)])
    return None


def _range_end(part: Resource) -> float:
    """Return the end of a documented scale from 0; 10 if none is documented."""
    for item in listed(part.get("referenceRange")):
        low, high = ((item.get(name) or {}) for name in ("low", "high"))
        if isinstance(low, dict) and isinstance(high, dict) and low.get("value", 0) == 0:
            end = high.get("value")
            if isinstance(end, int | float) and not isinstance(end, bool):
                return float(end)
    return 10
