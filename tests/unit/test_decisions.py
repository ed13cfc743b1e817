"""The decision table: total over every combination of facts, and right in every sentence of fixtures/decisions."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.guideline.table import Condition, Rule, Table, combinations, decide, never_reached, trace, used_facts
from hooks.dry_needling import GUIDELINE
from tests.cases import FIXTURES, KNOWLEDGE

TABLE = KNOWLEDGE.table
FACT_SPACE = GUIDELINE.fact_space
SENTENCES = [
    pytest.param({**document["otherwise"], **case["facts"]}, case, id=case["sentence"])
    for path in sorted((FIXTURES / "decisions").glob("*.toml"))
    for document in [tomllib.loads(path.read_text(encoding="utf-8"))]
    for case in document["case"]
]
ALL_FACTS = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FACT_SPACE.items()})


@pytest.mark.parametrize(("facts", "case"), SENTENCES)
def test_sentence(facts, case):
    decision = decide(facts, TABLE)
    assert decision.rule.id == case["rule"]
    assert [note.id for note in decision.notes] == case["notes"]


def test_every_rule_and_every_note_stands_in_a_sentence():
    decided = [decide(facts, TABLE) for facts, _ in (case.values for case in SENTENCES)]
    assert {decision.rule.id for decision in decided} == {rule.id for rule in TABLE.rules}
    assert {note.id for decision in decided for note in decision.notes} == {note.id for note in TABLE.notes}


def test_every_combination_of_facts_gets_exactly_one_rule_and_every_rule_is_reached():
    """A proof of totality, not a sample: all values of all facts that rules test."""
    names = used_facts(TABLE)
    reached = set()
    patients = list(combinations(FACT_SPACE, names))
    for facts in patients:
        fired = [step.rule.id for step in trace(facts, Table(TABLE.rules)) if step.outcome == "fired"]
        assert fired == [decide(facts, Table(TABLE.rules)).rule.id]
        reached.update(fired)
    assert len(patients) == 3**4 * 4 * 2**6
    assert reached == {rule.id for rule in TABLE.rules}
    assert never_reached(TABLE, FACT_SPACE) == ()


@given(ALL_FACTS)
def test_radiculopathy_never_leaves_a_warning_against_low_back_pain_standing(facts):
    for found in ("yes", "possible"):
        assert decide({**facts, "radiculopathy": found}, TABLE).rule.id not in {"R1", "R12"}


@given(ALL_FACTS)
def test_what_is_uncertain_is_never_a_warning_against_low_back_pain(facts):
    assert decide({**facts, "certain": False}, TABLE).rule.id != "R1"


@given(ALL_FACTS)
def test_an_injection_is_answered_by_four_rules_or_not_at_all(facts):
    assert decide({**facts, "modality": "trigger-point-injection"}, TABLE).rule.id in {"R9", "R10", "R1", "R12", "R0"}


@given(ALL_FACTS)
def test_acupuncture_and_the_rest_are_silent(facts):
    decision = decide({**facts, "modality": "none"}, TABLE)
    assert decision.rule.silent
    assert decision.notes == ()


@given(ALL_FACTS)
def test_notes_join_only_the_rules_they_name(facts):
    decision = decide(facts, TABLE)
    for note in decision.notes:
        assert decision.rule.id in note.rules


PRECAUTIONS = [note.when[0].fact for note in TABLE.notes if note.part == "precaution"]


@given(ALL_FACTS)
def test_precautions_change_no_rule_and_offer_nothing(facts):
    with_all, with_none = (decide({**facts, **dict.fromkeys(PRECAUTIONS, held)}, TABLE) for held in (True, False))
    assert with_all.rule == with_none.rule
    assert not any(note.suggestion for note in TABLE.notes if note.part == "precaution")


def test_precautions_and_what_was_not_seen_join_every_card():
    for note in TABLE.notes:
        if note.part in ("precaution", "seen"):
            assert note.rules == tuple(rule.id for rule in TABLE.rules if not rule.silent), note.id


@given(ALL_FACTS)
def test_at_most_one_line_says_what_to_confirm(facts):
    notes = [note.id for note in decide(facts, TABLE).notes]
    assert sum(note.startswith("confirm") for note in notes) == (decide(facts, TABLE).rule.id == "R7")


def test_trace_tells_why_each_rule_did_or_did_not_fire():
    rules = (
        Rule("A", "a", (Condition("pain", (True,)),)),
        Rule("B", "b", (Condition("pain", (False,)),)),
        Rule("C", "c", ()),
    )
    steps = trace({"pain": False}, Table(rules))
    assert [(step.rule.id, step.outcome, step.unmet) for step in steps] == [
        ("A", "not met", ("pain",)),
        ("B", "fired", ()),
        ("C", "an earlier rule decided", ()),
    ]


def test_the_core_loads_nothing_but_the_standard_library():
    """Import rule: a decision can be made without a web framework, FHIR models or a database."""
    code = "import sys, cds_service.guideline.table; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"flask", "fhir", "pydantic", "requests", "sqlalchemy", "orjson", "click", "structlog"}
