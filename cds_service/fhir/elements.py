"""Reads the elements of a resource one by one: an error costs the element, never the resource."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cds_service.fhir import conformance, dates, references, statuses
from cds_service.fhir.bundles import Resource
from cds_service.fhir.deadline import step
from cds_service.fhir.shapes import in_r4, present, tidied
from cds_service.limits import MOST_CODINGS

_DATES: Final = ("DateTime", "Date", "Instant")
_OTHER_DATES: Final = frozenset({"issued", "authoredOn"})
_ENDS: Final = ("start", "end")
_REFERENCES: Final = frozenset({"encounter", "medicationReference", "patient", "requester", "subject"})
_STATUSES: Final = {"clinicalStatus": statuses.clinical, "verificationStatus": statuses.verification}


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read of a resource.

    Attributes:
        resource: the resource in R4's shape, without what could not be read of the elements that were asked for.
        lost: unreadable elements, by path without positions, such as `onsetDateTime` or `code.coding.display`.
    """

    resource: Resource
    lost: tuple[str, ...] = ()


def read(resource: Resource, names: Sequence[str]) -> Reading:
    """Read elements of a resource.

    Dates, periods and statuses are read by the modules that know all their spellings; everything else is validated
    against the FHIR R4B model of the resource's type, and what a fault names is left out. Null, blank and empty
    elements are absent, not lost. Elements that are not asked for are not looked at, nor is the id.

    Args:
        resource: as sent, with a resourceType.
        names: the elements that will be read.
    """
    step()
    shaped = in_r4(resource)
    lost: list[str] = []
    left_out: dict[str, Any] = {}
    validated: Resource = {}
    for name in names:
        value = shaped.get(name)
        if value is None:
            continue
        if has_too_many_codings(value):
            lost.append(f"{name}.coding")
            continue
        understood = _understood(name, value)
        if understood is None:
            validated[name] = value
            continue
        kept, faulty = understood
        lost += faulty
        if kept is not value:
            left_out[name] = kept
    faults = conformance.faults(shaped["resourceType"], validated)
    if faults:
        tidy = tidied(shaped["resourceType"], validated)
        faults = conformance.faults(shaped["resourceType"], tidy)
        left_out |= dict.fromkeys(validated) | conformance.without(tidy, faults)
        lost += dict.fromkeys(".".join(step for step in path if isinstance(step, str)) for path in reversed(faults))
    if not left_out:
        return Reading(shaped, tuple(lost))
    kept = {name: part for name, part in (shaped | left_out).items() if part is not None}
    return Reading(kept, tuple(dict.fromkeys(lost)))


def has_too_many_codings(value: object) -> bool:
    """Return whether a concept has codings beyond those that are read."""
    codings = value.get("coding") if isinstance(value, dict) else None
    return isinstance(codings, list) and len(codings) > MOST_CODINGS


def _understood(name: str, value: object) -> tuple[Any, list[str]] | None:
    """Return what can be read of an element and what cannot, for those that models know too few spellings of.

    These also differ from entry to entry, and would keep forms from being the same.
    """
    if name.endswith(_DATES) or name in _OTHER_DATES:
        return _if_readable(name, value, readable=dates.parse(value) is not None)
    if name.endswith("Period"):
        return _period(name, value)
    if name in _REFERENCES:
        return _if_readable(name, value, readable=_refers(value))
    if name in _STATUSES:
        return value, [name] if _STATUSES[name](value) is None else []
    return None


def _if_readable(name: str, value: object, *, readable: bool) -> tuple[Any, list[str]]:
    if readable:
        return value, []
    return None, [] if present(value) is None else [name]


def _refers(value: object) -> bool:
    """Return whether a Reference names something, by a reference, an identifier or words."""
    if references.target(value):
        return True
    return isinstance(value, dict) and any(present(value.get(part)) for part in ("identifier", "display"))


def _period(name: str, value: object) -> tuple[Any, list[str]]:
    """Return a Period with the ends that can be read, and the names of those that cannot."""
    if not isinstance(value, dict):
        return _if_readable(name, value, readable=False)
    unread = [end for end in _ENDS if end in value and dates.parse(value[end]) is None]
    if not unread:
        return value, []
    kept = {part: item for part, item in value.items() if part not in unread}
    return kept or None, [f"{name}.{end}" for end in unread if present(value[end]) is not None]
