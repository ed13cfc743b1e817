"""What an assessment answers: facts with their grounds, which are the chart entries behind a fact, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.guideline.findings import Entry, Problem, Score, Session

STATED_REASON = "stated_reason"
"""Grounds under this name tell the order's own reason when the evidence says nothing about it; no rule tests it."""

MOST_NAMED = 3
"""How many entries are named before the rest is counted."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Chart entries behind a fact.

    Attributes:
        fact: the fact's name.
        role: what the entries were taken as, in words, such as "low back pain (problem list)".
        entries: the entries, in a fixed order; none where the words say that nothing was found.
        words: what they say, such as "Chronic low back pain (since 2014-02-06, 5 entries)".
    """

    fact: str
    role: str
    entries: tuple[Entry, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """Facts about one order, or about the patient where a hook has no orders, with their grounds.

    Attributes:
        facts: an instance of the guideline's facts class.
        grounds: what the facts rest on, in the order in which a card tells it.
        decides_alone: no required prefetch key that is missing could change the answer; otherwise it is 412.
        values: words for the placeholders of notes, by name.
    """

    facts: Any
    grounds: tuple[Ground, ...] = ()
    decides_alone: bool = False
    values: Mapping[str, str] = field(default_factory=dict)


def of_problems(fact: str, role: str, problems: Iterable[Problem], reasons: frozenset[Problem]) -> Iterable[Ground]:
    """Yield one ground for what the order's reasons say and one for what the problem list says."""
    found = tuple(problems)
    if not found:
        return
    # Looking problems up takes longer than all else here: only where an order gives reasons.
    stated = tuple(p for p in found if p in reasons) if reasons else ()
    for origin, part in (
        ("order reason", stated),
        ("problem list", tuple(p for p in found if p not in reasons) if stated else found),
    ):
        if part:
            yield Ground(fact, f"{role} ({origin})", entries_of(part), _told(part))


def of_entries(fact: str, role: str, entries: Iterable[Entry]) -> Iterable[Ground]:
    """Yield one ground for entries without dates, if there are any."""
    found = tuple(sorted(set(entries)))
    if found:
        yield Ground(fact, role, found, listed(found))


def of_sessions(fact: str, sessions: Iterable[Session]) -> Iterable[Ground]:
    """Yield one ground for earlier sessions: how many there were, and from when to when."""
    found = tuple(sessions)
    if found:
        first, last = min(s.first for s in found), max(s.last for s in found)
        words = f"{len(found)} completed, {first.isoformat()} to {last.isoformat()}"
        yield Ground(fact, "earlier sessions", tuple(sorted({s.entry for s in found})), words)


def of_scores(fact: str, role: str, scores: Iterable[Score | None]) -> Iterable[Ground]:
    """Yield one ground for scores, in the order given."""
    found = tuple(score for score in scores if score)
    if found:
        yield Ground(fact, role, tuple(score.entry for score in found), "; ".join(scored(score) for score in found))


def scored(score: Score | None) -> str:
    """Return a score with its scale and day, or nothing."""
    return f"{score.points:g}/10 on {score.day.isoformat()}" if score else ""


def entries_of(problems: Iterable[Problem]) -> tuple[Entry, ...]:
    """Return the entries of problems, each once; problems are in order, and so are their entries."""
    return tuple(dict.fromkeys([problem.entry for problem in problems]))


def listed(entries: Iterable[Entry]) -> str:
    """Return the entries' words, each once, the first few named and the rest counted."""
    displays = list(dict.fromkeys(entry.display for entry in entries))
    rest = len(displays) - MOST_NAMED
    return ", ".join(displays[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def counted(entries: tuple[Entry, ...], one: str, several: str) -> str:
    """Return how many entries there are, with the first few references."""
    references = list(dict.fromkeys(entry.reference for entry in entries))
    shown = ", ".join(references[:MOST_NAMED]) + (", ..." if len(references) > MOST_NAMED else "")
    return f"{len(entries)} {one if len(entries) == 1 else several} ({shown})"


def elements(lost: tuple[Entry, ...]) -> str:
    """Name elements that could not be read, each with its entry, the first few and then the number of the rest."""
    names = [f"{entry.display} of {entry.reference}" for entry in lost]
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _told(problems: tuple[Problem, ...]) -> str:
    """Return each different display once, with the earliest onset and how often it stands in the chart."""
    displays = list(dict.fromkeys(p.entry.display for p in problems))
    told = [_told_once([p for p in problems if p.entry.display == display]) for display in displays[:MOST_NAMED]]
    rest = len(displays) - MOST_NAMED
    return ", ".join(told) + (f" and {rest} more" if rest > 0 else "")


def _told_once(same: list[Problem]) -> str:
    began = [
        (when.latest, "recorded" if problem.onset is None else "since", when.words)
        for problem in same
        if (when := problem.onset or problem.recorded)
    ]
    details = []
    if began:
        _, since, words = min(began, key=lambda told: (told[0], told[1] == "recorded", told[2]))
        details.append(f"{since} {words}")
    if len(same) > 1:
        details.append(f"{len(same)} entries")
    return same[0].entry.display + (f" ({', '.join(details)})" if details else "")
