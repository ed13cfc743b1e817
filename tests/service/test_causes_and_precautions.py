"""Specific causes (R9, R10), precautions, facet pain, courses, pain scores and lines that join (sections 3, 5)."""

from __future__ import annotations

from datetime import date

import pytest

from tests.cases import EXTENSION
from tests.charts import bundle, cards, code, condition, needling, request, score

DAY = date(2026, 11, 25)
CHRONIC = condition("278860009", "sct")
NECK = condition("M54.2")
UNREADABLE = {"coding": [{"code": "who knows"}]}
NECK_REASON = needling(reasonCode=[code("icd", "M54.2")])


def card(registry, *conditions, order=None, prefetch=None):
    (found,) = cards(registry, request(*conditions, order=order, prefetch=prefetch), DAY)
    return found


def told(found):
    return found["extension"][EXTENSION]


def with_words(entry, text):
    return {**entry, "code": {**entry["code"], "text": text}}


@pytest.mark.parametrize(
    ("why", "expected", "conditions", "elements"),
    [
        ("beside low back pain", "R9", [condition("G83.4"), condition("M54.50", onsetDateTime="2026-11-20")], {}),
        ("without any pain on file", "R9", [condition("G83.4")], {}),
        ("by SNOMED CT", "R9", [condition("192970008", "sct"), CHRONIC], {}),
        ("in another ICD-10", "R9", [condition("C79.5", "http://fhir.de/CodeSystem/bfarm/icd-10-gm"), CHRONIC], {}),
        ("a fresh fracture", "R9", [condition("S32.010A", onsetDateTime="2026-03-01"), CHRONIC], {}),
        ("an undated fracture", "R9", [condition("S32.010A"), CHRONIC], {}),
        (
            "a fracture of this year, read as late as possible",
            "R9",
            [condition("S32.010A", onsetDateTime="2025-12"), CHRONIC],
            {},
        ),
        ("a fracture of long ago", "R1", [condition("S32.010A", onsetDateTime="2024-03-01"), CHRONIC], {}),
        ("a healing fracture", "R1", [condition("S32.010D"), CHRONIC], {}),
        (
            "a pathological fracture of a vertebra",
            "R9",
            [with_words(condition("M84.48XA"), "fracture of vertebra L2"), CHRONIC],
            {},
        ),
        ("a pathological fracture elsewhere", "R1", [condition("M84.48XA"), CHRONIC], {}),
        (
            "M80.08 outside ICD-10-CM may be a rib",
            "R1",
            [condition("M80.08", "http://fhir.de/CodeSystem/bfarm/icd-10-gm"), CHRONIC],
            {},
        ),
        (
            "or a vertebra, in words",
            "R9",
            [with_words(condition("M80.08", "http://hl7.org/fhir/sid/icd-10"), "fractured vertebra"), CHRONIC],
            {},
        ),
        ("in ICD-10-CM it is a vertebra", "R9", [condition("M80.08XA"), CHRONIC], {}),
        ("a tumor of the spine", "R9", [with_words(condition("C79.49"), "spinal metastasis"), CHRONIC], {}),
        ("a tumor of other nerves", "R1", [condition("C79.49"), CHRONIC], {}),
        ("infection", "R9", [condition("M46.46"), NECK], {}),
        ("inflammatory disease", "R10", [condition("M45.6"), CHRONIC], {}),
        ("serious before inflammatory", "R9", [condition("M45.6"), condition("G83.4"), CHRONIC], {}),
        (
            "pain elsewhere on file, nothing says where the order is for",
            "R7",
            [condition("G83.4"), condition("M17.11")],
            {},
        ),
        ("chronic pain without a site points nowhere", "R9", [condition("C79.51"), condition("G89.3")], {}),
        (
            "the order is for the knee",
            "R7",
            [condition("C79.51"), condition("M17.11")],
            {"bodySite": [{"text": "knee"}]},
        ),
        ("the order is for the neck", "R9", [condition("C79.51"), NECK], {"bodySite": [{"text": "neck"}]}),
        ("the cause is the reason", "R9", [], {"reasonCode": [code("icd", "C79.51")]}),
        ("another reason", "R11", [condition("G83.4")], {"reasonCode": [code("icd", "K21.9")]}),
    ],
)
def test_a_specific_cause_decides_for_orders_of_the_spine(why, expected, conditions, elements, registry):
    assert told(card(registry, *conditions, order=needling(**elements)))["rule"] == expected


def test_r9_is_a_warning_and_information_when_the_deciding_entry_is_doubtful(registry):
    sure = card(registry, condition("G83.4"), CHRONIC)
    assert sure["indicator"] == "warning"
    assert "suggestions" not in sure
    assert card(registry, condition("G83.4", clinicalStatus=UNREADABLE), CHRONIC)["indicator"] == "info"


def test_a_serious_cause_beside_an_order_elsewhere_is_the_first_precaution(registry):
    found = card(registry, condition("C79.51"), condition("M17.11"), order=needling(bodySite=[{"text": "knee"}]))
    assert "**Precautions:** On file: C79.51." in found["detail"]


MEDICATION = {
    "resourceType": "MedicationRequest",
    "id": "m",
    "status": "active",
    "subject": {"reference": "Patient/p1"},
}


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("Bleeding disorder (D66): caution, or not at all", condition("D66")),
        ("Bleeding disorder (Hämophilie A): caution", with_words(condition("Z99.9"), "Hämophilie A")),
        ("Anticoagulant (Z79.01): avoid deep sites, compress", condition("Z79.01")),
        ("Pregnancy: a precaution", condition("Z33.1")),
        ("Pregnancy: a precaution", condition("O26.891", onsetDateTime="2026-03-01")),
        ("Lymphedema: not in that limb", condition("I89.0")),
        ("Skin infection: not through infected skin", condition("L03.115", onsetDateTime="2026-11-01")),
        ("Skin infection: not through infected skin", condition("L03.115", onsetDateTime="2026-11-25")),
        ("Immune deficiency: a precaution", condition("D84.9")),
        ("Needle phobia", condition("F40.231")),
        (
            "Pregnancy: a precaution",
            {**condition("Z33.1"), "clinicalStatus": {}, "category": [{"coding": [{"code": "encounter-diagnosis"}]}]},
        ),
    ],
)
def test_precautions_are_named_on_every_card(line, entry, registry):
    for beside in (CHRONIC, NECK, condition("J30.2")):
        assert line in card(registry, beside, entry)["detail"]


@pytest.mark.parametrize(
    "entry",
    [
        condition("O26.891", onsetDateTime="2025-12-01"),
        condition("Z33.1", abatementDateTime="2026-10-01"),
        condition("L03.115", onsetDateTime="2026-09-01"),
        condition("L03.115"),
        condition("D66", clinicalStatus="resolved"),
        with_words(condition("Z99.9"), "no hemophilia"),
    ],
)
def test_what_is_over_is_no_precaution(entry, registry):
    assert "Precautions" not in card(registry, CHRONIC, entry)["detail"]


@pytest.mark.parametrize(
    "medication",
    [
        {"medicationCodeableConcept": {"text": "Warfarin 5 mg tablet"}},
        {"medicationCodeableConcept": code("http://www.whocc.no/atc", "B01AF01")},
        {
            "medicationReference": {"reference": "#d"},
            "contained": [{"resourceType": "Medication", "id": "d", "code": {"text": "apixaban"}}],
        },
        {"medicationReference": {"reference": "Medication/d", "display": "Enoxaparin 40 mg"}},
    ],
)
def test_an_active_anticoagulant_on_the_medication_list_is_a_precaution(medication, registry):
    listed = {"medications": bundle({**MEDICATION, **medication})}
    assert "**Precautions:** Anticoagulant (" in card(registry, NECK, prefetch=listed)["detail"]
    stopped = {"medications": bundle({**MEDICATION, **medication, "status": "stopped"})}
    assert "Precautions" not in card(registry, NECK, prefetch=stopped)["detail"]


def test_other_medications_are_no_precaution(registry):
    listed = {"medications": bundle({**MEDICATION, "medicationCodeableConcept": {"text": "Aspirin"}}, MEDICATION)}
    assert "Precautions" not in card(registry, NECK, prefetch=listed)["detail"]


@pytest.mark.parametrize(
    "elements",
    [
        {"bodySite": [{"text": "rhomboid, right"}]},
        {"bodySite": [code("sct", "122495006")]},
        {"code": {**code("cpt", "20560"), "text": "Dry needling - upper trapezius"}},
        {"reasonCode": [code("icd", "M54.6")]},
        {"reasonCode": [{"text": "Rib pain"}]},
        {"bodySite": [{"text": "supraspinatus"}]},
    ],
)
def test_a_site_near_the_lung_is_a_precaution(elements, registry):
    assert "Thoracic site: pneumothorax" in card(registry, condition("M54.6"), order=needling(**elements))["detail"]


def test_a_child_is_told_that_the_evidence_is_in_adults(registry):
    for birth, expected in (
        ("2010-05-01", True),
        ("2008-11-25", False),
        ("2008-11-26", True),
        ("2008", True),
        (None, False),
    ):
        patient = {"resourceType": "Patient", "id": "p1", **({"birthDate": birth} if birth else {})}
        found = card(registry, NECK, prefetch={"patient": patient})
        assert ("The evidence is in adults" in found["detail"]) is (expected and birth != "2008")


FACET = with_words(condition("M47.816"), "Lumbar facet arthropathy")


@pytest.mark.parametrize(
    ("why", "expected", "note", "conditions", "elements"),
    [
        ("alone", "R2", None, [FACET], {}),
        ("beside chronic low back pain", "R1", "facet-pain-too", [CHRONIC, FACET], {}),
        (
            "beside acute low back pain",
            "R7",
            "facet-pain-beside-acute",
            [condition("M54.50", onsetDateTime="2026-11-10"), FACET],
            {},
        ),
        ("of the neck", "R8", None, [with_words(condition("Z99.9"), "cervical facet pain")], {}),
        ("by code, placed in the neck", "R7", None, [condition("247369005", "sct", bodySite=[{"text": "neck"}])], {}),
        ("ruled out", "R8", None, [with_words(condition("M47.816"), "facet pain ruled out")], {}),
        ("not lumbar", "R8", None, [with_words(condition("Z99.9"), "facet pain of the wrist")], {}),
        ("as reason", "R2", None, [CHRONIC], {"reasonCode": [{"text": "lumbar facet pain"}]}),
        ("an order for the neck", "R8", None, [condition("247369005", "sct")], {"bodySite": [{"text": "neck"}]}),
    ],
)
def test_facet_pain(why, expected, note, conditions, elements, registry):
    found = told(card(registry, *conditions, order=needling(**elements)))
    assert found["rule"] == expected
    assert note is None or note in found["notes"]


def session(identifier, when, **elements):
    return {
        "resourceType": "Procedure",
        "id": identifier,
        "status": "completed",
        "code": code("cpt", "20560"),
        "subject": {"reference": "Patient/p1"},
        "performedDateTime": when,
        **elements,
    }


@pytest.mark.parametrize(
    ("why", "expected", "days", "elements"),
    [
        ("longer than 84 days, the last one recent", "R3", ["2026-06-01", "2026-08-10", "2026-10-20"], {}),
        ("a gap of more than 84 days", "R7", ["2026-06-01", "2026-10-20"], {}),
        ("the last one too long ago", "R7", ["2026-05-01", "2026-06-20", "2026-09-01"], {}),
        ("exactly 84 days long", "R7", ["2026-08-01", "2026-10-24"], {}),
        ("a gap of exactly 84 days", "R3", ["2026-08-01", "2026-10-24", "2026-11-20"], {}),
        ("of another region", "R7", ["2026-06-01", "2026-08-10", "2026-10-20"], {"bodySite": [{"text": "knee"}]}),
        (
            "of the same region in words",
            "R3",
            ["2026-06-01", "2026-08-10", "2026-10-20"],
            {"code": {**code("cpt", "20560"), "text": "Dry needling neck"}},
        ),
        ("of injections", "R7", ["2026-06-01", "2026-08-10", "2026-10-20"], {"code": code("cpt", "20552")}),
    ],
)
def test_a_course(why, expected, days, elements, registry):
    sessions = {"procedures": bundle(*(session(day, day, **elements) for day in days))}
    found = card(registry, order=NECK_REASON, prefetch=sessions)
    assert told(found)["rule"] == expected
    if expected == "R3":
        assert f"Given 3 times since {days[0]}." in found["detail"]


def test_pain_around_a_course_is_told_by_the_scores_30_days_before_and_after(registry):
    days = ["2026-06-01", "2026-08-10", "2026-10-20"]
    sessions = {"procedures": bundle(*(session(day, day) for day in days))}
    before, after = score(8, id="a", effectiveDateTime="2026-05-02"), score(3, id="b", effectiveDateTime="2026-11-01")
    early = score(8, id="a", effectiveDateTime="2026-05-01")
    found = card(registry, order=NECK_REASON, prefetch={**sessions, "painScores": bundle(before, after)})
    assert "Pain went from 8 to 3 of 10." in found["detail"]
    found = card(registry, order=NECK_REASON, prefetch={**sessions, "painScores": bundle(early, after)})
    assert "Pain went" not in found["detail"]


@pytest.mark.parametrize(
    ("points", "elements", "note"),
    [
        (7, {}, "baseline-high"),
        (6.9, {}, None),
        (3, {}, "baseline-low"),
        (2, {}, "baseline-low"),
        (1.9, {}, None),
        (0, {}, None),
        (4, {"referenceRange": [{"low": {"value": 0}, "high": {"value": 5}}]}, "baseline-high"),
        (75, {"referenceRange": [{"high": {"value": 100}}]}, "baseline-high"),
        (75, {}, None),
        (0, {"referenceRange": [{"high": {"value": 0}}]}, None),
        (8, {"referenceRange": [{"high": {"value": 0}}]}, None),
        (8, {"bodySite": {"text": "left knee"}}, None),
        (8, {"bodySite": {"text": "neck"}}, "baseline-high"),
        (8, {"effectiveDateTime": "2026-08-26"}, None),
    ],
)
def test_a_pain_score_has_a_scale_a_day_and_a_site(points, elements, note, registry):
    """LOINC scores; the reference range or the unit decides the scale; for neck pain only."""
    found = card(registry, order=NECK_REASON, prefetch={"painScores": bundle(score(points, **elements))})
    joined = {name for name in told(found)["notes"] if name.startswith("baseline")}
    assert joined == ({note} if note else set())
    low_back = card(
        registry,
        condition("M54.50", onsetDateTime="2026-11-10"),
        prefetch={"painScores": bundle(score(points, **elements))},
    )
    assert not {name for name in told(low_back)["notes"] if name.startswith("baseline")}


def test_the_other_stated_reason_has_its_own_line_and_removal_is_then_only_offered(registry):
    order = needling(reasonCode=[code("sct", "278860009"), code("icd", "M54.2")])
    found = card(registry, order=order, prefetch={"conditions": bundle(CHRONIC)})
    assert told(found)["rule"] == "R1"
    assert "- For the neck: short-term relief only." in found["detail"]
    assert "isRecommended" not in found["suggestions"][0]
    alone = card(registry, CHRONIC)
    assert alone["suggestions"][0]["isRecommended"] is True


@pytest.mark.parametrize(
    ("reasons", "rule", "line"),
    [
        (["G43.909", "M54.50"], "R5", "For the low back: not recommended once chronic."),
        (["G43.909", "M79.18"], "R5", "For M79.18: short-term relief only."),
        (["M54.2", "K21.9"], "R7", "K21.9: no evidence statement."),
        (["M54.16", "G43.909"], "R4", "For the headache: evidence is insufficient."),
        (["M54.50", "M25.561"], "R6", "For the knee or leg: short-term relief only."),
    ],
)
def test_two_stated_reasons_with_two_rules(reasons, rule, line, registry):
    found = card(registry, order=needling(reasonCode=[code("icd", value) for value in reasons]))
    assert told(found)["rule"] == rule
    assert f"- {line}" in found["detail"]


def test_a_reason_with_the_same_rule_has_no_line(registry):
    found = card(registry, order=needling(reasonCode=[code("icd", "M54.2"), code("icd", "M25.511")]))
    assert not {name for name in told(found)["notes"] if name.startswith("other-reason")}
