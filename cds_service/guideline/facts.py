"""Facts as a frozen dataclass of closed sets: the possible values of its fields, and the mapping that a table reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any, get_type_hints

from cds_service.errors import KnowledgeError
from cds_service.guideline.table import FactSpace, FactValue


def space(facts: type) -> FactSpace:
    """Return every fact of a facts class and the values it can have.

    Raises:
        KnowledgeError: a field is neither a boolean nor an enumeration of texts, so that its values cannot be listed.
    """
    return {name: _values(name, kind) for name, kind in get_type_hints(facts).items()}


def _values(name: str, kind: Any) -> tuple[FactValue, ...]:
    if kind is bool:
        return True, False
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return tuple(kind)
    raise KnowledgeError(f"fact {name}: must be a boolean or a StrEnum")


def mapping(facts: Any) -> dict[str, FactValue]:
    """Return facts by name, as the table needs them."""
    kind: type = type(facts)
    names, values = _reader(kind)
    return dict(zip(names, values(facts), strict=True))


@cache
def _reader(kind: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[FactValue, ...]]]:
    """Return the names of a class's facts, and a getter for their values."""
    names = tuple(item.name for item in fields(kind))
    return names, attrgetter(*names) if len(names) > 1 else lambda facts: (getattr(facts, names[0]),)
