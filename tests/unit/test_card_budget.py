"""Cards of at most 120 words of detail: every rule alone, with any of its lines, and with the heaviest (section 6)."""

from __future__ import annotations

import re
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.guideline import detail
from cds_service.guideline.detail import BUDGET, Line, Parts, count, cut, write
from cds_service.guideline.knowledge import SiteConfiguration, load
from cds_service.guideline.table import Table, combinations, decide, used_facts
from hooks.dry_needling import GUIDELINE

KNOWLEDGE = load(GUIDELINE.folder, GUIDELINE.fact_space, SiteConfiguration())
TABLE = KNOWLEDGE.table
RULES = [rule for rule in TABLE.rules if not rule.silent]
MOST_WORDS = 120
LONGEST_NAME = "a b c d e f g... and 12 more"
SHORT = {
    "bleeding_disorder",
    "anticoagulant",
    "elsewhere",
    "other_lumbar",
    "serious",
    "other_diagnosis",
    "care",
    "reason_words",
}


def filled(text):
    """Fill placeholders with the longest words that they can have."""
    values = {}
    for _, name, _, _ in string.Formatter().parse(text):
        if name:
            values[name] = "a b c d... and 12 more" if name in SHORT else LONGEST_NAME
    for name in ("bleeding_disorder", "anticoagulant", "onset_words"):
        values[name] = "a b c d..."
    values.update(
        pain_is="are", problems="114 active problems", times="114 times", first="2026-01-01", before="10", after="9.5"
    )
    values.update(
        region="neck or upper back or shoulder",
        site="low back or neck or upper back or shoulder or arm or hip or buttock or knee or leg",
    )
    return text.format_map(values)


def parts(rule, notes, entries=()):
    by_part = {}
    for note in notes:
        by_part.setdefault(note.part, []).append(Line(note.id, filled(note.text)))
    instead = [line.text for line in by_part.get("instead", ())]
    lead = [line.text for line in by_part.get("lead", ())]
    return Parts(
        verdict=[" ".join([*lead, *(instead[:1] or [filled(rule.detail)])])],
        after=by_part.get("verdict", ()),
        entries=entries,
        why=by_part.get("why", ()),
        next=rule.next,
        precautions=by_part.get("precaution", ()),
        lines=by_part.get("line", ()),
        seen=by_part.get("seen", ()),
        evidence=KNOWLEDGE.citations.lines[rule.id],
        closing=KNOWLEDGE.identity.closing,
    )


LONG_ENTRY = "a b c d e f g... (recorded 2026-01-01, unconfirmed)"


def test_the_parts_have_120_words_together():
    assert sum(BUDGET.values()) == MOST_WORDS


def test_every_combination_of_the_facts_that_rules_test_has_a_card_that_fits_without_notes():
    fired = {decide(facts, Table(TABLE.rules)).rule for facts in combinations(GUIDELINE.fact_space, used_facts(TABLE))}
    assert fired == set(TABLE.rules)
    for rule in RULES:
        assert count(write(parts(rule, ())).text) <= MOST_WORDS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_heaviest_lines_fit_too_and_what_is_not_seen_is_still_said(rule):
    written = write(parts(rule, TABLE.notes_of(rule.id), [LONG_ENTRY] * 5))
    assert count(written.text) <= MOST_WORDS
    assert "**Not seen:** " in written.text
    assert written.text.endswith(KNOWLEDGE.identity.closing)
    assert f"[Evidence](http://127.0.0.1:8080/evidence/dry-needling#dry-needling-{rule.id})" in written.text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
@given(data=st.data())
def test_any_lines_that_join_a_rule_fit_and_what_is_left_out_is_named(rule, data):
    notes = TABLE.notes_of(rule.id)
    chosen = [note for note in notes if data.draw(st.booleans())] if notes else []
    written = write(parts(rule, chosen, [LONG_ENTRY] * data.draw(st.integers(0, 4))))
    assert count(written.text) <= MOST_WORDS
    left_out = set(written.left_out)
    assert left_out <= {note.id for note in chosen}
    for note in chosen:
        if note.id not in left_out and note.part in ("line", "precaution", "seen", "verdict"):
            assert filled(note.text) in written.text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_part_of_a_rule_that_always_stands_keeps_to_its_own_words(rule):
    assert count(filled(rule.detail)) <= BUDGET["verdict"]
    assert count(f"Next: {rule.next}") <= BUDGET["next"]
    assert count(KNOWLEDGE.citations.lines[rule.id]) <= BUDGET["evidence"]
    assert count(KNOWLEDGE.identity.closing) <= BUDGET["closing"]


def test_r1_has_room_for_the_sentence_on_newer_sources():
    (rule,) = (rule for rule in RULES if rule.id == "R1")
    sentence = next(note.text for note in TABLE.notes if note.id == "sources-disagree")
    assert count(f"{rule.detail} {sentence}") == BUDGET["verdict"]


def test_lines_are_dropped_by_rank_whole_lines_at_a_time():
    long, short = Line("long", "word " * 97), Line("short", "a few words")
    said = Parts(verdict=["Verdict."], evidence="[Evidence](x)", closing="End.", lines=[long, short])
    written = write(said)
    assert written.left_out == ["long"]
    assert "- a few words" in written.text


def test_words_that_a_part_leaves_unused_go_to_the_next():
    said = Parts(verdict=["One."], evidence="[Evidence](x)", closing="End.", lines=[Line("a", "word " * 80)])
    assert write(said).left_out == []


def test_precautions_name_two_and_count_the_rest():
    lines = [Line(name, name) for name in ("one", "two", "three", "four")]
    written = write(Parts(verdict=["One."], evidence="E", closing="End.", precautions=lines))
    assert "**Precautions:** one; two; and 2 more." in written.text
    assert written.left_out == ["three", "four"]


def test_what_was_not_seen_is_shortened_but_never_dropped():
    full = Parts(
        verdict=["word " * 37],
        entries=["word " * 19],
        next="word " * 7,
        precautions=[Line("p", "word " * 15)],
        lines=[Line("l", "word " * 11)],
        seen=[Line("s", "word " * 12), Line("t", "word")],
        evidence="E",
        closing="End.",
    )
    assert "**Not seen:** 2 items of the chart." in write(full).text
    one = replace(full, seen=[Line("s", "word " * 12)])
    assert "**Not seen:** 1 item of the chart." in write(one).text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("- a, b", 2),
        ("**Why:** x (since 2026)", 4),
        ("[Gattie 2017](https://doi.org/10.2519/jospt)", 2),
        ("a-b / c", 2),
    ],
)
def test_a_word_stands_between_blanks_and_has_a_letter_or_digit_link_targets_aside(text, words):
    assert count(text) == words


@given(st.text(max_size=80), st.sampled_from([25, 40]))
def test_words_that_are_cut_keep_to_their_characters_and_words(text, longest):
    shown = cut(text, longest)
    assert len(shown.removesuffix("...")) <= longest
    assert count(shown) <= detail._LONGEST_WORDS[longest]
    assert not re.search(r"[,;:. ]\.\.\.$", shown)
