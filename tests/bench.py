"""make bench: a real-sized call in-process, against what decoding its JSON takes.

The request is one synthetic patient's chart, filled up from other charts to 138 conditions, 64 pain scores and 364
procedures with elements an EHR sends beside what we read: about 385 KB. The garbage collector is set as in a served
process, for both figures. Prints medians of alternating executions; nothing asserts a time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from statistics import median

import orjson

from cds_service.call import answer
from cds_service.main import load_registry, spare_the_collector
from cds_service.settings import Settings
from tests.cases import TODAY
from tests.patients import PATIENTS, patient_id, prefetch_of, request_for, searchset

WANTED = {"conditions": 138, "painScores": 64, "procedures": 364}
PATIENT = "Enoch"
ROUNDS = 500


def real_request(wanted_by_key: dict[str, int] | None = None) -> bytes:
    """Return an order-select request of real size: one patient's chart, filled up from other charts."""
    identifier = patient_id(PATIENT)
    request = request_for(PATIENT, "20560")
    for key, wanted in (wanted_by_key or WANTED).items():
        entries = list(prefetch_of(PATIENT)[key]["entry"])
        for path in sorted(PATIENTS.glob("*.json")):
            entries += prefetch_of(path.stem)[key]["entry"]
        enough = islice(cycle(entries), wanted)
        request["prefetch"][key] = searchset(_as_sent(entry, identifier) for entry in enough)
    return orjson.dumps(request)


def _as_sent(entry: dict, patient: str) -> dict:
    """Put back what an EHR sends beside what we read."""
    resource = {
        **entry["resource"],
        "subject": {"reference": f"Patient/{patient}"},
        "meta": {"profile": [f"http://hl7.org/fhir/us/core/StructureDefinition/{entry['resource']['resourceType']}"]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/category", "code": "record"}]}],
    }
    return {"fullUrl": entry["fullUrl"], "resource": resource, "search": {"mode": "match"}}


def microseconds(work: Callable[[], object]) -> float:
    """Return what one execution takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e6


def main() -> None:
    """Print both figures and their ratio."""
    body = real_request()
    registry = load_registry(Settings())
    day = TODAY.date()
    prefetch = orjson.loads(body)["prefetch"]
    resources = sum(len(bundle.get("entry", [1])) for bundle in prefetch.values())
    cards = orjson.loads(answer(registry, "", body, day).body)["cards"]
    spare_the_collector()
    decoding, calls = [], []
    for _ in range(ROUNDS):
        decoding.append(microseconds(lambda: orjson.loads(body)))
        calls.append(microseconds(lambda: answer(registry, "", body, day)))
    sys.stdout.write(
        f"request            {len(body) / 1000:.0f} KB, {resources} prefetched resources, {len(cards)} card(s)\n"
        f"decoding its JSON  {median(decoding):.0f} us\n"
        f"the whole call     {median(calls):.0f} us\n"
        f"ratio              {median(calls) / median(decoding):.2f}\n"
    )


if __name__ == "__main__":
    main()
