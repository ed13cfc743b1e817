"""Limits over HTTP: too many resources, too many calls, too little time."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace

import pytest

from cds_service.errors import TooLate
from cds_service.fhir import elements
from cds_service.fhir.deadline import step, until
from cds_service.main import create
from cds_service.web.app import create_app
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
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}/fhir"
        hurried = client(
            call_milliseconds=1500, fhir_request_milliseconds=60_000, fhir_total_milliseconds=60_000,
            fhir_servers=f"{base} internal open",
        )  # fmt: skip
        response = hurried.post(PATH, json={**sent, "fhirServer": base})
    assert response.status_code in (200, 503)  # within the time, or told that it was not enough; not after a minute
    if response.status_code == 200:
        assert "pain scores" in response.json["cards"][0]["detail"]


PATH_OF_FIRST = "/cds-services/first"


def app_of(registry, read, **changes):
    """Return an application with one service whose guideline reads charts in a way of its own."""
    service = registry.services[0]
    changed = replace(service, guideline=replace(service.guideline, read=read), id="first")
    return create_app(own_settings(**changes), [changed], clock=lambda: TODAY)


def looks_on(sources):
    """Compute for ever, as a guideline with a quadratic loop would."""
    while True:
        sources.chart.entries("Condition")


def resolves_on(sources):
    while True:
        sources.chart.resolve("Condition/1", {})


def reads_on(sources):
    while True:
        elements.read({"resourceType": "Condition", "code": {"text": "pain"}}, ("code",))


def matches_on(sources):
    while True:
        sources.value_sets.of_concept({"text": "pain"})


@pytest.mark.parametrize("endless", [looks_on, resolves_on, reads_on, matches_on])
def test_a_call_that_computes_too_long_is_ended_and_the_next_is_answered(endless, registry):
    """F-A2: whatever a guideline asks of a chart, or of codes, ends at the call's deadline."""
    usual = registry.services[0].guideline.read
    turns = iter([endless])

    def read(sources):
        return next(turns, usual)(sources)

    app = app_of(registry, read, call_milliseconds=1000)
    refused = app.test_client().post(PATH_OF_FIRST, json=request(condition("M54.2")))
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.json["issue"][0]["diagnostics"] == "The call took longer than this service gives itself"
    answers = (app.test_client().post(PATH_OF_FIRST, json=request(condition("M54.2"))) for _ in range(10))
    assert any(answer.status_code == 200 for answer in answers)


def test_calls_that_wait_too_long_for_their_turn_are_refused(registry):
    """With as many threads as calls: the others wait for the one that computes, and not for ever."""
    usual = registry.services[0].guideline.read
    go_on, began = threading.Event(), threading.Event()

    def waits(sources):
        began.set()
        go_on.wait(60)
        return usual(sources)

    app = app_of(registry, waits, call_milliseconds=400)
    sent = request(condition("M54.2"))
    first = threading.Thread(target=lambda: app.test_client().post(PATH_OF_FIRST, json=sent))
    first.start()
    try:
        assert began.wait(60)
        refused = app.test_client().post(PATH_OF_FIRST, json=sent)
    finally:
        go_on.set()
        first.join(60)
    assert refused.status_code == 503
    assert refused.json["issue"][0]["diagnostics"] == "Too many calls are under way"


def test_a_deadline_is_that_of_the_thread_and_of_the_block():
    step()
    with until(time.monotonic() - 1):
        with until(time.monotonic() + 600):
            step()
        with pytest.raises(TooLate):
            step()
    step()


def test_orders_times_chart_entries_are_bounded():
    """Each needling order is weighed against all that matters in the chart: 50 times 300 are too many."""
    problems = [condition("M54.50", onsetDateTime="2020-01-01") | {"id": f"c{number}"} for number in range(300)]
    for orders, status in ((10, 200), (50, 413)):
        sent = request(*problems, order=needling())
        sent["context"]["draftOrders"] = bundle(*(needling(id=f"o{number}") for number in range(orders)))
        sent["context"]["selections"] = [f"ServiceRequest/o{number}" for number in range(orders)]
        answered = client().post(PATH, json=sent)
        assert answered.status_code == status
    assert answered.json["issue"][0]["code"] == "too-costly"
