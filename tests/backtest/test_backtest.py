"""The backtest decides what a live call decides, as of then, whatever the files look like (issue 16, 1 to 3)."""

from __future__ import annotations

import contextlib
import copy
import csv
import gzip
import json
import random
import re
import shutil
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cds_service import cli, errors
from cds_service.backtest import embedded, job, lines, reading, sums
from cds_service.backtest.decisions import Decider, decide_batches
from cds_service.backtest.reading import Totals
from cds_service.backtest.run import Plan, export_files
from cds_service.backtest.scan import KEPT
from cds_service.fhir.chart import Availability
from hooks.dry_needling.guideline import GUIDELINE
from tests.cases import EXTENSION, Case, all_cases, respond
from tests.exports import KEY, exported, lines_of, live_chart, setup, versions, write_export
from tests.killing import backtest, killed

NO_EXPORT_HAS_IT = {
    "needling-not-selected": "an export does not say which drafts were selected",
    "r7-parameters-around-a-bundle": "an export has lines of resources, none around another",
}
DIFFERENT = {
    "revoked-order": ([], ["R1"], "an order was a draft when it was signed, whatever became of it"),
    "r6-onset-in-the-future": (["R6"], ["R8"], "what begins after the order was not known then"),
    "r6-onset-in-the-future-of-another-shape": (["R6"], ["R8"], "what begins after the order was not known then"),
}
NOTES_OF_OTHERS = {"entries-of-others", "others-entries"}
"""What is another patient's stands in that patient's lines, and is never mixed up."""


def has_pages(case):
    """Return whether a part of the list was sent: an export has whole lists."""
    return Availability.PARTIAL in live_chart(case).availability.values()


CASES = [case for case in all_cases() if case.folder.name not in NO_EXPORT_HAS_IT and not has_pages(case)]


def outcome(rows):
    refused = {row.outcome for row in rows if row.outcome.startswith("refused")}
    return refused.pop() if refused else sorted({row.rule for row in rows if row.indicator != "silent" and row.rule})


def decide(case: Case, **changes):
    patient, resources, present = exported(copy.deepcopy(case))
    return Decider(setup(present=present, **changes)).patient(patient, lines_of(resources))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.folder.name)
def test_each_fixture_written_as_an_export_gets_the_live_decision(case, registry):
    status, body = respond(registry, case)
    cards = [card["extension"][EXTENSION] for card in body.get("cards", [])]
    live = sorted(card["rule"] for card in cards) if status == 200 else f"refused {status}"
    rows = decide(case)
    if case.folder.name in DIFFERENT:
        was, becomes, _ = DIFFERENT[case.folder.name]
        assert (live, outcome(rows)) == (was, becomes)
        return
    assert outcome(rows) == live
    for card in cards:
        joined = {note for row in rows if row.rule == card["rule"] for note in row.notes}
        assert set(card.get("notes", ())) - NOTES_OF_OTHERS == joined


def chart(day="2026-03-02", patient="p1", **order):
    """Return a patient with chronic low back pain and an order of needling for it."""
    subject = {"reference": f"Patient/{patient}"}
    icd, cpt = "http://hl7.org/fhir/sid/icd-10-cm", "http://www.ama-assn.org/go/cpt"
    return [
        {"resourceType": "Patient", "id": patient, "birthDate": "1970-01-01"},
        {
            "resourceType": "Condition", "id": f"{patient}-pain", "subject": subject, "recordedDate": "2020-01-05",
            "clinicalStatus": {"coding": [{"code": "active"}]}, "onsetDateTime": "2020-01-01",
            "code": {"coding": [{"system": icd, "code": "M54.50"}]},
        },
        {
            "resourceType": "ServiceRequest", "id": f"{patient}-order", "subject": subject, "status": "completed",
            "intent": "order", "authoredOn": f"{day}T10:00:00-05:00", "encounter": {"reference": "Encounter/e"},
            "requester": {"reference": "Practitioner/d"}, "code": {"coding": [{"system": cpt, "code": "20560"}]},
            **order,
        },
    ]  # fmt: skip


def changed(resources, place, **elements):
    found = copy.deepcopy(resources)
    for name, value in elements.items():
        if value is None:
            found[place].pop(name, None)
        else:
            found[place][name] = value
    return found


def row_of(resources, **changes):
    (row,) = Decider(setup(**changes)).patient("p1", lines_of(resources))
    return row


STATUS = {"resolved": {"coding": [{"code": "resolved"}]}}


def test_what_was_recorded_after_the_order_is_not_seen():
    assert row_of(chart()).rule == "R1"
    assert row_of(changed(chart(), 1, recordedDate="2026-03-03")).rule == "R8"
    late = row_of(changed(chart(), 1, recordedDate="2026-03-02T15:00:01Z"))
    assert (late.rule, late.later) == ("R8", ["Condition=1"])
    assert row_of(changed(chart(), 1, recordedDate="2026-03-02T15:00:00Z")).rule == "R1"


@pytest.mark.parametrize(
    ("recorded", "cause"),
    [
        ("2026-03-02", "Condition: same day without time"),
        ("2026-03", "Condition: partial date"),
        (None, "Condition: no date"),
    ],
)
def test_an_uncertain_entry_counts_and_the_order_is_decided_without_it_too(recorded, cause):
    row = row_of(changed(changed(chart(), 1, onsetDateTime=None, onsetString="long ago"), 1, recordedDate=recorded))
    assert row.causes == [cause]
    assert row.rule != "R8"
    assert row.other_rule == "R8"


def test_what_the_order_refers_to_counts_whenever_it_was_recorded():
    stated = chart(reasonReference=[{"reference": "Condition/p1-pain"}])
    row = row_of(changed(stated, 1, recordedDate="2026-04-01", onsetDateTime="2020-01-01"))
    assert (row.rule, row.later) == ("R1", [])


def test_a_problem_that_ended_later_was_active():
    ended = changed(chart(), 1, clinicalStatus=STATUS["resolved"], abatementDateTime="2026-06-01")
    assert row_of(ended).rule == "R1"
    assert row_of(ended).causes == []
    assert row_of(changed(ended, 1, abatementDateTime="2026-01-01")).rule == "R8"


def test_a_problem_that_ended_at_an_unknown_time_is_decided_both_ways():
    row = row_of(changed(chart(), 1, clinicalStatus=STATUS["resolved"]))
    assert (row.rule, row.other_rule, row.causes) == ("R8", "R1", ["Condition: ended, not said when"])


def test_an_order_was_a_draft_whatever_became_of_it():
    for status in ("active", "revoked", "completed", "on-hold"):
        row = row_of(chart(status=status))
        assert (row.rule, row.status) == ("R1", status)
    assert row_of(chart(status="something of a patient")).status == "other"


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"status": "draft"}, "status draft"),
        ({"status": "entered-in-error"}, "status entered-in-error"),
        ({"intent": "filler-order"}, "intent filler-order"),
        ({"intent": "proposal"}, "intent proposal"),
        ({"doNotPerform": True}, "not to be performed"),
        ({"authoredOn": None}, "undated"),
        ({"authoredOn": "2026"}, "undated"),
    ],
)
def test_orders_that_are_left_out_are_counted_by_reason(elements, reason):
    row = row_of(changed(chart(), 2, **elements))
    assert (row.outcome, row.rule) == (reason, "")


def test_meta_last_updated_never_says_when_something_was_recorded():
    row = row_of(changed(chart(), 1, meta={"lastUpdated": "2026-10-01T00:00:00Z"}))
    assert (row.rule, row.deciding, row.deciding_changed) == ("R1", 1, 1)


def test_of_copies_the_one_changed_last_counts():
    old = changed(chart(), 1, meta={"lastUpdated": "2021-01-01T00:00:00Z"})
    new = changed(
        chart(), 1, meta={"lastUpdated": "2022-01-01T00:00:00Z"}, verificationStatus={"coding": [{"code": "refuted"}]}
    )
    for both in ([*old, *new], [*new, *old]):
        row = row_of(both)
        assert (row.rule, row.copies) == ("R8", ["later=1", "same=2"])


def test_the_day_is_the_hospitals_where_it_is_told():
    late = changed(chart(), 2, authoredOn="2026-03-03T03:00:00Z")
    assert (row_of(late).day, row_of(late).in_utc) == ("2026-03-03", True)
    assert row_of(late, zone="America/New_York").day == "2026-03-02"


def test_orders_of_one_visit_are_one_session():
    second = changed(chart("2026-03-02"), 2, id="second", authoredOn="2026-03-02T10:45:00-05:00")[2]
    third = changed(chart("2026-03-02"), 2, id="third", authoredOn="2026-03-02T12:00:00-05:00")[2]
    rows = Decider(setup()).patient("p1", lines_of([*chart(), second, third]))
    assert sorted(row.together for row in rows) == [1, 2, 2]
    rows = Decider(setup(session=timedelta(hours=2))).patient("p1", lines_of([*chart(), second, third]))
    assert [row.together for row in rows] == [3, 3, 3]
    alone = [changed(chart(), 2, encounter=None)[2], changed([second], 0, encounter=None)[0]]
    assert [row.together for row in Decider(setup()).patient("p1", lines_of([*chart()[:2], *alone]))] == [1, 1]


def test_orders_outside_the_period_are_counted_and_not_decided():
    assert row_of(chart(), first="2026-03-03").outcome == "outside the period"
    assert row_of(chart(), last="2026-03-01").outcome == "outside the period"
    assert row_of(chart(), first="2026-03-02", last="2026-03-02").rule == "R1"


def test_a_type_without_any_file_was_not_sent():
    row = row_of(chart(), present=frozenset({"Patient", "Condition", "ServiceRequest"}))
    assert "pain scores" in row.missing
    assert row_of(chart(), present=frozenset({"Patient", "ServiceRequest"})).outcome == "refused 412"


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "code": st.sampled_from(["M54.16", "G43.909", "M45.6", "M54.2", "M54.50"]),
                "day": st.integers(1, 400),
                "type": st.sampled_from(["Condition", "Procedure", "Observation", "CarePlan"]),
            }
        ),
        max_size=6,
    )
)
def test_nothing_that_is_recorded_later_changes_a_decision(later):
    """No leakage: whatever the chart came to hold, the order is decided as before."""
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    entries = []
    for number, entry in enumerate(later):
        day = (date(2026, 3, 2) + timedelta(days=entry["day"])).isoformat()
        dated = {"Condition": "recordedDate", "Procedure": "performedDateTime", "Observation": "effectiveDateTime"}
        entries.append(
            {
                "resourceType": entry["type"], "id": f"later-{number}", "subject": {"reference": "Patient/p1"},
                "status": "active" if entry["type"] == "CarePlan" else "completed", "created": day,
                "code": {"coding": [{"system": icd, "code": entry["code"]}]},
                **({dated[entry["type"]]: day} if entry["type"] in dated else {}),
            }
        )  # fmt: skip
    before, after = row_of(chart()), row_of([*chart(), *entries])
    after.later, after.done = before.later, before.done
    assert after == before


def test_a_defect_of_ours_is_a_row_and_names_only_its_class(monkeypatch):
    def fails(*_):
        raise ValueError("Jane Doe")

    monkeypatch.setattr("cds_service.backtest.asking.decide_orders", fails)
    assert row_of(chart()).outcome == "failed ValueError"


# Whole exports


PRESENT = frozenset({"Patient", "Condition", "ServiceRequest", "Encounter"})


def people(number=24):
    """Return the resources of patients of whom a half have orders."""
    found = []
    for n in range(number):
        mine = chart(f"2026-0{1 + n % 6}-1{n % 9}", f"p{n}", status=("active", "completed", "revoked")[n % 3])
        if n % 4 == 1:
            mine = changed(mine, 1, clinicalStatus=STATUS["resolved"])
        if n % 4 == 2:
            mine = changed(mine, 1, recordedDate="2026-06-30", onsetDateTime=None)
        if n % 5 == 3:
            mine[2]["code"] = {"text": "X-ray of the hand"}
        found += mine
        found.append(
            {
                "resourceType": "Encounter",
                "id": "e",
                "subject": mine[1]["subject"],
                "serviceProvider": {"reference": "Organization/back-clinic"},
            }
        )
    return found


def run(export: Path, out: Path, *options, code=0):
    environ = {"CDS_HASH_KEY": KEY, "CDS_LOG_LEVEL": "error"}
    result = CliRunner(catch_exceptions=False).invoke(
        cli.main, ["backtest", str(export), "--out", str(out), *options], env=environ
    )
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


def decisions(out: Path) -> pa.Table:
    return reading.read_decisions(out / "decisions")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    run(write_export(folder / "export", people()), folder / "out")
    return folder


def test_an_export_gets_a_page_figures_and_decisions(reference):
    out = reference / "out"
    found = json.loads((out / "summary.json").read_bytes())
    assert found["refused"] == []
    assert found["orders"]["all"] == 24
    assert found["orders"]["in_scope"] == found["orders"]["decided"] == decisions(out).num_rows
    assert all(s["one"] == s["other"] for s in found["sums"])
    assert found["cards"] == found["orders"]["with_card"]
    assert {row["rule"] for row in found["by_rule"]} == set(decisions(out).column("rule").to_pylist())
    assert (out / "report.html").stat().st_size <= 400_000
    assert not (out / "work").exists()
    assert "by_rule,dry-needling/R1,indicator,warning" in (out / "summary.csv").read_text("utf-8")


def test_the_pipeline_decides_as_the_deciding_function_alone(reference):
    lines = sorted((r.get("subject", {}).get("reference", f"Patient/{r['id']}")[8:], orjson.dumps(r)) for r in people())
    table = pa.table({"patient": [p for p, _ in lines], "line": [line.decode() for _, line in lines]}, schema=KEPT)
    rows = pa.Table.from_batches(decide_batches(table.to_batches(max_chunksize=5), setup(present=PRESENT)))
    ordered = [(name, "ascending") for name in ("patient", "day", "order", "guideline")]
    assert rows.sort_by(ordered).equals(decisions(reference / "out"))


@pytest.mark.parametrize("seed", range(3))
def test_any_split_order_and_compression_of_files_gives_the_same(seed, tmp_path, reference):
    dice = random.Random(seed)
    export = tmp_path / "export"
    export.mkdir()
    everything = people() + dice.sample(people(), 20)
    dice.shuffle(everything)
    files: dict[str, list[bytes]] = {}
    for resource in everything:
        name = f"{resource['resourceType']}.{dice.randrange(3)}.ndjson"
        keys = list(resource)
        dice.shuffle(keys)
        line = json.dumps(
            {key: resource[key] for key in keys}, indent=None, separators=dice.choice([(",", ":"), (", ", " : ")])
        )
        files.setdefault(name, []).append(line.encode())
    for name, listed in files.items():
        ending = dice.choice([b"\n", b"\r\n", b"\n\n"])
        content = dice.choice([b"", b"\xef\xbb\xbf"]) + ending.join(listed) + dice.choice([b"", ending])
        if dice.random() < 0.5:
            (export / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (export / name).write_bytes(content)
    run(export, tmp_path / "out", "--processes", str(dice.choice([1, 3])), "--verify")
    found, wanted = decisions(tmp_path / "out"), decisions(reference / "out")
    position = found.schema.get_field_index("copies")
    assert found.remove_column(position).equals(wanted.remove_column(position))


def test_what_is_wrong_with_lines_is_named_by_file_and_number_and_counts(tmp_path):
    export = write_export(tmp_path / "export", people())
    bad = [
        b'{"resourceType": "Condition", "note": "Jane Doe',
        b'{"a": "\xff"}',
        b"[1]",
        b'{"resourceType":"Condition","subject":{"identifier":{"value":"1"}}}',
        b'{"resourceType":"Condition","id":"q","subject":{"reference":"Patient?identifier=x"}}',
    ]
    path = export / "Condition.ndjson"
    path.write_bytes(path.read_bytes() + b"\n".join(bad))
    output = run(export, tmp_path / "out", "--verify", code=errors.EXIT_REFUSED)
    assert "faults.ndjson names them" in output
    faults = [json.loads(line) for line in (tmp_path / "out" / "faults.ndjson").read_bytes().splitlines()]
    assert [(f["line"], f["fault"]) for f in faults] == [
        (25, "invalid"), (26, "not UTF-8"), (27, "invalid"), (28, "without subject"), (29, "without subject"),
    ]  # fmt: skip
    found = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert all(s["one"] == s["other"] for s in found["sums"])
    assert "Jane" not in (tmp_path / "out" / "report.html").read_text("utf-8")
    run(export, tmp_path / "out", "--verify", "--no-strict")


def test_a_file_that_is_cut_off_is_named_and_refused(tmp_path, reference):
    export = write_export(tmp_path / "export", people())
    path = export / "Condition.ndjson"
    (export / "Condition.ndjson.gz").write_bytes(gzip.compress(path.read_bytes())[:-30])
    path.unlink()
    assert "Condition.ndjson.gz: cut off or damaged" in run(export, tmp_path / "out", code=errors.EXIT_REFUSED)


def test_merged_and_deleted_are_followed(tmp_path):
    resources = [
        *chart(patient="old"),
        {"resourceType": "Patient", "id": "new", "link": [{"type": "replaces", "other": {"reference": "Patient/old"}}]},
    ]
    resources += [{**chart(patient="gone")[2], "id": "gone-order"}]
    order = chart(patient="new")[2]
    export = write_export(tmp_path / "export", [*resources, order])
    (export / "deleted").mkdir()
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": "ServiceRequest/gone-order"}}],
    }
    (export / "deleted" / "Bundle.ndjson").write_bytes(orjson.dumps(bundle) + b"\nnot json\n")
    run(export, tmp_path / "out", "--no-strict")
    found = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert (found["merged_patients"], found["deleted"]) == ("<11", {"named": "<11", "left_out": "<11"})
    rows = decisions(tmp_path / "out").to_pylist()
    assert [row["rule"] for row in rows] == ["R1", "R1"]
    assert len({row["patient"] for row in rows}) == 1


def test_sums_that_do_not_match_are_told():
    lost = [sums.Sum("lines", 12, 12), sums.Sum("orders", 3, 2)]
    assert sums.faults(Totals((), 3, 3, 12, 0, 0, 0, ()), lost, {}) == ["orders: 3 and 2"]


def test_a_run_goes_on_only_with_the_same_export_and_settings(reference, tmp_path):
    export = write_export(tmp_path / "export", people(4))
    run(export, tmp_path / "out")
    assert "holds another run" in run(export, tmp_path / "out", "--zone", "Europe/Berlin", code=errors.EXIT_REFUSED)
    run(export, tmp_path / "out", "--zone", "Europe/Berlin", "--restart")
    (tmp_path / "out" / "run.json").unlink()
    assert "holds decisions of an unknown run" in run(export, tmp_path / "out", code=errors.EXIT_REFUSED)


def test_wrong_usage_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no file such as Condition.ndjson" in run(tmp_path / "empty", tmp_path / "out", code=errors.EXIT_REFUSED)
    export = write_export(tmp_path / "export", people(2))
    assert "no such time zone" in run(export, tmp_path / "out", "--zone", "Nowhere", code=2)
    run(export, tmp_path / "out", "--compare", str(tmp_path / "empty"), code=errors.EXIT_MISCONFIGURED)


def test_no_mark_of_a_chart_is_in_any_file_that_is_written(tmp_path):
    marked = people(8)
    for n, resource in enumerate(marked):
        resource["id"] = f"marked-{resource['id']}"
        for key, value in list(resource.items()):
            text = (
                orjson.dumps(value)
                .decode()
                .replace("Patient/p", "Patient/marked-p")
                .replace("Practitioner/d", "Practitioner/marked-d")
            )
            resource[key] = orjson.loads(
                text.replace("Organization/back", "Organization/marked").replace("Encounter/e", "Encounter/marked-e")
            )
        resource["note"] = [{"text": f"marked words {n}"}]
        resource["identifier"] = [{"value": f"marked-{n}"}]
        if resource["resourceType"] == "Patient":
            resource["name"] = [{"family": "marked", "given": ["marked"]}]
        if resource["resourceType"] == "ServiceRequest":
            resource["reasonCode"] = [{"text": "marked reason"}]
        if "code" in resource:
            resource["code"]["text"] = "marked dry needling"
    run(write_export(tmp_path / "export", marked), tmp_path / "out")
    rows = decisions(tmp_path / "out")
    assert rows.num_rows
    assert "marked" not in json.dumps(rows.to_pylist())
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert b"marked" not in path.read_bytes(), path
    assert pq.ParquetFile(next((tmp_path / "out" / "decisions").iterdir())).schema_arrow.names == rows.schema.names


def test_a_run_that_is_stopped_at_any_moment_goes_on_to_the_same_decisions(reference, tmp_path):
    """Each stop is at another task; what was half written lies about under another name."""
    export, out = reference / "export", tmp_path / "out"
    plan = Plan(export, out, export_files(export), setup(present=PRESENT), parts=6)

    class Stopped(Exception):
        pass

    for moment in range(12):
        left = [moment]

        def stop(*_, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise Stopped

        with contextlib.suppress(Stopped):
            job.run(plan, versions(), embedded.run, stop, 0, restart=moment == 6)
        if (out / "work").exists():
            (out / "decisions" / ".part-00001.parquet").write_bytes(b"half")
    job.run(plan, versions(), embedded.run, lambda *_: None, 0, restart=False)
    assert decisions(out).equals(decisions(reference / "out"))


def test_a_run_whose_processes_are_killed_goes_on_to_the_same_decisions(reference, tmp_path):
    killed(reference / "export", tmp_path / "out", 0.2)
    backtest(reference / "export", tmp_path / "out")
    assert decisions(tmp_path / "out").equals(decisions(reference / "out"))
    assert not (tmp_path / "out" / "work").exists()


def test_comparing_a_folder_with_itself_changes_nothing_and_another_tells_what(tmp_path):
    export = write_export(tmp_path / "export", people(60))
    run(export, tmp_path / "same", "--compare", str(GUIDELINE.folder))
    found = json.loads((tmp_path / "same" / "summary.json").read_bytes())["change"]
    assert (found["changed"], found["orders"]) == (0, [])
    folder = Path(shutil.copytree(GUIDELINE.folder, tmp_path / "knowledge"))
    text = (folder / "rules.toml").read_text("utf-8")
    (folder / "rules.toml").write_text(text.replace('"warning"', '"info"'), "utf-8")
    run(export, tmp_path / "out", "--compare", str(folder))
    summary_of = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    warned = sum(row == "warning" for row in decisions(tmp_path / "out").column("indicator").to_pylist())
    assert summary_of["change"]["warnings"] == {"gained": 0, "lost": warned}
    assert summary_of["change"]["changed"] == len(summary_of["change"]["orders"]) == warned
    assert "What the other version would change" in (tmp_path / "out" / "report.html").read_text("utf-8")
    one, other = (decisions(tmp_path / name) for name in ("out", "same"))
    assert one.column("rule").equals(other.column("rule"))


def test_a_missing_extra_is_told_in_one_line(reference, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cds_service.backtest.job", None)
    output = run(reference / "export", tmp_path / "out", code=errors.EXIT_MISCONFIGURED)
    assert output.strip().splitlines()[-1].endswith("pip install 'dry-needling-cds[backtest]'")


@pytest.mark.parametrize("block", [1, 7, 4 << 20])
def test_a_line_beyond_the_bound_is_left_out_and_named(tmp_path, monkeypatch, block):
    """However the blocks in which a file is read are cut."""
    monkeypatch.setattr(lines, "BLOCK", block)
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\n' + b"x" * 50 + b"\n\n" + b'{"b":2}\r\n\xff\n \r\n' + b"y" * 60)
    faults = lines.Faults()
    found = {
        n + place: line
        for n, found in lines.numbered(path, faults, longest=20)
        for place, line in enumerate(found.to_pylist())
    }
    assert {n: line for n, line in found.items() if line.strip()} == {1: b'{"a":1}', 4: b'{"b":2}\r'}
    assert faults.lines == [(2, "too long"), (5, "not UTF-8"), (7, "too long")]
    assert lines.count(path) == 7


def test_traces_begin_with_two_of_each_rule_and_tell_no_small_count(reference, tmp_path):
    run(write_export(tmp_path / "export", people(60)), tmp_path / "out", "--traces", "8")
    for out, each, whole in ((reference / "out", 1, 2), (tmp_path / "out", 2, 8)):
        traces = json.loads((out / "summary.json").read_bytes())["traces"]
        assert Counter(trace["rule"] for trace in traces[: 2 * each]) == {"R1": each, "R8": each}
        assert len(traces) == whole
        assert any("days before" in line for trace in traces for line in trace["grounds"])


def counts_in(value, path=()):
    """Yield every number of a summary that is a count, with its path."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from counts_in(item, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from counts_in(item, path)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path, value


NO_CELLS = {"settings", "files", "faulty", "sums", "servers", "per_clinician_week", "traces"}
"""Settings, lines and files, which are nobody's, and figures of weeks."""


def test_no_small_count_is_in_any_file_with_figures(tmp_path):
    run(write_export(tmp_path / "export", people(40)), tmp_path / "out", "--compare", str(GUIDELINE.folder))
    found = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    small = [(path, n) for path, n in counts_in(found) if 0 < n < 11 and path[0] not in NO_CELLS]
    assert small == []
    assert "<11" in {row["orders"] for row in found["by_rule"]} | set(found["by_status"].values())
    table = pq.read_table(tmp_path / "out" / "summary.parquet")
    with (tmp_path / "out" / "summary.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert table.to_pylist() == listed
    assert [row for row in listed if row["grouping"] not in NO_CELLS and row["value"] in map(str, range(1, 11))] == []
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    drawn = {n for plot in figures.values() for series in plot["series"] for n in series["values"]}
    assert drawn.isdisjoint(range(1, 11))
