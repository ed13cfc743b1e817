"""One call of a guideline: from drafts and chart to findings, facts, decisions and cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from cds_service.errors import PrefetchMissing, TooManyResources
from cds_service.fhir.chart import Availability, Chart
from cds_service.fhir.deadline import step
from cds_service.guideline import cards, drafts, table
from cds_service.guideline.cards import Advice
from cds_service.guideline.decided import Decided
from cds_service.guideline.drafts import Drafts
from cds_service.guideline.facts import mapping
from cds_service.guideline.findings import Findings
from cds_service.guideline.guideline import Guideline, Sources
from cds_service.guideline.knowledge import Knowledge
from cds_service.guideline.trace import Trace, explain
from cds_service.limits import MOST_WEIGHED
from cds_service.protocol.request import HookRequest

_NOT_SEEN = {
    Availability.FAILED: "could not be read",
    Availability.OF_OTHERS: "holds only entries about another patient",
}


@dataclass(frozen=True, slots=True)
class Guidance:
    """A guideline's answer to one call.

    Attributes:
        advice: one card, with its subject, per rule that fired.
        orders: how many orders are in scope.
        explain: builds the trace on demand.
        log: values for the log without patient data, such as counts and rule ids.
    """

    advice: tuple[Advice, ...]
    orders: int
    explain: Callable[[], Trace]
    log: Mapping[str, int | str | bool]


def advise(
    guideline: Guideline[Any], knowledge: Knowledge, request: HookRequest, read: Drafts, chart: Chart, today: date
) -> Guidance:
    """Answer one call.

    Raises:
        PrefetchMissing: an order cannot be decided, because what it needs is not available (conformance P2).
        TooManyResources: there are more orders and chart entries than can be evaluated in time.
    """
    encounter = drafts.encounter_of(request.context.encounter_id or "")
    decided = decide_orders(guideline, Sources(read, chart, knowledge, today, encounter)) if read.orders else ()
    return Guidance(
        advice=cards.compose(request, decided, knowledge, today),
        orders=sum(bool(order.kind) for order in read.orders),
        explain=partial(explain, read, decided, chart, knowledge, today),
        log={
            "drafts": len(read.seen),
            "orders": sum(bool(order.kind) for order in read.orders),
            "unmatched_selections": read.unmatched_selections,
            "drafts_without_code": read.without_code,
            "foreign_entries": chart.foreign,
            "rules": ",".join(knowledge.name_of(item.decision.rule) for item in decided) or "silent",
            "knowledge": knowledge.version,
        },
    )


def decide_orders(guideline: Guideline[Any], sources: Sources) -> tuple[Decided, ...]:
    """Decide each order of a call.

    Raises:
        PrefetchMissing, TooManyResources: see `advise`.
    """
    in_chart = guideline.read(sources)
    orders = sources.drafts.orders
    if in_chart.entry_count * len(orders) > MOST_WEIGHED:
        raise TooManyResources("There are too many orders for so many chart entries that matter to them")
    decided = []
    for draft in orders:
        step()
        order = drafts.findings(draft, sources.chart, sources.value_sets, sources.today, sources.encounter)
        found = Findings(order, in_chart)
        assessment = guideline.assess(found, sources.today)
        if not assessment.decides_alone:
            _require(sources)
        facts = mapping(assessment.facts)
        decided.append(Decided(draft, found, assessment, facts, table.decide(facts, sources.knowledge.table)))
    return tuple(decided)


def _require(sources: Sources) -> None:
    """Refuse a call that cannot be decided without a required prefetch key."""
    for template in sources.knowledge.templates:
        if template.required and not sources.chart.obtained(template.key):
            raise PrefetchMissing(template.key, _words_of(sources.chart, template.key))


def _words_of(chart: Chart, key: str) -> str:
    return _NOT_SEEN.get(chart.availability.get(key, Availability.ABSENT), "was not sent")
