"""Phrase lists of terms.toml, all matched in one pass over a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.guideline.toml_files import check_keys, unknown

LONGEST_TEXT = 1000
"""Longest text that is read, in characters."""

_REFERRING = ("unless", "elsewhere", "here", "all_of")
_KEYS = ("phrases", "ignoring", *_REFERRING, "own_words", "helper")
_GAP = "..."
_WIDEST_GAP = 5
_SHORTEST_STEM = 3
_TOKEN = re.compile(r"\w+")
_REMEMBERED = 20_000
_LONGEST_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class PhraseList:
    """One list of terms.toml.

    Attributes:
        phrases: whole words, in any case, with or without accents and hyphens. A word ending with `*` may continue
            (lumbal*), one that begins with it may have letters before it (*algia); ` ... ` stands for up to five words.
        ignoring: phrases that are removed from a text before this list is matched.
        unless: names of lists above this one that cancel it anywhere in the same text.
        elsewhere: names of lists above this one that cancel it, unless one of `here` matches too.
        all_of: names of lists above this one that must all match the same text.
        own_words: the standard display of an entry's own code is not matched.
        helper: it means nothing alone; lists below refer to it, or a guideline uses it with something else.
    """

    name: str
    phrases: Sequence[str] = ()
    ignoring: Sequence[str] = ()
    unless: Sequence[str] = ()
    elsewhere: Sequence[str] = ()
    here: Sequence[str] = ()
    all_of: Sequence[str] = ()
    own_words: bool = False
    helper: bool = False


@dataclass(slots=True)
class _Starts:
    """Phrases by their first word: a whole word, its first letters, or its last."""

    whole: dict[str, list[_Phrase]] = field(default_factory=dict)
    stems: dict[str, list[_Phrase]] = field(default_factory=dict)
    ends: dict[str, list[_Phrase]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Phrase:
    name: str
    words: tuple[str, ...]
    ignored: bool


class Lexicon:
    """All phrase lists of a guideline."""

    def __init__(self, lists: Iterable[PhraseList]) -> None:
        self._lists = tuple(lists)
        self.names = tuple(item.name for item in self._lists)
        self.own_words = frozenset(item.name for item in self._lists if item.own_words)
        self.telling = frozenset(item.name for item in self._lists if not item.helper)
        self._starts = _Starts()
        self._remembered: dict[str, frozenset[str]] = {}
        for item in self._lists:
            for phrases, ignored in ((item.phrases, False), (item.ignoring, True)):
                for phrase in phrases:
                    self._index(_Phrase(item.name, tuple(_words(phrase)), ignored))

        endings = "|".join(map(re.escape, sorted(self._starts.ends, key=len, reverse=True)))
        self._ending = re.compile(f"(?=({endings}))" if endings else r"(?!)")

    def _index(self, phrase: _Phrase) -> None:
        first = phrase.words[0]
        if first.startswith("*"):
            self._starts.ends.setdefault(first.strip("*"), []).append(phrase)
        elif first.endswith("*"):
            self._starts.stems.setdefault(first[:_SHORTEST_STEM], []).append(phrase)
        else:
            self._starts.whole.setdefault(first, []).append(phrase)

    def read(self, text: str) -> frozenset[str]:
        """Return the names of the lists with a phrase in a text.

        >>> lists = [PhraseList("negation", ["no"]), PhraseList("root", ["radicul*"], unless=["negation"])]
        >>> sorted(Lexicon(lists).read("No radiculopathy")), sorted(Lexicon(lists).read("radicular pain"))
        (['negation'], ['root'])
        """
        found = self._remembered.get(text)
        if found is None:
            found = self._read(text[:LONGEST_TEXT])
            if len(self._remembered) < _REMEMBERED and len(text) <= _LONGEST_REMEMBERED:
                self._remembered[text] = found
        return found

    def _read(self, text: str) -> frozenset[str]:
        tokens = _TOKEN.findall(folded(text))
        matches = list(self._matches(tokens))
        if not matches:
            return frozenset()
        ignored = {(phrase.name, place) for phrase, places in matches if phrase.ignored for place in places}
        met = {
            phrase.name
            for phrase, places in matches
            if not phrase.ignored and not (ignored and any((phrase.name, place) in ignored for place in places))
        }
        found: set[str] = set()
        for item in self._lists:
            met_here = item.name in met or (bool(item.all_of) and found.issuperset(item.all_of))
            undone = not found.isdisjoint(item.unless)
            placed_elsewhere = not found.isdisjoint(item.elsewhere) and found.isdisjoint(item.here)
            if met_here and not undone and not placed_elsewhere:
                found.add(item.name)
        return frozenset(found)

    def _matches(self, tokens: Sequence[str]) -> Iterator[tuple[_Phrase, range]]:
        starts = self._starts
        for place, token in enumerate(tokens):
            candidates = [*starts.whole.get(token, ()), *starts.stems.get(token[:_SHORTEST_STEM], ())]
            for ending in self._ending.findall(token):
                candidates += starts.ends[ending]
            for phrase in candidates:
                end = _end(phrase.words, tokens, place)
                if end:
                    yield phrase, range(place, end)


def read(document: Mapping[str, Any]) -> Lexicon:
    """Return the lexicon of terms.toml.

    Raises:
        KnowledgeError: an entry is wrong; the message names file, entry and key.
    """
    lists: list[PhraseList] = []
    for name, entry in document.items():
        where = f"terms.toml: {name}"
        check_keys(where, entry, {}, _KEYS)
        above = [item.name for item in lists]
        for key in _REFERRING:
            for other in entry.get(key, ()):
                if other not in above:
                    raise KnowledgeError(f"{where}: {key}: {unknown('list above it', other, above)}")
        lists.append(PhraseList(name, **entry))
    return Lexicon(lists)


def folded(text: str) -> str:
    """Return a text in lowercase and without accents, for matching."""
    lowered = text.casefold()
    if lowered.isascii():
        return lowered
    return "".join(char for char in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(char))


def _words(phrase: str) -> Iterator[str]:
    """Yield the words of a phrase, with their asterisks, and its gaps."""
    for part in phrase.split():
        if part == _GAP:
            yield part
            continue
        yield from re.findall(r"\*?\w+\*?", folded(part))


def _end(words: Sequence[str], tokens: Sequence[str], place: int) -> int:
    """Return where a phrase that begins at `place` ends, or 0 if it does not match there."""
    gap = 0
    for word in words:
        if word == _GAP:
            gap = _WIDEST_GAP
            continue
        for at in range(place, min(place + gap + 1, len(tokens))):
            if _is(word, tokens[at]):
                place = at + 1
                break
        else:
            return 0
        gap = 0
    return place


def _is(word: str, token: str) -> bool:
    if word[-1] == "*":
        return word[1:-1] in token if word[0] == "*" else token.startswith(word[:-1])
    return token.endswith(word[1:]) if word[0] == "*" else token == word
