"""The dry needling guideline: what it reads from a chart, and the object that the server serves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from cds_service.guideline import care, medications, scores
from cds_service.guideline.care import CareSought
from cds_service.guideline.findings import Session, parse
from cds_service.guideline.guideline import Guideline, Sources, read_chart
from cds_service.guideline.scores import Scale, Window
from hooks.dry_needling.assess import assess
from hooks.dry_needling.durations import BASELINE_WINDOW, TWELVE_WEEKS
from hooks.dry_needling.facts import Facts
from hooks.dry_needling.findings import NeedlingFindings

_PAIN = Scale("pain score", scores="pain-score", answers="pain-score-answers")


def read(sources: Sources) -> NeedlingFindings:
    """Read what needling needs from a chart: problems, earlier sessions, other care, and pain around them."""
    chart, value_sets, today = sources.chart, sources.value_sets, sources.today
    found = read_chart(sources)
    sought = CareSought(
        sources.knowledge.orders,
        therapy="active-therapy",
        tried="conservative-care",
        words="therapy-words",
        treatment="lumbar-radiofrequency-ablation",
    )
    given = care.read(chart, value_sets, sought, sources.drafts.active, today)
    pain = scores.read(chart, value_sets, _PAIN, score_windows(given.sessions, today))
    medicines = medications.read(chart, value_sets)
    return NeedlingFindings(
        problems=found.problems,
        unreadable=tuple(sorted({*found.unreadable, *given.unreadable, *pain.unreadable})),
        lost=tuple(sorted({*found.lost, *given.lost, *pain.lost, *medicines.lost})),
        unrelated=found.unrelated,
        others=chart.foreign,
        problem_list=found.problem_list,
        not_available=found.not_available,
        scores=tuple(pain.scores),
        sessions=tuple(given.sessions),
        ablations=tuple(given.treated),
        care_tried=tuple(given.care_tried),
        active_therapy=tuple(given.active_therapy),
        procedures_missing=not chart.obtained("procedures"),
        medications=tuple(medicines.medications),
        birth=parse((chart.patient or {}).get("birthDate")),
    )


def score_windows(sessions: Sequence[Session], today: date) -> tuple[Window, ...]:
    """Return the date ranges in which a score can matter: the baseline, and around earlier needling."""
    found = [(today - BASELINE_WINDOW, today)]
    for kind in {session.kind for session in sessions}:
        same = [session for session in sessions if session.kind == kind]
        first, last = min(s.first for s in same), max(s.last for s in same)
        found += [(_back(first, TWELVE_WEEKS), first), (last, min(today, last + TWELVE_WEEKS))]
    return tuple(found)


def _back(day: date, span: timedelta) -> date:
    return day - span if day - date.min > span else date.min


GUIDELINE = Guideline(
    folder=Path(__file__).parent / "knowledge",
    hooks=("order-select", "order-sign"),
    facts=Facts,
    assess=assess,
    read=read,
)
