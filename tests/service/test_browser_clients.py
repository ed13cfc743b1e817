"""Browser clients (S5, V9): preflight for listed origins only; and health and headers of every answer."""

from __future__ import annotations

from datetime import datetime

import pytest

from cds_service.errors import SettingsError
from cds_service.main import create
from cds_service.settings import Settings
from cds_service.web.app import create_app
from tests.cases import KNOWLEDGE, TODAY, own_settings
from tests.charts import condition, request

SANDBOX = "https://sandbox.cds-hooks.org"
URL = "/cds-services/dry-needling-order-select"
PREFLIGHT = {
    "Origin": SANDBOX,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


def client(**changes):
    return create(own_settings(**changes), clock=lambda: TODAY).test_client()


@pytest.fixture(scope="module")
def browser():
    return client(cors_origins=f"{SANDBOX}, http://localhost:8081")


@pytest.mark.parametrize("path", ["/cds-services", URL])
def test_the_preflight_of_a_listed_origin_is_answered(path, browser):
    response = browser.options(path, headers=PREFLIGHT)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == SANDBOX
    assert response.headers["Access-Control-Allow-Headers"].lower() == "authorization, content-type"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Private-Network" not in response.headers


def test_answers_and_errors_can_be_read_by_a_listed_origin(browser):
    for response in (
        browser.get("/cds-services", headers={"Origin": SANDBOX}),
        browser.post(URL, json=request(condition("M54.2")), headers={"Origin": SANDBOX}),
        browser.post(URL, json={}, headers={"Origin": SANDBOX}),
        browser.get("/nowhere", headers={"Origin": SANDBOX}),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == SANDBOX
        assert response.headers["Access-Control-Expose-Headers"] == "Knowledge-Version"


def test_another_origin_gets_no_permission(browser):
    for response in (
        browser.options(URL, headers={**PREFLIGHT, "Origin": "https://evil.example.org"}),
        browser.get("/cds-services", headers={"Origin": f"{SANDBOX}.evil.example.org"}),
        client().options(URL, headers=PREFLIGHT),
    ):
        assert "Access-Control-Allow-Origin" not in response.headers


def test_a_private_network_preflight_is_answered_when_configured():
    """V9."""
    asked = {**PREFLIGHT, "Access-Control-Request-Private-Network": "true"}
    response = client(cors_origins=SANDBOX, cors_private_network=True).options(URL, headers=asked)
    assert response.headers["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize("origin", ["*", "sandbox.cds-hooks.org", f"{SANDBOX}/", "https://*.cds-hooks.org"])
def test_what_is_no_origin_is_refused_at_start(origin):
    with pytest.raises(SettingsError, match="is not an origin"):
        Settings.from_environ({"CDS_CORS_ORIGINS": origin})
    with pytest.raises(SettingsError, match="must be true or false"):
        Settings.from_environ({"CDS_CORS_PRIVATE_NETWORK": "maybe"})
    assert Settings.from_environ({"CDS_CORS_PRIVATE_NETWORK": "True"}).cors_private_network


def test_no_answer_may_be_cached_or_sniffed(browser):
    for response in (browser.get("/cds-services"), browser.post(URL, json={}), browser.get("/health/live")):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_health(browser):
    assert browser.get("/health/live").json == {"status": "alive"}
    response = browser.get("/health/ready")
    assert response.status_code == 200
    store = response.json["store"]
    assert store.pop("waitingRecords") >= 0
    assert response.json | {"store": store} == {
        "status": "ready",
        "services": [
            {"id": "dry-needling-order-select", "hook": "order-select"},
            {"id": "dry-needling-order-sign", "hook": "order-sign"},
        ],
        "guidelines": {"dry-needling": KNOWLEDGE.version},
        "overdueReviews": [],
        "store": {"reachable": True, "lostRecords": 0, "recording": True},
    }


def test_an_overdue_review_is_visible_in_readiness():
    later = create(own_settings(), clock=lambda: datetime.fromisoformat("2030-01-01T00:00:00+00:00"))
    response = later.test_client().get("/health/ready")
    assert response.status_code == 200
    assert "dry-needling/guideline" in response.json["overdueReviews"]


def test_a_server_without_services_is_alive_and_not_ready():
    empty = create_app(own_settings(), [], clock=lambda: TODAY).test_client()
    assert empty.get("/health/live").status_code == 200
    assert empty.get("/health/ready").status_code == 503
