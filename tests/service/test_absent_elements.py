"""Null and what is empty are absent, wherever they stand: in orders, charts and the Bundles around them."""

from __future__ import annotations

import pytest

from cds_service.fhir.shapes import present
from tests.cases import TODAY
from tests.charts import cards, code, condition, needling, request, rules

DAY = TODAY.date()
EMPTY = [None, "", " ", [], {}, [None], [""], [{}], {"text": None}, [{"text": ""}]]
READ_OF_AN_ORDER = (
    "note",
    "bodySite",
    "encounter",
    "requester",
    "reasonReference",
    "doNotPerform",
    "subject",
)


@pytest.mark.parametrize("empty", EMPTY, ids=repr)
@pytest.mark.parametrize("name", READ_OF_AN_ORDER)
@pytest.mark.parametrize("reason", [code("icd", "M54.2"), code("sct", "278860009")], ids=["R7", "R1"])
def test_an_empty_element_of_an_order_is_no_element(name, empty, reason, registry):
    """F-B1, C7: the card of R7 updates the order, that of R1 creates one."""
    plain = needling(reasonCode=[reason])
    plain.pop(name, None)
    (card,) = cards(registry, request(order=plain), DAY)
    found = cards(registry, request(order={**plain, name: empty}), DAY)
    assert [s["label"] for c in found for s in c["suggestions"]] == [s["label"] for s in card["suggestions"]]
    for card in found:
        for suggestion in card["suggestions"]:
            for action in suggestion["actions"]:
                assert None not in action.get("resource", {}).values()


@pytest.mark.parametrize("empty", EMPTY, ids=repr)
@pytest.mark.parametrize(
    "name",
    ["onsetDateTime", "onsetAge", "onsetPeriod", "onsetString", "recordedDate", "verificationStatus", "bodySite"],
)
def test_an_empty_element_of_a_condition_is_no_element(name, empty, registry):
    sent = request({**condition("278860009", "sct"), name: empty})
    assert cards(registry, sent, DAY) == cards(registry, request(condition("278860009", "sct")), DAY)


def test_a_draft_bundle_whose_entry_is_null_is_empty(registry):
    sent = request()
    sent["context"]["draftOrders"]["entry"] = None
    assert rules(registry, sent, DAY) == []


@pytest.mark.parametrize("value", [0, False, "x", 1.5])
def test_what_says_something_is_kept(value):
    assert present({"a": [value, None, " "], "b": {"c": [{}]}}) == {"a": [value]}
