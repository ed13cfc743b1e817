"""From the prefetch of a request to a chart: which keys came, what they held, which are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from cds_service.fhir.bundles import Resource, entries_of, is_cut_off, is_resource, links_of
from cds_service.fhir.chart import Availability, Chart
from cds_service.fhir.fetch import Fetched
from cds_service.fhir.outcomes import FetchOutcome


def gather(
    patient_id: str,
    prefetch: Mapping[str, Any],
    queries: Mapping[str, str],
    drafts: Mapping[str, Any],
    fetched: Fetched | None = None,
) -> Chart:
    """Build the chart from what was prefetched, and what was fetched beside it.

    What arrives is indexed by resource type, not by key, because a client may use names of its own (conformance V1).

    Args:
        patient_id: the patient in context.
        prefetch: the request's; a value may be a Bundle, a single resource, null or an OperationOutcome (P1, P3).
        queries: our prefetch templates: key to query.
        drafts: the draft Bundle, whose resources may be referenced.
        fetched: what was fetched for keys that were not prefetched, or that the client could not read.
    """
    fetched = fetched or Fetched()
    values = {**prefetch, **fetched.values}
    by_type: dict[str, list[Resource]] = {}
    unreadable: list[str] = []
    key_states: dict[str, Availability] = {}
    type_states: dict[str, Availability] = {}
    for key, value in values.items():
        found, broken = _resources_in(value)
        for kind, resources in found.items():
            by_type.setdefault(kind, []).extend(resources)
        unreadable.extend(f"prefetch.{key if key in queries else 'other'} entry {number}" for number in broken)
        key_states[key] = state = _availability(value, found)
        for kind in found.keys() | _searched_type(value):
            if type_states.get(kind) is not Availability.PARTIAL:  # a cut-off list stays cut off, whatever else came
                type_states[kind] = state
    availability = {
        key: key_states[key] if key in key_states else type_states.get(_query_type(query), Availability.ABSENT)
        for key, query in queries.items()
    }
    for key, outcome in fetched.outcomes.items():
        if outcome != FetchOutcome.OK and key in availability:
            availability[key] = Availability.FAILED
    return Chart(patient_id, by_type, availability, [*values.values(), drafts, *fetched.referenced], unreadable)


def _resources_in(value: object) -> tuple[dict[str, list[Resource]], Sequence[int]]:
    """Return the resources of a prefetch value by type, and the positions of entries that are none."""
    found: dict[str, list[Resource]] = {}
    broken: list[int] = []
    for number, resource, _ in entries_of(value):
        try:
            found[resource["resourceType"]].append(resource)  # what almost every entry is: one more of a type
        except (KeyError, TypeError):
            kind = resource.get("resourceType") if isinstance(resource, dict) else None
            if not isinstance(kind, str):
                broken.append(number)
            elif kind != "OperationOutcome":
                found[kind] = [resource]
    return found, broken


def _availability(value: object, found: Mapping[str, object]) -> Availability:
    if value is None:
        return Availability.EMPTY
    if not isinstance(value, dict) or not is_resource(value) or _is_outcome(value):
        return Availability.FAILED
    return _searched(value, found) if value["resourceType"] == "Bundle" else Availability.PREFETCHED


def _searched(bundle: Resource, found: Mapping[str, object]) -> Availability:
    entries = bundle.get("entry")
    if entries is not None and not isinstance(entries, list):
        return Availability.FAILED
    if not found and not all(_says_nothing_found(entry) for entry in entries or ()):
        return Availability.FAILED
    if is_cut_off(bundle):
        return Availability.PARTIAL
    return Availability.PREFETCHED if found else Availability.EMPTY


def _is_outcome(resource: Mapping[str, Any]) -> bool:
    return resource.get("resourceType") == "OperationOutcome"


def _says_nothing_found(entry: object) -> bool:
    """Tell a search that found nothing (an outcome entry, conformance V2) from one that failed."""
    if not isinstance(entry, dict) or not isinstance(resource := entry.get("resource"), dict):
        return False
    search = entry.get("search")
    mode = search.get("mode") if isinstance(search, dict) else None
    issues = resource.get("issue")
    severities = {
        issue.get("severity")
        for issue in (issues if isinstance(issues, list) else ())
        if isinstance(issue, dict) and isinstance(issue.get("severity"), str)
    }
    return _is_outcome(resource) and mode == "outcome" and not severities & {"error", "fatal"}


def _searched_type(value: object) -> set[str]:
    """Return the resource type a searchset's own link names, so that an empty one under any key is understood."""
    if not isinstance(value, dict):
        return set()
    kinds = set()
    for url in links_of(value, "self"):
        try:
            kinds.add(urlsplit(url).path.rstrip("/").removesuffix("/_search").rsplit("/", 1)[-1])
        except ValueError:  # such as an unclosed bracket where the host should be
            continue
    return kinds


def _query_type(query: str) -> str:
    return query.split("?", maxsplit=1)[0].split("/", maxsplit=1)[0]
