"""The trace of one call: orders, findings with their sources, and why each rule did or did not fire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Literal

# Before Python 3.12 pydantic cannot read the TypedDict of typing.
from typing_extensions import TypedDict

from cds_service.fhir.chart import Chart
from cds_service.fhir.shapes import in_r4
from cds_service.guideline import medications, table
from cds_service.guideline.conditions import entry_of
from cds_service.guideline.decided import Decided
from cds_service.guideline.drafts import Drafts
from cds_service.guideline.findings import Entry
from cds_service.guideline.grounds import Ground
from cds_service.guideline.knowledge import Knowledge
from cds_service.guideline.table import FactValue, RuleTrace


class TracedEntry(TypedDict):
    """A chart entry or order by reference and words."""

    reference: str
    display: str


class TracedConcept(TracedEntry):
    """A chart entry that is related to the guideline, with its value sets and phrase lists."""

    valueSets: list[str]
    phrases: list[str]


class TracedDraft(TracedEntry):
    """A draft order and its outcome."""

    outcome: str


class TracedGround(TypedDict):
    """The chart entries behind a fact: their role, and their words."""

    role: str
    words: str
    entries: list[TracedEntry]


class TracedFinding(TypedDict):
    """A fact with its value and grounds: question and answer in words."""

    fact: str
    value: FactValue
    asks: str
    words: str
    grounds: list[TracedGround]


class TracedRule(TypedDict):
    """A rule of the table: the summary of its card, whether it fired, and the facts that explain this."""

    rule: str
    name: str
    summary: str
    outcome: Literal["fired", "not met", "an earlier rule decided"]
    because: list[str]


class TracedNote(TypedDict):
    """A line for the card, if there is room: its words, and its part of the card."""

    note: str
    part: str
    words: str


class TracedDecision(TypedDict):
    """The decision about one order, and the chart entries behind the facts that the rule tested."""

    order: TracedEntry
    rule: str
    deciding: list[TracedGround]
    findings: list[TracedFinding]
    rules: list[TracedRule]
    notes: list[TracedNote]
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
    recognized: list[TracedConcept]
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
        recognized=list(_recognized(chart, knowledge)),
        decisions=[_decision(item, knowledge) for item in decided],
    )


def _recognized(chart: Chart, knowledge: Knowledge) -> Iterator[TracedConcept]:
    """Yield the problems and medications related to the guideline, including those that are over."""
    value_sets = knowledge.value_sets
    read = [(resource, value_sets.of_concept(resource.get("code"))) for resource in chart.about_patient("Condition")]
    read += [
        (request, medications.concept_of(request, chart, value_sets))
        for request in map(in_r4, chart.about_patient("MedicationRequest"))
    ]
    for resource, concept in read:
        if concept.kinds:
            named = entry_of(resource, concept)
            yield TracedConcept(**_entry(named), valueSets=sorted(concept.value_sets), phrases=sorted(concept.said))


def _decision(item: Decided, knowledge: Knowledge) -> TracedDecision:
    words = knowledge.fact_words
    return TracedDecision(
        order=_entry(item.draft.entry),
        rule=item.decision.rule.id,
        deciding=[_ground(ground) for ground in item.deciding_grounds],
        findings=[
            TracedFinding(
                fact=fact,
                value=value,
                asks=words.asks[fact],
                words=words.say(fact, value, item.assessment.values),
                grounds=[_ground(ground) for ground in item.assessment.grounds if ground.fact == fact],
            )
            for fact, value in item.facts.items()
        ],
        rules=[
            TracedRule(
                rule=step.rule.id,
                name=step.rule.name,
                summary=step.rule.summary.format(order=knowledge.orders.words([item.draft.kind])) or "No card",
                outcome=step.outcome,
                because=[
                    f"{words.asks[fact]}: {words.say(fact, item.facts[fact], item.assessment.values)}"
                    for fact in _tested(step)
                ],
            )
            for step in table.trace(item.facts, knowledge.table)
        ],
        notes=[
            TracedNote(note=note.id, part=note.part, words=note.text.format_map(item.assessment.values))
            for note in item.decision.notes
        ],
        unreadable=[_entry(entry) for entry in item.findings.chart.unreadable],
        lost=[_entry(entry) for entry in item.findings.chart.lost],
    )


def _ground(ground: Ground) -> TracedGround:
    return TracedGround(role=ground.role, words=ground.words, entries=[_entry(entry) for entry in ground.entries])


def _tested(step: RuleTrace) -> list[str]:
    """Return the facts that explain an outcome: those that kept a rule from firing, else all it tested."""
    return list(step.unmet) or [condition.fact for condition in step.rule.when]


def _entry(entry: Entry) -> TracedEntry:
    return TracedEntry(reference=entry.reference, display=entry.display)
