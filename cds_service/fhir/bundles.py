"""Bundles, and what is sent in their place: entries one by one, whatever shape they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Resource = dict[str, Any]
"""A FHIR resource as raw JSON."""


def entries_of(value: object) -> Iterator[tuple[int, Any, str]]:
    """Yield the position (from 1), the resource as sent and the fullUrl of each entry of a Bundle.

    A single resource where a Bundle is expected (conformance P3) is the only entry of itself.
    """
    if not isinstance(value, dict):
        return
    if value.get("resourceType") not in ("Bundle", None):
        yield 1, value, ""
        return
    entries = value.get("entry")
    for number, entry in enumerate(entries if isinstance(entries, list) else (), start=1):
        if isinstance(entry, dict):
            full_url = entry.get("fullUrl")
            yield number, entry.get("resource"), full_url if isinstance(full_url, str) else ""
        else:
            yield number, entry, ""


def is_resource(value: object) -> bool:
    """Tell whether a value has the least that makes it a FHIR resource in JSON."""
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def links_of(bundle: object, relation: str) -> Iterator[str]:
    """Yield the URLs of a Bundle's links of one relation, such as next."""
    links = bundle.get("link") if isinstance(bundle, dict) else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == relation and isinstance(link.get("url"), str):
            yield link["url"]


def is_cut_off(bundle: Resource) -> bool:
    """Return whether a searchset is only a part of its list (conformance P6), whether it was sent or fetched.

    It is when it names a next page, if an empty one, or counts more matches than it holds. Outcomes and what a search
    includes beside its matches do not count as matches.
    """
    if any(True for _ in links_of(bundle, "next")):
        return True
    total, entries = bundle.get("total"), bundle.get("entry")
    return type(total) is int and total > sum(map(_is_match, entries if isinstance(entries, list) else ()))


def _is_match(entry: object) -> bool:
    search = entry.get("search") if isinstance(entry, dict) else None
    return not isinstance(search, dict) or search.get("mode") not in ("include", "outcome")
