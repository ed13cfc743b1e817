"""Bulk FHIR exports made of fixtures: one case as its patient's lines, and all of them as files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from cds_service.backtest.asking import Setup, Versions
from cds_service.fhir.chart import Chart
from cds_service.fhir.prefetch import gather
from cds_service.main import load_registry
from cds_service.protocol.request import read_request
from tests.cases import Case, own_settings

KEY = "a site's key for tests"


@cache
def versions() -> Versions:
    """Return the guidelines that are on, one service of each."""
    now = {s.knowledge.identity.id: s for s in reversed(load_registry(own_settings()).services) if s.knowledge.orders}
    return Versions(tuple(now.values()))


KINDS = frozenset(versions().kinds) - {"Encounter", "ProcedureRequest"}
"""What an export with everything has files of."""


def setup(**changes: Any) -> Setup:
    """Return what a decider is told; times are those of the tests' clock."""
    return Setup(**{"load": versions, "present": KINDS, "key": KEY, **changes})


def resources_in(value: object) -> list[dict]:
    """Return the resources of a prefetch value."""
    if not isinstance(value, dict):
        return []
    if value.get("resourceType") not in ("Bundle", None):
        return [value]
    entries = value.get("entry")
    sent = [entry.get("resource") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    found = [
        resource for resource in sent if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)
    ]
    return [r for one in found for r in (resources_in(one) if one["resourceType"] == "Bundle" else [one])]


def live_chart(case: Case) -> Chart:
    """Return the chart of a case as a live call has it."""
    patient = read_request(case.request, case.request["hook"]).context.patient_id
    return gather(patient, case.request.get("prefetch") or {}, versions().now[0].queries, {})


def exported(case: Case) -> tuple[str, list[dict], frozenset[str]]:
    """Return a case as an export has it: the patient, the chart with the orders signed, and the types that were sent.

    A draft becomes an active order of the moment of the call; what names nobody is the patient's.
    """
    context, prefetch = case.request["context"], case.request.get("prefetch") or {}
    queries = versions().now[0].queries
    patient = read_request(case.request, case.request["hook"]).context.patient_id
    live = gather(patient, prefetch, queries, {})
    sent = [resource for value in prefetch.values() for resource in resources_in(value)]
    chart = [resource for resource in sent if resource["resourceType"] in KINDS and live.is_about_patient(resource)]
    absent = {query.split("?")[0].split("/")[0] for key, query in queries.items() if not live.obtained(key)}
    present = (KINDS - absent) | {"ServiceRequest"}  # the file with the orders is there
    orders = resources_in(context["draftOrders"])
    for order in orders:
        signed = {"status": "active"} if order.get("status") in (None, "draft") else {}
        order |= {"authoredOn": case.today.isoformat(), "subject": {"reference": f"Patient/{patient}"}, **signed}
        if order.get("intent") in ("plan", "proposal"):
            order["intent"] = "order"
        order.setdefault("encounter", {"reference": "Encounter/call"})
        order.setdefault("requester", {"reference": "Practitioner/someone"})
    return patient, [*chart, *orders], present


def lines_of(resources: Iterable[dict]) -> list[bytes]:
    """Return resources as lines of NDJSON."""
    return [orjson.dumps(resource) for resource in resources]


def write_export(folder: Path, resources: Iterable[dict]) -> Path:
    """Write resources as an export, one file for each type."""
    folder.mkdir(parents=True, exist_ok=True)
    by_type: dict[str, list[bytes]] = {}
    for resource in resources:
        by_type.setdefault(resource["resourceType"], []).append(orjson.dumps(resource))
    for kind, lines in by_type.items():
        (folder / f"{kind}.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    return folder
