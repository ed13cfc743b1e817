"""Limits over HTTP: too many resources, too many calls, too little time."""

from __future__ import annotations

from cds_service.main import create
from tests.cases import TODAY, own_settings
from tests.charts import bundle, condition, needling, request

PATH = "/cds-services/dry-needling-order-select"


def client(**changes):
    return create(own_settings(**changes), clock=lambda: TODAY).test_client()


def test_too_many_resources_get_413():
    sent = request(condition("M54.2"), prefetch={"procedures": bundle(*[{}] * 10)})
    assert client(max_resources=11).post(PATH, json=sent).status_code == 200
    refused = client(max_resources=10).post(PATH, json=sent)
    assert refused.status_code == 413
    assert refused.json["issue"][0] == {
        "severity": "error",
        "code": "too-costly",
        "diagnostics": "The prefetch holds more than 10 resources",
    }


def test_a_client_that_calls_too_often_gets_429_with_retry_after():
    caller = client(calls_per_minute=2)
    sent = request(condition("M54.2"))
    assert [caller.post(PATH, json=sent).status_code for _ in range(3)] == [200, 200, 429]
    refused = caller.post(PATH, json=sent)
    assert refused.headers["Retry-After"] == "60"
    assert refused.json["issue"][0]["code"] == "throttled"
    assert caller.post(PATH, json=sent, environ_base={"REMOTE_ADDR": "10.0.0.9"}).status_code == 200
    assert caller.get("/health/ready").status_code == 200


def test_a_call_with_little_time_does_not_spend_it_on_fetching():
    """R9: fetching ends before the call's time does."""
    sent = request(condition("M54.2"))
    del sent["prefetch"]["painScores"]
    sent["fhirServer"] = "http://127.0.0.1:9/fhir"
    hurried = client(call_milliseconds=50, fhir_servers="http://127.0.0.1:9/fhir internal open")
    response = hurried.post(PATH, json=sent)
    assert response.status_code == 200
    assert "Not available: pain scores." in response.json["cards"][0]["detail"]


def test_orders_times_chart_entries_are_bounded():
    """Each needling order is weighed against all that matters in the chart: 300 times 300 are too many."""
    problems = [condition("M54.50", onsetDateTime="2020-01-01") | {"id": f"c{number}"} for number in range(300)]
    for orders, status in ((50, 200), (300, 413)):
        sent = request(*problems, order=needling())
        sent["context"]["draftOrders"] = bundle(*(needling(id=f"o{number}") for number in range(orders)))
        sent["context"]["selections"] = [f"ServiceRequest/o{number}" for number in range(orders)]
        answered = client().post(PATH, json=sent)
        assert answered.status_code == status
    assert answered.json["issue"][0]["code"] == "too-costly"
