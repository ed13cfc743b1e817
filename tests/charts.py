"""Builders of requests and charts for tests that are not fixture folders."""

from __future__ import annotations

from typing import Any

import orjson

from cds_service.call import answer
from cds_service.fhir.chart import Chart
from cds_service.fhir.prefetch import gather
from cds_service.guideline.services import Registry

SYSTEMS = {
    "icd": "http://hl7.org/fhir/sid/icd-10-cm",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "cpt": "http://www.ama-assn.org/go/cpt",
}
QUERIES = {
    "patient": "Patient/1",
    "conditions": "Condition?x",
    "painScores": "Observation?x",
    "procedures": "Procedure?x",
    "serviceRequests": "ServiceRequest?x",
    "carePlans": "CarePlan?x",
    "medications": "MedicationRequest?x",
}


def code(system: str, value: str, **more: Any) -> dict[str, Any]:
    """Return a CodeableConcept with one coding; systems by short name."""
    return {"coding": [{"system": SYSTEMS.get(system, system), "code": value, **more}]}


def bundle(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a searchset."""
    return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources], **more}


def condition(value: str, system: str = "icd", **elements: Any) -> dict[str, Any]:
    """Return an active condition of patient p1."""
    return {
        "resourceType": "Condition",
        "id": f"c-{value}",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": code(system, value),
        "subject": {"reference": "Patient/p1"},
        **elements,
    }


def score(value: Any = 5, **elements: Any) -> dict[str, Any]:
    """Return a final pain score of patient p1."""
    return {
        "resourceType": "Observation",
        "id": "score",
        "status": "final",
        "code": code("loinc", "72514-3"),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-20",
        **({"valueQuantity": {"value": value}} if value is not None else {}),
        **elements,
    }


def needling(**elements: Any) -> dict[str, Any]:
    """Return a draft order for dry needling."""
    return {
        "resourceType": "ServiceRequest",
        "id": "order",
        "status": "draft",
        "intent": "order",
        "code": code("cpt", "20560"),
        "subject": {"reference": "Patient/p1"},
        **elements,
    }


def chart(*resources: dict[str, Any]) -> Chart:
    """Return the chart of patient p1 with everything under one key."""
    return gather("p1", {"everything": bundle(*resources)}, QUERIES, {})


def request(
    *conditions: dict[str, Any], order: dict[str, Any] | None = None, prefetch: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return an order-select request with one needling order and a problem list."""
    draft = order or needling()
    nothing = dict.fromkeys(("painScores", "procedures", "serviceRequests", "carePlans", "medications"))
    return {
        "hook": "order-select",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {
            "userId": "Practitioner/1",
            "patientId": "p1",
            "selections": [f"ServiceRequest/{draft['id']}"],
            "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": draft}]},
        },
        "prefetch": {"conditions": bundle(*conditions), **nothing, **(prefetch or {})},
    }


def cards(registry: Registry, sent: dict[str, Any], today: Any) -> list[dict[str, Any]]:
    """Return the cards a request gets."""
    return orjson.loads(answer(registry, "", orjson.dumps(sent), today).body)["cards"]


def rules(registry: Registry, sent: dict[str, Any], today: Any) -> list[str]:
    """Return the rules of the cards a request gets."""
    found = cards(registry, sent, today)
    return [card["extension"]["org.dry-needling-cds.explanation"]["rule"] for card in found]
