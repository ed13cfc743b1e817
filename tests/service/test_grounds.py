"""What is behind each fact: the entries of a chart, what each is called, and in which words (R8)."""

from __future__ import annotations

from datetime import date

import orjson
import pytest

from cds_service.call import answer
from tests.charts import bundle, code, condition, needling, request, score

DAY = date(2026, 11, 23)
CHILD = {"resourceType": "Patient", "id": "p1", "birthDate": "2010-05-01"}
LOCAL = "https://clinic.example.org/codes"
VISIT = {"category": [{"coding": [{"code": "encounter-diagnosis"}]}]}


def procedure(value, day):
    return {
        "resourceType": "Procedure", "id": f"{value}-{day}", "status": "completed", "code": code("cpt", value),
        "subject": {"reference": "Patient/p1"}, "performedDateTime": day,
    }  # fmt: skip


def plan(status, concept):
    return {
        "resourceType": "CarePlan", "id": f"plan-{status}", "status": status, "intent": "plan",
        "subject": {"reference": "Patient/p1"},
        "activity": [{"detail": {"status": "in-progress", "code": concept}}],
    }  # fmt: skip


def grounds(registry, sent):
    """Return what is behind each fact that has anything: role, words, and the references of the entries."""
    (decision,) = answer(registry, "", orjson.dumps(sent), DAY).guidance.explain()["decisions"]
    return {
        finding["fact"]: [
            (ground["role"], ground["words"], [entry["reference"] for entry in ground["entries"]])
            for ground in finding["grounds"]
        ]
        for finding in decision["findings"]
        if finding["grounds"]
    }


CHARTS = {
    "a course for a child": request(
        order=needling(reasonCode=[code("icd", "M54.2"), code("icd", "S82.61XA")]),
        prefetch={
            "patient": CHILD,
            "conditions": bundle(condition("D66"), condition("M79.7"), condition("C41.2"), condition("M54.2")),
            "procedures": bundle(
                procedure("20560", "2026-06-01"),
                procedure("20560", "2026-08-10"),
                procedure("20560", "2026-10-20"),
                procedure("97140", "2026-03-01"),
            ),
            "painScores": bundle(
                score(8, effectiveDateTime="2026-05-20"), {**score(3), "id": "now", "effectiveDateTime": "2026-11-01"}
            ),
            "carePlans": bundle(
                plan("active", code("icd", "x", display="Yoga")), plan("completed", code("cpt", "97110"))
            ),
        },
    ),
    "a list that says much and is not read": request(
        {**condition("M54.50"), "id": "words", "code": {"text": "low back pain for years, leg pain"}},
        condition("X1", LOCAL),
        condition("M54.6", id="old", recordedDate="2020-01-01", clinicalStatus={}, **VISIT),
        condition("M47.816", clinicalStatus={"coding": [{"code": "who knows"}]}),
        condition("M51.369"),
        order=needling(reasonCode=[{"text": "as discussed"}]),
    ),
    "facet disease after an ablation": request(
        prefetch={
            "conditions": bundle(condition("M47.816"), condition("278860009", "sct"), condition("G43.909")),
            "procedures": bundle(procedure("64635", "2025-02-01")),
        },
    ),
}


BEHIND = {
    "a course for a child": {
        "active_therapy": [("active therapy", "Yoga", ["CarePlan/plan-active"])],
        "bleeding_disorder": [("bleeding disorder", "D66", ["Condition/c-D66"])],
        "child": [("child", "born 2010-05-01", ["Patient"])],
        "conservative_care": [
            ("conservative care", "care plan and 1 more", ["CarePlan/plan-completed", "Procedure/97140-2026-03-01"])
        ],
        "course_past_12_weeks": [
            (
                "earlier sessions",
                "3 completed, 2026-06-01 to 2026-10-20",
                ["Procedure/20560-2026-06-01", "Procedure/20560-2026-08-10", "Procedure/20560-2026-10-20"],
            )
        ],
        "fibromyalgia": [("fibromyalgia", "M79.7", ["Condition/c-M79.7"])],
        "musculoskeletal_pain": [("pain (order reason)", "M54.2", ["ServiceRequest/order"])],
        "neck_baseline": [("pain score", "3 of 10 on 2026-11-01", ["Observation/now"])],
        "on_file": [
            ("on file (order reason)", "M54.2", ["ServiceRequest/order"]),
            ("on file", "M79.7", ["Condition/c-M79.7"]),
        ],
        "pain_around_course": [
            ("pain score", "8 of 10 on 2026-05-20; 3 of 10 on 2026-11-01", ["Observation/score", "Observation/now"])
        ],
        "reason_not_covered": [("stated reason (order reason)", "S82.61XA", ["ServiceRequest/order"])],
        "serious_cause_elsewhere": [("specific cause", "C41.2", ["Condition/c-C41.2"])],
        "spinal_cause": [("specific cause", "C41.2", ["Condition/c-C41.2"])],
    },
    "a list that says much and is not read": {
        "degenerative_disease": [("degenerative disease", "M51.369", ["Condition/c-M51.369"])],
        "free_text": [("free text only", "low back pain for years, leg pain", ["Condition/words"])],
        "low_back_pain": [("low back pain", "low back pain for years, leg pain", ["Condition/words"])],
        "old_visits": [("diagnosis of an old visit", "M54.6", ["Condition/old"])],
        "on_file": [
            ("on file", "low back pain for years, leg pain", ["Condition/words"]),
            ("on file", "M51.369", ["Condition/c-M51.369"]),
        ],
        "radiculopathy": [("nerve-root pain", "low back pain for years, leg pain", ["Condition/words"])],
        "reason_in_words": [("reason that is not read", "as discussed", ["ServiceRequest/order"])],
        "unknown_system": [("code of an unknown system", "X1", ["Condition/c-X1"])],
        "unreadable": [
            ("could not be read", "M47.816", ["Condition/c-M47.816"]),
            ("elements that could not be read", "clinicalStatus", ["Condition/c-M47.816"]),
        ],
    },
    "facet disease after an ablation": {
        "certain": [("makes it uncertain", "G43.909", ["Condition/c-G43.909"])],
        "degenerative_disease": [("degenerative disease", "M47.816", ["Condition/c-M47.816"])],
        "facet_on_file": [("facet pain on file", "M47.816", ["Condition/c-M47.816"])],
        "facet_pain": [
            ("facet pain", "M47.816", ["Condition/c-M47.816"]),
            ("earlier radiofrequency ablation", "64635", ["Procedure/64635-2025-02-01"]),
        ],
        "low_back_pain": [("low back pain", "278860009", ["Condition/c-278860009"])],
        "musculoskeletal_pain": [("pain", "278860009", ["Condition/c-278860009"])],
        "on_file": [
            ("on file", "278860009", ["Condition/c-278860009"]),
            ("on file", "M47.816", ["Condition/c-M47.816"]),
            ("on file", "G43.909", ["Condition/c-G43.909"]),
        ],
    },
}


@pytest.mark.parametrize("name", CHARTS)
def test_each_fact_names_what_is_behind_it(name, registry):
    assert grounds(registry, CHARTS[name]) == BEHIND[name]
