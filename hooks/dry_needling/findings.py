"""What was found in the order and the chart, as plain data with dates; knows neither FHIR nor the calendar."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Modality(StrEnum):
    """The technique an order or a procedure is for."""

    DRY_NEEDLING = "dry-needling"
    TRIGGER_POINT_INJECTION = "trigger-point-injection"
    NONE = "none"


class Region(StrEnum):
    """Where the order is for, as far as its body site (or a reason in free text) says."""

    LOW_BACK = "low-back"
    ELSEWHERE = "elsewhere"
    UNKNOWN = "unknown"


class ProblemList(StrEnum):
    """Whether the problem list could be had."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    UNAVAILABLE = "unavailable"


class Meaning(StrEnum):
    """What a diagnosis means to the decision. Values are ids of value sets, except the last two."""

    LOW_BACK_PAIN = "low-back-pain"
    LOW_BACK_PAIN_WITHIN = "low-back-pain-within-another-code"
    CHRONIC_LOW_BACK_PAIN = "chronic-low-back-pain"
    CHRONIC_PAIN = "chronic-pain"
    DEGENERATIVE_LUMBAR_DISEASE = "degenerative-lumbar-disease"
    LUMBAR_RADICULOPATHY = "lumbar-radiculopathy"
    LUMBAR_FACET_DISEASE = "lumbar-facet-disease"
    MYOFASCIAL_PAIN = "myofascial-pain"
    FIBROMYALGIA = "fibromyalgia"
    OTHER_MUSCULOSKELETAL_PAIN = "other-musculoskeletal-pain"
    CHRONIC_MUSCULOSKELETAL_PAIN = "chronic-musculoskeletal-pain"
    HEADACHE = "headache"
    FACET_WORDS = "facet-words"
    SOMETHING_ELSE = "something-else"
    """A diagnosis with a code of a system we know that is in none of our value sets."""


LOW_BACK_PAIN = frozenset({Meaning.LOW_BACK_PAIN, Meaning.LOW_BACK_PAIN_WITHIN, Meaning.CHRONIC_LOW_BACK_PAIN})
OTHER_PAIN = frozenset(
    {
        Meaning.MYOFASCIAL_PAIN,
        Meaning.FIBROMYALGIA,
        Meaning.OTHER_MUSCULOSKELETAL_PAIN,
        Meaning.CHRONIC_MUSCULOSKELETAL_PAIN,
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A chart entry or order, as cards name it.

    Attributes:
        reference: `Type/id`.
        display: the entry's own words, code or both; never interpreted.
    """

    reference: str
    display: str


@dataclass(frozen=True, slots=True)
class Onset:
    """When a condition began.

    Attributes:
        earliest: the first day it can mean.
        latest: the last day it can mean: used for every duration, so that none is overstated.
        words: as the chart has it, such as 2024-03 or age 45 years.
        at_least: the date is when the condition was recorded, so that it began then or earlier: it can prove chronic,
            never acute.
    """

    earliest: date
    latest: date
    words: str
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnosis that counts: an active condition of the chart, or a reason of the order."""

    entry: Entry
    meanings: frozenset[Meaning]
    onset: Onset | None = None
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class PainScore:
    """A pain score in points from 0 to 10, and the day it was taken; `instant` orders scores of one day."""

    entry: Entry
    points: float
    day: date
    instant: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """Needling that was completed: on one day, or over a period. Partial dates never lengthen the span."""

    entry: Entry
    modality: Modality
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class OrderFindings:
    """What the order itself says.

    Attributes:
        reasons: the reasons it gives, as far as they could be read and count.
        reason_unread: it gives a reason that could not be read.
    """

    entry: Entry
    modality: Modality
    region: Region = Region.UNKNOWN
    reasons: tuple[Problem, ...] = ()
    reason_unread: bool = False

    def __post_init__(self) -> None:
        """Bring the reasons into a fixed order, so that nothing depends on theirs in the order."""
        object.__setattr__(self, "reasons", in_order(self.reasons))


@dataclass(frozen=True, slots=True)
class ChartFindings:
    """What the chart says, for every order of a call alike.

    Attributes:
        problems: active conditions, whatever they mean.
        ablations: earlier lumbar radiofrequency ablations.
        care_tried: exercise, physical therapy and the like that was given or ordered earlier.
        active_therapy: the same, ordered in this session or active now.
        uncoded: conditions with free text only that matches nothing.
        unreadable: entries that could not be read.
        missing: what could not be had, in words, such as pain scores.
        procedures_missing: procedures could not be had, so that care tried cannot be ruled out.
        coded_elsewhere: conditions that are coded in systems this service does not know.
        lost: elements that could not be read of entries that were used, each as its entry and its path.
        others: how many entries that matter are about another patient, and were left out.
    """

    problems: tuple[Problem, ...] = ()
    scores: tuple[PainScore, ...] = ()
    sessions: tuple[Session, ...] = ()
    ablations: tuple[Entry, ...] = ()
    care_tried: tuple[Entry, ...] = ()
    active_therapy: tuple[Entry, ...] = ()
    uncoded: tuple[Entry, ...] = ()
    unreadable: tuple[Entry, ...] = ()
    problem_list: ProblemList = ProblemList.COMPLETE
    missing: tuple[str, ...] = ()
    procedures_missing: bool = False
    coded_elsewhere: tuple[Entry, ...] = ()
    lost: tuple[Entry, ...] = ()
    others: int = 0

    def __post_init__(self) -> None:
        """Bring the problems into a fixed order, once for all orders, so that nothing depends on that of the chart."""
        object.__setattr__(self, "problems", in_order(self.problems))

    @property
    def entry_count(self) -> int:
        """Return how many entries each order is weighed against."""
        lists = (self.problems, self.scores, self.sessions, self.ablations, self.care_tried, self.active_therapy)
        return sum(map(len, (*lists, self.uncoded, self.coded_elsewhere, self.unreadable)))


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is known about one needling order."""

    order: OrderFindings
    chart: ChartFindings


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


def meaning(problems: Iterable[Problem], meanings: AbstractSet[Meaning]) -> tuple[Problem, ...]:
    """Return the problems that mean any of these, in the order they come in."""
    return tuple([problem for problem in problems if not meanings.isdisjoint(problem.meanings)])


def _place(problem: Problem) -> tuple[object, ...]:
    onset = problem.onset
    when = (onset.earliest, onset.latest, onset.words, onset.at_least) if onset else ()
    return problem.entry.reference, problem.entry.display, sorted(problem.meanings), when
