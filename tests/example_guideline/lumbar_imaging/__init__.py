"""Is imaging of the low back needed in the first six weeks of pain? A test article, not clinical content."""

from datetime import date, timedelta
from pathlib import Path

from cds_service.guideline.findings import ChartFindings, Findings, of_kinds, together
from cds_service.guideline.grounds import Assessment, of_problems
from cds_service.guideline.guideline import Guideline, read_chart

from .facts import Began, Facts

SIX_WEEKS = timedelta(weeks=6)


def assess(findings: Findings[ChartFindings], today: date) -> Assessment:
    """Answer what the table asks: low back pain, since when, and red flags."""
    order, chart = findings.order, findings.chart
    everything = together(order.reasons, chart.problems)
    pain = of_kinds(everything, {"low-back-pain"})
    flags = of_kinds(everything, {"red-flags"})
    since = min((problem.onset.latest for problem in pain if problem.onset), default=None)
    if since is None:
        began = Began.UNKNOWN
    else:
        began = Began.WITHIN_SIX_WEEKS if timedelta() <= today - since < SIX_WEEKS else Began.EARLIER
    facts = Facts(
        imaging_ordered=bool(order.kind),
        low_back_pain=bool(pain),
        began=began,
        red_flag=bool(flags),
        problem_list=chart.problem_list,
    )
    grounds = (
        *of_problems("low_back_pain", "low back pain", pain, today),
        *of_problems("red_flag", "red flag", flags, today),
    )
    return Assessment(facts, grounds, decides_alone=not order.kind)


GUIDELINE = Guideline(
    folder=Path(__file__).parent / "knowledge",
    hooks=("order-select", "order-sign", "patient-view"),
    facts=Facts,
    assess=assess,
    read=read_chart,
)
