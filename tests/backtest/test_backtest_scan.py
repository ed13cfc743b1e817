"""Whose a line of an export is, and what becomes of it, however it is written (issue 16, 2)."""

from __future__ import annotations

import re

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.backtest import scan
from cds_service.backtest.lines import ExportFile
from tests.backtest.test_backtest import chart, decisions, people, row_of, run
from tests.exports import versions, write_export

WANTED = scan.Wanted(
    asked=pa.table({
        "kind": pa.array(["Condition", "Observation", "Patient"]),
        "codes": pa.array([None, ["72514-3"], None], pa.list_(pa.string())),
    }),
    patients=pa.table({"patient": ["p1"]}),
    aliases=pa.table({"former": ["old"], "patient": ["p1"]}),
    gone=pa.table({"reference": ["Condition/gone"]}),
)  # fmt: skip


def scanned(folder, lines):
    path = folder / "Condition.ndjson"
    path.write_bytes(b"\n".join(lines))
    with scan.connection("300MB", 1) as engine:
        found, kept = scan.scan(engine, ExportFile(path, "Condition"), folder, WANTED)
    return found, kept


def observed(code):
    return b'{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"code":%s}' % code


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (b'{"resourceType":"Condition","subject":{"reference":"Patient/p1"}}', "kept"),
        (b'{ "resourceType" : "Condition", "subject" : { "reference" : "Patient/p1" } }\r', "kept"),
        (rb'{"resourceType":"Condition","subject":{"reference":"Patient\/p1"}}', "kept"),
        (rb'{"resourceType":"Condition","subject":{"reference":"Patient/p\u0031"}}', "kept"),
        (b'{"resourceType":"Condition","subject":{"reference":"https://ehr.example/fhir/Patient/p1"}}', "kept"),
        (b'{"resourceType":"Condition","subject":{"reference":"Patient/p1/_history/4"}}', "kept"),
        (b'{"resourceType":"Condition","subject":{"reference":"urn:uuid:p1"}}', "kept"),
        (b'{"resourceType":"Condition","patient":{"reference":"Patient/p1"}}', "kept"),
        (b'{"resourceType":"Condition","subject":{"reference":"Patient/old"}}', "kept"),
        (
            b'{"contained":[{"subject":{"reference":"Patient/p2"}}],"resourceType":"Condition",%s}'
            % b'"subject":{"reference":"Patient/p1"}',
            "kept",
        ),
        (b'{"resourceType":"Patient","id":"p1"}', "kept"),
        (observed(b'{"coding":[{"code":"72514-3"}]}'), "kept"),
        (b'{"resourceType":"Basic","subject":{"reference":"Patient/p1"}}', "not asked for"),
        (b'{"resourceType":"Condition","id":"gone","subject":{"reference":"Patient/p1"}}', "deleted"),
        (b'{"resourceType":"Condition","subject":{"reference":"Patient/p11"}}', "not wanted"),
        (b'{"resourceType":"Condition","subject":{"reference":"Patient/p1"},"note":[{"text":"Patient/p2"}]}', "kept"),
        (b'{"resourceType":"Condition","subject":{"reference":"Patient?identifier=p1"}}', "without subject"),
        (b'{"resourceType":"Condition","subject":{"reference":"#p1"}}', "without subject"),
        (b'{"resourceType":"Condition","subject":{"identifier":{"value":"p1"}}}', "without subject"),
        (b'{"resourceType":"Condition","subject":{"reference":"Patient/p1"}', "invalid"),
        (b'{"subject":{"reference":"Patient/p1"}}', "invalid"),
        (b'[{"resourceType":"Condition"}]', "invalid"),
        (b'"Condition"', "invalid"),
        (b" \t\r", "blank"),
    ],
)  # fmt: skip
def test_each_line_is_kept_or_left_out_for_a_reason(tmp_path, line, state):
    found, kept = scanned(tmp_path, [line])
    assert found.states == {state: 1}
    assert kept.to_pylist() == ([{"patient": "p1", "line": line.decode()}] if state == "kept" else [])


@pytest.mark.parametrize("code", [b'{"coding":[{"code":"1"}]}', b'{"text":"pain"}'])
def test_what_is_asked_for_by_other_codes_keeps_no_more_than_its_version(tmp_path, code):
    line = observed(code).replace(b"{", b'{"id":"o","meta":{"lastUpdated":"2024"},', 1)
    found, kept = scanned(tmp_path, [line])
    assert found.states == {"kept": 1}
    (left,) = kept.to_pylist()
    assert orjson.loads(left["line"]) == {"resourceType": "Observation", "id": "o", "meta": {"lastUpdated": "2024"}}


def test_a_copy_that_was_given_another_code_later_is_no_longer_found(tmp_path):
    """The latest copy counts, although no template asks for it."""
    code = {"coding": [{"system": "http://loinc.org", "code": "72514-3"}]}
    score = {
        "resourceType": "Observation", "id": "o", "status": "final", "subject": {"reference": "Patient/p1"},
        "issued": "2026-02-01T08:00:00Z", "valueInteger": 8, "code": code, "meta": {"lastUpdated": "2026-02-01"},
    }  # fmt: skip
    later = {**score, "code": {"coding": [{"code": "1"}]}, "meta": {"lastUpdated": "2026-02-02"}}
    found = {}
    for name, copies in (("none", []), ("one", [score]), ("two", [score, later])):
        run(write_export(tmp_path / name, [*chart(), *copies]), tmp_path / f"{name}-out")
        (row,) = decisions(tmp_path / f"{name}-out").to_pylist()
        found[name] = row["grounds"]
    assert found["one"] != found["none"] == found["two"]


SLOW = re.compile(scan._LAST, re.ASCII)
PART = st.text("ab1-./:_ #?", max_size=6)


REFERENCES = st.builds(
    "{}{}{}{}".format, PART, st.sampled_from(["/", ":", "Patient/", "urn:uuid:"]), PART,
    st.sampled_from(["", "/_history/1", "/"]),
)  # fmt: skip


def subject(reference):
    match = SLOW.match(reference)
    return match[1] if match and reference[:1] != "#" and "?" not in reference else ""


@given(st.lists(REFERENCES, min_size=1, max_size=20))
def test_a_plain_reference_is_taken_apart_as_any_other(tmp_path_factory, references):
    """The fast way and the expression for all references find the same patients."""
    folder = tmp_path_factory.mktemp("references")
    lines = [orjson.dumps({"resourceType": "Condition", "subject": {"reference": text}}) for text in references]
    found = [subject(text.split("/_history/")[0]) for text in references]
    states = scanned(folder, lines)[0].states
    assert states.get("without subject", 0) == found.count("")
    assert states.get("kept", 0) == found.count("p1") + found.count("old")


def test_a_file_whose_last_line_is_cut_off_names_it(tmp_path):
    export = write_export(tmp_path / "export", people(4))
    path = export / "Condition.ndjson"
    path.write_bytes(path.read_bytes()[:-30])
    run(export, tmp_path / "out", "--no-strict")
    assert orjson.loads((tmp_path / "out" / "faults.ndjson").read_bytes()) == {
        "file": "Condition.ndjson", "line": 4, "fault": "invalid",
    }  # fmt: skip


def test_references_to_patients_of_two_servers_are_refused(tmp_path):
    resources = people(4)
    for number, resource in enumerate(r for r in resources if "subject" in r):
        resource["subject"] = {"reference": f"https://server-{number % 2}.example/{resource['subject']['reference']}"}
    assert "several servers" in run(write_export(tmp_path / "export", resources), tmp_path / "out", code=1)


def anticoagulant(**elements):
    return {
        "resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order",
        "authoredOn": "2026-01-05", "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"text": "Enoxaparin 40 mg daily"}, **elements,
    }  # fmt: skip


def test_medications_are_read_as_of_then_where_a_template_asks_for_them(tmp_path):
    """The optional `medications` prefetch, from the export's MedicationRequest files."""
    assert "MedicationRequest" in versions().kinds
    assert "anticoagulant=true" in row_of([*chart(), anticoagulant()]).facts
    for request in (anticoagulant(authoredOn="2026-06-05"), anticoagulant(status="cancelled")):
        assert "anticoagulant=false" in row_of([*chart(), request]).facts
    out = tmp_path / "out"
    run(write_export(tmp_path / "export", [*chart(), anticoagulant()]), out)
    assert ["anticoagulant=true" in row["facts"] for row in decisions(out).to_pylist()] == [True]
    without = orjson.loads((out / "summary.json").read_bytes())["absent"]
    assert "MedicationRequest" not in without
    assert "Observation" in without


def test_a_stopped_medication_is_uncertain():
    row = row_of([*chart(), anticoagulant(status="stopped", authoredOn="2026-02-20")])
    assert row.causes == ["MedicationRequest: ended, not said when"]


def test_a_line_of_30_mb_is_read_and_one_beyond_the_memory_is_refused_in_words(tmp_path):
    long = {**chart()[1], "note": [{"text": "x" * 30_000_000}]}
    export = write_export(tmp_path / "export", [chart()[0], long, chart()[2]])
    run(export, tmp_path / "out")
    assert [row["rule"] for row in decisions(tmp_path / "out").to_pylist()] == ["R1"]
    assert "add --memory" in run(export, tmp_path / "small", "--memory", "100MB", code=1)
