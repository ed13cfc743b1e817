"""How long something has lasted, how much it hurts and what earlier needling did: questions that need the date."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from cds_service.guideline.findings import Problem, Score, Session, of_kinds
from hooks.dry_needling.facts import Baseline, Chronicity, EarlierNeedling

SUBACUTE_FROM_DAYS = 42
CHRONIC_FROM_DAYS = 84
TWELVE_WEEKS = timedelta(days=84)
BASELINE_WINDOW = timedelta(days=90)
HIGH_BASELINE_POINTS = 7
LOW_BASELINE_POINTS = 3
RELEVANT_DROP_POINTS = 1


def chronicity(
    low_back: tuple[Problem, ...], modifiers: tuple[Problem, ...], today: date
) -> tuple[Chronicity, tuple[Problem, ...]]:
    """Return how long low back pain has lasted, and the problems that prove it.

    Chronic by code, by an active chronic-pain condition beside it, or because the earliest onset is 84 days old.
    A recording date can prove chronic, never acute.
    """
    if not low_back:
        return Chronicity.UNKNOWN, ()
    if by_code := of_kinds(low_back, {"chronic-low-back-pain"}):
        return Chronicity.CHRONIC, by_code
    if modifiers:
        return Chronicity.CHRONIC, modifiers
    if longest_days(low_back, today) >= CHRONIC_FROM_DAYS:
        return Chronicity.CHRONIC, (_longest(low_back, today),)
    stated = tuple(p for p in low_back if p.onset and _days(p, today) >= 0)
    if not stated:
        return Chronicity.UNKNOWN, ()
    subacute = longest_days(stated, today) >= SUBACUTE_FROM_DAYS
    return (Chronicity.SUBACUTE if subacute else Chronicity.ACUTE), (_longest(stated, today),)


def may_be_chronic(problems: Iterable[Problem], duration: Chronicity, today: date) -> bool:
    """Tell whether an imprecise onset, read as late as possible, could as well mean 12 weeks or more."""
    return duration in (Chronicity.ACUTE, Chronicity.SUBACUTE) and any(
        p.onset is not None and (today - p.onset.earliest).days >= CHRONIC_FROM_DAYS for p in problems
    )


def longest_days(problems: Iterable[Problem], today: date) -> int:
    """Return for how many days, at least, the longest of the problems has lasted; -1 when none says."""
    return max((_days(problem, today) for problem in problems), default=-1)


def _longest(problems: Sequence[Problem], today: date) -> Problem:
    return max(problems, key=lambda p: (_days(p, today), p.entry))


def _days(problem: Problem, today: date) -> int:
    """Return for how many days, at least, a problem has lasted; -1 when nothing is known or it lies ahead."""
    began = problem.onset or problem.recorded
    if began is None or began.earliest > today:
        return -1
    return (today - min(began.latest, today)).days


def past_twelve_weeks(sessions: Sequence[Session]) -> bool:
    """Tell whether sessions span more than 12 weeks."""
    return bool(sessions) and max(s.last for s in sessions) - min(s.first for s in sessions) > TWELVE_WEEKS


def baseline(scores: Iterable[Score], today: date) -> tuple[Baseline, Score | None]:
    """Return the latest score of the last 90 days: high from 7 points, low up to 3 (E4)."""
    recent = [score for score in scores if timedelta(0) <= today - score.day <= BASELINE_WINDOW]
    if not recent:
        return Baseline.NONE, None
    latest = max(recent, key=_latest_then_highest)
    if latest.points >= HIGH_BASELINE_POINTS:
        return Baseline.HIGH, latest
    return (Baseline.LOW if latest.points <= LOW_BASELINE_POINTS else Baseline.MIDDLE), latest


def response(
    sessions: Sequence[Session], scores: Iterable[Score], today: date
) -> tuple[EarlierNeedling, tuple[Score, Score] | None]:
    """Compare the last score before the first session with the last one after the last session (E4).

    Both must lie within 12 weeks of their session. A score of the first session's day counts as before it.
    """
    if not sessions:
        return EarlierNeedling.UNKNOWN, None
    first, last = min(s.first for s in sessions), max(s.last for s in sessions)
    known = [score for score in scores if score.day <= today]
    before = [score for score in known if timedelta(0) <= first - score.day <= TWELVE_WEEKS]
    after = [score for score in known if timedelta(0) < score.day - last <= TWELVE_WEEKS]
    if not before or not after:
        return EarlierNeedling.UNKNOWN, None
    pair = (max(before, key=_latest_then_highest), max(after, key=_latest_then_highest))
    improved = pair[0].points - pair[1].points > RELEVANT_DROP_POINTS
    return (EarlierNeedling.IMPROVED if improved else EarlierNeedling.NOT_IMPROVED), pair


def _latest_then_highest(score: Score) -> tuple[object, ...]:
    """Order scores so that the result never depends on the order of the chart."""
    return score.day, score.instant, score.points, score.entry
