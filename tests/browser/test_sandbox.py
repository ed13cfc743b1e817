"""What the CDS Hooks Sandbox sends, sent by Chromium from a page on another origin (S5, and the Sandbox's source)."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.charts import bundle, code, condition
from tests.system.conftest import served
from tests.tokens import public_key, token

ISS = "https://sandbox.cds-hooks.org"
SERVICE = "dry-needling-order-select"
SEND = """
async ([url, options]) => {
  const response = await fetch(url, options);
  return [response.status, await response.json(), response.headers.get("Knowledge-Version")];
}
"""


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href='data:,'><title>Sandbox</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A page elsewhere: another port is another origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def guarded(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that trusts the Sandbox's key, and lets its origin call."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    keys = ", ".join(f"{name} = {json.dumps(value)}" for name, value in public_key("ES384").items())
    issuers = folder / "issuers.toml"
    issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n', encoding="utf-8")
    environ = {
        "CDS_CORS_ORIGINS": origin, "CDS_JWT": "everywhere", "CDS_ISSUERS_FILE": str(issuers), "CDS_LOG_LEVEL": "error",
    }  # fmt: skip
    with served(**environ) as (url, _):
        yield url


@pytest.fixture
def sandbox(browser: Browser, origin: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(origin)
    yield page
    page.close()


def bearer(audience: str) -> dict[str, str]:
    """Return the header with a token such as the Sandbox makes: ES384, with a jku that nobody has to trust."""
    made = token("ES384", header={"jku": f"{ISS}/.well-known/jwks.json"}, iss=ISS, aud=audience)
    return {"Authorization": f"Bearer {made}"}


def order() -> dict:
    """The PAMA screen's order, with a needling code."""
    return {
        "resourceType": "ServiceRequest",
        "id": "example-request-id",
        "status": "draft",
        "intent": "plan",
        "code": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "20560"}]},
        "subject": {"reference": "Patient/smart-1288992"},
        "reasonCode": [code("sct", "279039007", display="Low back pain")],
    }


def hook_request() -> dict:
    pain = condition("M54.50", onsetDateTime="2020-01-01", subject={"reference": "Patient/smart-1288992"})
    return {
        "hookInstance": str(uuid.uuid4()),
        "hook": "order-select",
        "fhirServer": "https://launch.smarthealthit.org/v/r4/fhir",
        "context": {
            "userId": "Practitioner/COREPRACTITIONER1",
            "patientId": "smart-1288992",
            "selections": ["ServiceRequest/example-request-id"],
            "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": order()}]},
        },
        "prefetch": {"conditions": {"type": "searchset", **bundle(pain)}},
    }


def post(url: str, body: dict) -> list:
    headers = {"Accept": "application/json", "Content-Type": "application/json", **bearer(url)}
    return [url, {"method": "POST", "headers": headers, "body": json.dumps(body)}]


def test_discovery_call_and_feedback_from_another_origin(sandbox, guarded):
    """A preflight for each, a token for each, cards and feedback by uuid."""
    url = f"{guarded}/cds-services"
    status, found, _ = sandbox.evaluate(SEND, [url, {"headers": {"Accept": "application/json", **bearer(url)}}])
    assert (status, len(found["services"])) == (200, 2)
    status, answer, version = sandbox.evaluate(SEND, post(f"{url}/{SERVICE}", hook_request()))
    (card,) = answer["cards"]
    assert (status, card["indicator"]) == (200, "warning")
    assert version.startswith("2.")
    entry = {"card": card["uuid"], "outcomeTimestamp": "2026-11-23T17:30:00.000Z"}
    accepted = {**entry, "outcome": "accepted", "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}]}
    reason = {"reason": card["overrideReasons"][0], "userComment": ""}
    overridden = {**entry, "outcome": "overridden"}
    for one in (accepted, overridden, {**overridden, "overrideReason": reason}):
        status, said, _ = sandbox.evaluate(SEND, post(f"{url}/{SERVICE}/feedback", {"feedback": [one]}))
        assert (status, said) == (200, {})


def test_the_rx_screen_sends_medications_and_gets_no_card(sandbox, guarded):
    sent = hook_request()
    medication = {"resourceType": "MedicationRequest", "id": "request-123", "status": "draft", "intent": "order"}
    sent["context"]["selections"] = ["MedicationRequest/request-123"]
    sent["context"]["draftOrders"] = bundle(medication)
    status, answer, _ = sandbox.evaluate(SEND, post(f"{guarded}/cds-services/{SERVICE}", sent))
    assert (status, answer) == (200, {"cards": []})


def test_a_page_of_an_origin_that_is_not_listed_gets_nothing(browser, guarded, site):
    page = browser.new_page()
    page.goto(f"{site}/evidence")
    failed = page.evaluate("url => fetch(url).then(() => 'answered', () => 'blocked')", f"{guarded}/cds-services")
    assert failed == "blocked"
    page.close()
