"""What counts as the list that a template asks for (P5, P6): whole, in part or not seen, and never taken for empty."""

from __future__ import annotations

import pytest

from cds_service.fhir import lists
from cds_service.fhir.chart import Availability
from cds_service.fhir.prefetch import gather
from tests.charts import QUERIES, bundle, condition, score

ONE = condition("M54.2")
WHOLE, PART, NOTHING = Availability.PREFETCHED, Availability.PARTIAL, Availability.EMPTY
FAILED, ABSENT = Availability.FAILED, Availability.ABSENT


def seen(value, key="conditions", **others):
    return gather("p1", {key: value, **others}, QUERIES, {}).availability["conditions"]


def searched(query, *resources, base="https://ehr.example.org/fhir/Condition"):
    return bundle(*resources, link=[{"relation": "self", "url": f"{base}{query}"}])


def outcome(severity="error", **entry):
    return {"resource": {"resourceType": "OperationOutcome", "issue": [{"severity": severity}]}, **entry}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?patient=p1",
        "/_search?patient=p1&_count=50&_sort=-recorded-date",
        "?patient=p1&category=problem-list-item",
        "?patient=p1&category=http://terminology.hl7.org/CodeSystem/condition-category%7Cproblem-list-item",
        "?patient=p1&category=encounter-diagnosis,problem-list-item",
        "?patient=p1&category:not=encounter-diagnosis",
        "?patient=p1&clinical-status=active",
        "?patient=p1&clinical-status=active,recurrence&category=problem-list-item",
        "?patient=p1&verification-status=confirmed",
        "?patient=p1&sessionId=abc&page=1",
    ],
)
def test_a_search_for_all_or_for_the_problem_list_is_the_list(query):
    assert seen(searched(query, ONE)) is WHOLE
    assert seen(searched(query)) is NOTHING


@pytest.mark.parametrize(
    "query",
    [
        "?patient=p1&encounter=Encounter/9",
        "?encounter=9",
        "?patient=p1&encounter.identifier=9",
        "?patient=p1&code=M54.5",
        "?patient=p1&code:in=http://x.org/vs",
        "?patient=p1&category=encounter-diagnosis",
        "?patient=p1&category=problem-list-item&category=encounter-diagnosis",
        "?patient=p1&clinical-status=resolved",
        "?patient=p1&_lastUpdated=gt2026-11-01",
        "?patient=p1&onset-date=ge2026-01-01",
        "?_id=1,2",
    ],
)
def test_a_search_for_some_of_it_is_a_part_with_entries_and_not_seen_without(query):
    """The largest EHR's own documented prefetch of conditions is filtered by encounter."""
    assert seen(searched(query, ONE)) is PART
    assert seen(searched(query)) is ABSENT


@pytest.mark.parametrize(
    "value",
    [
        bundle(score(5)),
        bundle({"resourceType": "Patient", "id": "p1"}),
        score(5),
        {"resourceType": "Parameters"},
        {"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "y"}, 5]},
        {"resourceType": "List", "entry": [{"item": {"reference": "Condition/1"}}]},
        searched("", base="https://ehr.example.org/fhir/Observation"),
        bundle({"resourceType": "Parameters"}),
    ],
)
def test_what_is_no_condition_list_is_not_seen_and_never_none_on_file(value):
    assert seen(value) is ABSENT


def batch(*resources):
    entries = [{"response": {"status": "200 OK"}, "resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "batch-response", "entry": entries}


@pytest.mark.parametrize(
    "wrapped",
    [
        batch,
        lambda inner: batch(batch(inner)),
        lambda inner: {"resourceType": "Parameters", "parameter": [{"name": "return", "resource": inner}]},
        lambda inner: {"resourceType": "Parameters", "parameter": [{"part": [{"resource": inner}]}]},
        lambda inner: {"resourceType": "List", "contained": [inner]},
    ],
)
def test_the_bundle_inside_of_another_is_read(wrapped):
    assert seen(wrapped(bundle(ONE))) is WHOLE
    assert seen(wrapped(bundle())) is NOTHING
    assert seen(wrapped(bundle(ONE, link=[{"relation": "next", "url": "https://x"}]))) is PART
    assert seen(wrapped(outcome()["resource"])) is not WHOLE
    chart = gather("p1", {"conditions": wrapped(bundle(ONE))}, QUERIES, {})
    assert chart.entries("Condition") == (ONE,)
    assert chart.resolve("Condition/c-M54.2", {}) == ONE


def test_of_several_bundles_in_one_value_each_says_itself_what_it_is():
    assert seen(batch(bundle(ONE), bundle(score(5)))) is WHOLE
    assert seen(batch(bundle(), bundle(score(5)))) is ABSENT
    assert seen(batch(searched("?patient=p1"), bundle(score(5)))) is NOTHING
    assert seen({"resourceType": "Bundle", "entry": [{"resource": bundle(ONE)}, {"resource": score(5)}]}) is WHOLE


def test_bundles_are_opened_to_a_depth():
    value = bundle(ONE)
    for _ in range(50):
        value = batch(value)
    assert seen(value) is ABSENT


@pytest.mark.parametrize(
    ("entries", "state"),
    [
        ([outcome("information")], NOTHING),
        ([outcome("warning", search={"mode": "outcome"})], NOTHING),
        ([outcome("error", search={"mode": "outcome"})], FAILED),
        ([{"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}], NOTHING),
        ([{"resource": {"resourceType": "OperationOutcome"}}], FAILED),
        ([{"resource": {"resourceType": "OperationOutcome", "issue": [{"severity": []}]}}], FAILED),
        ([outcome("information"), {"resource": ONE}], WHOLE),
        ([outcome("error"), {"resource": ONE}], PART),
        ([5, {"resource": ONE}], WHOLE),
        ([5], FAILED),
        ([5, outcome("information")], FAILED),
        ([{"response": {"status": "404"}}], FAILED),
    ],
)
def test_outcomes_among_the_entries(entries, state):
    """V2: nothing found is told from a failure."""
    assert seen({"resourceType": "Bundle", "entry": entries}) is state


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"total": 1}, WHOLE),
        ({"total": 2}, PART),
        ({"total": 0}, WHOLE),
        ({"total": "9"}, WHOLE),
        ({"link": [{"relation": "next", "url": "?_getpages=1"}]}, PART),
    ],
)
def test_a_total_above_the_entries_of_the_type_is_a_part(more, state):
    """P6."""
    assert seen(bundle(ONE, outcome("information")["resource"], score(5), **more)) is state


def test_an_empty_page_with_more_to_come_is_a_part():
    assert seen(bundle(total=40)) is PART
    assert seen(bundle(link=[{"relation": "next", "url": "https://x"}])) is PART


def test_several_bundles_are_one_list_and_whole_when_one_is():
    part = searched("?encounter=9", condition("M54.6"))
    assert seen(part, visits=bundle(ONE)) is WHOLE
    assert seen(bundle(ONE), visits=part) is WHOLE
    assert seen(None, visits=part) is NOTHING
    assert seen(outcome()["resource"], visits=part) is PART
    assert seen(part, key="visits") is PART


def test_what_a_search_only_includes_is_no_list():
    included = [{"resource": score(5)}, {"resource": ONE, "search": {"mode": "include"}}]
    assert seen({"resourceType": "Bundle", "entry": included}, key="scores") is ABSENT
    assert seen(bundle(score(5), ONE), key="painScores") is ABSENT
    assert seen(bundle(score(5), ONE), key="everything") is WHOLE


def test_a_single_condition_is_the_answer_to_its_key_and_elsewhere_a_part():
    """P3."""
    assert seen(ONE) is WHOLE
    assert seen(ONE, key="reason") is PART


@pytest.mark.parametrize(
    "url", ["https://[oops", "https://ehr.example.org/fhir?_getpages=1", "https://ehr.example.org/R4", ""]
)
def test_a_self_link_that_names_no_type_leaves_the_key_to_say_it(url):
    assert seen(bundle(link=[{"relation": "self", "url": url}])) is NOTHING
    assert seen(bundle(link=[{"relation": "self", "url": url}]), key="problems") is ABSENT


@pytest.mark.parametrize("odd", ["text", 5, [], {}, {"resourceType": 5}, {"resourceType": "Bundle", "entry": "x"}])
def test_what_is_no_resource_could_not_be_read(odd):
    assert seen(odd) is FAILED
    assert lists.read(odd, "").states == {}
