"""The trace is what its type says, for every case: the preview's script and `--explain` read it by that type."""

from __future__ import annotations

import orjson
import pytest
from pydantic import TypeAdapter

from cds_service.call import answer
from cds_service.guideline.trace import Trace
from tests.cases import TODAY, all_cases
from tests.charts import bundle, code, condition, needling, request

_TYPE = TypeAdapter(Trace)


@pytest.mark.parametrize("case", all_cases()[::5], ids=lambda case: case.folder.name)
def test_the_trace_has_the_fields_of_its_type_and_no_others(case, registry):
    if case.told["status"] == 200:
        trace = answer(registry, "", orjson.dumps(case.request), case.today.date()).guidance.explain()
        assert _TYPE.validate_python(trace, strict=True) == trace  # what the type does not name is dropped


def test_the_trace_names_what_the_guideline_recognizes_though_it_is_over_or_nothing_was_ordered(registry):
    over = condition("M54.16", clinicalStatus={"coding": [{"code": "resolved"}]})
    warfarin = {
        "resourceType": "MedicationRequest", "id": "m1", "status": "stopped", "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "Warfarin 5 mg"},
    }  # fmt: skip
    sent = request(over, condition("I10"), order=needling(code=code("cpt", "97810")))
    sent["prefetch"]["medications"] = bundle(warfarin)
    trace = answer(registry, "", orjson.dumps(sent), TODAY.date()).guidance.explain()
    assert trace["decisions"] == []
    assert [(found["display"], found["valueSets"], found["phrases"]) for found in trace["recognized"]] == [
        ("M54.16", ["lumbar-radiculopathy"], []),
        ("Warfarin 5 mg", [], ["anticoagulant-words"]),
    ]
