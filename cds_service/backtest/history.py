"""What a chart was at a moment of the past: what had been recorded, and what was still so. Pure.

An export holds the chart of today. Whoever decides about an order of two years ago must not see what came later.
`meta.lastUpdated` is never when something was recorded: a migration sets it for all on one day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Any

from cds_service.fhir import dates, statuses
from cds_service.fhir.bundles import Resource

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T| +)\d\d:?\d\d.*(?:Z|[+-]\d\d:?\d\d) *", re.ASCII | re.IGNORECASE)
_OVER = frozenset({"inactive", "remission", "resolved"})
_ACTIVE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}
_ABATEMENT = (
    "abatementDateTime",
    "abatementPeriod",
    "abatementAge",
    "abatementRange",
    "abatementString",
    "abatementBoolean",
)
_FINISHED = {"MedicationRequest": ("completed", "stopped"), "ServiceRequest": ("completed",)}
"""Statuses of orders that say no more than that they came to an end, not when."""
_YOUNG = timedelta(weeks=12)
_EFFECTIVE = ("effectiveDateTime", "effectivePeriod.end", "effectiveInstant", "effectivePeriod.start")
_RECORDED = {
    "AllergyIntolerance": ("recordedDate", "assertedDate", "onsetDateTime"),
    "CarePlan": ("created", "period.start"),
    "Condition": ("recordedDate", "assertedDate", "dateRecorded", "onsetDateTime", "onsetPeriod.start"),
    "DiagnosticReport": ("issued", *_EFFECTIVE),
    "Immunization": ("recorded", "occurrenceDateTime"),
    "MedicationAdministration": _EFFECTIVE,
    "MedicationDispense": ("whenHandedOver", "whenPrepared"),
    "MedicationStatement": ("dateAsserted", *reversed(_EFFECTIVE)),
    "Observation": ("issued", *_EFFECTIVE),
    "Procedure": (
        "performedPeriod.end", "performedDateTime", "performedPeriod.start",
        "occurrencePeriod.end", "occurrenceDateTime", "occurrencePeriod.start",
    ),
}  # fmt: skip
"""Where a resource says when it was recorded, or what it records was over; the first that can be read counts."""


class Known(StrEnum):
    """Whether something had been recorded at a moment: before it, after it, or unknown."""

    BEFORE = "before"
    AFTER = "after"
    SAME_DAY = "same day without time"
    PARTIAL = "partial date"
    UNDATED = "no date"


@dataclass(frozen=True, slots=True)
class Moment:
    """When an order was placed: its calendar day, and its time where it has one."""

    day: date
    instant: datetime | None = None

    def knew(self, text: object) -> Known:
        """Return whether what is dated so had been recorded."""
        when = dates.parse(text)
        if when is None:
            return Known.UNDATED
        if self.instant is not None and has_time(text):
            return Known.BEFORE if when.instant <= self.instant else Known.AFTER
        if when.latest < self.day:
            return Known.BEFORE
        if when.earliest > self.day:
            return Known.AFTER
        return Known.SAME_DAY if when.exact else Known.PARTIAL


@lru_cache(1 << 14)
def _timed(text: str) -> bool:
    return _TIME.fullmatch(text.strip()) is not None


def has_time(text: object) -> bool:
    """Return whether a date names an instant: a time with its zone."""
    return isinstance(text, str) and _timed(text)


def moment_of(text: object, zone: tzinfo | None = None) -> Moment | None:
    """Return the moment of an order; None where its day is not known.

    Args:
        text: its authoredOn.
        zone: where the hospital is; by default the calendar day is the one written.
    """
    when = dates.parse(text)
    if when is None or not when.exact:
        return None
    if not has_time(text):
        return Moment(when.earliest)
    day = when.instant.astimezone(zone).date() if zone else when.earliest
    return Moment(day, when.instant)


def element(resource: Mapping[str, Any], path: str) -> Any:
    """Return an element by its path, such as `performedPeriod.end`; None where there is none."""
    if "." not in path:
        return resource.get(path)
    found: Any = resource
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def recorded(resource: Resource) -> str | None:
    """Return when a resource was recorded, as written; None where it does not say."""
    for path in _RECORDED.get(resource["resourceType"], ("authoredOn",)):
        text = element(resource, path)
        if dates.parse(text) is not None:
            return str(text)
    return None


@dataclass(slots=True)
class Past:
    """A patient's chart as of a moment, read in two ways where something is uncertain.

    Attributes:
        counted: what counts: certain or not.
        certain: what counts in the other reading: uncertain entries left out, uncertain ends not yet come.
        causes: why something is uncertain, each once.
        later: how many entries were recorded afterwards and left out, by type.
        in_error: entries that count here, are marked as entered in error now and left out by whoever reads the chart.
        changed: references of entries that changed after the moment; what they said then is not known.
    """

    counted: list[Resource] = field(default_factory=list)
    certain: list[Resource] = field(default_factory=list)
    causes: set[str] = field(default_factory=set)
    later: dict[str, int] = field(default_factory=dict)
    in_error: int = 0
    changed: set[str] = field(default_factory=set)


def as_of(entries: Iterable[Resource], moment: Moment, stated: frozenset[str] = frozenset()) -> Past:
    """Return a chart as it was.

    Args:
        entries: the patient's resources, as exported.
        moment: the order's.
        stated: references, `Type/id`, that the order itself gives as its reason: it knew them.
    """
    past = Past()
    for entry in entries:
        kind = entry["resourceType"]
        reference = f"{kind}/{entry.get('id')}"
        known = _known(entry, moment) if kind != "Patient" and reference not in stated else Known.BEFORE
        if known is Known.AFTER:
            past.later[kind] = past.later.get(kind, 0) + 1
            continue
        if moment.knew(element(entry, "meta.lastUpdated")) is Known.AFTER:
            past.changed.add(reference)
        verified = statuses.verification(entry.get("verificationStatus")) or frozenset()
        past.in_error += "entered-in-error" in (statuses.word(entry.get("status")), *verified)
        readings = list(_still(entry, moment))
        past.counted.append(readings[0])
        if known is Known.BEFORE:
            past.certain.append(readings[-1])
        else:
            past.causes.add(f"{kind}: {known}")
        if len(readings) > 1:
            past.causes.add(f"{kind}: ended, not said when")
    return past


def _known(entry: Resource, moment: Moment) -> Known:
    known = moment.knew(recorded(entry))
    if entry["resourceType"] == "Condition" and known is not Known.AFTER:
        for path in ("onsetDateTime", "onsetPeriod.start"):
            if moment.knew(element(entry, path)) is Known.AFTER:
                return Known.AFTER
    return known


def _still(entry: Resource, moment: Moment) -> Iterator[Resource]:
    """Yield an entry as it was; if it ended at an unknown time, as ended and as not yet ended."""
    kind = entry["resourceType"]
    if kind == "Condition":
        yield from _condition(entry, moment)
    elif kind == "CarePlan" and moment.knew(element(entry, "period.end")) is Known.AFTER:
        ended = statuses.word(entry.get("status")) in ("completed", "revoked", "active")
        period = {key: value for key, value in entry["period"].items() if key != "end"}
        yield {**entry, "period": period, **({"status": "active"} if ended else {})}
    elif statuses.word(entry.get("status")) in _FINISHED.get(kind, ()):
        yield entry
        when = dates.parse(recorded(entry))
        if when is not None and when.latest > moment.day - _YOUNG:
            yield {**entry, "status": "active"}
    else:
        yield entry


def _condition(entry: Resource, moment: Moment) -> Iterator[Resource]:
    over = bool((statuses.clinical(entry.get("clinicalStatus")) or frozenset()) & _OVER)
    abated = element(entry, "abatementDateTime") or element(entry, "abatementPeriod.start")
    known = moment.knew(abated)
    if known is Known.AFTER:
        yield _unended(entry, over=over)
        return
    yield entry
    if known is not Known.BEFORE and over:
        yield _unended(entry, over=over)


def _unended(entry: Resource, *, over: bool) -> Resource:
    kept = {name: value for name, value in entry.items() if name not in _ABATEMENT}
    return {**kept, "clinicalStatus": _ACTIVE} if over else kept


def latest_of(copies: Iterable[tuple[Resource, bytes]]) -> tuple[Resource, str]:
    """Return the copy of a resource that counts, and how sure that is: `same`, `later` or `unclear`.

    Of copies that differ the one changed last counts; where none says when, the choice is the same however the files
    are split and sorted.
    """
    found = list(copies)
    if all(line == found[0][1] for _, line in found):
        return found[0][0], "same"
    ranked = sorted(found, key=lambda copy: (_changed(copy[0]), copy[1]))
    clear = _changed(ranked[-1][0]) > _changed(ranked[-2][0]) or ranked[-1][1] == ranked[-2][1]
    return ranked[-1][0], "later" if clear else "unclear"


def _changed(resource: Resource) -> datetime:
    when = dates.parse(element(resource, "meta.lastUpdated"))
    return when.instant if when else datetime.min.replace(tzinfo=UTC)
