"""From the prefetch of a request to a chart: which keys came, what they contain, and which are missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.fhir import lists
from cds_service.fhir.chart import Availability, Chart
from cds_service.fhir.fetch import Fetched
from cds_service.fhir.outcomes import FetchOutcome
from cds_service.fhir.scan import AsSent


def gather(
    patient_id: str,
    prefetch: Mapping[str, Any],
    queries: Mapping[str, str],
    drafts: Mapping[str, Any],
    fetched: Fetched | None = None,
) -> Chart:
    """Build the chart from prefetched and fetched data.

    Data is indexed by resource type, not by key, because a client may use its own names (conformance V1).

    Args:
        patient_id: the patient in context.
        prefetch: the request's; a value may be a Bundle, a single resource, null or an OperationOutcome (P1, P3).
        queries: the prefetch templates: key to query.
        drafts: the draft Bundle, whose resources may be referenced.
        fetched: what was fetched for keys that were not prefetched, or that the client could not read.
    """
    fetched = fetched or Fetched()
    values = {**prefetch, **fetched.values}
    by_type: dict[str, list[AsSent]] = {}
    unreadable: list[str] = []
    of_keys: dict[str, Availability] = {}
    elsewhere: dict[str, Availability] = {}
    types = {key: query_type(query) for key, query in queries.items()}
    for key, value in values.items():
        if value is None:  # looked for, and nothing found
            of_keys[key] = Availability.EMPTY
            continue
        contents = lists.read(value, types.get(key, ""))
        for kind, resources in contents.resources.items():
            by_type.setdefault(kind, []).extend(resources)
        unreadable.extend(f"prefetch.{key if key in queries else 'other'} entry {number}" for number in contents.broken)
        of_keys[key] = contents.states.pop(types.get(key, ""), Availability.ABSENT)
        for kind, state in contents.states.items():
            elsewhere[kind] = lists.better(state, elsewhere.get(kind, Availability.ABSENT))
    availability = {
        key: lists.better(of_keys.get(key, Availability.ABSENT), elsewhere.get(kind, Availability.ABSENT))
        for key, kind in types.items()
    }
    for key, outcome in fetched.outcomes.items():
        if outcome != FetchOutcome.OK and key in availability:
            availability[key] = Availability.FAILED
    sources = [*values.values(), drafts, *fetched.referenced]
    return Chart(patient_id, by_type, availability, sources, unreadable, types)


def query_type(query: str) -> str:
    """Return the resource type that a prefetch query asks for."""
    return query.split("?", maxsplit=1)[0].split("/", maxsplit=1)[0]
