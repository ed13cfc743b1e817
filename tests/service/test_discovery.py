"""Discovery (D1-D5)."""

from __future__ import annotations

import re

import pytest

from cds_service.guideline.services import Registry
from cds_service.main import create
from cds_service.protocol.cards import SERVICE_DESCRIPTION
from tests.cases import TODAY, own_settings
from tests.charts import condition, request

TOKENS = {"{{context.patientId}}"}


def services(client):
    return client.get("/cds-services").json["services"]


def test_discovery_lists_both_services_with_their_own_ids(client):
    """D1, D2, D3: distinct ids by default, because clients keyed by id keep only the last."""
    response = client.get("/cds-services")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    found = {(service["id"], service["hook"]) for service in response.json["services"]}
    assert found == {("dry-needling-order-select", "order-select"), ("dry-needling-order-sign", "order-sign")}


def test_a_trailing_slash_is_the_same(client):
    assert client.get("/cds-services/").json == client.get("/cds-services").json


def test_each_service_is_described_in_full_and_nothing_is_null_or_empty(client):
    """D2, D5, H3."""
    for service in services(client):
        described = SERVICE_DESCRIPTION.validate_python(service)
        assert described["version"] == "2.0.0"
        assert described["hookVersion"] == "1.0", "H3: as the hook library publishes both definitions"
        assert all(value not in (None, "", {}, []) for value in service.values())


def test_prefetch_templates_use_only_what_clients_must_support(client):
    """D4: instance reads and type searches with reference and token parameters, 2.0 tokens only."""
    for service in services(client):
        for query in service["prefetch"].values():
            assert set(re.findall(r"{{.*?}}", query)) <= TOKENS
            kind, _, search = query.partition("?")
            if search:
                assert {part.split("=")[0] for part in search.split("&")} <= {"patient", "code", "status"}
            else:
                assert kind == "Patient/{{context.patientId}}"


def test_no_services_is_an_empty_array():
    """D1."""
    assert Registry(()).discovery() == {"services": []}


@pytest.fixture(scope="module")
def shared():
    return create(own_settings(shared_service_id="dry-needling"), clock=lambda: TODAY).test_client()


def test_one_id_can_be_shared_by_both_hooks(shared):
    """D3: a card of order-sign then replaces the one of order-select in the client."""
    assert {(s["id"], s["hook"]) for s in services(shared)} == {
        ("dry-needling", "order-select"),
        ("dry-needling", "order-sign"),
    }
    sent = request(condition("M54.2"))
    assert len(shared.post("/cds-services/dry-needling", json=sent).json["cards"]) == 1
    sent["hook"] = "order-sign"
    assert len(shared.post("/cds-services/dry-needling", json=sent).json["cards"]) == 1
    sent["hook"] = "patient-view"
    assert shared.post("/cds-services/dry-needling", json=sent).status_code == 400
