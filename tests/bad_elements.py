"""make elements: every element of every resource in the fixtures replaced by every bad value; the decision must stand.

Elements that a resource does not have are added with a bad value, all of them at once, and each alone where that
changes anything: they are three quarters of all, and a decision rests on none of them.

    python -m tests.bad_elements [CASE ...]      those cases only

A small part of it, drawn anew from a seed, is among the tests (F-D1, clinical logic 7). Every processor takes cases.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
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
    """Yield where each element stands in the resources of a request, and its path within the resource."""
    for place, own in _resources_and_elements(case):
        if own:
            yield place, own


def resources(case: Case) -> Iterator[tuple[Place, list[str]]]:
    """Yield where each resource stands in a request, and which of its elements it does not have."""
    for place, own in _resources_and_elements(case):
        if not own:
            resource = _at(case, place)
            yield place, sorted(_elements(resource["resourceType"]) - resource.keys())


def _resources_and_elements(case: Case) -> Iterator[tuple[Place, Place]]:
    """Yield resources, with an empty path, and their elements."""
    for top, value in (("context", case.request["context"]["draftOrders"]), ("prefetch", case.request.get("prefetch"))):
        start: Place = (top, "draftOrders") if top == "context" else (top,)
        yield from _within(value, start, None)


def _within(node: Any, place: Place, own: Place | None) -> Iterator[tuple[Place, Place]]:
    kind = node.get("resourceType") if isinstance(node, dict) else None
    if kind == "OperationOutcome":
        return  # no resource of a chart
    if kind == "Bundle":
        own = None  # an entry is no element, wherever the Bundle is
    elif kind is not None:
        own = ()  # also of a contained resource
        yield place, own
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, part in items:
        inner = None if own is None else (*own, key)
        if inner and inner[0] != "resourceType":
            yield (*place, key), inner
        yield from _within(part, (*place, key), inner)


def _at(case: Case, place: Place) -> Any:
    found: Any = case.request
    for key in place:
        found = found[key]
    return found


@cache
def _elements(kind: str) -> frozenset[str]:
    """Return the elements that FHIR R4 has for a type, but not those of every resource."""
    try:
        return frozenset(get_fhir_model_class(kind).elements_sequence()) - {"id", "meta", "implicitRules", "language"}
    except ValueError:  # no type of R4
        return frozenset()


def replaced(registry: Registry, case: Case, share: float, seed: int) -> tuple[int, list[Fault]]:
    """Return how many bad values were tried in a case, and what they changed.

    An element whose absence changes nothing does not carry the decision, and no bad value in its place may change
    anything either. Where absence does change something, an empty value must change the same.

    Args:
        share: how much of it to try, from 0 to 1.
        seed: of what is drawn.
    """
    draw = random.Random(f"{seed} {case.folder.name}")
    before = outcome(registry, case)
    tried, changed = 0, []
    for place, own in list(places(case)):
        values = [value for value in BAD if draw.random() < share]
        if not values:
            continue
        with _without(case, place):
            without = outcome(registry, case)
        for value in values:
            if _says_something(own, value) or (without != before and value not in ABSENT):
                continue  # it carries the decision
            tried += 1
            changed += _changes(registry, case, place, {place[-1]: value}, without)
    for place, names in list(resources(case)):
        for value in (value for value in BAD if draw.random() < share):
            added: dict[str | int, Any] = {name: value for name in names if not _says_something((name,), value)}
            tried += len(added)
            if _changes(registry, case, (*place, "..."), added, before):
                for name in added:
                    changed += _changes(registry, case, (*place, name), {name: value}, before)
    return tried, changed


def _says_something(own: Place, value: Any) -> bool:
    """Return whether a value in a place of a resource says something, bad as it is."""
    if value in ABSENT:
        return False
    if own in (("id",), ("onsetString",)) and isinstance(value, str):
        return True  # the id of another resource; an onset in words, which is one that is stated
    return str(own[0]).startswith(STATUSES)


def _changes(
    registry: Registry, case: Case, place: Place, values: dict[str | int, Any], wanted: Outcome
) -> list[Fault]:
    """Return the fault when values beside the last part of a place give another outcome than wanted."""
    parent = _at(case, place[:-1])
    with _kept(parent):
        for key, value in values.items():
            parent[key] = value
        found = outcome(registry, case)
    return [] if found == wanted else [Fault(case.folder.name, place, next(iter(values.values())), found, wanted)]


@contextmanager
def _without(case: Case, place: Place) -> Iterator[None]:
    """Have an element not be there for as long as the block runs."""
    parent = _at(case, place[:-1])
    with _kept(parent):
        del parent[place[-1]]
        yield


@contextmanager
def _kept(parent: Any) -> Iterator[None]:
    """Put an object or array back as it was."""
    kept = parent.copy()
    try:
        yield
    finally:
        parent.clear()
        parent.extend(kept) if isinstance(parent, list) else parent.update(kept)


def _whole(case: Case) -> tuple[str, int, list[str]]:
    """Try everything of a case; return its name, how many values that were, and what they changed, in words."""
    tried, changed = replaced(_registry(), case, 1, 0)
    return case.folder.name, tried, [str(fault) for fault in changed]


@cache
def _registry() -> Registry:
    return load_registry(Settings())


def main() -> int:
    """Try everything; print what changed."""
    cases = [case for case in all_cases() if not sys.argv[1:] or case.folder.name in sys.argv[1:]]
    began, tried, changed = time.monotonic(), 0, 0
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for name, number, found in pool.map(_whole, cases):
            tried, changed = tried + number, changed + len(found)
            sys.stdout.write("".join(f"{line}\n" for line in [f"{name}: {number:,}", *found]))
            sys.stdout.flush()
    sys.stdout.write(
        f"{tried:,} replacements in {len(cases)} cases, {changed} decisions changed, {time.monotonic() - began:.0f} s\n"
    )
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
