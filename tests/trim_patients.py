"""Trims synthetic patients to what is read; cds_service/web/patients/README.md has the command that made them.

Usage: python -m tests.trim_patients DIRECTORY_OF_SYNTHEA_BUNDLES
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from pathlib import Path

import orjson

from cds_service.web.preview_page import PATIENTS
from tests.cases import FIXTURES

READ = {
    "Patient": ("id", "birthDate", "gender", "name"),
    "Condition": (
        "id",
        "clinicalStatus",
        "verificationStatus",
        "code",
        "subject",
        "onsetDateTime",
        "abatementDateTime",
    ),
    "Observation": ("id", "status", "code", "subject", "effectiveDateTime", "valueQuantity"),
    "Procedure": ("id", "status", "code", "subject", "performedDateTime", "performedPeriod"),
    "ServiceRequest": ("id", "status", "intent", "code", "subject", "authoredOn"),
    "CarePlan": ("id", "status", "intent", "category", "subject", "activity"),
}
MOST = {"Procedure": 60, "Observation": 20}
PAIN_SCORES = ("72514-3", "38208-5", "75893-8", "38214-3", "38221-8")


def trimmed(bundle: dict) -> dict:
    """Keep the resource types and elements the service reads: of observations pain scores, of long lists the latest."""
    entries = []
    counts = Counter()
    for entry in reversed(bundle["entry"]):
        resource = entry["resource"]
        kind = resource["resourceType"]
        if kind not in READ or (kind == "Observation" and resource["code"]["coding"][0]["code"] not in PAIN_SCORES):
            continue
        counts[kind] += 1
        if counts[kind] > MOST.get(kind, sys.maxsize):
            continue
        kept = {"resourceType": kind, **{name: resource[name] for name in READ[kind] if name in resource}}
        entries.append({"fullUrl": entry["fullUrl"], "resource": kept})
    return {"resourceType": "Bundle", "type": "collection", "entry": entries[::-1]}


def main(source: Path) -> None:
    """Write one file for each patient that patients.toml names."""
    told = tomllib.loads((FIXTURES / "patients.toml").read_text(encoding="utf-8"))
    for name in told:
        found = next(source.glob(f"{name}*.json"))
        (PATIENTS / f"{name}.json").write_bytes(orjson.dumps(trimmed(orjson.loads(found.read_bytes()))) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
