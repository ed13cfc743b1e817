"""W3C Trace Context: a call's trace id stands in each of its log lines, and goes on to the FHIR servers it asks."""

from __future__ import annotations

import json

import pytest

from cds_service.main import create
from tests.answering import always, answering, json_answer
from tests.cases import TODAY, own_settings
from tests.charts import condition, request

PATH = "/cds-services/dry-needling-order-select"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
SENT = request(condition("M54.2"))


def lines(capsys: pytest.CaptureFixture, traceparent: str, sent: object = SENT, **settings: object) -> list[dict]:
    """Make a call with a traceparent; return the log lines that it left."""
    client = create(own_settings(log_level="debug", **settings), clock=lambda: TODAY).test_client()
    capsys.readouterr()
    client.post(PATH, json=sent, headers={"traceparent": traceparent} if traceparent else {})
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("sent", [SENT, {"hook": "order-select"}], ids=["answered", "refused"])
def test_each_line_of_a_call_holds_the_trace_id(capsys, sent):
    logged = lines(capsys, TRACEPARENT, sent)
    assert logged
    assert {line.get("trace") for line in logged} == {TRACE}


def test_a_later_version_of_the_header_may_say_more(capsys):
    assert {line.get("trace") for line in lines(capsys, f"01-{TRACE}-00f067aa0ba902b7-01-more")} == {TRACE}


@pytest.mark.parametrize(
    "traceparent",
    [
        "", "MRN 12345", TRACEPARENT.upper(), f"{TRACEPARENT}-more", f"ff{TRACEPARENT[2:]}", TRACEPARENT[:-1],
        f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01", f"{TRACEPARENT}\x85",
    ],
)  # fmt: skip
def test_what_is_no_traceparent_never_reaches_the_log(capsys, traceparent):
    logged = lines(capsys, traceparent)
    assert logged
    assert all("trace" not in line for line in logged)


def test_a_trace_ends_with_its_call(capsys):
    client = create(own_settings(log_level="debug"), clock=lambda: TODAY).test_client()
    client.post(PATH, json=SENT, headers={"traceparent": TRACEPARENT})
    capsys.readouterr()
    client.post(PATH, json=SENT)
    assert TRACE not in capsys.readouterr().err


def test_a_fhir_server_is_asked_within_the_same_trace_by_a_span_of_its_own(capsys):
    nothing = always(json_answer({"resourceType": "Bundle", "type": "searchset"}))
    with answering(nothing) as server:
        sent = {**request(), "fhirServer": server.url}
        del sent["prefetch"]
        allowed = f"{server.url} internal open"
        patience = {"call_milliseconds": 60_000, "fhir_total_milliseconds": 60_000, "fhir_request_milliseconds": 60_000}
        lines(capsys, TRACEPARENT, sent, fhir_servers=allowed, **patience)
    continued = [
        line.split(": ", 1)[1]
        for head in server.heads
        for line in head.splitlines()
        if line.lower().startswith("traceparent:")
    ]
    assert len(continued) == len(server.heads) > 0
    for traceparent in continued:
        version, trace, span, flags = traceparent.split("-")
        assert (version, trace, flags) == ("00", TRACE, "01")
        assert span != "00f067aa0ba902b7"
    assert len(set(continued)) == 1
