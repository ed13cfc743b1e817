"""FHIR ValueSet resources to membership: which value sets does this concept belong to?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from cds_service.fhir.chart_text import plain_line
from cds_service.fhir.code_tables import CodeTable
from cds_service.fhir.concepts import Concept, NoWords, Words
from cds_service.fhir.deadline import step
from cds_service.fhir.scan import AsSent, SentResource
from cds_service.fhir.shapes import Codings, coded_parts, present
from cds_service.fhir.systems import KNOWN, canonical, categories, plain, says_absent
from cds_service.limits import LONGEST_WORDS, MOST_READ

_SEMANTIC_TAG = re.compile(r"\s*\((?:finding|disorder|procedure|regime/therapy|body structure)\)$")
# Bounds of the memory that look-ups may take, whatever callers send.
_REMEMBERED = 20_000
_LONGEST_WORDS = 200
_MOST_CODINGS = 10
_LONGEST_FORM = 500
_LONGEST_ICD_CODE = 8
_SEVENTH_CHARACTER = 6
_NOTHING: frozenset[str] = frozenset()


class ValueSets:
    """All value sets of a guideline, indexed once so that a look-up is one dictionary access."""

    def __init__(
        self,
        resources: Iterable[Mapping[str, Any]],
        lexicon: Words | None = None,
        tables: Iterable[CodeTable] = (),
        of_site: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Index value sets.

        Args:
            resources: the guideline's: their code systems are known, so that a code that is in none is something else.
            lexicon: reads the words of concepts.
            tables: codes of other systems.
            of_site: what a site adds. A few local codes do not make their system known: the words of others count.
        """
        self._lexicon: Words = lexicon or NoWords()
        self.tables = tuple(tables)
        self._tables = {system: table for table in self.tables for system in table.systems}
        self._excluded: dict[str, frozenset[str]] = {}
        self._codes: dict[tuple[str, str], set[str]] = {}
        self._categories: dict[tuple[str, str], set[str]] = {}
        self._words: dict[str, set[str]] = {}
        self._standard: dict[tuple[str, str], set[str]] = {}
        self._by_form: dict[bytes, Concept] = {}
        self._remembered: dict[tuple[object, Codings], Concept] = {}
        self.displays: dict[str, dict[tuple[str, str], str]] = {}
        self._known = set(KNOWN)
        for resource in resources:
            self._index(resource)
        self._known |= {system for system, _ in (*self._codes, *self._categories)}
        for resource in of_site:
            self._index(resource)

    def _index(self, resource: Mapping[str, Any]) -> None:
        name = resource["id"]
        displays = self.displays.setdefault(name, {})
        for include in resource["compose"]["include"]:
            system = canonical(include["system"]) or include["system"]
            for concept in include.get("concept", ()):
                self._codes.setdefault((system, plain(system, concept["code"])), set()).add(name)
                displays[system, concept["code"]] = concept.get("display", concept["code"])
                for words in (concept.get("display"), *(d["value"] for d in concept.get("designation", ()))):
                    if words:
                        self._words.setdefault(_folded(words), set()).add(name)
                        self._standard.setdefault((system, plain(system, concept["code"])), set()).add(_folded(words))
            for category in include.get("filter", ()):
                for value in categories(category["value"]):
                    self._categories.setdefault((system, value), set()).add(name)
                display = category.get("extension", ({},))[0].get("valueString", category["value"])
                displays[system, category["value"] + "-"] = display
                self._words.setdefault(_folded(display), set()).add(name)
        # The one exclusion there is: seventh characters of ICD-10-CM, such as S for a sequela.
        for exclude in resource["compose"].get("exclude", ()):
            characters = frozenset(exclude["filter"][0]["value"].split(","))
            self._excluded[name] = self._excluded.get(name, _NOTHING) | characters

    def of_code(self, system: object, code: object) -> frozenset[str] | None:
        """Return the ids of the value sets a code is in; None for an unknown system."""
        name = canonical(system)
        if name is None or not (key := plain(name, code)):
            return None
        found = set(self._codes.get((name, key), ()))
        # A category stands for itself and all that begins with it, as ICD-10-CM is built.
        for length in range(3, min(len(key), _LONGEST_ICD_CODE) + 1):
            found |= self._categories.get((name, key[:length]), set())
        seventh = key[_SEVENTH_CHARACTER : _SEVENTH_CHARACTER + 1]
        found = {one for one in found if seventh not in self._excluded.get(one, _NOTHING)}
        table = self._tables.get(name)
        if table is not None:
            found |= table.value_sets(key)
        return frozenset(found) if found or table is not None or name in self._known else None

    def meaningful(self, resources: Sequence[AsSent]) -> list[AsSent]:
        """Return the resources whose code may mean something: one look-up for each of the others.

        Ends when it has more than are read for one call: whoever asks then refuses them.
        """
        return [*islice((one for one in resources if not self.of_sent(one).meaningless), MOST_READ + 1)]

    def telling(self, resources: Sequence[AsSent]) -> list[AsSent]:
        """Return the resources whose code, or whose words, may say something: one look-up for each of the others.

        Ends when it has more than are read for one call, as above.
        """
        return [*islice((one for one in resources if not self.says_nothing(self.of_sent(one))), MOST_READ + 1)]

    def says_nothing(self, concept: Concept) -> bool:
        """Return whether a concept has a known code that is in no value set, and no words that tell anything."""
        return concept.coded and not concept.value_sets and self._lexicon.telling.isdisjoint(concept.said)

    def of_sent(self, resource: AsSent) -> Concept:
        """Read the code of a resource; of one that was only looked at, by its JSON, which comes again and again."""
        form = bytes(resource.code) if isinstance(resource, SentResource) else b""
        known = self._by_form.get(form)
        if known is None:
            known = self.of_concept(resource.get("code"))
            if 0 < len(form) <= _LONGEST_FORM and len(self._by_form) < _REMEMBERED:
                self._by_form[form] = known
        return known

    def of_concept(self, concept: object) -> Concept:
        """Read a CodeableConcept, or what was sent in its place, whatever that is.

        Codes decide. Only when no coding is of a system we know do the exact words of a text or display count. The same
        concepts come again and again, in one chart and in the next, so what was read is remembered, within bounds.
        """
        step()
        text, key = coded_parts(concept)
        try:
            return self._remembered[text, key]
        except KeyError:
            read = self._read(text, key)
            if len(self._remembered) < _REMEMBERED and _is_short(text, key):
                self._remembered[text, key] = read
            return read
        except TypeError:  # a list or an object where a string belongs
            return self._read(text, key)

    def of_text(self, text: str) -> Concept:
        """Read words without a code."""
        texts = (text,) if text.strip() else ()
        return Concept(texts=texts, said=self._said(texts))

    def _said(self, texts: tuple[str, ...], codings: Codings = ()) -> frozenset[str]:
        """Return the word lists that texts match, the standard words of the codes beside them read for some only."""
        found: set[str] = set()
        for text in texts:
            if names := self._lexicon.read(text):
                own = self._lexicon.own_words
                found |= names if own.isdisjoint(names) or not self._is_standard(text, codings) else names - own
        return frozenset(found)

    def _is_standard(self, text: str, codings: Codings) -> bool:
        """Return whether a text is the standard words of one of the codes, as far as it is in our sets."""
        folded = _folded(text)
        return any(
            (name := canonical(system)) is not None and folded in self._standard.get((name, plain(name, code)), ())
            for system, code, _ in codings
        )

    def _read(self, text: object, codings: Codings) -> Concept:
        found = _NOTHING
        coded = elsewhere = unread = False
        for system, code, _ in codings:
            value_sets = self.of_code(system, code)
            if value_sets is not None:
                coded = True
                found |= value_sets
            elif present(code) is not None and not says_absent(system):
                unread |= canonical(system) in KNOWN
                elsewhere |= canonical(system) not in KNOWN and bool(plain(None, code))
        displays = (display for _, _, display in codings)
        texts = tuple(
            words for sent in (text, *displays) if isinstance(sent, str) and (words := plain_line(sent[:LONGEST_WORDS]))
        )
        if not coded:
            found = frozenset(name for words in texts for name in self._words.get(_folded(words), ()))
        return Concept(found, coded, elsewhere, texts, self._said(texts, codings), unread)


def _is_short(text: object, codings: Codings) -> bool:
    """Return whether a concept is short enough to be cached."""
    for coding in codings:
        for part in coding:
            if isinstance(part, str) and len(part) > _LONGEST_WORDS:
                return False
    return len(codings) < _MOST_CODINGS and (not isinstance(text, str) or len(text) <= _LONGEST_WORDS)


def _folded(words: str) -> str:
    """Return words as they are compared: without case, surplus spaces and SNOMED CT's semantic tag."""
    return _SEMANTIC_TAG.sub("", " ".join(words.lower().split()))
