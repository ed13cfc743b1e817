"""How long pain has lasted, and what earlier needling did: questions that need the date."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from cds_service.guideline import courses
from cds_service.guideline.findings import FhirDate, Problem, Score, Session, StatedStatus
from hooks.dry_needling.facts import Baseline, Chronicity
from hooks.dry_needling.regions import ACUTE_CODES, CHRONIC_CODES

SUBACUTE_FROM_DAYS = 42
CHRONIC_FROM_DAYS = 84
TWELVE_WEEKS = timedelta(days=84)
BASELINE_WINDOW = timedelta(days=90)
BEFORE_FIRST_SESSION = timedelta(days=30)
HIGH_BASELINE_POINTS = 7
LOW_BASELINE_POINTS = (2, 3)


@dataclass(frozen=True, slots=True)
class Course:
    """How long pain has lasted, and what proves it.

    Attributes:
        chronicity: the answer.
        proof: the entries that prove it.
        by_acute_code: it is acute because an acute code says so, whatever else is on file.
        may_be_chronic: an imprecise onset, read as late as possible, could also mean 12 weeks or more.
    """

    chronicity: Chronicity
    proof: tuple[Problem, ...] = ()
    by_acute_code: bool = False
    may_be_chronic: bool = False


UNKNOWN = Course(Chronicity.UNKNOWN)


def of_low_back_pain(
    entries: Sequence[Problem], stated: frozenset[Problem], modifiers: tuple[Problem, ...], today: date
) -> Course:
    """Return how long low back pain has lasted: an acute episode first, then what proves that it is chronic.

    Args:
        entries: the low-back entries in scope.
        stated: those that are reasons of the order.
        modifiers: entries of chronic pain without a site, where low back pain is the only painful region on the list.
        today: the evaluation date.
    """
    acute = [p for p in entries if ACUTE_CODES & p.kinds]
    if acute:
        newest = max(_day(p, today) or date.min for p in entries)
        for problem in acute:
            days = _days(_day(problem, today), today)
            recent = 0 <= days < CHRONIC_FROM_DAYS
            if (problem in stated and (recent or days < 0)) or (recent and _day(problem, today) == newest):
                return Course(Chronicity.ACUTE, (problem,), by_acute_code=True)
        # An old acute code proves nothing.
        entries = [p for p in entries if not ACUTE_CODES & p.kinds or _days(_day(p, today), today) < CHRONIC_FROM_DAYS]
    return of_pain(entries, modifiers, today)


def of_pain(entries: Sequence[Problem], modifiers: tuple[Problem, ...], today: date) -> Course:
    """Return how long pain has lasted by chronic code, stated onset, modifier or recording date, in this order."""
    if by_code := tuple(p for p in entries if CHRONIC_CODES & p.kinds and code_proves(p)):
        return Course(Chronicity.CHRONIC, by_code)
    began = [(day, p.entry, p) for p in entries if (day := _onset(p, today)) is not None and _counts(p, day, today)]
    if began:
        first, _, proof = min(began, key=lambda found: found[:2])
        days = _days(first, today)
        if days >= CHRONIC_FROM_DAYS:
            return Course(Chronicity.CHRONIC, (proof,))
        imprecise = any(p.onset and _days(p.onset.earliest, today) >= CHRONIC_FROM_DAYS for _, _, p in began)
        subacute = days >= SUBACUTE_FROM_DAYS
        return Course(Chronicity.SUBACUTE if subacute else Chronicity.ACUTE, (proof,), may_be_chronic=imprecise)
    if entries and modifiers and not any(_states_onset(p, today) for p in entries):
        return Course(Chronicity.CHRONIC, modifiers)
    for problem in entries:
        if not problem.visit and _days(_seen(problem.recorded, today), today) >= CHRONIC_FROM_DAYS:
            return Course(Chronicity.CHRONIC, (problem,))
    return UNKNOWN


def is_chronic_alone(problem: Problem, today: date) -> bool:
    """Return whether an entry is chronic by its own code or its own stated onset."""
    if CHRONIC_CODES & problem.kinds:
        return code_proves(problem)
    return not problem.visit and _days(_onset(problem, today), today) >= CHRONIC_FROM_DAYS


def days_since(problem: Problem, today: date) -> int:
    """Return the minimum number of days since an entry began or, if not stated, was recorded; -1 if undated."""
    return _days(_day(problem, today), today)


def onset_ahead(problem: Problem, today: date) -> bool:
    """Return whether the onset lies in the future, so that it is ignored."""
    return problem.onset is not None and problem.onset.earliest > today


def code_proves(problem: Problem) -> bool:
    """Return whether an entry's code can prove that pain is chronic: a visit's only if it states that it is active."""
    return not problem.visit or problem.status is StatedStatus.ACTIVE


def _counts(problem: Problem, day: date, today: date) -> bool:
    """Return whether an onset proves anything: the date of a visit never proves that pain is chronic."""
    return not problem.visit or _days(day, today) < CHRONIC_FROM_DAYS


def _states_onset(problem: Problem, today: date) -> bool:
    """Return whether an onset is stated, even if only in words."""
    return bool(problem.onset_words) or _onset(problem, today) is not None


def _day(problem: Problem, today: date) -> date | None:
    return _onset(problem, today) or _seen(problem.recorded, today)


def _onset(problem: Problem, today: date) -> date | None:
    return _seen(problem.onset, today)


def _seen(when: FhirDate | None, today: date) -> date | None:
    """Return the latest possible day of a partial date, but not after today; None if it is in the future."""
    return min(when.latest, today) if when is not None and when.earliest <= today else None


def _days(day: date | None, today: date) -> int:
    return -1 if day is None else (today - day).days


def past_twelve_weeks(course: Sequence[Session], today: date) -> bool:
    """Return whether a course still goes on (last session at most 84 days ago) and is longer than 84 days."""
    if not course:
        return False
    last = courses.last_day(course)
    return today - last <= TWELVE_WEEKS and last - course[0].first > TWELVE_WEEKS


def baseline(scores: Iterable[Score], today: date) -> tuple[Baseline, Score | None]:
    """Return the latest score of the last 90 days: high from 7 points, low from 2 to 3 (E4)."""
    recent = [score for score in scores if timedelta(0) <= today - score.day <= BASELINE_WINDOW]
    if not recent:
        return Baseline.NONE, None
    latest = courses.latest_score(recent)
    if latest.points >= HIGH_BASELINE_POINTS:
        return Baseline.HIGH, latest
    low, high = LOW_BASELINE_POINTS
    return (Baseline.LOW if low <= latest.points <= high else Baseline.OTHER), latest
