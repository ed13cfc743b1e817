"""A slice of make fuzz: mutated calls, traces, feedback and tokens get no 5xx, no hang and no invalid card."""

from __future__ import annotations

import pytest

from cds_service.fhir import conformance
from cds_service.web import endpoints
from tests.fuzz import campaign
from tests.fuzz.campaign import SEED, Campaign, made, run
from tests.fuzz.kinds import Kinds

NUMBERS = range(400)


@pytest.fixture(scope="module")
def kinds():
    with Kinds.prepared() as found:
        yield found


def test_mutated_requests_are_answered_or_refused(kinds):
    found = run(kinds, SEED, NUMBERS)
    assert found.faults == []
    assert {kind for kind, status in found.statuses if status == 200} == {"call", "bytes", "trace", "feedback", "token"}
    assert sum(found.statuses.values()) == len(NUMBERS)


def test_what_is_not_validated_any_more_for_one_call_is_read_as_well(kinds, monkeypatch):
    """F-A2: the bound on validation changes nothing about the form of answers."""
    monkeypatch.setattr(conformance, "MOST_VALIDATED", 0)
    monkeypatch.setattr(conformance, "_known", {})
    assert run(kinds, SEED + 1, NUMBERS).faults == []


def test_a_fault_is_noticed_and_named_by_its_number(kinds, monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(endpoints, "answer", broken)
    found = run(kinds, SEED, NUMBERS)
    number, kind, fault = found.faults[0]
    assert made(kinds, SEED, number).kind == kind
    assert fault.startswith("500 ")
    assert len(found.faults) == campaign.MOST_FAULTS


def test_each_request_can_be_made_again_alone(kinds):
    """But for tokens, which say when they were made."""
    again = [(made(kinds, SEED, number), made(kinds, SEED, number)) for number in NUMBERS]
    assert all(first == second for first, second in again if first.kind != "token")
    assert len({first.body for first, _ in again}) > len(NUMBERS) // 2


@pytest.mark.parametrize(("megabytes", "grew"), [([1, 9, 9, 9, 9, 9, 9, 9], False), ([9, 9, 9, 9, 9, 9, 10, 10], True)])
def test_growth_counts_after_the_warm_up(megabytes, grew):
    assert (Campaign(megabytes=megabytes).growth >= campaign.MOST_GROWTH) is grew
