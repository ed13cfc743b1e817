"""Elements of raw FHIR JSON as they are meant: null and what is empty are absent, wherever they stand."""

from __future__ import annotations

from typing import Any


def present(value: Any) -> Any:
    """Return JSON without nulls, blank strings and empty lists and objects, at any depth; None when nothing is left.

    FHIR's JSON knows no empty property (R4 2.6.2), yet real charts hold them; each means that the element is absent.
    """
    if isinstance(value, dict):
        kept = {name: found for name, part in value.items() if (found := present(part)) is not None}
        return kept or None
    if isinstance(value, list):
        return [found for part in value if (found := present(part)) is not None] or None
    if isinstance(value, str) and not value.strip():
        return None
    return value
