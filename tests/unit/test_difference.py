"""What a change of the decision table changes, compared with visiting every combination one by one (issue 16, 5)."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cds_service import cli, errors
from cds_service.backtest import content, difference
from cds_service.backtest.content import Folder
from cds_service.guideline.table import Condition, Rule, Table, combinations, decide
from hooks.dry_needling.guideline import GUIDELINE

SPACE = {
    "pain": (True, False),
    "course": ("acute", "chronic", "unknown"),
    "site": ("back", "neck"),
    "age": (True, False),
}


def conditions():
    def of(fact):
        return st.sets(st.sampled_from(SPACE[fact]), min_size=1).map(
            lambda found: Condition(fact, tuple(sorted(found)))
        )

    chosen = st.sets(st.sampled_from(sorted(SPACE)), max_size=3)
    return chosen.flatmap(lambda facts: st.tuples(*(of(fact) for fact in sorted(facts))))


def tables():
    def table(whens):
        kinds = ("warning", "info")
        rules = [Rule(f"R{n}", "", when, indicator=kinds[n % 2]) for n, when in enumerate(whens)]
        return (*rules, Rule("last", "", (), silent=True))

    return st.lists(conditions(), max_size=5).map(table)


def folder(rules, **more):
    return Folder("g", "1", rules, more, {})


def every_change(old, new):
    patients = list(combinations(SPACE, tuple(SPACE)))
    return [(p, decide(p, Table(old)).rule, decide(p, Table(new)).rule) for p in patients]


@given(tables(), tables())
def test_the_matrix_is_that_of_visiting_every_combination(old, new):
    found = difference.between(folder(old), folder(new), SPACE)
    tested = {fact for fact in SPACE if fact in found.facts}
    weight = 1
    for fact in SPACE.keys() - tested:
        weight *= len(SPACE[fact])
    visited = Counter((a.id, b.id) for _, a, b in every_change(old, new))
    assert {pair: number * weight for pair, number in found.matrix.items()} == visited
    assert found.combinations == sum(found.matrix.values())


@given(tables(), tables())
def test_each_sentence_holds_for_what_changes_and_for_nothing_else_the_old_rule_decided(old, new):
    found = {(m.old, m.new): m for m in difference.between(folder(old), folder(new), SPACE).moved}
    for patient, a, b in every_change(old, new):
        for (before, after), move in found.items():
            told = any(all(patient[fact] in values for fact, values in when.items()) for when in move.when)
            if before == a.id:
                assert told == (after == b.id)


@given(tables(), tables())
def test_no_sentence_can_do_without_a_fact_that_it_names_or_be_left_out(old, new):
    every = every_change(old, new)
    for move in difference.between(folder(old), folder(new), SPACE).moved:
        mine = [(p, b.id == move.new) for p, a, b in every if a.id == move.old]
        for number, when in enumerate(move.when):
            for fact in when:
                wider = {name: values for name, values in when.items() if name != fact}
                assert any(not moves for p, moves in mine if all(p[f] in v for f, v in wider.items()))
            others = [other for place, other in enumerate(move.when) if place != number]
            covered = [any(all(p[f] in v for f, v in other.items()) for other in others) for p, moves in mine if moves]
            assert not all(covered)


def test_a_table_with_facts_beyond_visiting_is_compared_all_the_same():
    space = {f"fact-{n}": ("a", "b", "c", "d") for n in range(40)}
    rules = [Rule(f"R{n}", "", (Condition(f"fact-{n}", ("a",)), Condition(f"fact-{n + 1}", ("b",)))) for n in range(10)]
    one = folder((*rules, Rule("last", "", ())))
    other = folder((*rules[:9], Rule("last", "", ())))
    (move,) = difference.between(one, other, space).moved
    assert (move.old, move.new, move.when) == ("R9", "last", ({},))


def test_a_rule_that_only_becomes_a_warning_is_told():
    old = folder((Rule("R1", "", (), indicator="info"),))
    new = folder((Rule("R1", "", (), indicator="warning"),))
    found = difference.between(old, new, {})
    assert [(m.was, m.becomes, m.when) for m in found.moved] == [("info", "warning", ({},))]
    assert found.turning(was=False, becomes=True) == 1
    assert "R1 (info) -> R1 (warning): 1 combinations\n  when always" in difference.as_text(found)


def test_facts_that_the_code_does_not_know_are_told_with_any_other_value():
    old = folder((Rule("R1", "", (Condition("fresh", ("x",)),)), Rule("R0", "", ())))
    new = folder((Rule("R1", "", (Condition("fresh", ("x", "y")),)), Rule("R0", "", ())))
    found = difference.between(old, new, {})
    assert found.combinations == 3
    assert [move.when for move in found.moved] == [({"fresh": ("y",)},)]
    assert found.unknown == ("fresh",)


@pytest.fixture
def proposed(tmp_path) -> Path:
    """A copy of the guideline's knowledge folder, to be changed."""
    return Path(shutil.copytree(GUIDELINE.folder, tmp_path / "proposed"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def run(*arguments):
    return CliRunner().invoke(cli.main, ["diff", *map(str, arguments)])


def test_a_folder_does_not_differ_from_itself():
    found = json.loads(run("--json", GUIDELINE.folder, GUIDELINE.folder).output)
    assert (found["changed"], found["moved"], found["changes"]) == (0, [], [])
    assert set(found["facts"]) <= set(GUIDELINE.fact_space)


def test_rules_in_another_order_move_what_both_would_take(proposed):
    before = content.read(proposed)
    first, second, *rest = before.rules
    after = Folder(before.guideline, "2", (second, first, *rest), before.documents, before.value_sets)
    found = difference.between(before, after, GUIDELINE.fact_space)
    assert {(m.old, m.new) for m in found.moved} <= {(first.id, second.id)}


def test_words_statements_and_codes_are_compared_as_such(proposed):
    edit(proposed / "rules.toml", "closing     = ", 'closing     = "Wording. ')
    text = (proposed / "rules.toml").read_text("utf-8").replace('"Wording. "', '"Wording. ')
    (proposed / "rules.toml").write_text(text, "utf-8")
    path = proposed / "value_sets" / "headache.json"
    document = json.loads(path.read_text("utf-8"))
    gone = document["compose"]["include"][0]
    concepts = gone["concept"] if "concept" in gone else gone["filter"]
    taken = concepts.pop()
    path.write_text(json.dumps(document), "utf-8")
    (proposed / "orders.toml").unlink()
    result = run(GUIDELINE.folder, proposed)
    assert result.exit_code == 0
    assert "0 of " in result.output
    assert "  rules.toml: guideline: closing\n    - " in result.output
    assert "    + Wording. " in result.output
    assert f"  value set headache\n    - {gone['system']}|{taken.get('code', taken.get('value'))}" in result.output
    assert "  orders.toml: dry-needling: name" in result.output or "  orders.toml\n" in result.output


def test_what_is_no_knowledge_folder_is_refused_by_name(proposed, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run(GUIDELINE.folder, tmp_path / "empty")
    assert result.exit_code == errors.EXIT_MISCONFIGURED
    assert "rules.toml: the file is missing" in result.output
    edit(proposed / "rules.toml", '"dry-needling"', '"other"')
    assert "of two guidelines, dry-needling and other" in run(GUIDELINE.folder, proposed).output
    (proposed / "rules.toml").write_text("[[rule]]\nid = 1\n", "utf-8")
    assert "is not a knowledge folder as its README describes one" in run(GUIDELINE.folder, proposed).output
    (proposed / "rules.toml").write_text(
        '[guideline]\nid = "x"\n[[rule]]\nid = "1"\nname = ""\nwhen = {a = 1}\n', "utf-8"
    )
    assert "the last rule must have no conditions" in run(GUIDELINE.folder, proposed).output
    shutil.copy(GUIDELINE.folder / "rules.toml", proposed)
    (proposed / "value_sets" / "headache.json").write_text("{", "utf-8")
    assert "headache.json: is not JSON" in run(GUIDELINE.folder, proposed).output
