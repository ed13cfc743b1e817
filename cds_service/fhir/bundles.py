"""Entries of Bundles, or of what is sent in their place, whatever their shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeGuard

from cds_service.fhir.scan import AsSent, SentResource, plain

Resource = dict[str, Any]
"""A FHIR resource as raw JSON."""

CONTAINERS: Final = ("Bundle", "Parameters", "List")
"""Resources that contain others: a client may pass on its server's answer to a batch or an operation (P5)."""

DEEPEST: Final = 5
"""Levels of nested Bundles that are opened."""


def entries_of(value: object) -> Iterator[tuple[int, Any, str]]:
    """Yield the position (from 1), the resource as sent and the fullUrl of each entry of a Bundle.

    A single resource where a Bundle is expected (conformance P3) counts as its only entry.
    """
    if not isinstance(value, dict):
        return
    if value.get("resourceType") not in ("Bundle", None):
        yield 1, value, ""
        return
    entries = value.get("entry")
    for number, entry in enumerate(entries if isinstance(entries, list) else (), start=1):
        if isinstance(entry, dict):
            full_url = plain(entry.get("fullUrl"))
            yield number, entry.get("resource"), full_url if isinstance(full_url, str) else ""
        else:
            yield number, entry, ""


def held_in(container: Resource) -> list[Resource]:
    """Return the resources in Parameters or a List."""
    if container["resourceType"] == "List":
        return [resource for resource in _dicts(container.get("contained")) if is_resource(resource)]
    parameters = _dicts(container.get("parameter"))
    parts = [part for parameter in parameters for part in (parameter, *_dicts(parameter.get("part")))]
    return [part["resource"] for part in parts if is_resource(part.get("resource"))]


def opened(value: object, levels: int = DEEPEST) -> Iterator[tuple[AsSent, str]]:
    """Yield each resource of a prefetch value or a draft Bundle, and its fullUrl, including nested Bundles."""
    for _, resource, full_url in entries_of(value):
        if not is_resource(resource):
            continue
        yield resource, full_url
        if levels and resource["resourceType"] in CONTAINERS:
            whole = plain(resource)
            inner = [whole] if whole["resourceType"] == "Bundle" else held_in(whole)
            for part in inner:
                yield from opened(part, levels - 1)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def is_resource(value: object) -> TypeGuard[Resource]:
    """Return whether a value is a FHIR resource in JSON, or a scanned one: it has a resourceType."""
    if isinstance(value, SentResource):
        return True
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def links_of(bundle: object, relation: str) -> Iterator[str]:
    """Yield the URLs of a Bundle's links of one relation, such as next."""
    links = bundle.get("link") if isinstance(bundle, dict) else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == relation and isinstance(link.get("url"), str):
            yield link["url"]


def is_cut_off(bundle: Resource, matches: int | None = None) -> bool:
    """Return whether a searchset is only a part of its list (conformance P6), whether it was sent or fetched.

    It is if it names a next page, even an empty one, or counts more matches than it holds. Outcomes and included
    resources are not matches.

    Args:
        bundle: the searchset.
        matches: how many entries it has of the type that was searched for, if that is known.
    """
    if any(True for _ in links_of(bundle, "next")):
        return True
    total, entries = bundle.get("total"), bundle.get("entry")
    if type(total) is not int:
        return False
    return total > (sum(map(_is_match, entries if isinstance(entries, list) else ())) if matches is None else matches)


def _is_match(entry: object) -> bool:
    search = plain(entry.get("search")) if isinstance(entry, dict) else None
    if isinstance(search, dict) and search.get("mode") in ("include", "outcome"):
        return False
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return not (is_resource(resource) and resource["resourceType"] == "OperationOutcome")
