"""Courses of treatment: sessions that follow each other closely, and the scores around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from cds_service.guideline.findings import Score, Session


def latest(sessions: Iterable[Session], gap: timedelta, today: date) -> tuple[Session, ...]:
    """Return the latest course of sessions, each at most `gap` after the one before, in order."""
    past = sorted((s for s in sessions if s.first <= today), key=lambda s: (s.first, s.last, s.entry))
    course: list[Session] = []
    for session in reversed(past):
        if course and course[-1].first - session.last > gap:
            break
        course.append(session)
    return tuple(reversed(course))


def last_day(course: Sequence[Session]) -> date:
    """Return the last day of a course that has sessions."""
    return max(session.last for session in course)


def scores_around(
    course: Sequence[Session], scores: Iterable[Score], before: timedelta, after: timedelta
) -> tuple[Score, Score] | None:
    """Return the last score up to `before` the first session and the latest up to `after` the last; None if not both.

    A score of the first session's day counts as before it.
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
    """Return the latest of scores; of those of one moment the highest, whatever their order in the chart."""
    return max(scores, key=lambda score: (score.day, score.instant, score.points, score.entry))
