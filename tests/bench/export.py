"""A synthetic Bulk FHIR export of any size, made from fixtures/patients: charts of about 54 KB, 5 % with orders."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from pathlib import Path

import orjson

from tests.patients import PATIENTS

CHART_BYTES = 54_000
SHARE = 0.05
BLOCK = 500
"""Patients whose lines are shuffled together: a patient's lines lie in several files, as `$export` writes them."""
FILE_BYTES = 80_000_000
_KINDS = ("CarePlan", "Condition", "Observation", "Patient", "Procedure", "ServiceRequest")
_CPT = "http://www.ama-assn.org/go/cpt"
_NEEDLING = ("20560", "20561", "20552")
_OTHER = ("72148", "80053", "97110", "85025")
_REASONS = ("M54.50", "M54.2", "M54.16", "G43.909", "M79.18", "M25.511", None)
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_SEEN = ("8867-4", "29463-7", "72514-3", "8480-6")
_NOTE = "Pain on movement. Patient counselled. "


def make(folder: Path, patients: int, seed: int = 7, chart_bytes: int = CHART_BYTES, share: float = SHARE) -> int:
    """Write an export of so many patients, of whom a share has orders in scope; return its bytes."""
    dice = random.Random(seed)
    originals = [_lines(path) for path in sorted(PATIENTS.glob("*.json"))]
    folder.mkdir(parents=True, exist_ok=True)
    files = {kind: _Rolling(folder, kind) for kind in _KINDS}
    for start in range(0, patients, BLOCK):
        block: list[tuple[str, bytes]] = []
        for number in range(start, min(start + BLOCK, patients)):
            block += _patient(number, dice.choice(originals), dice, chart_bytes, share)
        dice.shuffle(block)
        for kind, line in block:
            files[kind].write(line)
    return sum(file.close() for file in files.values())


class _Rolling:
    """The files of one type; a new one begins when one is full."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder, self._kind, self._number, self._bytes, self.total = folder, kind, 0, 0, 0
        self._file = self._open()

    def _open(self):
        return (self._folder / f"{self._kind}.{self._number:04d}.ndjson").open("wb")

    def write(self, line: bytes) -> None:
        """Write one line."""
        if self._bytes > FILE_BYTES:
            self._file.close()
            self._number, self._bytes = self._number + 1, 0
            self._file = self._open()
        self._file.write(line + b"\n")
        self._bytes += len(line) + 1
        self.total += len(line) + 1

    def close(self) -> int:
        """Close the last file; return the bytes of all."""
        self._file.close()
        return self.total


def _lines(path: Path) -> tuple[str, list[tuple[str, bytes]]]:
    resources = [entry["resource"] for entry in orjson.loads(path.read_bytes())["entry"]]
    whose = next(r["id"] for r in resources if r["resourceType"] == "Patient")
    return whose, [(r["resourceType"], orjson.dumps(r)) for r in resources if r["resourceType"] in _KINDS]


def _patient(
    number: int, original: tuple[str, list[tuple[str, bytes]]], dice: random.Random, size: int, share: float
) -> list:
    """Return one patient's lines: a sample of an original's, notes to the chart's size, orders for some."""
    whose, lines = original
    patient = f"pt-{number:07d}"
    found: list[tuple[str, bytes]] = []
    wanted = dice.lognormvariate(0, 0.5) * size * 0.88
    written = 0
    for place, (kind, original_line) in enumerate(lines if len(lines) < 60 else dice.sample(lines, 60)):
        own = b'"id":"%s-%d"' % (patient.encode(), place)
        line = original_line if kind == "Patient" else re.sub(rb'"id":"[^"]*"', own, original_line, count=1)
        if kind == "CarePlan" and place % 20:  # the fixtures' have no dates
            line = b'{"created":"%d-03-04",' % dice.randrange(2015, 2025) + line[1:]
        found.append((kind, line.replace(whose.encode(), patient.encode())))
        written += len(line)
    if not any(kind == "Patient" for kind, _ in found):
        found.append(("Patient", orjson.dumps({"resourceType": "Patient", "id": patient, "birthDate": "1970-01-01"})))
    place = 0
    while written < wanted:
        line = orjson.dumps(_observation(patient, place, dice))
        found.append(("Observation", line))
        written, place = written + len(line), place + 1
    for place in range(3):
        needling = dice.random() < share / 3 * 1.05
        found.append(("ServiceRequest", orjson.dumps(_order(patient, place, needling=needling, dice=dice))))
    return found


def _observation(patient: str, place: int, dice: random.Random) -> dict:
    day = date(2019, 1, 1) + timedelta(days=dice.randrange(2400))
    return {
        "resourceType": "Observation", "id": f"{patient}-o{place}", "status": "final",
        "meta": {"lastUpdated": f"{day}T12:00:00Z", "profile": ["http://hl7.org/fhir/us/core/StructureDefinition/x"]},
        "category": [{"coding": [{"system": _CATEGORY, "code": "exam"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": dice.choice(_SEEN)}]},
        "subject": {"reference": f"Patient/{patient}"}, "effectiveDateTime": f"{day}T08:00:00-05:00",
        "issued": f"{day}T08:10:00-05:00", "valueQuantity": {"value": dice.randrange(1, 9), "unit": "{score}"},
        "note": [{"text": _NOTE * dice.randrange(1, 12)}],
    }  # fmt: skip


def _order(patient: str, place: int, *, needling: bool, dice: random.Random) -> dict:
    day = date(2023, 1, 1) + timedelta(days=dice.randrange(900))
    reason = dice.choice(_REASONS) if needling else None
    told = (
        {"reasonCode": [{"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": reason}]}]}
        if reason
        else {}
    )
    return {
        "resourceType": "ServiceRequest", "id": f"{patient}-s{place}", "intent": "order",
        "status": dice.choice(("active", "completed", "completed", "revoked")),
        "code": {"coding": [{"system": _CPT, "code": dice.choice(_NEEDLING if needling else _OTHER)}]},
        "subject": {"reference": f"Patient/{patient}"}, "authoredOn": f"{day}T{dice.randrange(8, 18):02d}:15:00-05:00",
        "encounter": {"reference": f"Encounter/{patient}-{day}"},
        "requester": {"reference": f"Practitioner/d{dice.randrange(200)}"}, **told,
    }  # fmt: skip
