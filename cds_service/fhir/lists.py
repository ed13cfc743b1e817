"""Whether a value is the list that a query asks for: whole, in part or not at all (conformance P5, P6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from cds_service.fhir.bundles import (
    CONTAINERS,
    DEEPEST,
    Resource,
    held_in,
    is_cut_off,
    is_resource,
    links_of,
)
from cds_service.fhir.chart import Availability
from cds_service.fhir.scan import AsSent, SentResource, plain

_RANKS: Final = (
    Availability.ABSENT,
    Availability.FAILED,
    Availability.PARTIAL,
    Availability.EMPTY,
    Availability.PREFETCHED,
)
_TYPE: Final = re.compile(r"(?:[A-Z][a-z]+)+", re.ASCII)
"""What may be a resource type; the path of a server, such as /fhir or /R4, may not."""

_HARMLESS: Final = frozenset({"information", "success", "warning"})
_ANY_TYPE: Final = frozenset({"_id", "context", "encounter"})
_NARROWING: Final[Mapping[str, frozenset[str]]] = {
    "Condition": _ANY_TYPE
    | {
        "_lastUpdated", "abatement-age", "abatement-boolean", "abatement-date", "abatement-string", "asserted-date",
        "asserter", "body-site", "code", "evidence", "evidence-detail", "identifier", "onset-age", "onset-date",
        "onset-info", "onset-string", "recorded-date", "severity", "stage",
    }
}  # fmt: skip
"""Search parameters that leave out a part of the list, by type; what servers make up, such as page numbers, is none."""

_THE_LIST: Final[Mapping[str, str]] = {"category": "problem", "clinical-status": "active"}
"""Search parameters of Condition, and how the value begins that keeps the problem list, alone or among others."""


@dataclass(slots=True)
class Contents:
    """The content of one prefetch value.

    Attributes:
        resources: its resources, by type.
        states: the state of the list of each type that it may be a list of.
        broken: positions of entries that are not resources.
    """

    resources: dict[str, list[AsSent]] = field(default_factory=dict)
    states: dict[str, Availability] = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)

    def note(self, kind: str, state: Availability) -> None:
        """Record the state of the list of a type; of several the best counts: it is whole if one of them is."""
        if kind:
            self.states[kind] = better(state, self.states.get(kind, Availability.ABSENT))


def better(one: Availability, other: Availability) -> Availability:
    """Return what is known of a list that came twice."""
    return max(one, other, key=_RANKS.index)


def read(value: object, expected: str) -> Contents:
    """Read a value of a prefetch.

    Args:
        value: a Bundle, a single resource, an OperationOutcome, or whatever a client makes of one (P1, P3).
        expected: the type that the key's template asks for, or "" for a key of the client's own (V1).
    """
    contents = Contents()
    _read(value, expected, contents, DEEPEST)
    return contents


def _read(value: Any, expected: str, contents: Contents, levels: int) -> None:
    if not is_resource(value) or value["resourceType"] == "OperationOutcome":
        contents.note(expected, Availability.FAILED)
    elif value["resourceType"] == "Bundle":
        _read_bundle(value, expected, contents, levels)
    elif value["resourceType"] in CONTAINERS:
        _read_inner(held_in(value), expected, contents, levels)
    else:
        kind = value["resourceType"]
        contents.resources.setdefault(kind, []).append(value)
        # Under the key of its template it is the answer to it; else it is one of a list that nobody sent.
        contents.note(kind, Availability.PREFETCHED if kind == expected else Availability.PARTIAL)


def _read_inner(inner: Sequence[Resource], expected: str, contents: Contents, levels: int) -> None:
    """Read what a batch-response, Parameters or a List holds; of several, which one answers the key only it can say."""
    for part in inner if levels else ():
        _read(part, expected if len(inner) == 1 else "", contents, levels - 1)


def _read_bundle(bundle: Resource, expected: str, contents: Contents, levels: int) -> None:
    entries = bundle.get("entry")
    if not isinstance(entries, list | None):
        contents.note(expected, Availability.FAILED)
        return
    found: dict[str, list[AsSent]] = {}
    broken: list[int] = []
    for number, entry in enumerate(entries or (), start=1):
        try:
            resource = entry["resource"]
            kind = resource.resource_type if isinstance(resource, SentResource) else resource["resourceType"]
            found[kind].append(resource)  # what almost every entry is: one more of a type
        except (KeyError, TypeError):
            if isinstance(entry, dict) and is_resource(resource := entry.get("resource")):
                found[resource["resourceType"]] = [resource]
            else:
                broken.append(number)
    inner = [plain(resource) for kind in CONTAINERS for resource in found.pop(kind, ())]
    failed = bool(found.pop("OperationOutcome", ())) and not all(map(_says_nothing_found, entries or ()))
    for kind, resources in found.items():
        contents.resources.setdefault(kind, []).extend(resources)
    contents.broken += broken
    _read_inner(inner, expected, contents, levels)
    own = _own_types(bundle, expected)
    for kind in [kind for kind in own if kind in found] or dict.fromkeys((*own, *_matched_types(bundle))):
        if kind in found:
            matches = len(found[kind]) if kind in own else None
            part = failed or is_cut_off(bundle, matches) or is_narrowed(bundle, kind)
            contents.note(kind, Availability.PARTIAL if part else Availability.PREFETCHED)
        elif not (found or inner):
            contents.note(kind, _state_of_empty(bundle, kind, failed=failed or bool(broken)))


def _state_of_empty(bundle: Resource, kind: str, *, failed: bool) -> Availability:
    if failed:
        return Availability.FAILED
    if is_narrowed(bundle, kind):
        return Availability.ABSENT
    return Availability.PARTIAL if is_cut_off(bundle) else Availability.EMPTY


def _own_types(bundle: Resource, expected: str) -> tuple[str, ...]:
    """Return the types that a Bundle is a list of: those its self links search, else the one that was asked for."""
    searched = dict.fromkeys(kind for kind, _ in _searches(bundle) if _TYPE.fullmatch(kind))
    return tuple(searched) or ((expected,) if expected else ())


def _matched_types(bundle: Resource) -> Iterator[str]:
    """Yield the types of entries that were searched for, which a search says of those it only includes."""
    for entry in bundle.get("entry") or ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        search = plain(entry.get("search")) if isinstance(entry, dict) else None
        if is_resource(resource) and not (isinstance(search, dict) and search.get("mode") == "include"):
            yield resource["resourceType"]


def _says_nothing_found(entry: object) -> bool:
    """Return whether an entry is an outcome that tells of nothing found (V2), or none at all, rather than a failure."""
    if not isinstance(entry, dict) or not is_resource(resource := entry.get("resource")):
        return True
    if resource["resourceType"] != "OperationOutcome":
        return True
    issues, search = resource.get("issue"), plain(entry.get("search"))
    severities = (
        [issue.get("severity") for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []
    )
    if not severities:
        return isinstance(search, dict) and search.get("mode") == "outcome"
    return all(isinstance(severity, str) and severity in _HARMLESS for severity in severities)


def is_narrowed(bundle: Resource, kind: str) -> bool:
    """Return whether a searchset's self link shows a search for a part of the list only (P5)."""
    return any(
        _narrows(name, value, kind) for found, query in _searches(bundle) if found == kind for name, value in query
    )


def _narrows(parameter: str, value: str, kind: str) -> bool:
    name, _, modifier = parameter.partition(":")
    name = name.partition(".")[0]
    if name in _NARROWING.get(kind, _ANY_TYPE):
        return True
    if kind != "Condition" or name not in _THE_LIST or modifier == "not":
        return False
    return not any(one.rpartition("|")[2].strip().lower().startswith(_THE_LIST[name]) for one in value.split(","))


def _searches(bundle: Resource) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the type and the parameters of the search that each self link holds."""
    for url in links_of(bundle, "self"):
        try:
            parts = urlsplit(url)
            query = parse_qsl(parts.query)
        except ValueError:  # such as an unclosed bracket where the host should be
            continue
        yield parts.path.rstrip("/").removesuffix("/_search").rpartition("/")[2], query
