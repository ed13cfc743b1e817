"""The trace of one call: orders seen, findings with their sources, and every rule with why and why not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

# Before Python 3.12 pydantic cannot read the TypedDict of typing.
from typing_extensions import TypedDict

from cds_service.fhir.chart import Chart
from cds_service.guideline import table
from cds_service.guideline.decided import Decided
from cds_service.guideline.drafts import Drafts
from cds_service.guideline.findings import Entry
from cds_service.guideline.knowledge import Knowledge
from cds_service.guideline.table import FactValue, RuleTrace


class TracedEntry(TypedDict):
    """A chart entry or order by reference and words."""

    reference: str
    display: str


class TracedDraft(TracedEntry):
    """A draft order with what became of it and why."""

    outcome: str


class TracedGround(TypedDict):
    """The chart entries behind a fact: what they were taken as, and what they say."""

    role: str
    words: str
    entries: list[TracedEntry]


class TracedFinding(TypedDict):
    """A fact with its value and grounds: what it asks and its answer, in words for people."""

    fact: str
    value: FactValue
    asks: str
    words: str
    grounds: list[TracedGround]


class TracedRule(TypedDict):
    """A rule of the table: whether it fired, and the facts because of which."""

    rule: str
    name: str
    outcome: str
    because: list[str]


class TracedDecision(TypedDict):
    """What was decided about one order."""

    order: TracedEntry
    rule: str
    findings: list[TracedFinding]
    rules: list[TracedRule]
    notes: list[str]
    unreadable: list[TracedEntry]
    lost: list[TracedEntry]


class Trace(TypedDict):
    """The whole trace, as `call --explain` prints it and the preview shows it."""

    guideline: str
    evaluationDate: str
    knowledgeVersion: str
    orders: list[TracedDraft]
    unmatchedSelections: int
    prefetch: dict[str, str]
    entriesAboutOthers: int
    decisions: list[TracedDecision]


def explain(drafts: Drafts, decided: Sequence[Decided], chart: Chart, knowledge: Knowledge, today: date) -> Trace:
    """Return the trace as plain data, for people who test or review the service."""
    return Trace(
        guideline=knowledge.identity.id,
        evaluationDate=today.isoformat(),
        knowledgeVersion=knowledge.version,
        orders=[TracedDraft(**_entry(draft.entry), outcome=draft.outcome) for draft in drafts.seen],
        unmatchedSelections=drafts.unmatched_selections,
        prefetch={key: str(state) for key, state in chart.availability.items()},
        entriesAboutOthers=chart.foreign,
        decisions=[_decision(item, knowledge) for item in decided],
    )


def _decision(item: Decided, knowledge: Knowledge) -> TracedDecision:
    words = knowledge.fact_words
    return TracedDecision(
        order=_entry(item.draft.entry),
        rule=item.decision.rule.id,
        findings=[
            TracedFinding(
                fact=fact,
                value=value,
                asks=words.asks[fact],
                words=words.say(fact, value, item.assessment.values),
                grounds=[
                    TracedGround(role=ground.role, words=ground.words, entries=[_entry(e) for e in ground.entries])
                    for ground in item.assessment.grounds
                    if ground.fact == fact
                ],
            )
            for fact, value in item.facts.items()
        ],
        rules=[
            TracedRule(
                rule=step.rule.id,
                name=step.rule.name,
                outcome=step.outcome,
                because=[
                    f"{words.asks[fact]}: {words.say(fact, item.facts[fact], item.assessment.values)}"
                    for fact in _tested(step)
                ],
            )
            for step in table.trace(item.facts, knowledge.table)
        ],
        notes=[note.id for note in item.decision.notes],
        unreadable=[_entry(entry) for entry in item.findings.chart.unreadable],
        lost=[_entry(entry) for entry in item.findings.chart.lost],
    )


def _tested(step: RuleTrace) -> list[str]:
    """Return the facts that explain an outcome: those that kept a rule from firing, else all it tested."""
    return list(step.unmet) or [condition.fact for condition in step.rule.when]


def _entry(entry: Entry) -> TracedEntry:
    return TracedEntry(reference=entry.reference, display=entry.display)
