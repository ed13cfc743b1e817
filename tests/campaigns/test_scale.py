"""Cost grows with the size of a request and no faster, whatever it is full of; beyond bounds that is said."""

from __future__ import annotations

from contextlib import suppress

import orjson
import pytest

from cds_service.call import answer
from cds_service.errors import CdsError, TooManyResources
from cds_service.limits import (
    MOST_CODINGS,
    MOST_COMPONENTS,
    MOST_CONTAINED,
    MOST_DRAFTS,
    MOST_ORDERS,
    MOST_PREFETCHED,
    MOST_READ,
    MOST_REASONS,
    MOST_REASONS_TOGETHER,
    MOST_SELECTIONS,
)
from tests.bench.bodies import real_request
from tests.bench.kinds import KINDS, of_size
from tests.cases import EXTENSION
from tests.charts import bundle, cards, code, condition, needling, request, score
from tests.work import lines_run

FEW, MANY = 50_000, 500_000
"""Bytes."""

MOST = 12
"""Ten times the bytes may take this many times the work; were it a matter of pairs, it would take a hundred."""


def real(size: int) -> bytes:
    entries = size // 700
    return real_request(wanted={"conditions": entries // 4, "painScores": entries // 4, "procedures": entries // 2})


def work(registry, body: bytes, today) -> int:
    def call() -> None:
        with suppress(CdsError):
            answer(registry, "", body, today)

    call()  # what is met for the first time costs more
    return lines_run(call)


@pytest.mark.parametrize("kind", ["a real mixture", *KINDS])
def test_ten_times_the_bytes_take_no_more_than_ten_times_the_work(kind, registry, today):
    few, many = (real(size) if kind == "a real mixture" else of_size(KINDS[kind], size) for size in (FEW, MANY))
    assert work(registry, many, today) < MOST * work(registry, few, today)


def test_ten_times_the_orders_take_no_more_than_ten_times_the_work(registry, today):
    few, many = (KINDS["orders"](number) for number in (MOST_ORDERS // 10, MOST_ORDERS))
    assert work(registry, many, today) < MOST * work(registry, few, today)


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_100_orders_are_decided_and_one_more_is_not(hook, registry, today):
    """Orders that this guideline is not about do not count."""
    for number, taken in ((MOST_ORDERS, True), (MOST_ORDERS + 1, False)):
        orders = [needling(id=f"o{n}") for n in range(number)]
        others = [needling(id=f"x{n}", code={"text": "Chest x-ray"}) for n in range(500)]
        sent = request(condition("M54.2")) | {"hook": hook}
        sent["context"]["draftOrders"] = bundle(*others, *orders)
        sent["context"]["selections"] = [f"ServiceRequest/{order['id']}" for order in orders]
        if taken:
            assert cards(registry, sent, today)
        else:
            with pytest.raises(TooManyResources, match="More than 100 draft orders are to be decided"):
                cards(registry, sent, today)


def test_pairs_would_be_noticed():
    """What counts work counts what loops within loops take."""

    def pairs(number: int) -> int:
        return lines_run(lambda: [a for a in range(number) for b in range(number) if a == b])

    assert pairs(100) > MOST * pairs(10)


def with_drafts(number: int, selections: int) -> dict:
    sent = request(condition("M54.2"))
    medications = [{"resourceType": "MedicationRequest", "id": f"m{n}"} for n in range(number - 1)]
    sent["context"]["draftOrders"] = bundle(needling(), *medications)
    sent["context"]["selections"] = ["ServiceRequest/order"] * selections
    return sent


def test_1000_drafts_and_selections_are_answered_and_one_more_is_not(registry, today):
    assert cards(registry, with_drafts(MOST_DRAFTS, MOST_SELECTIONS), today)
    for sent, path in (
        (with_drafts(MOST_DRAFTS + 1, 1), "context.draftOrders.entry"),
        (with_drafts(1, MOST_SELECTIONS + 1), "context.selections"),
    ):
        with pytest.raises(TooManyResources) as refused:
            cards(registry, sent, today)
        assert [issue.expression for issue in refused.value.issues] == [path]


def test_1000_prefetched_values_are_taken_and_one_more_is_not(registry, today):
    """V1: whatever a site calls its keys."""
    for number, taken in ((MOST_PREFETCHED, True), (MOST_PREFETCHED + 1, False)):
        sent = request(condition("M54.2"))
        sent["prefetch"] |= {f"key{n}": None for n in range(number - len(sent["prefetch"]))}
        if taken:
            assert cards(registry, sent, today)
        else:
            with pytest.raises(TooManyResources, match="prefetch must not have more than 1000 items"):
                cards(registry, sent, today)


def test_2000_entries_that_matter_are_read_and_more_are_refused(registry, today):
    """Entries that mean nothing to the order do not count: a chart may be full of them."""
    other = [condition("I10", id=f"other{number}") for number in range(5000)]
    for number in (MOST_READ, MOST_READ + 1):
        problems = [condition("M54.50", id=f"c{n}", onsetDateTime="2020-01-01") for n in range(number)]
        sent = request(*other, *problems)
        if number == MOST_READ:
            assert cards(registry, sent, today)
        else:
            with pytest.raises(TooManyResources, match="More than 2,000 chart entries matter to the order"):
                cards(registry, sent, today)


def test_300_reasons_of_all_orders_together_are_read_and_more_are_refused(registry, today):
    reasons = [PAIN] * MOST_REASONS
    for orders, taken in (
        (MOST_REASONS_TOGETHER // MOST_REASONS, True),
        (MOST_REASONS_TOGETHER // MOST_REASONS + 1, False),
    ):
        sent = request(condition("M54.2")) | {"hook": "order-sign"}
        drafts = [needling(id=f"o{number}", reasonCode=reasons) for number in range(orders)]
        sent["context"]["draftOrders"] = bundle(*drafts)
        if taken:
            assert cards(registry, sent, today)
        else:
            with pytest.raises(TooManyResources, match="more than 300 reasons and sites together"):
                cards(registry, sent, today)


@pytest.mark.parametrize("first", [True, False])
def test_of_a_concept_a_hundred_codings_are_read_and_the_card_says_so(first, registry, today):
    for more in (0, 1):
        codings = [{"code": f"local{n}", "system": "urn:local"} for n in range(MOST_CODINGS - 1 + more)]
        codings.insert(0 if first else len(codings), *code("icd", "M54.2")["coding"])
        (card,) = cards(registry, request(condition("M54.2", code={"coding": codings})), today)
        assert ("unreadable: code.coding" in card["detail"]) is bool(more)


def test_faults_of_a_request_are_named_up_to_a_bound(client):
    """An answer is not longer than what was sent."""
    sent = request()
    sent["context"]["selections"] = [5] * MOST_SELECTIONS
    response = client.post("/cds-services/dry-needling-order-select", json=sent)
    assert (response.status_code, len(response.json["issue"])) == (400, 20)


def unread(card: dict) -> list[str]:
    told = card["extension"][EXTENSION].get("decidedBy", [])
    return [entry["reference"] for entry in told if entry["role"] == "could not be read"]


PAIN = code("icd", "M54.2")
LAST = [{"reference": "#c"}]


@pytest.mark.parametrize(
    ("fits", "exceeds"),
    [
        ({"reasonCode": [PAIN] * MOST_REASONS}, {"reasonCode": [PAIN] * (MOST_REASONS + 1)}),
        ({"bodySite": [{"text": "neck"}] * MOST_REASONS}, {"bodySite": [{"text": "neck"}] * (MOST_REASONS + 1)}),
        (
            {"reasonReference": LAST, "contained": [{}] * (MOST_CONTAINED - 1) + [condition("M54.2", id="c")]},
            {"reasonReference": LAST, "contained": [{}] * MOST_CONTAINED + [condition("M54.2", id="c")]},
        ),
        (
            {"reasonCode": [PAIN], "reasonReference": [{"reference": "Condition/c-M54.2"}] * (MOST_REASONS - 1)},
            {"reasonCode": [PAIN], "reasonReference": [{"reference": "Condition/c-M54.2"}] * MOST_REASONS},
        ),
    ],
    ids=["reasons by code", "body sites", "contained", "reasons of both kinds"],
)
def test_what_an_order_holds_beyond_the_bound_is_not_read_and_the_card_says_so(fits, exceeds, registry, today):
    (card,) = cards(registry, request(condition("M54.2"), order=needling(**fits)), today)
    assert unread(card) == []
    (card,) = cards(registry, request(condition("M54.2"), order=needling(**exceeds)), today)
    assert unread(card) == ["ServiceRequest/order"]


@pytest.mark.parametrize("scored", [0, MOST_COMPONENTS], ids=["among the first", "after the bound"])
def test_an_observation_of_too_many_components_is_not_read_and_the_card_says_so(scored, registry, today):
    other = {"code": code("loinc", "1-1"), "valueInteger": 1}
    components = [other] * MOST_COMPONENTS
    components.insert(scored, {"code": code("loinc", "72514-3"), "valueInteger": 9})
    for sent, said in ((components[: MOST_COMPONENTS + 1], ["Observation/score"]), (components[:MOST_COMPONENTS], [])):
        panel = score(None, code=code("loinc", "1-1"), component=sent)
        (card,) = cards(registry, request(condition("M54.2"), prefetch={"painScores": bundle(panel)}), today)
        assert unread(card) == said


def test_a_care_plan_of_too_many_activities_is_not_read_and_the_card_says_so(registry, today):
    exercise = {"detail": {"status": "in-progress", "code": code("cpt", "97110")}}
    for number, said in ((MOST_COMPONENTS, []), (MOST_COMPONENTS + 1, ["CarePlan/plan"])):
        plan = {
            "resourceType": "CarePlan", "id": "plan", "status": "active", "intent": "plan",
            "subject": {"reference": "Patient/p1"}, "activity": [exercise] * number,
        }  # fmt: skip
        (card,) = cards(registry, request(condition("M54.2"), prefetch={"carePlans": bundle(plan)}), today)
        assert unread(card) == said


def test_words_are_looked_for_in_the_first_thousand_characters_of_a_text(registry, today):
    for blanks, silent in ((900, False), (1000, True)):
        order = needling(code={"text": "x" + " " * blanks + "dry needling"})
        assert (cards(registry, request(condition("M54.2"), order=order), today) == []) is silent


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        ("ServiceRequest/order", True),
        ("ServiceRequest/order/_history/3", True),
        ("order", True),
        ("https://ehr.example.org/fhir/ServiceRequest/order", True),
        ("urn:uuid:order", True),
        ("urn:uuid:full", True),
        ("MedicationRequest/order", False),
        ("ServiceRequest/other", False),
        ("", False),
        ("/", False),
    ],
)
def test_a_selection_means_a_draft_by_id_type_or_url(selection, meant, registry, today):
    """C6: `Type/id`, a bare id, a full URL or the entry's fullUrl."""
    sent = request(condition("M54.2"))
    sent["context"]["draftOrders"]["entry"][0]["fullUrl"] = "urn:uuid:full"
    sent["context"]["selections"] = [selection]
    answered = answer(registry, "", orjson.dumps(sent), today)
    assert answered.guidance.log["unmatched_selections"] == (not meant)
    assert bool(answered.guidance.advice) is meant
