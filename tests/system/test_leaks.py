"""Nothing leaks: marked values in every field of every resource, and all that the service says and keeps, searched."""

from __future__ import annotations

import copy
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.cases import FIXTURES
from tests.charts import bundle
from tests.system.conftest import served
from tests.system.test_fhir_access import fhir, put, without_prefetch
from tests.tokens import ISS, public_key, token

MARK = "Zyx-Marked-91"
PATH = "/cds-services/dry-needling-order-select"
NAMES = (
    "r1-two-orders-share-one-card", "r7-earlier-needling-helped", "r4-active-care-plan", "r6-onset-that-cannot-be-read",
    "r1-reason-in-contained-condition", "r7-pain-score-in-component", "412-conditions-failed",
)  # fmt: skip
# What a request must say plainly to be understood at all; everything else is marked.
KEPT = {"resourceType", "system", "code", "hook", "hookInstance", "status", "intent", "type", "relation", "mode", "url"}
KEPT |= {"token_type", "fhirServer", "severity", "unit"}

__all__ = ["fhir"]


def marked(value: Any, key: str = "") -> Any:
    """Return JSON with a mark in every text that need not be kept; dates stay dates by becoming other texts."""
    if isinstance(value, dict):
        return {name: marked(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [marked(item, key) for item in value]
    if isinstance(value, str) and key not in KEPT:
        return f"{value}{MARK}" if not value[:4].isdigit() else value
    return value


def with_marked_fields(sent: dict) -> dict:
    """Add marked names, identifiers, notes and contacts to every resource."""
    sent = copy.deepcopy(sent)
    private = {
        "name": [{"family": MARK}],
        "identifier": [{"value": MARK}],
        "note": [{"text": MARK}],
        "text": {"status": "generated", "div": f"<div>{MARK}</div>"},
        "extension": [{"url": "https://example.org/e", "valueString": MARK}],
    }
    for value in sent["prefetch"].values():
        for entry in (value or {}).get("entry", []):
            entry["resource"] = {**private, **entry["resource"]}
    sent["context"]["encounterId"] = MARK
    return marked(sent)


def feedback_answers(url: str) -> list[requests.Response]:
    """Send feedback that is marked wherever words can stand; return what it was answered with."""
    entry = {"card": MARK, "outcome": "overridden", "outcomeTimestamp": "2026-11-23T17:30:00Z"}
    reason = {"reason": {"code": f"{MARK} said so", "system": MARK, "display": MARK}, "userComment": MARK}
    answers = []
    for one in ({**entry, "overrideReason": reason}, {**entry, "outcome": MARK}):
        said = {"Authorization": f"Bearer {token(aud=f'{url}{PATH}/feedback', jti=str(uuid.uuid4()))}"}
        answers.append(requests.post(f"{url}{PATH}/feedback", json={"feedback": [one]}, headers=said, timeout=10))
    return answers


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_no_marked_value_is_logged_stored_or_told_in_an_error(level: str, fhir: str, tmp_path: Path):
    """Names, identifiers, free text, tokens, patient ids: on happy and failing paths, at every log level."""
    keys = ", ".join(f"{name} = {json.dumps(value)}" for name, value in public_key("ES384").items())
    issuers = tmp_path / "issuers.toml"
    issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n', encoding="utf-8")
    environ = {
        "CDS_LOG_LEVEL": level,
        "CDS_JWT": "services",
        "CDS_ISSUERS_FILE": str(issuers),
        "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite3",
        "CDS_FHIR_SERVERS": f"{fhir} internal",
        "CDS_WORKERS": "1",
    }
    errors: list[str] = []
    log = tmp_path / "log"
    statuses: set[int] = set()
    cards = 0
    with served(log, **environ) as (url, process):

        def send(body: Any, **options: Any) -> None:
            said = {"Authorization": f"Bearer {token(aud=url + PATH, sub=MARK, jti=f'{MARK}{uuid.uuid4()}')}"}
            data = {"data": body} if isinstance(body, bytes) else {"json": body}
            headers = {"Content-Type": "application/json", **said, **options}
            response = requests.post(url + PATH, **data, headers=headers, timeout=10)
            statuses.add(response.status_code)
            nonlocal cards
            if response.status_code == 200:
                cards += len(response.json()["cards"])
            else:
                errors.append(response.text + str(response.headers))

        for name in NAMES:
            sent = with_marked_fields(json.loads((FIXTURES / "calls" / name / "request.json").read_bytes()))
            bundles = [value for value in sent["prefetch"].values() if value]
            put(fhir, [entry["resource"] for value in bundles for entry in value.get("entry", [])])
            for base in (
                f"{fhir}/fhir",
                f"{fhir}/faults/status_500",
                f"{fhir}/faults/redirects",
                f"https://{MARK}.test",
            ):
                fetched = without_prefetch(sent, base)
                fetched["fhirAuthorization"] = {**fetched["fhirAuthorization"], "access_token": MARK, "subject": MARK}
                send(fetched)
            send(sent)
            for path in ("hookInstance", "context", "prefetch", "fhirServer"):
                send({**sent, path: MARK})
            send({**sent, "prefetch": {MARK: bundle({"resourceType": MARK, "id": MARK})}})
            send(json.dumps(sent).encode()[:-20])
            send(sent, Authorization=f"Bearer {MARK}")
            send(sent, **{"Content-Type": MARK})
        for told in feedback_answers(url):
            statuses.add(told.status_code)
            errors.append(told.text)
        requests.get(f"{url}/{MARK}?{MARK}={MARK}", timeout=5)
        process.terminate()
        process.wait(10)
    lines = log.read_text(encoding="utf-8").splitlines()
    assert {200, 400, 401, 412, 415} <= statuses
    assert cards > 10
    assert any('"event": "refused"' in line for line in lines) == (level in ("debug", "info", "warning"))
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("cds*.sqlite3*"))
    assert b"overridden" in stored
    assert b"R1" in stored
    for kept in (*lines, *errors, stored.decode("latin-1")):
        assert MARK.lower() not in kept.lower()
