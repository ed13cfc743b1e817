"""Requests to measure with, of several sizes, and of several patients each: no two in a row are the same."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import cycle, islice
from uuid import UUID

import orjson

from tests.charts import condition, needling, request
from tests.patients import PATIENTS, patient_id, prefetch_of, request_for, searchset

WANTED = {"conditions": 138, "painScores": 64, "procedures": 364}
"""Entries of a real chart, with elements an EHR sends beside what we read: about 385 KB."""

CODES = ("M54.50", "M54.2", "M79.18", "G43.909", "M47.816", "M54.16", "M25.511", "S39.012A")
BACKGROUND = ("I10", "E11.9", "J45.909", "E78.5", "F41.1", "K21.9")


def sizes() -> dict[str, list[bytes]]:
    """Return the requests by the name of their size."""
    names = [path.stem for path in sorted(PATIENTS.glob("*.json"))]
    large = {key: 5 * number for key, number in WANTED.items()}
    return {
        "small": [small_request(number) for number in range(48)],
        "real": [real_request(name, number=number) for number, name in enumerate(names[:12])],
        "large": [real_request(name, large, number) for number, name in enumerate(names[:6])],
    }


def small_request(number: int) -> bytes:
    """Return an order-select request with one order and three conditions, one of them painful."""
    onset = date(2026, 11, 1) - timedelta(days=17 * number)
    problems = (
        condition(CODES[number % len(CODES)], onsetDateTime=onset.isoformat()) | {"id": f"pain-{number}"},
        condition(BACKGROUND[number % len(BACKGROUND)]) | {"id": f"first-{number}"},
        condition(BACKGROUND[(number + 1) % len(BACKGROUND)]) | {"id": f"second-{number}"},
    )
    asked = request(*problems, order=needling())
    asked["hookInstance"] = str(UUID(int=number, version=4))
    return orjson.dumps(asked)


def real_request(name: str = "Enoch", wanted: dict[str, int] | None = None, number: int = 0) -> bytes:
    """Return an order-select request of real size: one patient's chart, filled up from other charts.

    Args:
        name: of the patient.
        wanted: how many entries each prefetch key shall have.
        number: tells requests apart.
    """
    identifier = patient_id(name)
    asked = request_for(name, "20560")
    asked["hookInstance"] = str(UUID(int=number, version=4))
    for key, enough in (WANTED if wanted is None else wanted).items():
        entries = list(prefetch_of(name)[key]["entry"])
        for path in sorted(PATIENTS.glob("*.json")):
            entries += prefetch_of(path.stem)[key]["entry"]
        asked["prefetch"][key] = searchset(_as_sent(entry, identifier) for entry in islice(cycle(entries), enough))
    return orjson.dumps(asked)


def _as_sent(entry: dict, patient: str) -> dict:
    """Put back what an EHR sends beside what we read."""
    resource = {
        **entry["resource"],
        "subject": {"reference": f"Patient/{patient}"},
        "meta": {"profile": [f"http://hl7.org/fhir/us/core/StructureDefinition/{entry['resource']['resourceType']}"]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/category", "code": "record"}]}],
    }
    return {"fullUrl": entry["fullUrl"], "resource": resource, "search": {"mode": "match"}}
