"""Synthetic patients as prefetch and as whole requests."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import orjson

from cds_service.web.preview_page import PATIENTS

KEYS = {
    "conditions": "Condition",
    "painScores": "Observation",
    "procedures": "Procedure",
    "serviceRequests": "ServiceRequest",
    "carePlans": "CarePlan",
}
CPT = "http://www.ama-assn.org/go/cpt"


@cache
def _bundle(name: str) -> dict:
    return orjson.loads((PATIENTS / f"{name}.json").read_bytes())


def patient_id(name: str) -> str:
    """Return the patient's id."""
    return next(e["resource"]["id"] for e in _bundle(name)["entry"] if e["resource"]["resourceType"] == "Patient")


def searchset(entries: Iterable[dict]) -> dict:
    """Return entries as a search result."""
    return {"resourceType": "Bundle", "type": "searchset", "entry": list(entries)}


def prefetch_of(name: str) -> dict:
    """Return the patient's chart as the prefetch that our templates ask for."""
    entries = _bundle(name)["entry"]
    found = {
        key: searchset(entry for entry in entries if entry["resource"]["resourceType"] == kind)
        for key, kind in KEYS.items()
    }
    return {"patient": next(e["resource"] for e in entries if e["resource"]["resourceType"] == "Patient"), **found}


def request_for(name: str, code: str) -> dict:
    """Return an order-select request with one order of a CPT code for a patient."""
    identifier = patient_id(name)
    order = {
        "resourceType": "ServiceRequest",
        "id": "order",
        "status": "draft",
        "intent": "order",
        "code": {"coding": [{"system": CPT, "code": code}]},
        "subject": {"reference": f"Patient/{identifier}"},
    }
    return {
        "hook": "order-select",
        "hookInstance": "11111111-1111-4111-8111-111111111111",
        "context": {
            "userId": "Practitioner/dr-lee",
            "patientId": identifier,
            "selections": ["ServiceRequest/order"],
            "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": order}]},
        },
        "prefetch": prefetch_of(name),
    }
