"""Courses of treatment: sessions that follow each other closely, and the scores around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from cds_service.guideline.findings import Score, Session


def latest(sessions: Iterable[Session], gap: timedelta, today: date) -> tuple[Session, ...]:
    """Return the latest course: sessions in order, each at most `gap` after the previous one."""
    past = sorted((s for s in sessions if s.first <= today), key=lambda s: (s.first, s.last, s.entry))
    course: list[Session] = []
    for session in reversed(past):
        if course and course[-1].first - session.last > gap:
            break
        course.append(session)
    return tuple(reversed(course))


def last_day(course: Sequence[Session]) -> date:
    """Return the last day of a nonempty course."""
    return max(session.last for session in course)


def scores_around(
    course: Sequence[Session], scores: Iterable[Score], before: timedelta, after: timedelta
) -> tuple[Score, Score] | None:
    """Return the last score before a course and the latest after it; None unless both exist.

    They are within `before` of the first session and `after` of the last. A score on the day of the first session
    counts as before it.
    """
    if not course:
        return None
    first, last = course[0].first, last_day(course)
    known = tuple(scores)
    earlier = [score for score in known if timedelta(0) <= first - score.day <= before]
    later = [score for score in known if timedelta(0) < score.day - last <= after]
    if not earlier or not later:
        return None
    return latest_score(earlier), latest_score(later)


def latest_score(scores: Iterable[Score]) -> Score:
    """Return the latest score; of several at the same time, the highest, whatever their order in the chart."""
    return max(scores, key=lambda score: (score.day, score.instant, score.points, score.entry))
