"""Bundles (P6): which searchsets are a part of their list only."""

from __future__ import annotations

import pytest

from cds_service.fhir.bundles import is_cut_off, links_of
from cds_service.fhir.chart import Availability
from cds_service.fhir.prefetch import gather
from tests.charts import QUERIES, bundle, condition

NEXT = [{"relation": "next", "url": "http://h/x"}]
NOTHING_FOUND = {
    "resource": {"resourceType": "OperationOutcome", "issue": [{"severity": "information"}]},
    "search": {"mode": "outcome"},
}


@pytest.mark.parametrize(
    ("searchset", "part"),
    [
        (bundle(), False),
        (bundle(condition("M54.2")), False),
        (bundle(condition("M54.2"), total=1), False),
        (bundle(condition("M54.2"), total=0), False),
        (bundle(condition("M54.2"), total=2), True),
        (bundle(total=1), True),
        (bundle(total=0), False),
        (bundle(link=NEXT), True),
        (bundle(total=40, link=NEXT), True),
        (bundle(condition("M54.2"), link=NEXT), True),
        ({"resourceType": "Bundle", "total": 1}, True),
        ({"resourceType": "Bundle", "total": 0, "entry": None}, False),
        ({"resourceType": "Bundle", "total": 1, "entry": [NOTHING_FOUND]}, True),
        ({"resourceType": "Bundle", "total": 0, "entry": [NOTHING_FOUND]}, False),
        ({"resourceType": "Bundle", "total": 1, "entry": [{"resource": {}, "search": {"mode": "include"}}]}, True),
        ({"resourceType": "Bundle", "total": 1, "entry": [{"resource": {}, "search": {"mode": "match"}}]}, False),
        ({"resourceType": "Bundle", "total": 1, "entry": [{"resource": {}, "search": 5}]}, False),
        ({"resourceType": "Bundle", "total": 1, "entry": [5]}, False),
        (bundle(total="7"), False),
        (bundle(total=True), False),
        (bundle(total=None), False),
    ],
)
def test_a_searchset_with_a_next_page_or_fewer_matches_than_it_counts_is_a_part(searchset, part):
    """P6."""
    assert is_cut_off(searchset) == part


@pytest.mark.parametrize("value", [bundle(link=NEXT), bundle(total=40), bundle(condition("M54.2"), total=40)])
def test_a_part_of_a_list_is_never_an_empty_or_a_whole_list(value):
    """P6: an empty first page with a next link is no empty problem list."""
    assert gather("p1", {"conditions": value}, QUERIES, {}).availability["conditions"] is Availability.PARTIAL


@pytest.mark.parametrize("value", [None, [], "x", {}, {"link": 5}, {"link": [5, {"relation": "next", "url": 5}]}])
def test_what_has_no_links_has_none(value):
    assert list(links_of(value, "next")) == []
