"""What was found in the order and the chart, as plain data with dates; knows no FHIR resource and no clock."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Generic, TypeVar

from cds_service.fhir.concepts import Concept, Recognition
from cds_service.fhir.dates import FhirDate, parse

__all__ = [
    "ChartFindings",
    "Concept",
    "Entry",
    "FhirDate",
    "Findings",
    "ListSeen",
    "Medication",
    "OrderFindings",
    "Problem",
    "Recognition",
    "Score",
    "Session",
    "StatedStatus",
    "in_order",
    "of_kinds",
    "parse",
    "together",
]


class ListSeen(StrEnum):
    """How much of a list was seen: all of it, a part, or none."""

    WHOLE = "whole"
    PARTLY = "partly"
    NOT = "not"


class StatedStatus(StrEnum):
    """What an entry says about being active. Entries that say they are over are no findings."""

    ACTIVE = "active"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A chart entry or order, as cards name it.

    Attributes:
        reference: `Type/id`.
        display: the entry's own words, its code for want of words; shortened for a card, never interpreted.
    """

    reference: str
    display: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnosis that counts: an active condition of the chart, or a reason of the order.

    Attributes:
        concept: value sets of its codes, phrase lists of its words, and the words.
        onset: when it began, as stated; `latest` is used for every duration, so that none is overstated.
        recorded: when it was recorded: it began then or earlier.
        onset_words: an onset that cannot be computed with (onsetString, onsetRange), as written.
        visit: the diagnosis of a visit (category encounter-diagnosis, and not problem-list-item).
        encounter: reference of its encounter, or "".
        status: whether it says that it is active.
        unconfirmed: its verification is unconfirmed, provisional or differential.
        sites: its body sites.
        abated: it says that it has ended, whatever its status is.
        unread: the deciding elements that could not be read, such as `clinicalStatus`.
        kinds: ids of the value sets and names of the phrase lists that it belongs to.
    """

    entry: Entry
    concept: Concept
    onset: FhirDate | None = None
    recorded: FhirDate | None = None
    onset_words: str = ""
    visit: bool = False
    encounter: str = ""
    status: StatedStatus = StatedStatus.ACTIVE
    unconfirmed: bool = False
    sites: tuple[Concept, ...] = ()
    abated: bool = False
    unread: tuple[str, ...] = ()
    kinds: frozenset[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Note the kinds once: every question asks for them."""
        object.__setattr__(self, "kinds", self.concept.kinds)

    def __hash__(self) -> int:
        """Return the hash of the entry: that of every field, dates and words too, takes ten times as long."""
        return hash(self.entry)


@dataclass(frozen=True, slots=True)
class Score:
    """A score on a scale of 0 to 10 points, and the day it was taken; `instant` orders scores of one day."""

    entry: Entry
    points: float
    day: date
    instant: datetime
    sites: tuple[Concept, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A treatment that was completed: on one day, or over a period. Partial dates never lengthen the span.

    Attributes:
        kind: name of the kind of order it would be, as in orders.toml.
        concept: its procedure code.
        sites: its body sites.
    """

    entry: Entry
    kind: str
    first: date
    last: date
    concept: Concept = field(default_factory=Concept)
    sites: tuple[Concept, ...] = ()


@dataclass(frozen=True, slots=True)
class Medication:
    """A medication that was requested and is active."""

    entry: Entry
    concept: Concept


@dataclass(frozen=True, slots=True)
class OrderFindings:
    """What the order itself says.

    Attributes:
        kind: name of its kind, as in orders.toml; "" where a hook has no orders.
        concept: its procedure code or medication.
        sites: its body sites.
        reasons: the reasons it gives, those in mere words too; in a fixed order.
        encounter: the visit it is written in, as `Type/id`, or "".
    """

    entry: Entry
    kind: str = ""
    concept: Concept = field(default_factory=Concept)
    sites: tuple[Concept, ...] = ()
    reasons: tuple[Problem, ...] = ()
    encounter: str = ""

    def __post_init__(self) -> None:
        """Bring the reasons into a fixed order, so that nothing depends on theirs in the order."""
        object.__setattr__(self, "reasons", in_order(self.reasons))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartFindings:
    """What the chart says, for every order of a call alike. A guideline that asks for more adds fields.

    Attributes:
        problems: active conditions that mean or say something, those in mere words too; in a fixed order.
        unrelated: how many more conditions count that neither mean nor say anything to the guideline.
        unreadable: entries that could not be read.
        lost: elements that could not be read of entries that were used, each as its entry and its path.
        others: how many entries that matter are about another patient, and were left out.
        problem_list: how much of the problem list was seen.
        not_available: what was not available, in words, such as pain scores.
    """

    problems: tuple[Problem, ...] = ()
    unrelated: int = 0
    unreadable: tuple[Entry, ...] = ()
    lost: tuple[Entry, ...] = ()
    others: int = 0
    problem_list: ListSeen = ListSeen.WHOLE
    not_available: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Bring the problems into a fixed order, once for all orders, so that nothing depends on that of the chart."""
        object.__setattr__(self, "problems", in_order(self.problems))

    @property
    def entry_count(self) -> int:
        """Return how many entries each order is weighed against."""
        lists = (getattr(self, name) for name in self.__dataclass_fields__)
        return sum(len(found) for found in lists if isinstance(found, tuple))


ChartPart = TypeVar("ChartPart", bound=ChartFindings)


@dataclass(frozen=True, slots=True)
class Findings(Generic[ChartPart]):
    """All that is known about one order, or about the patient where a hook has no orders."""

    order: OrderFindings
    chart: ChartPart


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems without repeats, in an order that does not depend on the order they come in."""
    found = tuple(problems)
    return found if len(found) < 2 else tuple(sorted(dict.fromkeys(found), key=_place))


def together(*lists: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return lists of problems that are each in order as one such list."""
    filled = [problems for problems in lists if problems]
    if len(filled) > 1:
        return in_order(problem for problems in filled for problem in problems)
    return filled[0] if filled else ()


def of_kinds(problems: Iterable[Problem], kinds: AbstractSet[str]) -> tuple[Problem, ...]:
    """Return the problems of any of these kinds, in the order they come in."""
    return tuple([problem for problem in problems if not kinds.isdisjoint(problem.kinds)])


def _place(problem: Problem) -> tuple[object, ...]:
    dates = [(when.earliest, when.latest, when.words) if when else () for when in (problem.onset, problem.recorded)]
    return problem.entry.reference, problem.entry.display, sorted(problem.kinds), *dates
