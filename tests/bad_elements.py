"""make elements: every element of every resource in the fixtures replaced by every bad value; the decision must stand.

A small part of it, drawn anew from a seed, is among the tests (F-D1, clinical logic 7).
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from fhir.resources.R4B import get_fhir_model_class

from cds_service.call import answer
from cds_service.errors import CdsError
from cds_service.guideline.services import Registry
from cds_service.main import load_registry
from cds_service.settings import Settings
from tests.cases import EXTENSION, Case, all_cases

ABSENT: tuple[Any, ...] = (None, "", " ", [], {}, [None], [{}], {"text": None})
"""What an element is that is there in name only: as if it were not there."""

BAD: tuple[Any, ...] = (
    *ABSENT,
    *(5, -1.5, True, "05/28/2010", "x" * 300, [5], ["x"], [[5]], {"coding": 5}, {"coding": [None, 5, {"code": {}}]}),
    *({"text": 5, "value": {}, "reference": []}, [{"text": [], "code": 5}], {"start": "x", "end": 5}),
)

STATUSES = ("abatement", "clinicalStatus", "doNotPerform", "reason", "subject", "verificationStatus")
"""Elements that say something by being there: an entry whose status, subject or verification cannot be read does not
count as if that were absent (clinical logic 3), one that has abated in words has abated, and a reason that is given
and cannot be read leaves it uncertain what the order is for.
"""

Outcome = tuple[int, tuple[tuple[str, str], ...]]
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """A bad value that changed a decision, or failed."""

    case: str
    place: Place
    value: Any
    got: Outcome
    wanted: Outcome

    def __str__(self) -> str:
        place = ".".join(map(str, self.place))
        return f"{self.case}: {place} = {str(self.value)[:40]!r}: {self.got}, not {self.wanted}"


def outcome(registry: Registry, case: Case) -> Outcome:
    """Return status, rules and indicators of the answer; anything but an answer or a CdsError is raised."""
    try:
        body = answer(registry, "", orjson.dumps(case.request), case.today.date()).body
    except CdsError as error:
        return error.status, ()
    cards = orjson.loads(body)["cards"]
    return 200, tuple((card["extension"][EXTENSION]["rule"], card["indicator"]) for card in cards)


def places(case: Case) -> Iterator[tuple[Place, Place]]:
    """Yield where each element stands in the resources of a request, or could, and its path within the resource."""
    for top, value in (("context", case.request["context"]["draftOrders"]), ("prefetch", case.request.get("prefetch"))):
        start: Place = (top, "draftOrders") if top == "context" else (top,)
        yield from _places(value, start, None)


def _places(node: Any, place: Place, own: Place | None) -> Iterator[tuple[Place, Place]]:
    if isinstance(node, dict) and node.get("resourceType") == "OperationOutcome":
        return  # no resource of a chart
    if isinstance(node, dict) and node.get("resourceType") not in (None, "Bundle"):
        own = ()  # also of a contained resource
        for name in sorted(_elements(node["resourceType"]) - node.keys()):
            yield (*place, name), (name,)
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, part in items:
        inner = None if own is None else (*own, key)
        if inner and inner[0] != "resourceType":
            yield (*place, key), inner
        yield from _places(part, (*place, key), inner)


@cache
def _elements(kind: str) -> frozenset[str]:
    """Return the elements that FHIR R4 has for a type, but not those of every resource."""
    try:
        return frozenset(get_fhir_model_class(kind).elements_sequence()) - {"id", "meta", "implicitRules", "language"}
    except ValueError:  # no type of R4
        return frozenset()


def faults(registry: Registry, case: Case, share: float, seed: int) -> Iterator[Fault]:
    """Yield what bad values changed in a case.

    An element whose absence changes nothing does not carry the decision, and no bad value in its place may change
    anything either. Where absence does change something, an empty value must change the same.

    Args:
        share: how much of it to try, from 0 to 1.
        seed: of what is drawn.
    """
    draw = random.Random(f"{seed} {case.folder.name}")
    before = outcome(registry, case)
    for place, own in list(places(case)):
        values = [value for value in BAD if draw.random() < share]
        if not values:
            continue
        without = _tried(registry, case, place, None, removed=True)
        for value in values:
            absent = value in ABSENT
            if without != before and not absent:
                continue  # it carries the decision
            if not absent and str(own[0]).startswith(STATUSES):
                continue
            if own == ("id",) and isinstance(value, str) and not absent:
                continue  # another id, of another resource
            if own == ("onsetString",) and isinstance(value, str) and not absent:
                continue  # an onset in words, which is one that is stated
            found = _tried(registry, case, place, value, removed=False)
            if found != without:
                yield Fault(case.folder.name, place, value, found, without)


def _tried(registry: Registry, case: Case, place: Place, value: Any, *, removed: bool) -> Outcome:
    parent: Any = case.request
    for key in place[:-1]:
        parent = parent[key]
    kept = parent.copy()
    if removed and isinstance(parent, dict):
        parent.pop(place[-1], None)
    elif removed:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    try:
        return outcome(registry, case)
    finally:
        parent.clear()
        parent.extend(kept) if isinstance(parent, list) else parent.update(kept)


def main() -> int:
    """Try everything; print what changed."""
    registry = load_registry(Settings())
    found = 0
    for case in all_cases():
        for fault in faults(registry, case, 1, 0):
            found += 1
            sys.stdout.write(f"{fault}\n")
    sys.stdout.write(f"{found} decisions changed\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
