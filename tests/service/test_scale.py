"""Cost grows with the size of a chart and no faster, whatever the chart is full of."""

from __future__ import annotations

import time
from datetime import date, timedelta

import orjson
import pytest

from cds_service.call import answer
from tests.bench.bodies import real_request
from tests.charts import bundle, code, condition, needling, request, score

FEW, MANY = 200, 2000
MOST = 30
"""Ten times the resources may take this much longer; were it a matter of pairs, they would take a hundred times."""


def chart_of(entry):
    """Return what makes a request whose problem list holds so many entries."""
    return lambda number: orjson.dumps(request(*(entry(n) | {"id": f"e{n}"} for n in range(number))))


def day(number: int) -> str:
    return (date(2026, 11, 22) - timedelta(days=number % 80)).isoformat()


def session(number: int) -> dict:
    performed = {"performedDateTime": day(number), "code": code("cpt", "20560"), "status": "completed"}
    return {"resourceType": "Procedure", "subject": {"reference": "Patient/p1"}, **performed}


def therapy(number: int) -> dict:
    return session(number) | {"code": code("cpt", "97110")}


def orders(number: int) -> bytes:
    sent = request(condition("M54.50"), order=needling())
    drafts = [needling(id=f"o{n}", reasonCode=[code("icd", "M54.2")]) for n in range(number)]
    sent["context"]["draftOrders"] = bundle(*drafts)
    sent["context"]["selections"] = [f"ServiceRequest/o{n}" for n in range(number)]
    return orjson.dumps(sent)


def reasons(number: int) -> bytes:
    texts = [code("icd", "M54.2", display=f"Neck pain {n}") for n in range(number)]
    return orjson.dumps(request(*(condition("M54.2") | {"id": f"c{n}"} for n in range(number)),
                                order=needling(reasonCode=texts)))  # fmt: skip


def real(number: int) -> bytes:
    return real_request(wanted={"conditions": number // 4, "painScores": number // 4, "procedures": number // 2})


@pytest.mark.parametrize(
    "body_of",
    [
        pytest.param(real, id="a real mixture"),
        pytest.param(chart_of(lambda n: condition("M54.50", onsetDateTime=day(n))), id="low back pain"),
        pytest.param(chart_of(lambda n: condition("M54.50", onsetDateTime="2020-01-01")), id="chronic low back pain"),
        pytest.param(chart_of(lambda _: condition("G89.29")), id="chronic pain"),
        pytest.param(chart_of(lambda n: condition("x", code={"text": f"words {n}"})), id="free text"),
        pytest.param(chart_of(lambda n: condition("M54.50", onsetDateTime=f"2020-02-30 {n}")), id="unreadable"),
        pytest.param(chart_of(lambda n: score(n % 10, effectiveDateTime=day(n))), id="pain scores"),
        pytest.param(chart_of(session), id="earlier sessions"),
        pytest.param(chart_of(therapy), id="therapies"),
        pytest.param(orders, id="orders"),
        pytest.param(reasons, id="reasons"),
    ],
)
def test_ten_times_as_much_does_not_take_a_hundred_times_as_long(body_of, registry, today):
    few, many = body_of(FEW), body_of(MANY)
    assert quickest(registry, many, today) < MOST * quickest(registry, few, today)


def quickest(registry, body: bytes, today) -> float:
    times = []
    for _ in range(3):
        began = time.perf_counter()
        answer(registry, "", body, today)
        times.append(time.perf_counter() - began)
    return min(times)
