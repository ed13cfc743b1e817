"""A CodeableConcept once read: its value sets, the phrase lists of its texts, and how it was recognized."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

_NOTHING: frozenset[str] = frozenset()


class Recognition(StrEnum):
    """How a concept was recognized, or why it was not."""

    CODE = "code"
    WORDS = "words"
    NOT_RECOGNIZED = "not-recognized"
    UNKNOWN_SYSTEM = "unknown-system"
    FREE_TEXT = "free-text"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Concept:
    """A CodeableConcept in a chart.

    Attributes:
        value_sets: ids of the value sets it belongs to, by a code or, without a known code, by its exact words.
        coded: it has a code of a known system, whether or not the code is in a value set.
        coded_elsewhere: it has a code of an unknown or unnamed system.
        texts: its text and displays, up to a limit, each as a plain line.
        said: names of the phrase lists that its texts match: the last resort, whatever its codes.
        code_unread: it has something that cannot be a code, with a known system.
    """

    value_sets: frozenset[str] = _NOTHING
    coded: bool = False
    coded_elsewhere: bool = False
    texts: tuple[str, ...] = ()
    said: frozenset[str] = _NOTHING
    code_unread: bool = False

    @property
    def meaningless(self) -> bool:
        """Return whether all its codes are of known systems, and none is in a value set."""
        return self.coded and not (self.value_sets or self.coded_elsewhere or self.code_unread)

    @property
    def recognition(self) -> Recognition:
        """Return how it was recognized, or why it was not."""
        if self.value_sets:
            return Recognition.CODE if self.coded else Recognition.WORDS
        if self.coded:
            return Recognition.NOT_RECOGNIZED
        if self.coded_elsewhere:
            return Recognition.UNKNOWN_SYSTEM
        return Recognition.FREE_TEXT if self.texts else Recognition.EMPTY

    @property
    def kinds(self) -> frozenset[str]:
        """Return the ids of its value sets and the names of the word lists that its texts match."""
        return self.value_sets | self.said

    @property
    def words(self) -> str:
        """Return its text or the first display; empty if it has neither."""
        return self.texts[0] if self.texts else ""

    @property
    def empty(self) -> bool:
        """Return whether it is empty."""
        return self.recognition is Recognition.EMPTY


class Words(Protocol):
    """Reads texts: which of a guideline's word lists they hold words of.

    Attributes:
        own_words: the lists for which the standard words of an entry's own code are not read.
        telling: the lists that alone make an entry worth reading.
    """

    own_words: frozenset[str]
    telling: frozenset[str]

    def read(self, text: str) -> frozenset[str]:
        """Return the names of the lists that a text holds words of."""
        ...


class NoWords:
    """A guideline without word lists."""

    own_words = telling = _NOTHING

    def read(self, text: str) -> frozenset[str]:  # noqa: ARG002 - no text says anything
        """Return no list."""
        return _NOTHING
