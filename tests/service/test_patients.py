"""Realistic charts: a needling and an injection order for each synthetic patient, decided by hand from the chart."""

from __future__ import annotations

import tomllib
from datetime import date

import orjson
import pytest

from cds_service.call import answer
from cds_service.guideline.detail import count
from tests.cases import EXTENSION, FIXTURES
from tests.patients import PATIENTS, prefetch_of, request_for

TOLD = tomllib.loads((FIXTURES / "patients.toml").read_text(encoding="utf-8"))
DAY = date(2026, 11, 23)


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize(("order", "code"), [("needling", "20560"), ("injection", "20552")])
def test_patient_gets_the_rule_decided_by_hand(name, order, code, registry):
    answered = answer(registry, "", orjson.dumps(request_for(name, code)), DAY)
    rules = [card["extension"][EXTENSION]["rule"] for card in orjson.loads(answered.body)["cards"]]
    assert rules == ([TOLD[name][order]] if TOLD[name][order] else [])
    assert all(count(card["detail"]) <= 120 for card in orjson.loads(answered.body)["cards"])


def test_there_are_enough_patients_and_they_are_small():
    assert len(TOLD) >= 20
    assert sum(path.stat().st_size for path in PATIENTS.glob("*.json")) < 3_000_000


def test_a_repeated_problem_is_told_once(registry):
    """Alert fatigue: five equal entries are named once, with the earliest onset."""
    answered = answer(registry, "", orjson.dumps(request_for("Deandre", "20560")), DAY)
    (card,) = orjson.loads(answered.body)["cards"]
    (why,) = (part for part in card["detail"].split("\n\n") if part.startswith("**Why:**"))
    assert why.count("Chronic low back pain") == 1
    assert "Chronic low back pain (finding) (since 2014-02-06)" in why
    assert count(card["detail"]) <= 120


def test_a_chart_is_not_touched_by_a_call(registry):
    """Data flows one way: nothing that was sent is changed."""
    request = request_for("Gilda", "20560")
    before = orjson.dumps(request)
    answer(registry, "", before, DAY)
    assert orjson.dumps(request) == before
    assert prefetch_of("Gilda")["conditions"]["entry"]
