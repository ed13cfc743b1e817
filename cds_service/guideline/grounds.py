"""Assessments: facts with their grounds, which are the chart entries behind a fact, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cds_service.guideline.detail import LONG, cut
from cds_service.guideline.findings import Entry, Problem, Score

STATED_REASON = "stated_reason"
"""Grounds under this name give the order's own reason when the evidence does not cover it; no rule tests it."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Chart entries behind a fact.

    Attributes:
        fact: the fact's name.
        role: what the entries count as, in words, such as "low back pain (problem list)".
        entries: the entries, in a fixed order; none where the words say that nothing was found.
        words: what they say, such as "Chronic low back pain (since 2014-02-06, 5 entries)".
    """

    fact: str
    role: str
    entries: tuple[Entry, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """Facts with their grounds, about one order, or about the patient for a hook without orders.

    Attributes:
        facts: an instance of the guideline's facts class.
        grounds: the grounds of the facts, in the order of the card.
        decides_alone: no missing prefetch key could change the answer; otherwise the call gets 412.
        values: words for the placeholders of notes, by name.
    """

    facts: Any
    grounds: tuple[Ground, ...] = ()
    decides_alone: bool = False
    values: Mapping[str, str] = field(default_factory=dict)


def each_once(problems: Iterable[Problem]) -> list[Problem]:
    """Return one problem per display, the one with the earliest onset, in their given order."""
    found: dict[str, Problem] = {}
    for problem in problems:
        known = found.get(problem.entry.display)
        if known is None or _began(problem) < _began(known):
            found[problem.entry.display] = problem
    return list(found.values())


def _began(problem: Problem) -> date:
    return problem.onset.latest if problem.onset else date.max


def described(problem: Problem, today: date) -> str:
    """Return a problem as a card's Why shows it: its words, shortened, since when, and whether it is confirmed."""
    details = []
    if problem.onset and problem.onset.earliest <= today:
        details.append(f"since {problem.onset.words}")
    elif problem.recorded:
        details.append(f"recorded {problem.recorded.words}")
    if problem.unconfirmed:
        details.append("unconfirmed")
    shown = cut(problem.entry.display, LONG)
    return f"{shown} ({', '.join(details)})" if details else shown


def of_problems(fact: str, role: str, problems: Iterable[Problem], today: date) -> tuple[Ground, ...]:
    """Return a ground per problem, without repeating entries of the same words."""
    return tuple(Ground(fact, role, (p.entry,), described(p, today)) for p in each_once(problems))


def scored(score: Score) -> str:
    """Return a score with its scale and date."""
    return f"{score.points:g} of 10 on {score.day.isoformat()}"


def named(entries: Iterable[Entry], longest: int = LONG) -> str:
    """Return the words of the first entry, shortened, and how many more there are.

    >>> named([Entry("Condition/a", "Neck pain"), Entry("Condition/b", "Headache"), Entry("Condition/c", "Headache")])
    'Neck pain and 1 more'
    """
    displays = list(dict.fromkeys(entry.display for entry in entries))
    more = f" and {len(displays) - 1} more" if len(displays) > 1 else ""
    return cut(displays[0], longest) + more if displays else ""


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number with the singular or plural of a noun.

    >>> counted(1, "active problem"), counted(2, "entry", "entries")
    ('1 active problem', '2 entries')
    """
    return f"{number} {one if number == 1 else several or one + 's'}"
