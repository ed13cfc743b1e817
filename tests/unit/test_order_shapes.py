"""Needling orders in every shape that is met (F-D3): spelled otherwise, or of DSTU2, STU3 and R5."""

from __future__ import annotations

import orjson
import pytest

from cds_service.call import answer
from cds_service.fhir.shapes import concept_in, in_r4
from cds_service.limits import MOST_CODINGS
from tests.cases import TODAY
from tests.charts import cards, code, condition, needling, request, rules

DAY = TODAY.date()
NECK = code("icd", "M54.2")


@pytest.mark.parametrize(
    "elements",
    [
        {"code": code("cpt", "20560-59")},
        {"code": code("cpt", "20561 59")},
        {"code": code("http://www.ama-assn.org/go/cpt|2026", "20560")},
        {"code": code("2.16.840.1.113883.6.12", "20560")},
        {"code": code("https://www.ama-assn.org/go/CPT/", "20560")},
        {"code": code("cpt", 20560)},
        {"code": {"coding": code("cpt", "20560")["coding"][0]}},
        {"code": code("cpt", "20560")["coding"][0]},
        {"code": {"concept": code("cpt", "20560")}},
        {"code": [code("cpt", "20560")]},
        {"code": {"text": "Dryneedling"}},
    ],
    ids=lambda elements: repr(elements["code"]),
)
def test_a_needling_order_is_recognized_however_it_is_coded(elements, registry):
    sent = request(condition("278860009", "sct"), order=needling(**elements))
    assert rules(registry, sent, DAY) == ["R1"]


@pytest.mark.parametrize(
    "reasons",
    [
        {"reasonCode": [NECK]},
        {"reasonCode": NECK},
        {"reason": [{"concept": NECK}]},
        {"reason": {"concept": NECK}},
        {"reason": [{"reference": {"reference": "Condition/c-M54.2"}}]},
        {"reason": [NECK]},
        {"reasonCodeableConcept": NECK},
        {"reasonReference": {"reference": "Condition/c-M54.2"}},
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["ServiceRequest", "ProcedureRequest"])
def test_the_reasons_of_an_order_are_read_in_every_release(reasons, kind, registry):
    """Neck pain is the order's reason, chronic low back pain is on the list: without the reason it would be R1."""
    order = needling(**reasons, resourceType=kind)
    sent = request(condition("278860009", "sct"), condition("M54.2"), order=order)
    sent["context"]["selections"] = [f"{kind}/order"]
    assert rules(registry, sent, DAY) == ["R7"]


def test_a_referral_for_an_order_of_r5_is_of_r5(registry):
    order = needling(code={"concept": code("cpt", "20560")})
    (card,) = cards(registry, request(condition("278860009", "sct"), order=order), DAY)
    created = card["suggestions"][1]["actions"][0]["resource"]
    assert created["code"]["concept"]["coding"][0]["code"] == "91251008"


@pytest.mark.parametrize("odd", [None, {}, {"coding": [{}]}, {"concept": {}}, {"concept": 5}, 5, "x", {"text": 5}])
def test_drafts_without_a_readable_code_are_counted_in_the_log(odd, registry):
    sent = request(order=needling(code=odd))
    guidance = answer(registry, "", orjson.dumps(sent), DAY).guidance
    assert guidance.advice == ()
    assert guidance.log["drafts_without_code"] == 1


def test_a_draft_whose_needling_code_is_not_among_the_codings_that_are_read_is_said(registry):
    beyond = {"coding": [*code("urn:local", "x")["coding"] * MOST_CODINGS, *code("cpt", "20560")["coding"]]}
    guidance = answer(registry, "", orjson.dumps(request(order=needling(code=beyond))), DAY).guidance
    assert guidance.advice == ()
    assert guidance.log["drafts_without_code"] == 1
    (seen,) = guidance.explain()["orders"]
    assert seen["outcome"] == "not what this guideline is about, by the first 100 codings"


def test_drafts_with_a_code_of_any_system_or_with_words_are_not_counted(registry):
    for readable in (code("https://clinic.example.org", "X1"), {"text": "Sedation"}, code("cpt", "99999")):
        sent = request(order=needling(code=readable))
        assert answer(registry, "", orjson.dumps(sent), DAY).guidance.log["drafts_without_code"] == 0


def test_elements_of_other_releases_get_their_names_of_r4():
    older = {"resourceType": "Condition", "assertedDate": "2020-01-01"}
    assert in_r4(older) == {"resourceType": "Condition", "recordedDate": "2020-01-01"}
    both = {"resourceType": "Procedure", "performedDateTime": "2020", "occurrenceDateTime": "2021", "code": {}}
    assert in_r4(both)["performedDateTime"] == "2020"
    plain = {"resourceType": "Procedure", "performedDateTime": "2020"}
    assert in_r4(plain) is plain


def test_the_medication_of_r5_is_a_concept_or_a_reference():
    request = {"resourceType": "MedicationRequest", "status": "active"}
    coded, referred = {"text": "warfarin"}, {"reference": "Medication/1"}
    assert in_r4({**request, "medication": {"concept": coded}}) == {**request, "medicationCodeableConcept": coded}
    assert in_r4({**request, "medication": {"reference": referred}}) == {**request, "medicationReference": referred}
    assert in_r4({**request, "medication": 5}) == request


@pytest.mark.parametrize("odd", [None, 5, "x", []])
def test_what_holds_no_concept_is_an_empty_one(odd):
    assert concept_in(odd) == {}


@pytest.mark.parametrize(
    "selection",
    [
        "ServiceRequest/order",
        "order",
        " ServiceRequest/order/ ",
        "https://ehr.example.org/fhir/ServiceRequest/order/_history/2",
        "urn:uuid:order",
        "URN:UUID:order",
    ],
)
def test_a_selection_is_met_in_every_spelling(selection, registry):
    sent = request(condition("278860009", "sct"))
    sent["context"]["selections"] = [selection]
    assert rules(registry, sent, DAY) == ["R1"]


@pytest.mark.parametrize("selection", ["urn:uuid:7", "URN:UUID:7", "urn:uuid:7/"])
def test_a_selection_is_met_by_the_full_url_of_an_entry_without_an_id(selection, registry):
    sent = request(condition("278860009", "sct"))
    (entry,) = sent["context"]["draftOrders"]["entry"]
    entry["fullUrl"] = "urn:uuid:7"
    del entry["resource"]["id"]
    sent["context"]["selections"] = [selection]
    assert rules(registry, sent, DAY) == ["R1"]


@pytest.mark.parametrize("selection", ["ServiceRequest/other", "MedicationRequest/order", "urn:uuid:other"])
def test_a_selection_of_something_else_is_not_met(selection, registry):
    sent = request(condition("278860009", "sct"))
    sent["context"]["selections"] = [selection]
    assert rules(registry, sent, DAY) == []
