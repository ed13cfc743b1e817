"""Knowledge files: what is wrong is refused by file, entry and key; what is there is complete and reviewed."""

from __future__ import annotations

import shutil
import string
import tomllib
from dataclasses import replace
from datetime import date

import pytest

from cds_service.errors import KnowledgeError
from cds_service.guideline import fact_words, knowledge, rules
from cds_service.guideline.knowledge import check_summaries, fingerprint
from hooks.dry_needling import GUIDELINE
from tests.cases import FIXTURES, KNOWLEDGE, all_cases

BROKEN = sorted((FIXTURES / "broken_knowledge").glob("*.toml"))
EVIDENCE = """
[E1]
label = "Example"
statement = "It does not help."
population = "adults"
strength = "Grade B"
certainty = "low"
citation = "Example 2026"
read_as = "abstract"
reviewed = 2026-11-23
next_review = 2027-11-23
"""


def load(folder):
    return rules.read(folder, GUIDELINE.fact_space, ("remove-order",))


def test_a_folder_that_is_read_again_says_the_same():
    again = knowledge.load(GUIDELINE.folder, GUIDELINE.fact_space, knowledge.SiteConfiguration())
    for part in (
        "identity",
        "evidence",
        "table",
        "templates",
        "actions",
        "citations",
        "preview",
        "fingerprint",
    ):
        assert getattr(again, part) == getattr(KNOWLEDGE, part), part
    assert again.value_sets.displays == KNOWLEDGE.value_sets.displays
    for text in ("Ischias links", "no sciatica", "Trockennadelung", "trigger point dry needling", "hip and gluteus"):
        assert again.lexicon.read(text) == KNOWLEDGE.lexicon.read(text), text


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_rules_are_refused_with_words_that_help(path, tmp_path):
    text = path.read_text(encoding="utf-8")
    must_say = text.splitlines()[0].removeprefix("# must say: ")
    (tmp_path / "rules.toml").write_text(text, encoding="utf-8")
    (tmp_path / "evidence.toml").write_text(EVIDENCE, encoding="utf-8")
    with pytest.raises(KnowledgeError) as refused:
        load(tmp_path)
    assert str(refused.value).startswith(must_say)


@pytest.mark.parametrize(
    ("evidence", "must_say"),
    [
        ('E1 = "text"', "evidence.toml: E1: must be a table, [E1]"),
        (EVIDENCE.replace("label", "lable"), "evidence.toml: E1: no key is called 'lable'; did you mean 'label'?"),
        (
            EVIDENCE.replace('"abstract"', '"hearsay"'),
            "evidence.toml: E1: read_as: must begin with one of " + ", ".join(rules.READ_AS),
        ),
        (EVIDENCE.replace("2027", "2025"), "evidence.toml: E1: next_review: must be after reviewed"),
    ],
)
def test_broken_evidence_is_refused(evidence, must_say, tmp_path):
    (tmp_path / "evidence.toml").write_text(evidence, encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"evidence\.toml") as refused:
        load(tmp_path)
    assert str(refused.value) == must_say


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ("{order}: " + "x" * 90, "rule R1: summary: must stay under 140 characters, also for several orders"),
        ("{order}: " + "\N{CHART WITH DOWNWARDS TREND}" * 45, "rule R1: summary: must stay under 140 characters"),
        ("{orders}: no", r"rule R1: summary: \{order\} is the only placeholder"),
        ("{order: no", r"rule R1: summary: \{order\} is the only placeholder"),
    ],
)
def test_a_summary_that_would_make_an_invalid_card_is_refused_at_start(summary, said, knowledge):
    """R2, V8: cards are not validated once more when they are sent."""
    table = knowledge.table
    rules = tuple(replace(rule, summary=summary) if rule.id == "R1" else rule for rule in table.rules)
    with pytest.raises(KnowledgeError, match=said):
        check_summaries(replace(table, rules=rules), knowledge.orders)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(KnowledgeError, match=r"evidence\.toml: the file is missing"):
        load(tmp_path)


def test_every_evidence_id_in_a_text_is_cited_by_that_rule_or_note(knowledge):
    """Honesty: a number appears only with its citation."""
    table = knowledge.table
    for entry in (*table.rules, *table.notes):
        text = entry.detail if hasattr(entry, "detail") else entry.text
        for name in knowledge.evidence:
            if f"({name}" in text or f"{name})" in text or f"{name}," in text:
                assert name in entry.evidence, f"{entry.id} speaks of {name} without citing it"


def test_every_statement_has_population_strength_certainty_and_a_review(knowledge):
    for item in knowledge.evidence.values():
        assert all((item.label, item.statement, item.population, item.strength, item.certainty, item.citation))
        assert item.read_as
        assert item.reviewed < item.next_review


def test_no_text_claims_more_than_the_sources(knowledge):
    texts = [item.statement for item in knowledge.evidence.values()]
    texts += [rule.detail + rule.summary for rule in knowledge.table.rules]
    texts += [note.text for note in knowledge.table.notes]
    for text in texts:
        assert "high-quality" not in text.lower()
        assert "proven" not in text.lower()


def test_no_statement_is_spelled_in_two_ways(knowledge):
    """Spelling is American, whatever a source writes."""
    words = " ".join(item.statement + item.population for item in knowledge.evidence.values()).lower()
    for british in ("anaesthet", "lymphoedema", "physiotherap"):  # make lint finds those that codespell knows
        assert british not in words


def test_an_overdue_review_is_told(knowledge):
    review = knowledge.review
    assert review.overdue(date(2026, 11, 23)) == ()
    assert review.overdue(date(2027, 11, 24))[0] == "guideline"
    assert "E1" in review.overdue(date(2027, 11, 24))


def test_the_version_changes_with_any_knowledge_file(tmp_path, knowledge):
    copy = tmp_path / "knowledge"
    shutil.copytree(GUIDELINE.folder, copy)
    assert knowledge.version == f"2.0.0+{fingerprint(copy)}"
    path = copy / "value_sets" / "headache.json"
    path.write_text(path.read_text(encoding="utf-8").replace("Migraine", "Migraines"), encoding="utf-8")
    assert fingerprint(copy) != knowledge.fingerprint


def test_every_topic_is_stable_and_alphanumeric(knowledge):
    """V4: one vendor keys acknowledgments to it."""
    topics = [rule.topic for rule in knowledge.table.rules if not rule.silent]
    assert len(set(topics)) == len(topics)
    assert all(topic.isalnum() and len(topic) <= 100 for topic in topics)


def test_every_file_is_explained_in_the_knowledge_readme():
    text = (GUIDELINE.folder / "README.md").read_text(encoding="utf-8")
    for path in GUIDELINE.folder.rglob("*"):
        if path.suffix in (".toml", ".json"):
            assert path.stem in text, path.name


def test_every_fact_has_words_for_people_and_every_placeholder_is_explained(knowledge):
    facts = tomllib.loads((GUIDELINE.folder / "facts.toml").read_text(encoding="utf-8"))
    assert set(facts) == set(GUIDELINE.fact_space)
    text = (GUIDELINE.folder / "README.md").read_text(encoding="utf-8")
    texts = [note.text for note in knowledge.table.notes] + [rule.detail for rule in knowledge.table.rules]
    for name in {name for said in texts for _, name, _, _ in string.Formatter().parse(said) if name}:
        assert f"`{{{name}}}`" in text or name in facts, name


def test_every_rule_has_a_sentence_and_cases_in_which_it_fires_and_does_not(knowledge):
    sentences = tomllib.loads((FIXTURES / "decisions" / "rules.toml").read_text(encoding="utf-8"))["case"]
    fired = [set(case.told.get("rules", [])) for case in all_cases()]
    for rule in knowledge.table.rules:
        assert any(case["rule"] == rule.id for case in sentences), rule.id
        if not rule.silent:
            assert any(rule.id in rules for rules in fired), rule.id
            assert any(rules and rule.id not in rules for rules in fired), rule.id


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"chronicty": {"asks": "x"}}, "facts.toml: no fact is called 'chronicty'; did you mean 'chronicity'?"),
        ({"chronicity": {}}, "facts.toml: chronicity: asks: is missing"),
        (
            {"chronicity": {"asks": "x", "words": {"cute": "y"}}},
            "facts.toml: chronicity: words: no value is called 'cute'",
        ),
    ],
)
def test_wrong_words_of_facts_are_refused(document, said):
    with pytest.raises(KnowledgeError) as refused:
        fact_words.read(document, GUIDELINE.fact_space)
    assert str(refused.value).startswith(said)


def test_a_guideline_without_words_for_its_facts_is_read_as_it_is_written():
    words = fact_words.read({}, GUIDELINE.fact_space)
    assert words.say("facet_pain", True, {}) == "yes"
    assert words.say("low_back_pain", "in-words", {}) == "in words"
    assert words.asks["facet_pain"] == "facet pain"


def test_no_card_speaks_of_the_source_document_or_of_hours_of_training(knowledge):
    """Section 1: a card names its source or leaves it out."""
    texts = [rule.detail + rule.summary + rule.next for rule in knowledge.table.rules]
    texts += [note.text for note in knowledge.table.notes]
    for text in texts:
        assert "source document" not in text.lower()
        assert "60 h" not in text
        assert "(E" not in text
