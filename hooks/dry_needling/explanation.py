"""The trace of one call: orders seen, findings with their sources, and every rule with why and why not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from cds_service.decision import trace
from cds_service.fhir.chart import Chart
from hooks.dry_needling.decision import Decided
from hooks.dry_needling.findings import Entry
from hooks.dry_needling.guideline import Guideline
from hooks.dry_needling.orders import OrdersRead


def explain(
    read: OrdersRead, decided: Sequence[Decided], chart: Chart, loaded: Guideline, today: date
) -> dict[str, Any]:
    """Return the trace as plain data, for people who test or review the service."""
    return {
        "evaluationDate": today.isoformat(),
        "knowledgeVersion": loaded.knowledge.version,
        "orders": [{**_entry(draft.entry), "outcome": draft.outcome} for draft in read.seen],
        "unmatchedSelections": read.unmatched_selections,
        "prefetch": {key: str(state) for key, state in chart.availability.items()},
        "entriesAboutOthers": chart.foreign,
        "decisions": [_decision(item, loaded) for item in decided],
    }


def _decision(item: Decided, loaded: Guideline) -> dict[str, Any]:
    facts = item.assessment.facts.mapping()
    chart = item.findings.chart
    return {
        "order": _entry(item.order.findings.entry),
        "rule": item.decision.rule.id,
        "findings": [
            {
                "fact": fact,
                "value": value,
                "grounds": [
                    {"role": ground.role, "words": ground.words, "entries": [_entry(e) for e in ground.entries]}
                    for ground in item.assessment.grounds
                    if ground.fact == fact
                ],
            }
            for fact, value in facts.items()
        ],
        "rules": [
            {
                "rule": step.rule.id,
                "name": step.rule.name,
                "outcome": step.outcome,
                "because": [f"{fact} is {_word(facts[fact])}" for fact in _tested(step.rule.when, step.unmet)],
            }
            for step in trace(facts, loaded.knowledge.table)
        ],
        "notes": [note.id for note in item.decision.notes],
        "unreadable": [_entry(entry) for entry in chart.unreadable],
        "uncoded": [_entry(entry) for entry in chart.uncoded],
        "codedElsewhere": [_entry(entry) for entry in chart.coded_elsewhere],
        "lost": [_entry(entry) for entry in chart.lost],
    }


def _tested(when: Sequence[Any], unmet: Sequence[str]) -> list[str]:
    """Return the facts that explain an outcome: those that kept a rule from firing, else all it tested."""
    return list(unmet) or [condition.fact for condition in when]


def _word(value: str | bool) -> str:
    return str(value) if isinstance(value, str) else ("true" if value else "false")


def _entry(entry: Entry) -> dict[str, str]:
    return {"reference": entry.reference, "display": entry.display}
