"""Decisions to cards: one card for each rule that fired, with why, the advice, the evidence and what can be done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, cast
from uuid import UUID, uuid5

from cds_service.decision import Note
from cds_service.hook_request import HookRequest
from cds_service.protocol import Card, Indicator, Link
from cds_service.services import Subject
from hooks.dry_needling import suggestions
from hooks.dry_needling.decision import Decided
from hooks.dry_needling.findings import Entry
from hooks.dry_needling.grounds import STATED_REASON, Ground
from hooks.dry_needling.guideline import Guideline

EXTENSION = "org.dry-needling-cds.explanation"
_CARDS = UUID("6f1d6a52-6f39-5b0b-9d0e-3c1f6d7c8a11")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~#])")
_ABSENT_WORDS = {"lumbar_radiculopathy": "no lumbar radiculopathy on file"}


def compose(
    request: HookRequest, decided: Sequence[Decided], loaded: Guideline, today: date
) -> tuple[tuple[Card, Subject], ...]:
    """Return the cards of a call, each with what it is about.

    Orders with the same outcome share a card, a silent outcome has none.
    """
    grouped: dict[str, list[Decided]] = {}
    for item in decided:
        if not item.decision.rule.silent:
            grouped.setdefault(item.decision.rule.id, []).append(item)
    fired = [rule.id for rule in loaded.knowledge.table.rules if rule.id in grouped]
    return tuple(_card(request, grouped[rule], loaded, today) for rule in fired)


def _card(request: HookRequest, group: Sequence[Decided], loaded: Guideline, today: date) -> tuple[Card, Subject]:
    rule = group[0].decision.rule
    notes = _notes(group, loaded)
    cited = _cited(group, notes)
    references = sorted(item.order.findings.entry.reference for item in group)
    uuid = uuid5(_CARDS, "\n".join((request.hook_instance, request.hook, rule.id, *references)))
    offered = suggestions.compose(
        suggestions.Card(uuid, request.context.patient_id.removeprefix("Patient/"), group, today), loaded
    )
    card = Card(
        uuid=str(uuid),
        summary=rule.summary.format(order=loaded.words.orders([item.order.findings.modality for item in group])),
        indicator=cast(Indicator, rule.indicator),
        detail=_detail(group, notes, cited, loaded),
        source=loaded.citations.sources[rule.id],
    )
    if offered:
        card["suggestions"] = [suggestion for _, suggestion in offered]
        card["selectionBehavior"] = "any"
    card["overrideReasons"] = list(loaded.actions.override_reasons)
    card["links"] = _links(rule.id, cited, loaded)
    card["extension"] = {EXTENSION: _extension(group, notes, cited, loaded, today)}
    return card, _subject(group, {suggestion["uuid"]: name for name, suggestion in offered})


def _subject(group: Sequence[Decided], suggestion_names: dict[str, str]) -> Subject:
    """Return what a card is about: rule, orders, and the chart entries that decided."""
    # An order's own reason goes by its words: the draft's id may change from one hook to the next.
    grounds = (
        "|".join((ground.role, _chart_reference(entry, item), entry.display))
        for item in group
        for ground in _deciding_grounds(item)
        for entry in ground.entries
    )
    return Subject(
        rule=group[0].decision.rule.id,
        codes=tuple(dict.fromkeys(code for item in group for code in item.order.codes)),
        orders=tuple(dict.fromkeys(item.order.identity for item in group)),
        grounds=tuple(dict.fromkeys(grounds)),
        suggestions=suggestion_names,
    )


def _chart_reference(entry: Entry, item: Decided) -> str:
    """Return the reference of a chart entry, and nothing for the order's own."""
    return "" if entry.reference == item.order.findings.entry.reference else entry.reference


class _Escaped(dict[str, str]):
    """Words for placeholders, escaped when a text asks for them: most texts ask for none."""

    def __getitem__(self, name: str) -> str:
        return escaped(super().__getitem__(name))


def _notes(group: Sequence[Decided], loaded: Guideline) -> list[tuple[Note, str]]:
    """Return the notes that join any order of the card, in the table's order, with their words filled in."""
    found: dict[str, tuple[Note, str]] = {}
    for item in group:
        values = _Escaped(item.assessment.values)
        for note in item.decision.notes:
            if note.id not in found:
                found[note.id] = (note, note.text.format_map(values))
    ordered = [found[note.id] for note in loaded.knowledge.table.notes if note.id in found]
    return list({words: (note, words) for note, words in ordered}.values())


def _cited(group: Sequence[Decided], notes: Iterable[tuple[Note, str]]) -> list[str]:
    rule = group[0].decision.rule
    return list(dict.fromkeys((*rule.evidence, *(name for note, _ in notes for name in note.evidence))))


def _detail(
    group: Sequence[Decided], notes: Sequence[tuple[Note, str]], cited: Iterable[str], loaded: Guideline
) -> str:
    """Write the card's text in GitHub-flavoured Markdown: why, advice, lines that join, evidence, closing line."""
    rule = group[0].decision.rule
    checklist = [words for note, words in notes if note.checklist]
    lines = [words for note, words in notes if not note.checklist]
    evidence = [loaded.citations.statements[name].line for name in cited]
    parts = [
        f"**Why:** {_why(group)}.",
        rule.detail,
        *(["**Checklist**", _bullets(checklist)] if checklist else []),
        *(["**Also**", _bullets(lines)] if lines else []),
        "**Evidence**",
        _bullets(evidence),
        loaded.knowledge.identity.closing,
    ]
    return "\n\n".join(parts)


def _why(group: Sequence[Decided]) -> str:
    """Say in words what in the order and chart decided."""
    told: list[str] = []
    for item in group:
        grounds = _deciding_grounds(item)
        told += [f"{escaped(ground.role)}: {escaped(ground.words)}" for ground in grounds]
        facts = item.assessment.facts.mapping()
        told += [words for fact, words in _ABSENT_WORDS.items() if fact in item.decision.because and not facts[fact]]
        if not grounds:
            told.append(f"order: {escaped(item.order.findings.entry.display)}")
    return "; ".join(dict.fromkeys(told))


def _deciding_grounds(item: Decided) -> list[Ground]:
    tested = {*item.decision.because, STATED_REASON}
    return [ground for ground in item.assessment.grounds if ground.fact in tested]


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _links(rule: str, cited: Iterable[str], loaded: Guideline) -> list[Link]:
    """Link to the rule on the evidence page and to the primary sources."""
    page = loaded.citations.pages[rule]
    found = {page["url"]: page}
    for name in cited:
        link = loaded.citations.statements[name].link
        if link is not None:
            found.setdefault(link["url"], link)
    return list(found.values())


def _extension(
    group: Sequence[Decided], notes: Sequence[tuple[Note, str]], cited: list[str], loaded: Guideline, today: date
) -> dict[str, Any]:
    """Return for machines what the detail says in words: rule, date, evidence and the deciding chart entries."""
    rule = group[0].decision.rule
    joined = {condition.fact for note, _ in notes for condition in note.when}
    tested = {*group[0].decision.because, *joined, STATED_REASON}
    entries: dict[tuple[str, str], dict[str, str]] = {}
    for item in group:
        for ground in item.assessment.grounds:
            if ground.fact in tested:
                for entry in ground.entries:
                    told = {"reference": entry.reference, "display": entry.display, "role": ground.role}
                    entries.setdefault((entry.reference, ground.role), told)
    return {
        "rule": rule.id,
        "ruleName": rule.name,
        "evaluationDate": today.isoformat(),
        "orders": [item.order.findings.entry.reference for item in group],
        "evidence": [loaded.citations.statements[name].reviews for name in cited],
        "knowledgeVersion": loaded.knowledge.version,
        **({"notes": [note.id for note, _ in notes]} if notes else {}),
        **({"decidedBy": list(entries.values())} if entries else {}),
    }


def escaped(text: str) -> str:
    """Return chart text so that it reads as plain words in Markdown: no markup, no HTML, no link, one line."""
    flat = _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
    return flat.replace("://", ":\\//").replace("www.", "www\\.")
