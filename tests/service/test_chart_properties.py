"""Properties of whole calls: statuses that have no effect, and entries that come in another order."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.main import load_registry
from cds_service.settings import Settings
from tests.cases import TODAY, all_cases
from tests.charts import bundle, cards, condition, request, rules

REGISTRY = load_registry(Settings())
DAY = TODAY.date()
ANY_CODE = st.sampled_from(
    [("278860009", "sct"), ("M54.50", "icd"), ("M54.16", "icd"), ("M47.816", "icd"), ("G43.909", "icd"),
     ("M54.2", "icd"), ("M79.18", "icd"), ("M51.369", "icd"), ("G89.29", "icd"), ("J30.2", "icd")]
)  # fmt: skip
PROBLEM_LISTS = st.lists(ANY_CODE, max_size=4, unique=True).map(
    lambda codes: [condition(value, system, onsetDateTime="2026-10-01") for value, system in codes]
)
NO_EFFECT = [
    {"clinicalStatus": {"coding": [{"code": "resolved"}]}},
    {"clinicalStatus": {"coding": [{"code": "inactive"}]}},
    {"clinicalStatus": {"text": "Remission"}},
    {"clinicalStatus": "resolved"},
    {"verificationStatus": {"coding": [{"code": "refuted"}]}},
    {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}},
    {"verificationStatus": "entered-in-error"},
]


@settings(max_examples=60)
@given(PROBLEM_LISTS, ANY_CODE, st.sampled_from(NO_EFFECT))
def test_resolved_refuted_and_entered_in_error_entries_have_no_effect(problems, extra, status):
    value, system = extra
    ended = {**condition(value, system, onsetDateTime="2020-01-01"), "id": "ended", **status}
    assert cards(REGISTRY, request(*problems, ended), DAY) == cards(REGISTRY, request(*problems), DAY)


@settings(max_examples=60)
@given(PROBLEM_LISTS)
def test_an_unrelated_condition_changes_no_rule(problems):
    assert rules(REGISTRY, request(*problems, condition("J30.1")), DAY) == rules(REGISTRY, request(*problems), DAY)


@settings(max_examples=60)
@given(PROBLEM_LISTS)
def test_adding_radiculopathy_never_leaves_r1_standing(problems):
    assert "R1" not in rules(REGISTRY, request(*problems, condition("M54.17")), DAY)


@pytest.mark.parametrize("case", all_cases()[::4], ids=lambda case: case.folder.name)
def test_the_order_of_prefetched_entries_never_matters(case):
    if case.told["status"] != 200:
        return
    shuffled = {**case.request, "prefetch": {**(case.request.get("prefetch") or {})}}
    for key, value in shuffled["prefetch"].items():
        if value and value["resourceType"] == "Bundle":
            entries = random.Random(7).sample(value["entry"], len(value["entry"]))
            shuffled["prefetch"][key] = {**value, "entry": entries}
    assert cards(REGISTRY, shuffled, case.today.date()) == cards(REGISTRY, case.request, case.today.date())


@settings(max_examples=40)
@given(st.dates(min_value=DAY.replace(year=2020), max_value=DAY), st.integers(0, 1000))
def test_moving_an_onset_earlier_never_leaves_chronic(onset, days):
    later = rules(REGISTRY, request(condition("M54.50", onsetDateTime=onset.isoformat())), DAY)
    earlier_day = (onset - timedelta(days=days)).isoformat()
    earlier = rules(REGISTRY, request(condition("M54.50", onsetDateTime=earlier_day)), DAY)
    assert later in (["R1"], ["R7"])
    if later == ["R1"]:
        assert earlier == ["R1"]


def test_a_bundle_may_hold_the_same_entry_under_two_keys():
    """V1: told once, counted once."""
    entry = condition("M54.2")
    sent = request(entry, prefetch={"again": bundle(entry)})
    assert cards(REGISTRY, sent, DAY) == cards(REGISTRY, request(entry), DAY)
