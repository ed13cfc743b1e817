"""Findings in the order and the chart, as plain data with dates, without FHIR resources and without a clock."""

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
    """Whether an entry states that it is active. Entries that state they are over are not findings."""

    ACTIVE = "active"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A chart entry or order, as cards name it.

    Attributes:
        reference: `Type/id`.
        display: the entry's text, or its code without text; shortened for a card, never interpreted.
    """

    reference: str
    display: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnosis that counts: an active condition of the chart, or a reason of the order.

    Attributes:
        concept: value sets of its codes, phrase lists of its words, and the words.
        onset: when it began, as stated; durations use `latest`, so that none is overstated.
        recorded: when it was recorded: it began then or earlier.
        onset_words: an onset that is not a date (onsetString, onsetRange), as written.
        visit: the diagnosis of a visit (category encounter-diagnosis, and not problem-list-item).
        encounter: reference of its encounter, or "".
        status: whether it states that it is active.
        unconfirmed: its verification is unconfirmed, provisional or differential.
        sites: its body sites.
        abated: it states that it has ended, whatever its status.
        unread: the deciding elements that could not be read, such as `clinicalStatus`.
        kinds: ids of its value sets and names of its phrase lists.
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
        """Compute the kinds once, because every question uses them."""
        object.__setattr__(self, "kinds", self.concept.kinds)

    def __hash__(self) -> int:
        """Return the hash of the entry, because hashing every field takes ten times as long."""
        return hash(self.entry)


@dataclass(frozen=True, slots=True)
class Score:
    """A score on a scale of 0 to 10 points, and its date; `instant` orders scores of the same day."""

    entry: Entry
    points: float
    day: date
    instant: datetime
    sites: tuple[Concept, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A completed treatment, on one day or over a period. Partial dates never lengthen the period.

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
    """What the order states.

    Attributes:
        kind: name of its kind, as in orders.toml; "" where a hook has no orders.
        concept: its procedure code or medication.
        sites: its body sites.
        reasons: its reasons, including those in words only, in a fixed order.
        encounter: the visit in which it is written, as `Type/id`, or "".
    """

    entry: Entry
    kind: str = ""
    concept: Concept = field(default_factory=Concept)
    sites: tuple[Concept, ...] = ()
    reasons: tuple[Problem, ...] = ()
    encounter: str = ""

    def __post_init__(self) -> None:
        """Sort the reasons, so that nothing depends on their order in the request."""
        object.__setattr__(self, "reasons", in_order(self.reasons))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartFindings:
    """What the chart says, for all orders of a call. A guideline that needs more adds fields.

    Attributes:
        problems: active conditions related to the guideline, including those in words only, in a fixed order.
        unrelated: how many more conditions count but are unrelated to the guideline.
        unreadable: entries that could not be read.
        lost: unreadable elements of entries that were used, each as entry and path.
        others: how many relevant entries are about another patient and were left out.
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
        """Sort the problems, once for all orders, so that nothing depends on their order in the chart."""
        object.__setattr__(self, "problems", in_order(self.problems))

    @property
    def entry_count(self) -> int:
        """Return how many entries each order is weighed against."""
        lists = (getattr(self, name) for name in self.__dataclass_fields__)
        return sum(len(found) for found in lists if isinstance(found, tuple))


ChartPart = TypeVar("ChartPart", bound=ChartFindings)


@dataclass(frozen=True, slots=True)
class Findings(Generic[ChartPart]):
    """All findings about one order, or about the patient for a hook without orders."""

    order: OrderFindings
    chart: ChartPart


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems without repeats, in an order that does not depend on the input order."""
    found = tuple(problems)
    return found if len(found) < 2 else tuple(sorted(dict.fromkeys(found), key=_place))


def together(*lists: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Merge sorted lists of problems into one."""
    filled = [problems for problems in lists if problems]
    if len(filled) > 1:
        return in_order(problem for problems in filled for problem in problems)
    return filled[0] if filled else ()


def of_kinds(problems: Iterable[Problem], kinds: AbstractSet[str]) -> tuple[Problem, ...]:
    """Return the problems of any of these kinds, in their given order."""
    return tuple([problem for problem in problems if not kinds.isdisjoint(problem.kinds)])


def _place(problem: Problem) -> tuple[object, ...]:
    dates = [(when.earliest, when.latest, when.words) if when else () for when in (problem.onset, problem.recorded)]
    return problem.entry.reference, problem.entry.display, sorted(problem.kinds), *dates
