"""What a committee may see of one order: what it was weighed against, without a word of the chart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from cds_service.guideline.decided import Decided
from cds_service.guideline.findings import Problem


def grounds(item: Decided, day: date) -> list[str]:
    """Return what an order was weighed against: ids of our value sets, and days before the order.

    No words, codes, names or dates of a chart are in it.
    """
    chart = item.findings.chart
    found = {_problem("reason", problem, day) for problem in item.findings.order.reasons if problem.concept.value_sets}
    found |= {_problem("problem", problem, day) for problem in chart.problems if problem.concept.value_sets}
    for name in chart.__dataclass_fields__:
        listed = getattr(chart, name)
        for entry in listed if isinstance(listed, tuple) else ():
            when = getattr(entry, "day", None) or getattr(entry, "last", None)
            if isinstance(when, date):
                points = getattr(entry, "points", None)
                value = f" {points:g} points" if isinstance(points, int | float) else ""
                found.add(f"{name}:{value} {(day - when).days} days before")
    return sorted(found)


def _problem(role: str, problem: Problem, day: date) -> str:
    return ", ".join((f"{role}: {' + '.join(sorted(problem.concept.value_sets))}", *_days(problem, day)))


def _days(problem: Problem, day: date) -> Iterator[str]:
    for name, when in (("begun", problem.onset), ("recorded", problem.recorded)):
        if when is not None:
            yield f"{name} {(day - when.latest).days} days before"
