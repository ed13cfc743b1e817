"""A card's text within a budget of words, so that it can be read in seconds; what does not fit is dropped by rank."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

BUDGET: Final = {
    "verdict": 37, "why": 20, "next": 8, "precaution": 16, "line": 11, "seen": 11, "evidence": 11, "closing": 6,
}  # fmt: skip
"""Words per part, 120 together; words that a part does not use go to the next."""

_MOST_NAMED = 2
_MORE = 3
_TARGET = re.compile(r"\]\([^)]*\)")
_WORD = re.compile(r"[^\W_]")
LONG, SHORT = 40, 25
"""Longest text of a chart entry on a card, in characters, in Why and in lines."""
_LONGEST_WORDS = {LONG: 7, SHORT: 4}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a card, and the note it comes from."""

    note: str
    text: str


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a card could say, each part by rank.

    Attributes:
        verdict: sentences on every card of the rule.
        after: sentences that follow the verdict if there is room.
        entries: the chart entries that decided, most important first.
        why: what else decided, such as what was not recognized.
        next: what to do; "" for nothing.
        precautions: by rank.
        lines: by rank.
        seen: what was not seen; always mentioned, if shortened.
        evidence: the line with the sources.
        closing: the last line.
    """

    verdict: Sequence[str]
    evidence: str
    closing: str
    after: Sequence[Line] = ()
    entries: Sequence[str] = ()
    why: Sequence[Line] = ()
    next: str = ""
    precautions: Sequence[Line] = ()
    lines: Sequence[Line] = ()
    seen: Sequence[Line] = ()


@dataclass(slots=True)
class Detail:
    """The text so far, and the notes that had no room."""

    paragraphs: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _left: int = 0

    @property
    def text(self) -> str:
        """Return the text in GitHub-flavored Markdown."""
        return "\n\n".join(self.paragraphs).replace("....", "...")

    def begin(self, part: str) -> None:
        """Add a part's words to the remaining budget."""
        self._left += BUDGET[part]

    def has_room(self, text: str, reserved: int = 0) -> bool:
        """Return whether a text fits into the remaining budget."""
        return count(text) + reserved <= self._left

    def spend(self, text: str) -> str:
        """Subtract a text's words from the remaining budget."""
        self._left -= count(text)
        return text

    def take(self, lines: Iterable[Line], reserved: int = 0) -> list[str]:
        """Return the lines that fit, and record the others as dropped."""
        taken = []
        for line in lines:
            if self.has_room(line.text, reserved):
                taken.append(self.spend(line.text))
            else:
                self.left_out.append(line.note)
        return taken

    def say(self, text: str) -> None:
        """Add a paragraph whose words are already subtracted."""
        self.paragraphs.append(text)


def write(parts: Parts) -> Detail:
    """Write a card's text: verdict, why, what next, precautions, other lines, what was not seen, evidence, closing."""
    detail = Detail()
    detail.begin("verdict")
    first, *others = parts.verdict
    sentences = [detail.spend(first), *detail.take(Line("", text) for text in others)]
    detail.say(" ".join([*sentences, *detail.take(parts.after)]))
    detail.begin("why")
    _say_why(detail, parts)
    detail.begin("next")
    if parts.next:
        detail.say(detail.spend(f"**Next:** {parts.next}"))
    detail.begin("precaution")
    _say_precautions(detail, parts.precautions)
    detail.begin("line")
    if lines := detail.take(parts.lines):
        detail.say("\n".join(f"- {line}" for line in lines))
    detail.begin("seen")
    _say_seen(detail, parts.seen)
    detail.begin("evidence")
    detail.say(detail.spend(parts.evidence))
    detail.begin("closing")
    detail.say(detail.spend(parts.closing))
    return detail


def _say_why(detail: Detail, parts: Parts) -> None:
    """Return the first entry and what was not recognized, then the second entry and the rest if there is room."""
    if not parts.entries and not parts.why:
        return
    detail.spend("Why:")
    entries = [detail.spend(entry) for entry in parts.entries[:1]]
    more = len(parts.entries) - 1
    notes = detail.take(parts.why[:1])
    for entry in parts.entries[1:_MOST_NAMED]:
        if detail.has_room(entry, reserved=_MORE if more > 1 else 0):
            entries.append(detail.spend(entry))
            more -= 1
    if more > 0 and detail.has_room("and n more"):
        entries.append(detail.spend(f"and {more} more"))
    notes += detail.take(parts.why[1:])
    detail.say(f"**Why:** {'; '.join([*entries, *notes])}.")


def _say_precautions(detail: Detail, precautions: Sequence[Line]) -> None:
    """Return the first two, and how many more there are."""
    if not precautions:
        return
    detail.spend("Precautions:")
    reserved = _MORE if len(precautions) > 1 else 0
    named = detail.take(precautions[:1])
    named += detail.take(precautions[1:_MOST_NAMED], reserved if len(precautions) > _MOST_NAMED else 0)
    detail.left_out += [line.note for line in precautions[_MOST_NAMED:]]
    if rest := len(precautions) - len(named):
        named.append(detail.spend(f"and {rest} more"))
    detail.say(f"**Precautions:** {'; '.join(named)}.")


def _say_seen(detail: Detail, seen: Sequence[Line]) -> None:
    """Return what was not seen: shortened if needed, never dropped."""
    if not seen:
        return
    detail.spend("Not seen:")
    named = []
    for number, line in enumerate(seen, start=1):
        if not detail.has_room(line.text, reserved=_MORE if number < len(seen) else 0):
            break
        named.append(detail.spend(line.text))
    rest = len(seen) - len(named)
    detail.left_out += [line.note for line in seen[len(named) :]]
    if rest and named:
        named.append(detail.spend(f"and {rest} more"))
    elif rest:
        named.append(detail.spend(f"{rest} {'item' if rest == 1 else 'items'} of the chart"))
    detail.say(f"**Not seen:** {'; '.join(named)}.")


@lru_cache(maxsize=4096)
def count(text: str) -> int:
    """Count the words of a text: parts between spaces with a letter or digit, without link targets.

    >>> count("**Why:** [Gattie 2017](https://doi.org/10.2519) - yes")
    4
    """
    plain = _TARGET.sub("]", text) if "](" in text else text
    tokens = plain.split()
    return len(tokens) - sum([not token[0].isalnum() and not _WORD.search(token) for token in tokens])


def cut(text: str, longest: int) -> str:
    """Return a text cut to 40 or 25 characters, and to the words that a card has room for.

    >>> cut("chronic low back pain x 5 yrs", 40), cut("Hereditary factor VIII deficiency disease", 25)
    ('chronic low back pain x 5 yrs', 'Hereditary factor VIII...')
    """
    words = text.split()
    kept = " ".join(words[: _LONGEST_WORDS[longest]])
    if len(kept) > longest:
        kept = kept[: longest + 1].rsplit(" ", 1)[0][:longest]
    return kept if kept == " ".join(words) else f"{kept.rstrip(',;:. ')}..."
