"""FHIR access over real HTTP: the same cards as with a prefetch, and every fault ends in time (P2, F1-F3)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
import requests

from cds_service.call import Support, answer
from cds_service.fhir.bundles import entries_of
from cds_service.guideline.services import Registry
from cds_service.settings import Settings
from cds_service.web.app import fhir_access
from tests.cases import EXTENSION, Case, all_cases
from tests.charts import condition, needling, request
from tests.patients import PATIENTS, prefetch_of, request_for
from tests.system.conftest import free_port, served
from tests.system.fhir_server import FAULTS

ROOT = Path(__file__).parent.parent.parent
MEDPLUM = Path(__file__).parent / "medplum"
KEYS = ("patient", "conditions", "painScores", "procedures", "serviceRequests", "carePlans")
# Cases in which the prefetch lacks what a server has: keys absent, failed or cut off.
ABOUT_PREFETCH = {
    "412-conditions-absent",
    "412-conditions-failed",
    "412-low-back-reason-needs-the-chart",
    "r1-without-problem-list",
    "r5-headache-reason-without-problem-list",
    "r7-optional-data-failed",
    "r7-problem-list-cut-off",
    "r7-site-named-keys",
}
# Budgets that a busy machine keeps too, and faults that last far longer.
BUDGETS = {
    "CDS_FHIR_REQUEST_MILLISECONDS": "1500",
    "CDS_FHIR_TOTAL_MILLISECONDS": "2000",
    "CDS_CALL_MILLISECONDS": "20000",
}
FAR_LESS_THAN_A_FAULT_LASTS = 15
# Faults that leave a part of the problem list.
IN_PART = {
    "pages_forever",
    "ends_with_an_outcome",
    "has_a_malformed_next_link",
    "begins_with_an_empty_page",
    "counts_more_than_it_sends",
}


@pytest.fixture(scope="module")
def fhir() -> Iterator[str]:
    """The root URL of a FHIR server in a process of its own."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-m", "tests.system.fhir_server", str(port)], cwd=ROOT) as process:
        for _ in range(1200):
            try:
                put(root, [])
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield root
        process.terminate()


@pytest.fixture(scope="module")
def medplum() -> Iterator[str]:
    """The root URL of an independent FHIR server; needs Node.js, which .ci/run installs."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js and npm are not installed")
    if not (MEDPLUM / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=MEDPLUM, check=True, capture_output=True)
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    with subprocess.Popen(["node", "server.mjs", str(port)], cwd=MEDPLUM) as process:
        for _ in range(600):
            try:
                requests.get(f"{root}/fhir/Patient/none", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield root
        process.terminate()


def load(root: str, resources: list[dict]) -> None:
    """Put resources into the independent server, in the place of all there were."""
    with requests.Session() as session:
        session.post(f"{root}/reset", timeout=5).raise_for_status()
        for number, resource in enumerate(resources):
            held = {"id": f"without-id-{number}", **resource}
            url = f"{root}/fhir/{held['resourceType']}/{held['id']}"
            session.put(url, json=held, timeout=5).raise_for_status()


def put(root: str, resources: list[dict]) -> None:
    requests.put(f"{root}/fhir", json=resources, timeout=5).raise_for_status()


def resources_of(sent: dict) -> list[dict]:
    """Return what a FHIR server would hold of a prefetch."""
    values = [value for value in (sent.get("prefetch") or {}).values() if value]
    found = [resource for value in values for _, resource, _ in entries_of(value)]
    return [resource for resource in found if resource["resourceType"] != "OperationOutcome"]


def without_prefetch(sent: dict, base: str) -> dict:
    return {
        **sent,
        "prefetch": {},
        "fhirServer": base,
        "fhirAuthorization": {
            "access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "s", "subject": "c"
        },
    }  # fmt: skip


def access(root: str, milliseconds: int = 5000):
    return fhir_access(
        Settings(
            fhir_servers=f"{root} internal",
            fhir_request_milliseconds=milliseconds,
            fhir_total_milliseconds=milliseconds,
        )
    )


def is_plain(sent: dict) -> bool:
    """Return whether a prefetch holds whole searchsets about this patient, as any server would send them."""
    subject = {"reference": f"Patient/{sent['context']['patientId']}"}
    for value in sent.get("prefetch", {}).values():
        if not isinstance(value, dict) or value.get("resourceType") == "Patient":
            continue
        if value.get("resourceType") != "Bundle" or value.get("type") != "searchset" or {"link", "total"} & set(value):
            return False
        for entry in value.get("entry", ()):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict) or resource.get("subject") != subject or "id" not in resource:
                return False
    return bool(sent.get("prefetch", {}).get("conditions"))


def whole(sent: dict, registry: Registry) -> dict:
    """Return a request with every prefetch key: a server says of each type what it has, if nothing."""
    nothing = {"resourceType": "Bundle", "type": "searchset"}
    keys = {key: nothing for service in registry.services for key in service.queries if key != "patient"}
    return {**sent, "prefetch": {**keys, **sent["prefetch"]}}


PLAIN = [case for case in all_cases() if case.folder.name not in ABOUT_PREFETCH and is_plain(case.request)]


def test_most_cases_can_be_asked_of_a_server():
    assert len(PLAIN) > 150


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.folder.name)
def test_without_prefetch_and_with_the_same_resources_on_the_server_each_case_gives_the_same_card(
    case: Case, medplum: str, registry
):
    load(medplum, resources_of(case.request))
    sent = without_prefetch(case.request, f"{medplum}/fhir")
    fetched = answer(registry, "", orjson.dumps(sent), case.today.date(), Support(access(medplum)))
    prefetched = answer(registry, "", orjson.dumps(whole(case.request, registry)), case.today.date())
    assert orjson.loads(fetched.body) == orjson.loads(prefetched.body)


@pytest.mark.parametrize("name", sorted(path.stem for path in PATIENTS.glob("*.json"))[::3])
def test_a_whole_patient_is_fetched(name: str, medplum: str, registry, today):
    sent = request_for(name, "20560")
    patient = sent["context"]["patientId"]
    prefetch = prefetch_of(name)
    resources = [entry["resource"] for key in KEYS[1:] for entry in prefetch[key]["entry"]]
    load(medplum, [{**resource, "subject": {"reference": f"Patient/{patient}"}} for resource in resources])
    fetched = answer(
        registry, "", orjson.dumps(without_prefetch(sent, f"{medplum}/fhir")), today, Support(access(medplum))
    )
    prefetched = answer(registry, "", orjson.dumps(sent), today)
    assert [c["extension"][EXTENSION]["rule"] for c in orjson.loads(fetched.body)["cards"]] == [
        c["extension"][EXTENSION]["rule"] for c in orjson.loads(prefetched.body)["cards"]
    ]


@pytest.fixture(scope="module")
def service(fhir: str) -> Iterator[str]:
    """The service, allowed to read the server and its faulty twins."""
    with served(CDS_FHIR_SERVERS=f"{fhir} internal", CDS_WORKERS="1", **BUDGETS) as (url, _):
        yield url


def ask(service: str, sent: dict) -> tuple[requests.Response, float]:
    started = time.perf_counter()
    response = requests.post(f"{service}/cds-services/dry-needling-order-select", json=sent, timeout=60)
    return response, time.perf_counter() - started


SEEN_IN_PART = ("part of the problem list", "the list was seen only partly")
NECK = needling(reasonCode=[{"text": "Neck pain"}])


def outcome(response: requests.Response) -> str:
    """Return what a caller gets, as the table of SECURITY.md says it."""
    if response.status_code == 412:
        return "412 that names the problem list"
    detail = response.json()["cards"][0]["detail"]
    if any(words in detail for words in SEEN_IN_PART):
        return "card; says that only part was read"
    assert "**Not seen:** problem list; pain scores, earlier procedures" in detail
    return "card; says what is not available"


def test_the_table_of_faults_in_security_md_is_what_happens(fhir: str, service: str):
    """The table is made here: when it differs, the message holds the right one."""
    rows = ["| fault | problem list needed | only optional data needed |", "|---|---|---|"]
    put(fhir, [condition("278860009", "sct")])
    for name, fault in FAULTS.items():
        base = f"{fhir}/faults/{name}"
        required, _ = ask(service, without_prefetch(request(), base))
        optional, _ = ask(service, without_prefetch(request(order=NECK), base))
        rows.append(f"| {fault.__doc__} | {outcome(required)} | {outcome(optional)} |")
    table = "\n".join(rows)
    assert table in (ROOT / "SECURITY.md").read_text(encoding="utf-8"), table


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_ends_in_412_or_in_a_card_that_says_what_is_missing_within_the_budget(
    fault: str, fhir: str, service: str
):
    """P2, R9: never a 500, never a stuck worker."""
    put(fhir, [condition("278860009", "sct")])
    base = f"{fhir}/faults/{fault}"
    required, took = ask(service, without_prefetch(request(), base))
    assert took < FAR_LESS_THAN_A_FAULT_LASTS
    if fault in IN_PART:
        assert outcome(required) == "card; says that only part was read"
    else:
        assert required.status_code == 412
        assert "prefetch.conditions is required" in required.json()["issue"][0]["diagnostics"]
    optional, took = ask(service, without_prefetch(request(order=NECK), base))
    assert took < FAR_LESS_THAN_A_FAULT_LASTS
    assert optional.status_code == 200
    part = "that only part was read" if fault in IN_PART else "what is not available"
    assert outcome(optional) == f"card; says {part}"


def test_a_dead_server_does_not_keep_others_waiting(fhir: str):
    """While some callers wait for a server that does not answer, others are answered."""
    patient = {"CDS_FHIR_REQUEST_MILLISECONDS": "8000", "CDS_FHIR_TOTAL_MILLISECONDS": "8000"}
    with served(CDS_FHIR_SERVERS=f"{fhir} internal", CDS_WORKERS="1", **{**BUDGETS, **patient}) as (url, _):
        dead = without_prefetch(request(), f"{fhir}/faults/delays")
        with ThreadPoolExecutor(3) as callers:
            waiting = [callers.submit(ask, url, dead) for _ in range(3)]
            time.sleep(0.5)
            answered, _ = ask(url, request(condition("M54.2")))
            assert answered.status_code == 200
            assert not any(future.done() for future in waiting)
            for future in waiting:
                assert future.result()[0].status_code == 412


@pytest.mark.parametrize("fault", ["trickles", "trickles_headers"])
def test_a_dripping_server_neither_holds_threads_nor_the_end_of_the_service(fault: str, fhir: str):
    """F3: seven calls held all 32 threads for as long as the server dripped."""
    put(fhir, [condition("278860009", "sct")])
    with served(CDS_FHIR_SERVERS=f"{fhir} internal", CDS_WORKERS="1", CDS_THREADS="8", **BUDGETS) as (url, process):
        dripping = without_prefetch(request(), f"{fhir}/faults/{fault}")
        with ThreadPoolExecutor(7) as callers:
            for answered, _ in callers.map(lambda _: ask(url, dripping), range(7)):
                assert answered.status_code == 412
        answered, _ = ask(url, without_prefetch(request(), f"{fhir}/fhir"))
        assert [card["extension"][EXTENSION]["rule"] for card in answered.json()["cards"]] == ["R1"]
        process.terminate()
        assert process.wait(FAR_LESS_THAN_A_FAULT_LASTS) == 0


def test_a_call_in_flight_is_finished_when_the_service_is_told_to_end(fhir: str):
    """Graceful shutdown."""
    with (
        served(CDS_FHIR_SERVERS=f"{fhir} internal", CDS_WORKERS="1", **BUDGETS) as (url, process),
        ThreadPoolExecutor(1) as caller,
    ):
        put(fhir, [])
        sent = without_prefetch(request(order=NECK), f"{fhir}/faults/delays")
        waiting = caller.submit(ask, url, {**sent, "prefetch": {"conditions": None}})
        time.sleep(0.5)
        process.terminate()
        response, took = waiting.result()
        assert response.status_code == 200
        assert took > 0.5
        assert len(response.json()["cards"]) == 1
        assert process.wait(FAR_LESS_THAN_A_FAULT_LASTS) == 0
