"""A guideline: a knowledge folder, hooks and facts, what it reads from a chart, and how it assesses findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Generic

from cds_service.fhir.chart import Availability, Chart
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline import conditions, facts
from cds_service.guideline.drafts import Drafts
from cds_service.guideline.findings import ChartFindings, ChartPart, Entry, Findings, ListSeen
from cds_service.guideline.grounds import Assessment
from cds_service.guideline.knowledge import Knowledge
from cds_service.guideline.table import FactSpace

PROBLEM_LIST = "conditions"
"""The prefetch key of the problem list."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The input of a guideline in one call: draft orders, chart, knowledge and date.

    Attributes:
        encounter: the visit in which the call is made, as `Type/id`, or "".
    """

    drafts: Drafts
    chart: Chart
    knowledge: Knowledge
    today: date
    encounter: str = ""

    @property
    def value_sets(self) -> ValueSets:
        """Return the guideline's value sets."""
        return self.knowledge.value_sets


@dataclass(frozen=True, slots=True)
class Guideline(Generic[ChartPart]):
    """One clinical question.

    Attributes:
        folder: its knowledge folder: texts, decision table, evidence, codes and words; see that folder's README.
        hooks: the CDS Hooks hooks it answers, such as order-sign.
        facts: a frozen dataclass of booleans and StrEnums, which the decision table tests.
        assess: from findings and a date to facts with their grounds, for one order. Pure: no clock, no input or output.
        read: from chart to findings, once for all orders of a call; `read_chart` if only problems are needed.
    """

    folder: Path
    hooks: tuple[str, ...]
    facts: type
    assess: Callable[[Findings[ChartPart], date], Assessment]
    read: Callable[[Sources], ChartPart]

    @property
    def fact_space(self) -> FactSpace:
        """Return every fact and the values it can have."""
        return facts.space(self.facts)


def read_chart(sources: Sources) -> ChartFindings:
    """Read what every guideline needs from a chart: problems, what could not be read, what was not available."""
    chart = sources.chart
    read = conditions.read(chart, sources.value_sets, sources.today)
    nameless = [Entry(name, "prefetched entry") for name in chart.unreadable]
    lost = [entry for order in sources.drafts.orders for entry in order.lost]
    return ChartFindings(
        problems=tuple(read.problems),
        unrelated=read.unrelated,
        unreadable=tuple(sorted({*sources.drafts.unreadable, *read.unreadable, *nameless})),
        lost=tuple(sorted({*lost, *read.lost})),
        others=chart.foreign,
        problem_list=_seen(chart),
        not_available=tuple(
            template.name
            for template in sources.knowledge.templates
            if template.name and not chart.obtained(template.key)
        ),
    )


def _seen(chart: Chart) -> ListSeen:
    if not chart.obtained(PROBLEM_LIST):
        return ListSeen.NOT
    return ListSeen.PARTLY if chart.availability[PROBLEM_LIST] is Availability.PARTIAL else ListSeen.WHOLE
