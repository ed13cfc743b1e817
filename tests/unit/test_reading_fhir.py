"""Reading FHIR: odd shapes of prefetch, references, scores, care and orders, each read or named, never guessed."""

from __future__ import annotations

from datetime import date

import pytest

from cds_service.fhir.chart import Availability
from cds_service.fhir.concepts import Concept
from cds_service.fhir.prefetch import gather
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline import care, conditions, drafts, medications, scores
from cds_service.guideline.care import CareSought
from cds_service.guideline.conditions import entry_of
from cds_service.guideline.findings import Entry, Findings
from cds_service.guideline.grounds import counted, named
from cds_service.guideline.scores import Scale
from hooks.dry_needling import indication
from hooks.dry_needling.findings import NeedlingFindings
from tests.charts import QUERIES, bundle, chart, code, condition, needling, score

PAIN = Scale("pain score", scores="pain-score", answers="pain-score-answers")


def availability(value, key="conditions"):
    return gather("p1", {key: value}, QUERIES, {}).availability["conditions"]


OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Availability.EMPTY),
        (bundle(), Availability.EMPTY),
        ({"resourceType": "Bundle"}, Availability.EMPTY),
        (bundle(condition("M54.2")), Availability.PREFETCHED),
        (condition("M54.2"), Availability.PREFETCHED),
        (bundle(condition("M54.2"), link=[{"relation": "next", "url": "https://x"}]), Availability.PARTIAL),
        (OUTCOME, Availability.FAILED),
        (bundle(OUTCOME), Availability.FAILED),
        ("text", Availability.FAILED),
        ([], Availability.FAILED),
        ({}, Availability.FAILED),
        ({"resourceType": "Bundle", "entry": "x"}, Availability.FAILED),
        ({"resourceType": "Bundle", "entry": [None]}, Availability.FAILED),
        ({"resourceType": "Bundle", "entry": [{"resource": OUTCOME, "search": {"mode": "outcome"}}]}, "failed"),
    ],
)
def test_what_became_of_a_key(value, expected):
    """P1, P3, V2."""
    assert availability(value) == expected


def test_an_empty_search_under_a_key_of_the_clients_own_is_understood_by_its_self_link():
    """V1."""
    link = [{"relation": "self", "url": "https://ehr.example.org/fhir/Condition/_search?patient=p1"}]
    assert availability(bundle(link=link), "problems") is Availability.EMPTY
    assert availability(bundle(), "problems") is Availability.ABSENT
    assert availability(bundle(link=[{"relation": "self", "url": "https://[oops"}]), "problems") is Availability.ABSENT


def test_entries_that_are_no_resources_are_named_by_place():
    read = gather("p1", {"conditions": {"resourceType": "Bundle", "entry": [5, {"resource": []}]}}, QUERIES, {})
    assert read.unreadable == ("prefetch.conditions entry 1", "prefetch.conditions entry 2")
    read = gather("p1", {"patient name": {"resourceType": "Bundle", "entry": [5]}}, QUERIES, {})
    assert read.unreadable == ("prefetch.other entry 1",)


@pytest.mark.parametrize(
    ("subject", "mine"),
    [
        ({"reference": "Patient/p1"}, True),
        ({"reference": "https://ehr.example.org/fhir/Patient/p1"}, True),
        ({"reference": "Patient/p1/_history/4"}, True),
        ({"reference": "urn:uuid:p1"}, True),
        ({"reference": "#contained"}, True),
        ({"display": "somebody"}, True),
        (None, True),
        ({"reference": "Patient/p2"}, False),
        ({"reference": "Group/p2"}, False),
    ],
)
def test_whose_entry_it_is(subject, mine):
    read = chart(condition("M54.2", subject=subject))
    assert bool(read.entries("Condition")) == mine
    assert read.foreign == (0 if mine else 1)


def test_a_patient_known_by_the_full_url_of_its_entry():
    patient = {"fullUrl": "urn:uuid:abc", "resource": {"resourceType": "Patient", "id": "p1"}}
    entry = {"resource": condition("M54.2", subject={"reference": "urn:uuid:abc"})}
    read = gather("p1", {"all": {"resourceType": "Bundle", "entry": [patient, entry]}}, QUERIES, {})
    assert read.entries("Condition")
    assert read.patient["id"] == "p1"


def test_an_entry_with_a_full_url_but_without_an_id_is_found_by_it():
    entry = {"fullUrl": "urn:uuid:9", "resource": {"resourceType": "Condition"}}
    read = gather("p1", {"all": {"resourceType": "Bundle", "entry": [entry]}}, QUERIES, {})
    assert read.resolve("urn:uuid:9", {}) == {"resourceType": "Condition"}


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("Condition/c-M54.2", True),
        ("https://ehr.example.org/fhir/Condition/c-M54.2", True),
        ("Condition/c-M54.2/_history/2", True),
        ("Condition/other", False),
        ("#x", False),
        ("", False),
        (None, False),
        ({}, False),
    ],
)
def test_references(reference, found):
    assert (chart(condition("M54.2")).resolve(reference, {}) is not None) == found


@pytest.mark.parametrize(
    "contained", [None, "x", [None], [{"id": "y"}], [{"id": "x"}], [{"id": "x", "resourceType": 5}]]
)
def test_a_contained_reference_that_is_not_there(contained):
    assert chart().resolve("#x", {"contained": contained}) is None


SPANS = [(date(2026, 8, 25), date(2026, 11, 23))]


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"valueQuantity": {"value": 7, "unit": "score"}}, 7),
        ({"valueQuantity": {"value": 0}}, 0),
        ({"valueQuantity": {"value": 65, "code": "mm"}}, 6.5),
        ({"valueQuantity": {"value": 6.5, "unit": "cm"}}, 6.5),
        ({"valueQuantity": {"value": 40, "unit": "/100"}}, 4),
        ({"valueQuantity": {"value": 40, "unit": "%"}}, "unreadable"),
        ({"valueQuantity": {"value": 11}}, "unreadable"),
        ({"valueQuantity": {"value": -1}}, "unreadable"),
        ({"valueQuantity": {"value": 5, "comparator": ">"}}, "unreadable"),
        ({"valueQuantity": {"value": "7"}}, "unreadable"),
        ({"valueInteger": 3}, 3),
        ({"valueString": "7/10"}, 7),
        ({"valueString": " 70 / 100 "}, 7),
        ({"valueString": "bad"}, "unreadable"),
        ({"valueCodeableConcept": code("loinc", "LA13942-0")}, 10),
        ({"valueCodeableConcept": code("loinc", "LA0-0")}, "unreadable"),
        ({"valueCodeableConcept": {"coding": [{"display": "x"}], "text": "4"}}, 4),
        ({"component": [{"code": code("loinc", "8310-5")}], "valueInteger": 6}, 6),
        ({"valueCodeableConcept": {"coding": [{"code": "4"}, None]}}, "unreadable"),
        ({}, None),
        ({"valueInteger": 8, "effectiveDateTime": None}, "unreadable"),
        ({"valueInteger": 8, "effectiveDateTime": None, "issued": "2026-11-20T10:00:00Z"}, 8),
        ({"valueInteger": 8, "effectiveDateTime": None, "effectivePeriod": {"end": "2026-11-20"}}, 8),
        ({"valueInteger": 8, "effectiveDateTime": "2025-01-01"}, None),
        ({"valueInteger": 8, "valueString": "8"}, 8),
        ({"valueInteger": 8, "status": "cancelled"}, None),
        ({"valueInteger": 8, "status": ["final"]}, None),
        ({"valueInteger": 8, "status": " Final "}, 8),
        ({"valueInteger": 80, "referenceRange": [{"high": {"value": 100}}]}, 8),
        ({"valueInteger": 8, "referenceRange": [{"text": "0 to 10"}]}, 8),
    ],
)
def test_pain_scores_on_every_scale(elements, expected, knowledge):
    """None as an element takes it away; None as the result means no score and nothing to report."""
    resource = {name: value for name, value in {**score(None), **elements}.items() if value is not None}
    read = scores.read(chart(resource), knowledge.value_sets, PAIN, SPANS)
    assert len(read.scores) + len(read.unreadable) == (0 if expected is None else 1)
    assert [found.points for found in read.scores] == ([] if expected in (None, "unreadable") else [expected])


def test_an_undated_score_is_named(knowledge):
    resource = score(8)
    del resource["effectiveDateTime"]
    read = scores.read(chart(resource), knowledge.value_sets, PAIN, SPANS)
    assert (read.scores, [entry.reference for entry in read.unreadable]) == ([], ["Observation/score"])


def procedure(value="20560", **elements):
    return {
        "resourceType": "Procedure",
        "id": "done",
        "status": "completed",
        "code": code("cpt", value),
        "subject": {"reference": "Patient/p1"},
        **elements,
    }


def read_care(knowledge, today, *resources):
    sought = CareSought(
        knowledge.orders, "active-therapy", "conservative-care", "therapy-words", "lumbar-radiofrequency-ablation"
    )
    return care.read(chart(*resources), knowledge.value_sets, sought, (), today)


@pytest.mark.parametrize(
    "elements",
    [{}, {"performedString": "last spring"}, {"performedDateTime": "soon"}, {"performedPeriod": {}},
     {"performedDateTime": "2027-01-01"}, {"performedDateTime": "2026-01-01", "code": [5]}],
)  # fmt: skip
def test_a_session_that_cannot_be_dated_or_read_is_named(elements, knowledge, today):
    read = read_care(knowledge, today, procedure(**elements))
    assert read.sessions == []
    assert [entry.reference for entry in read.unreadable] == ([] if "code" in elements else ["Procedure/done"])


def test_a_fault_in_a_session_costs_the_element(knowledge, today):
    broken = procedure(performedDateTime="2026-01-01", performedPeriod={"start": 5})
    read = read_care(knowledge, today, broken)
    assert len(read.sessions) == 1
    assert read.lost == [Entry("Procedure/done", "performedPeriod.start")]


def test_a_period_with_one_end_is_one_day(knowledge, today):
    (session,) = read_care(knowledge, today, procedure(performedPeriod={"end": "2026-05-01"})).sessions
    assert session.first == session.last
    assert session.kind == "dry-needling"


def test_a_fault_in_care_costs_the_element(knowledge, today):
    resources = (
        procedure("97110", id="new", performedDateTime="2026-09-01", performedPeriod={"start": 5}),
        procedure("97110", id="old", performedDateTime="2026-01-01"),
        procedure("97110", id="older", performedDateTime="2025-01-01"),
    )
    read = read_care(knowledge, today, *resources)
    assert [entry.reference for entry in read.care_tried] == ["Procedure/new"]
    assert read.lost == [Entry("Procedure/new", "performedPeriod.start")]


def service_request(**elements):
    return {**needling(code=code("cpt", "97110"), status="active", id="therapy"), **elements}


@pytest.mark.parametrize(
    ("elements", "active", "tried"),
    [
        ({}, 1, 1),
        ({"status": "on-hold"}, 0, 1),
        ({"code": code("cpt", "97140")}, 0, 1),
        ({"status": "completed", "authoredOn": "2026-01-01"}, 0, 1),
        ({"status": "revoked"}, 0, 0),
        ({"doNotPerform": True}, 0, 0),
        ({"code": code("cpt", "99999")}, 0, 0),
        ({"intent": 5}, 1, 1),
    ],
)
def test_therapy_on_request(elements, active, tried, knowledge, today):
    read = read_care(knowledge, today, service_request(**elements))
    assert (len(read.active_therapy), len(read.care_tried)) == (active, tried)


def plan(**elements):
    return {
        "resourceType": "CarePlan",
        "id": "plan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/p1"},
        "activity": [{"detail": {"status": "scheduled", "code": code("sct", "52052004")}}],
        **elements,
    }


@pytest.mark.parametrize(
    ("elements", "active", "tried", "lost"),
    [
        ({}, 1, 0, 0),
        ({"status": "completed"}, 0, 1, 0),
        ({"status": "draft"}, 0, 0, 0),
        ({"activity": [{"detail": {"status": "stopped", "code": code("sct", "52052004")}}]}, 0, 1, 0),
        ({"activity": [{"detail": {"status": "on-hold", "code": {"text": "Pilates"}}}]}, 0, 1, 0),
        (
            {"activity": [{"detail": {"status": "in-progress", "code": {"text": "Core strengthening at home"}}}]},
            1,
            0,
            0,
        ),
        ({"activity": [{"detail": {"status": "not-started", "code": {"text": "yoga"}}}]}, 0, 0, 0),
        ({"activity": "x", "category": [code("sct", "91251008")]}, 1, 0, 1),
        ({"activity": [], "category": [code("sct", "91251008", display="Physical therapy")]}, 1, 0, 0),
        ({"activity": [5, {"detail": 5}]}, 0, 0, 0),
        ({"intent": 7}, 1, 0, 1),
    ],
)
def test_care_plans(elements, active, tried, lost, knowledge, today):
    """Deliver 4: on hold and completed are care that was tried, not active."""
    read = read_care(knowledge, today, plan(**elements))
    assert (len(read.active_therapy), len(read.care_tried), len(read.lost)) == (active, tried, lost)


def read_orders(knowledge, *resources):
    bundle = {"entry": [{"resource": resource} for resource in resources]}
    return drafts.read(bundle, None, knowledge.orders, knowledge.value_sets).orders


def read_order(knowledge, today, resource, in_chart=()):
    (draft,) = read_orders(knowledge, resource)
    return drafts.findings(draft, chart(*in_chart), knowledge.value_sets, today)


@pytest.mark.parametrize(
    ("elements", "there"),
    [
        ({}, set()),
        ({"bodySite": [code("sct", "45048000")]}, {"neck"}),
        ({"bodySite": [code("sct", "122496007")]}, {"low-back"}),
        ({"bodySite": [code("sct", "45048000"), code("sct", "122496007")]}, {"neck", "low-back"}),
        ({"bodySite": [code("sct", "45048000"), {"text": "somewhere"}]}, {"neck"}),
        ({"bodySite": [{"text": "Upper back"}]}, {"thoracic"}),
        ({"bodySite": [{"text": "Left gluteus medius"}]}, set()),
        ({"bodySite": [{"text": "shoulder"}, {"text": "low back"}]}, {"shoulder", "low-back"}),
        ({"bodySite": [{"text": "forehead"}]}, set()),
        ({"reasonCode": [{"text": "stiff right shoulder"}]}, {"shoulder"}),
        ({"reasonReference": [{"reference": "Condition/none", "display": "Tennis elbow"}]}, {"arm"}),
    ],
)
def test_where_an_order_is_for(elements, there, knowledge, today):
    order = read_order(knowledge, today, needling(**elements))
    entries = indication.entries_of(Findings(order, NeedlingFindings()), today)
    assert indication.site_of(order, entries).regions == there


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Dry needling", "dry-needling"),
        ("DRY  NEEDLING lumbar", "dry-needling"),
        ("Trigger point dry needling, not acupuncture", None),
        ("Intramuscular stimulation", "dry-needling"),
        ("Physical therapy without dry needling", None),
        ("PT eval, no dry needling", None),
        ("Non-dry needling", "dry-needling"),
        ("Acupuncture", None),
        ("Intramuscular injection", None),
        ("Needle biopsy", None),
    ],
)
def test_orders_known_by_words(words, kind, knowledge):
    found = read_orders(knowledge, needling(code={"text": words}))
    assert [order.kind for order in found] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("words", "facet"),
    [
        ("Lumbar facet joint pain", True),
        ("Facetogenic low back pain", True),
        ("Cervical facet syndrome", False),
        ("Low back pain, not facet mediated", False),
        ("Non-facet pain", False),
        ("Multifaceted pain", False),
    ],
)
def test_facet_words(words, facet, knowledge):
    assert ("facet-words" in knowledge.value_sets.of_text(words).said) == facet


@pytest.mark.parametrize(
    ("reference", "in_chart", "reasons", "unread"),
    [
        ("Condition/c-M54.2", [condition("M54.2")], 1, False),
        ("Condition/c-M54.2", [condition("M54.2", clinicalStatus={"coding": [{"code": "resolved"}]})], 0, True),
        ("Condition/c-M54.2", [condition("M54.2", clinicalStatus={"coding": [{"code": "odd"}]})], 0, True),
        ("Condition/c-M54.2", [condition("M54.2", onsetDateTime="soon")], 1, False),
        ("Condition/c-M54.2", [condition("M54.2", subject={"reference": "Patient/p2"})], 0, True),
        ("Condition/c-M54.2", [condition("M54.2", code={"text": "odd"})], 1, False),
        ("Observation/score", [score(5)], 0, True),
        ("Condition/none", [], 0, True),
    ],
)
def test_a_reason_by_reference(reference, in_chart, reasons, unread, knowledge, today):
    order = needling(reasonReference=[{"reference": reference}])
    found = Findings(read_order(knowledge, today, order, in_chart), NeedlingFindings())
    entries = indication.entries_of(found, today)
    assert (len(entries.reasons), bool(entries.unread)) == (reasons, unread)


def test_supporting_information_is_a_reason_only_where_nothing_else_is(knowledge, today):
    """A reason given only as supporting information."""
    info = {"supportingInfo": [{"reference": "Condition/c-M54.2"}, {"reference": "DocumentReference/1"}, {"x": 1}]}
    assert len(read_order(knowledge, today, needling(**info), [condition("M54.2")]).reasons) == 1
    stated = needling(**info, reasonCode=[code("icd", "M54.6")])
    order = read_order(knowledge, today, stated, [condition("M54.2")])
    assert [reason.entry.display for reason in order.reasons] == ["M54.6"]


def test_an_order_whose_id_is_no_text_is_still_read(knowledge):
    (order,) = read_orders(knowledge, needling(id=5))
    assert order.id == ""


def test_long_lists_are_named_in_part():
    entries = [Entry(f"Condition/{number}", f"Problem {number}") for number in range(5)]
    assert named(entries) == "Problem 0 and 4 more"
    assert named(()) == ""
    assert counted(2, "entry", "entries") == "2 entries"


def test_draft_entries_that_are_no_resources_are_named(knowledge):
    bundle = {"entry": [5, {"resource": needling()}]}
    read = drafts.read(bundle, None, knowledge.orders, knowledge.value_sets)
    assert [entry.reference for entry in read.unreadable] == ["draftOrders entry 1"]
    assert len(read.orders) == 1


def test_an_entry_without_words_is_named_by_its_first_code():
    odd = {"coding": [None, {"display": 5}, {"code": "X1"}]}
    assert entry_of(condition("M54.2", code=odd), Concept()).display == "X1"
    assert entry_of(condition("M54.2", code={"coding": [{}]}), Concept()).display == "no words given"


def test_a_resource_without_an_id_is_indexed_by_type_only():
    entry = condition("M54.2")
    del entry["id"]
    assert len(chart(entry, dict(entry)).entries("Condition")) == 2


def test_a_value_set_concept_without_words_is_known_by_its_code_alone():
    resource = {"id": "x", "compose": {"include": [{"system": "s", "concept": [{"code": "1"}]}]}}
    assert ValueSets([resource]).of_code("s", "1") == {"x"}


def test_references_into_bundles_with_broken_entries(knowledge, today):
    read = gather(
        "p1", {"all": {"resourceType": "Bundle", "entry": [5, {"resource": condition("M54.2")}]}}, QUERIES, {}
    )
    assert read.resolve("Condition/c-M54.2", {})


def test_the_latest_of_therapies_is_found_whatever_their_dates_look_like(knowledge, today):
    """Dates as written are compared: a period's start, its end, or nothing."""
    read = read_care(
        knowledge,
        today,
        procedure("97110", id="undated"),
        procedure("97110", id="period", performedPeriod={"end": "2026-02-01"}),
        procedure("97110", id="odd", performedPeriod={"start": 5}),
        procedure("97110", id="old", performedDateTime="2025-01-01"),
    )
    assert [entry.reference for entry in read.care_tried] == ["Procedure/period"]


def test_an_observation_that_is_no_pain_score_is_passed_over(knowledge):
    other = score(8, code=code("loinc", "8310-5"))
    unknown = score(8, id="x", code=code("https://clinic.example.org", "T1"))
    assert scores.read(chart(other, unknown), knowledge.value_sets, PAIN, SPANS) == scores.ScoresRead()


def test_a_score_outside_of_the_spans_is_passed_over(knowledge):
    """A year alone begins before the span; a day after it lies in the future."""
    early = score(8, id="early", effectiveDateTime="2026")
    late = score(8, id="late", effectiveDateTime="2026-12-24")
    assert scores.read(chart(early, late), knowledge.value_sets, PAIN, SPANS) == scores.ScoresRead()


@pytest.mark.parametrize("status", [5, ["completed"], {"code": "completed"}])
def test_a_status_that_cannot_be_read_is_named_where_the_entry_would_matter(status, knowledge, today):
    """Clinical logic 7: what was lost is said by element."""
    therapy = service_request(status=status)
    read = read_care(knowledge, today, procedure(status=status), procedure("99999", status=status), therapy)
    assert (read.sessions, read.active_therapy) == ([], [])
    assert read.lost == [Entry("Procedure/done", "status"), Entry("ServiceRequest/therapy", "status")]
    taken = scores.read(chart(score(5, status=status)), knowledge.value_sets, PAIN, SPANS)
    assert taken.lost == [Entry("Observation/score", "status")]


def test_a_birth_date_and_a_code_that_cannot_be_read_are_named(knowledge, today):
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": "17/05/1980"}
    odd = condition("05/28/2010", code=code("icd", "05/28/2010", display="Low back pain"), id="odd")
    read = conditions.read(chart(patient, odd), knowledge.value_sets, today)
    assert [problem.concept.value_sets for problem in read.problems] == [{"low-back-pain"}]
    assert [entry.display for entry in read.lost] == ["birthDate", "code.coding.code"]


WARFARIN = {"resourceType": "MedicationRequest", "id": "m", "status": "active", "subject": {"reference": "Patient/p1"}}


@pytest.mark.parametrize(
    ("elements", "read", "lost"),
    [
        ({"medicationCodeableConcept": {"text": "Warfarin"}}, 1, []),
        ({"medication": {"concept": {"text": "Warfarin"}}}, 1, []),  # R5
        ({"medicationCodeableConcept": None, "medicationReference": {"display": "Warfarin 5 mg"}}, 1, []),
        ({"medicationCodeableConcept": {}, "medicationReference": {"display": "Warfarin"}}, 1, []),
        ({"medicationCodeableConcept": {"text": "Warfarin", "coding": [{"code": {"a": 5}}]}}, 1, ["code"]),
        ({"medicationCodeableConcept": {"text": "Warfarin"}, "status": ["active"]}, 0, ["status"]),
        ({"medicationCodeableConcept": {"text": "Warfarin"}, "status": " Active"}, 1, []),
        ({"medicationCodeableConcept": {"text": "Warfarin"}, "status": "stopped"}, 0, []),
        ({"medicationCodeableConcept": {"text": "Aspirin"}, "status": ["active"]}, 0, []),
        ({}, 0, []),
    ],
)
def test_medications_in_every_shape(elements, read, lost, knowledge):
    found = medications.read(chart({**WARFARIN, **elements}), knowledge.value_sets)
    assert len(found.medications) == read
    assert [entry.display.rpartition(".")[2] for entry in found.lost] == lost
