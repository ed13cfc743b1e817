"""Finds what does not conform to FHIR R4 in a resource, by path; each form is validated once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any, Final

import orjson
from fhir.resources.R4B import get_fhir_model_class
from fhir.resources.R4B.careplan import CarePlan
from fhir.resources.R4B.condition import Condition
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient
from fhir.resources.R4B.procedure import Procedure
from fhir.resources.R4B.servicerequest import ServiceRequest
from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]
"""A path in a resource: names of elements and positions in lists."""

_MODELS: Final[dict[str, type[BaseModel]]] = {
    "CarePlan": CarePlan,
    "Condition": Condition,
    "MedicationRequest": MedicationRequest,
    "Observation": Observation,
    "Patient": Patient,
    "Procedure": Procedure,
    "ProcedureRequest": ServiceRequest,  # its name in STU3
    "ServiceRequest": ServiceRequest,
}
"""R4B models serve R4 data: the types read here have the same elements. Others are loaded when they are first met."""

MOST_FORMS = 20_000
"""Forms that are remembered; what comes after them is validated each time."""

MOST_VALIDATED = 65_536
"""Bytes of elements that are validated for one call, which takes a twentieth of a second; what comes after them is read
as sent. The forms of a real chart that are not known yet have a few thousand."""

_MOST_ROUNDS = 5
"""What is wrong behind a fault shows once that is gone; what is still wrong after these rounds goes as a whole."""

_MOST_BYTES = 16_384
"""Of elements that are validated: those of a real resource have a few hundred. Larger ones are read as sent."""

_MOST_FAULTS = 20
"""Faults of a form that are remembered."""

_NOTHING_TO_TAKE_OUT = ("missing", "model_field_validation.missing", "extra_forbidden")
_LONGEST_PATH = 12
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError)
"""What models raise for odd data beside a ValidationError, such as KeyError for a resource type there is not."""

_WORDS = re.compile(rb'("(?:code|display|onsetString|text|unit|valueString|version)":)"([^"\\]+)"')
"""Words and codes. Models take them all as long as they are plain, so a form is the same whatever they say."""

_known: dict[bytes, tuple[Path, ...]] = {}
_left: ContextVar[list[int] | None] = ContextVar("left", default=None)
"""How many bytes may still be validated for the call under way, in a list of one; None: without bound."""


@contextmanager
def bounded() -> Iterator[None]:
    """Validate no more than MOST_VALIDATED bytes within the block, whatever a caller sends."""
    before = _left.set([MOST_VALIDATED])
    try:
        yield
    finally:
        _left.reset(before)


def faults(kind: str, elements: Mapping[str, Any]) -> tuple[Path, ...]:
    """Return what does not conform in elements of a resource, in the order in which it is to be taken out.

    The text of a fault quotes the data: only where it is goes on from here. An element that is required and not there
    is no fault, and an element that the type does not have is none either: neither can be taken out of what is read.

    Whether a resource conforms depends on the elements and statuses that it has, which are the same in chart after
    chart; plain words and codes change nothing about it. So a digest of the rest is remembered, never what it was made
    from.
    """
    model = _model(kind)
    if model is None:
        return ()
    written = orjson.dumps([kind, elements])
    if len(written) > _MOST_BYTES:
        return ()
    form = blake2b(_WORDS.sub(_without_plain_words, written), digest_size=16).digest()
    found = _known.get(form)
    if found is None:
        try:
            found = tuple(_found(model, elements))
        except _Spent:
            return ()
        if len(_known) < MOST_FORMS and len(found) <= _MOST_FAULTS:
            _known[form] = found
    return found


def _without_plain_words(match: re.Match[bytes]) -> bytes:
    words = match[2].decode()
    plain = words.isprintable() and "  " not in words and words == words.strip()
    return match[1] if plain else match[0]


class _Spent(Exception):
    """All that may be validated for one call was."""


def _spend(elements: Mapping[str, Any]) -> None:
    """Count elements that are about to be validated for the call under way.

    Raises:
        _Spent: they are too many.
    """
    if (left := _left.get()) is not None:
        left[0] -= len(orjson.dumps(elements))
        if left[0] < 0:
            raise _Spent


def without(elements: Mapping[str, Any], paths: Sequence[Path]) -> dict[str, Any]:
    """Return elements without what stands at some paths, in that order; what holds them is copied, not changed."""
    kept = dict(elements)
    copies: dict[
        int, Any
    ] = {}  # by identity, and kept, so that none is made twice: a list may hold thousands of faults
    for path in paths:
        parent: Any = kept
        for step in path[:-1]:
            if id(parent[step]) not in copies:
                parent[step] = parent[step].copy()
                copies[id(parent[step])] = parent[step]
            parent = parent[step]
        del parent[path[-1]]
    return kept


def _model(kind: str) -> type[BaseModel] | None:
    if kind not in _MODELS:
        try:
            _MODELS[kind] = get_fhir_model_class(kind)
        except ValueError:  # no type of FHIR R4
            return None
    return _MODELS[kind]


def _found(model: type[BaseModel], elements: Mapping[str, Any]) -> list[Path]:
    found: list[Path] = []
    left = dict(elements)
    for _ in range(_MOST_ROUNDS):
        paths = _faults(model, left)
        if not paths:
            return found
        found += paths
        left = without(left, paths)
    names: list[Path] = [(name,) for name in left if _faults(model, {name: left[name]})]
    return found + names


def _faults(model: type[BaseModel], elements: Mapping[str, Any]) -> list[Path]:
    """Return the paths of faults, the last in each list first, so that the others still stand where they stood."""
    _spend(elements)
    try:
        model.model_validate(elements)
    except ValidationError as fault:
        errors = fault.errors(include_url=False, include_input=False, include_context=False)
    except _UNREADABLE:
        # Nothing says which element it was, so each is tried by itself.
        return [(name,) for name in elements] if len(elements) == 1 else _each(model, elements)
    else:
        return []
    paths = {path for error in errors if (path := _path(error, elements))}
    outermost = [path for path in paths if not any(path[:end] in paths for end in range(1, len(path)))]
    return sorted(outermost, key=_place, reverse=True)


def _each(model: type[BaseModel], elements: Mapping[str, Any]) -> list[Path]:
    return [(name,) for name, part in elements.items() if (name,) in _faults(model, {name: part})]


def _path(error: Any, elements: Mapping[str, Any]) -> Path:
    """Return where the deepest element stands that a fault names; empty when nothing can be taken out for it."""
    if error["type"] in _NOTHING_TO_TAKE_OUT or "any of" in error["msg"].lower():  # two of value[x]: both are read
        return ()
    node: Any = elements
    path: list[str | int] = []
    for step in error["loc"][:_LONGEST_PATH]:
        if not (step in node if isinstance(node, dict) else isinstance(node, list) and step in range(len(node))):
            break
        node = node[step]
        path.append(step)
    return tuple(path)


def _place(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple((step, "") if isinstance(step, int) else (0, step) for step in path)
