"""No element that does not carry the decision changes it, whatever stands in its place (F-D1); see make elements."""

from __future__ import annotations

import copy

import pytest

from tests import bad_elements
from tests.cases import all_cases

CASES = all_cases()
SHARE = 0.01
"""Of about 800,000 replacements; see make elements."""


@pytest.mark.parametrize("seed", [20261125])
def test_no_bad_value_changes_a_decision_that_does_not_rest_on_it(seed, registry):
    found = [str(fault) for case in CASES for fault in bad_elements.replaced(registry, case, SHARE, seed)[1]]
    assert found == []


def test_elements_of_every_resource_type_that_is_read_are_replaced():
    kinds = set()
    for case in CASES:
        for place, own in bad_elements.places(case):
            node = case.request
            for key in place[: len(place) - len(own)]:
                node = node[key]
            kinds.add(node["resourceType"])
    assert kinds >= {"Condition", "Procedure", "Observation", "ServiceRequest", "CarePlan", "Patient"}


def test_a_decision_that_does_change_is_found_and_the_request_is_left_as_it_was(registry, monkeypatch):
    case = next(case for case in CASES if case.folder.name == "r1-chronic-code-on-problem-list")
    before = copy.deepcopy(case.request)
    monkeypatch.setattr(bad_elements, "STATUSES", ("nothing",))
    found = [str(fault) for fault in bad_elements.replaced(registry, case, 0.3, 0)[1]]
    assert any("clinicalStatus" in fault for fault in found)
    assert case.request == before
