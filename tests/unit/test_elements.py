"""Elements, not resources (F-D1): a fault costs the element and is named, whatever the type of the resource."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir import statuses
from cds_service.fhir.elements import Reading, read
from cds_service.fhir.shapes import tidied
from tests.charts import code, condition

CONDITION = ("code", "clinicalStatus", "bodySite", "onsetDateTime", "onsetPeriod", "onsetString", "encounter", "note")


def lost(kind="Condition", names=None, **elements):
    return read({"resourceType": kind, **elements}, names or tuple(elements)).lost


def test_what_can_be_read_whole_is_given_back_as_it_is():
    resource = condition("M54.50", onsetDateTime="2010-05-28T10:00:00+0000", id="prob_1:2/3", note=[{"text": "a"}])
    reading = read(resource, CONDITION)
    assert reading == Reading(resource)
    assert reading.resource is resource


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"onsetDateTime": "05/28/2010"}, ("onsetDateTime",)),
        ({"onsetDateTime": {}}, ()),
        ({"onsetDateTime": {"value": "2010"}}, ("onsetDateTime",)),
        ({"onsetPeriod": {"start": "2010", "end": "soon"}}, ("onsetPeriod.end",)),
        ({"onsetPeriod": {"start": None, "end": ""}}, ()),
        ({"onsetPeriod": "2010"}, ("onsetPeriod",)),
        ({"onsetPeriod": [None]}, ()),
        ({"onsetDateTime": "2010", "onsetString": "long ago"}, ()),
        ({"clinicalStatus": "active"}, ()),
        ({"clinicalStatus": {"coding": [{"code": "odd"}]}}, ("clinicalStatus",)),
        ({"encounter": {"reference": "Encounter/1"}}, ()),
        ({"encounter": "Encounter/1"}, ()),
        ({"encounter": "yesterday"}, ("encounter",)),
        ({"encounter": {"reference": 5}}, ("encounter",)),
        ({"encounter": {"reference": None}}, ()),
        ({"code": {"coding": [None, {"code": "M54.50", "display": 5}]}}, ("code.coding.display",)),
        ({"code": {"coding": {"code": 54}}}, ()),
        ({"bodySite": {"text": "back"}}, ()),
        ({"code": [{"text": "back pain"}]}, ()),
        ({"code": [[{"text": "back pain"}]]}, ("code",)),
        ({"bodySite": [5, {"text": "back"}]}, ("bodySite",)),
        ({"note": "x"}, ("note",)),
        ({"note": [{"text": 5}, {"text": 6}]}, ("note.text",)),
        ({"code": {"text": "\x00" * 5 + "pain "}}, ()),
    ],
)
def test_a_fault_is_named_by_element_and_what_is_empty_is_no_fault(elements, said):
    assert lost(**elements) == said


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        ("Condition", "onsetAge"),
        ("Procedure", "bodySite"),
        ("Observation", "valueQuantity"),
        ("ServiceRequest", "reasonCode"),
        ("ProcedureRequest", "reasonCode"),
        ("MedicationRequest", "medicationCodeableConcept"),
        ("CarePlan", "activity"),
        ("Patient", "link"),
        ("AllergyIntolerance", "reaction"),
    ],
)
@pytest.mark.parametrize("bad", [5, "x", [5], {"odd": [[5]], "text": 5, "value": {"a": 5}, "coding": 5, "type": 5}])
def test_a_fault_in_any_type_leaves_the_other_elements(kind, element, bad):
    resource = {"resourceType": kind, "code": {"text": "pain"}, "status": "active", element: bad}
    reading = read(resource, ("code", "status", element))
    assert (reading.resource["code"], reading.resource["status"]) == ({"text": "pain"}, "active")


def test_only_the_faulty_part_of_a_list_is_left_out():
    component = {"code": code("loinc", "72514-3"), "valueInteger": 4}
    resource = {
        "resourceType": "Observation",
        "component": [{"code": 5}, component, "x", {**component, "valueString": []}],
    }
    reading = read(resource, ("component",))
    assert [part for part in reading.resource["component"] if part] == [component, component]
    assert reading.lost == ("component.code", "component")


ODD = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=5)
    | st.lists(st.none())
    | st.just({"a": [{}]})
)


@given(st.dictionaries(st.sampled_from(CONDITION), ODD), st.sampled_from(["Condition", "Procedure", "Basilisk"]))
def test_anything_is_read_without_an_error(elements, kind):
    reading = read({"resourceType": kind, "id": "x", **elements}, CONDITION)
    assert reading.resource["id"] == "x"
    assert set(reading.lost) <= {*CONDITION, *(f"onsetPeriod.{end}" for end in ("start", "end"))}


def test_what_can_be_mended_without_a_guess_is():
    sent = {"code": {"coding": {"code": 5, "system": " x  y "}, "text": ""}, "bodySite": {"text": " a "}}
    mended = {"code": {"coding": [{"code": "5", "system": "x y"}]}, "bodySite": [{"text": "a"}]}
    assert tidied("Condition", sent) == mended
    assert tidied("Observation", {"bodySite": {"text": "a"}, "x": [None]}) == {"bodySite": {"text": "a"}}


ACTIVE, ABSENT, UNREADABLE = frozenset({"active"}), frozenset(), None
SNOMED, REASON = "http://snomed.info/sct", "http://terminology.hl7.org/CodeSystem/data-absent-reason"


@pytest.mark.parametrize(
    ("status", "read_as"),
    [
        ({"coding": [{"code": "active"}]}, ACTIVE),
        ({"coding": [{"code": " Active "}]}, ACTIVE),
        ({"coding": {"code": "active"}}, ACTIVE),
        ([{"coding": [{"code": "active"}]}], ACTIVE),
        ({"text": "Active"}, ACTIVE),
        ("active", ACTIVE),
        ({"coding": [{"display": "Active"}]}, ACTIVE),
        ({"coding": [{"system": SNOMED, "code": "55561003"}]}, ACTIVE),
        ({"coding": [{"system": "2.16.840.1.113883.6.96", "code": 55561003}]}, ACTIVE),
        ({"coding": [{"code": "odd"}, {"code": "active"}]}, ACTIVE),
        ({"coding": [{"system": REASON, "code": "unknown"}]}, ABSENT),
        ({"coding": [{"system": REASON, "code": "unknown"}], "text": "active"}, ACTIVE),
        ({"coding": [{"code": "unknown"}]}, ABSENT),
        (None, ABSENT),
        ("", ABSENT),
        ({}, ABSENT),
        ([None], ABSENT),
        ({"coding": [{"system": "x"}]}, ABSENT),
        ({"coding": [{"system": SNOMED, "code": "1"}]}, UNREADABLE),
        ({"coding": [{"code": "odd"}]}, UNREADABLE),
        ({"coding": [{"code": 5}]}, UNREADABLE),
        ({"text": 5}, UNREADABLE),
        (5, UNREADABLE),
        ("odd", UNREADABLE),
        ([5], UNREADABLE),
    ],
)
def test_clinical_statuses_in_every_shape(status, read_as):
    """F-D5."""
    assert statuses.clinical(status) == read_as


def test_verification_statuses_have_words_of_their_own():
    assert statuses.verification({"coding": [{"system": SNOMED, "code": "415684004"}]}) == {"provisional"}
    assert statuses.verification("entered-in-error") == {"entered-in-error"}
    assert statuses.verification("active") is None


@pytest.mark.parametrize(("flag", "true"), [(True, True), ("true", True), (" True", True), ("no", False), (1, False)])
def test_flags(flag, true):
    assert statuses.is_true(flag) is true
