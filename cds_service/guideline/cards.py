"""From decisions to cards: one card per rule that fired, with reasons, advice, evidence and suggestions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from cds_service.guideline import detail, suggestions
from cds_service.guideline.decided import Decided
from cds_service.guideline.detail import Detail, Line, Parts
from cds_service.guideline.findings import Entry
from cds_service.guideline.grounds import STATED_REASON, Ground
from cds_service.guideline.knowledge import Knowledge
from cds_service.guideline.suggestions import Occasion, named_uuid
from cds_service.guideline.table import Note, Rule, holds
from cds_service.protocol.cards import Card, Indicator, Link
from cds_service.protocol.request import HookRequest

EXTENSION = "org.dry-needling-cds.explanation"
_CARDS = "6f1d6a52-6f39-5b0b-9d0e-3c1f6d7c8a11"
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~#])")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a card is about, for counting cards and recognizing repeats. Stored as names, codes and keyed hashes only.

    Attributes:
        rule: the rule that fired, with its guideline, such as dry-needling/R1.
        codes: codes of the orders that the guideline knows.
        orders: the identity of each order: its codes, or its words if it has none.
        grounds: the chart entries that decided, each with its role.
        suggestions: the name of each suggestion, by its uuid.
    """

    rule: str
    codes: tuple[str, ...]
    orders: tuple[str, ...]
    grounds: tuple[str, ...]
    suggestions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Advice:
    """One card and what it is about, kept together until the card is sent."""

    card: Card
    subject: Subject


def compose(request: HookRequest, decided: Sequence[Decided], knowledge: Knowledge, today: date) -> tuple[Advice, ...]:
    """Return the cards of a call. Orders with the same outcome share a card; a silent outcome has none."""
    grouped: dict[str, list[Decided]] = {}
    for item in decided:
        if not item.decision.rule.silent:
            grouped.setdefault(item.decision.rule.id, []).append(item)
    fired = [rule.id for rule in knowledge.table.rules if rule.id in grouped]
    return tuple(_advice(request, grouped[rule], knowledge, today) for rule in fired)


def _advice(request: HookRequest, group: Sequence[Decided], knowledge: Knowledge, today: date) -> Advice:
    rule = group[0].decision.rule
    notes = _notes(group, knowledge)
    references = sorted(item.draft.entry.reference for item in group)
    uuid = named_uuid(_CARDS, "\n".join((request.hook_instance, request.hook, knowledge.name_of(rule), *references)))
    occasion = Occasion(uuid, request.context.patient_id, today)
    offered = suggestions.compose(occasion, group, knowledge.actions, knowledge.orders)
    written = detail.write(_parts(group, notes, knowledge))
    softened = bool(rule.info_when) and all(holds(rule.info_when, item.facts) for item in group)
    card = Card(
        uuid=uuid,
        summary=rule.summary.format(order=knowledge.orders.words([item.draft.kind for item in group])),
        indicator=cast(Indicator, "info" if softened else rule.indicator),
        detail=written.text,
        source=knowledge.citations.sources[rule.id],
    )
    if offered:
        card["suggestions"] = [suggestion for _, suggestion in offered]
        card["selectionBehavior"] = "any"
    if knowledge.actions.override_reasons:
        card["overrideReasons"] = list(knowledge.actions.override_reasons)
    card["links"] = _links(rule, knowledge)
    card["extension"] = {EXTENSION: _extension(group, notes, written, knowledge, today)}
    names = {suggestion["uuid"]: name for name, suggestion in offered}
    return Advice(card, _subject(knowledge.name_of(rule), group, names))


def _subject(rule: str, group: Sequence[Decided], suggestion_names: dict[str, str]) -> Subject:
    """Return what a card is about: rule, orders, and the chart entries that decided."""
    # An order's own reason is identified by its words, because a draft's id may change between hooks.
    grounds = (
        "|".join((ground.role, _chart_reference(entry, item), entry.display))
        for item in group
        for ground in item.deciding_grounds
        for entry in ground.entries
    )
    return Subject(
        rule=rule,
        codes=tuple(dict.fromkeys(code for item in group for code in item.draft.codes)),
        orders=tuple(dict.fromkeys(item.draft.identity for item in group)),
        grounds=tuple(dict.fromkeys(grounds)),
        suggestions=suggestion_names,
    )


def _chart_reference(entry: Entry, item: Decided) -> str:
    """Return the reference of a chart entry, or "" for the order itself."""
    return "" if entry.reference == item.draft.entry.reference else entry.reference


class _Escaped:
    """Words for placeholders, escaped only when used, because most texts use none."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return escaped(self._values[name])


def _notes(group: Sequence[Decided], knowledge: Knowledge) -> list[tuple[Note, str]]:
    """Return the notes that join any order of the card, in the table's order, with their words filled in."""
    found: dict[str, tuple[Note, str]] = {}
    for item in group:
        values = _Escaped(item.assessment.values)
        for note in item.decision.notes:
            if note.id not in found:
                found[note.id] = (note, note.text.format_map(values))
    ordered = [found[note.id] for note in knowledge.table.notes_of(group[0].decision.rule.id) if note.id in found]
    return list({words: (note, words) for note, words in ordered}.values())


def _each_fact_first(group: Sequence[Decided]) -> list[Ground]:
    """Return the grounds that hold entries, in the order in which a card names them while there is room.

    One entry of each fact comes before the second of any: what makes the rule apply must not be hidden behind the
    patient's other entries for pain. After the first fact, the last that the rule tests is the most specific.
    """
    grounds = [ground for item in group for ground in item.deciding_grounds if ground.entries]
    by_fact: dict[str, Ground] = {}
    for ground in grounds:
        by_fact.setdefault(ground.fact, ground)
    firsts = [*by_fact.values()]
    return [*firsts[:1], *firsts[:0:-1], *grounds]


def _parts(group: Sequence[Decided], notes: Sequence[tuple[Note, str]], knowledge: Knowledge) -> Parts:
    """Return everything the card could say, each part by rank."""
    rule = group[0].decision.rule
    by_part: dict[str, list[Line]] = {}
    for note, words in notes:
        by_part.setdefault(note.part, []).append(Line(note.id, words))
    entries = (escaped(ground.words) for ground in _each_fact_first(group))
    return Parts(
        verdict=_verdict(group, by_part.get("lead", ())),
        after=by_part.get("verdict", ()),
        entries=tuple(dict.fromkeys(entries)),
        why=by_part.get("why", ()),
        next=rule.next,
        precautions=by_part.get("precaution", ()),
        lines=by_part.get("line", ()),
        seen=by_part.get("seen", ()),
        evidence=knowledge.citations.lines[rule.id],
        closing=knowledge.identity.closing,
    )


def _verdict(group: Sequence[Decided], lead: Sequence[Line]) -> Sequence[str]:
    """Return the verdict of each order, or what replaces it, without repeats."""
    found = []
    for item in group:
        instead = next((note.text for note in item.decision.notes if note.part == "instead"), item.decision.rule.detail)
        found.append(instead.format_map(_Escaped(item.assessment.values)))
    first, *others = dict.fromkeys(found)
    return (" ".join([*(line.text for line in lead), first]), *others)


def _links(rule: Rule, knowledge: Knowledge) -> list[Link]:
    """Link to the rule on the evidence page and to its primary sources."""
    page = knowledge.citations.pages[rule.id]
    found = {page["url"]: page}
    for name in rule.evidence:
        link = knowledge.citations.statements[name].link
        if link is not None:
            found.setdefault(link["url"], link)
    return list(found.values())


def _extension(
    group: Sequence[Decided], notes: Sequence[tuple[Note, str]], written: Detail, knowledge: Knowledge, today: date
) -> dict[str, Any]:
    """Return the card's content for machines, including what its text has no room for: rule, facts, lines, entries."""
    rule = group[0].decision.rule
    joined = {condition.fact for note, _ in notes for condition in note.when}
    tested = {*group[0].decision.because, *joined, STATED_REASON}
    entries: dict[tuple[str, str], dict[str, str]] = {}
    for item in group:
        for ground in item.assessment.grounds:
            if ground.fact in tested:
                for entry in ground.entries:
                    named = {"reference": entry.reference, "display": entry.display, "role": ground.role}
                    entries.setdefault((entry.reference, ground.role), named)
    cited = dict.fromkeys((*rule.evidence, *(name for note, _ in notes for name in note.evidence)))
    facts = {name: group[0].facts[name] for name in dict.fromkeys((*group[0].decision.because, *sorted(joined)))}
    return {
        "rule": rule.id,
        "ruleName": rule.name,
        "evaluationDate": today.isoformat(),
        "orders": [item.draft.entry.reference for item in group],
        "facts": facts,
        **({"evidence": [knowledge.citations.statements[name].reviews for name in cited]} if cited else {}),
        "knowledgeVersion": knowledge.version,
        **({"notes": [note.id for note, _ in notes]} if notes else {}),
        **({"lines": [words for _, words in notes]} if notes else {}),
        **({"leftOut": sorted(set(written.left_out))} if written.left_out else {}),
        **({"decidedBy": list(entries.values())} if entries else {}),
    }


def escaped(text: str) -> str:
    """Return chart text escaped for Markdown: no markup, HTML or links, on one line."""
    flat = _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
    return flat.replace("://", ":\\//").replace("www.", "www\\.")
