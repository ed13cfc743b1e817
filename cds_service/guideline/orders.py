"""The kinds of orders in a guideline's scope (orders.toml): how to recognize them, and how a card names them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.fhir.concepts import Concept
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline.toml_files import check_keys, unknown

MOST_ORDERS = 1000
"""The most orders of each kind for which a card's summary has room."""


@dataclass(frozen=True, slots=True)
class OrderKind:
    """One kind of order.

    Attributes:
        id: its name in facts and findings, such as dry-needling.
        name: how a summary names it, such as Dry needling.
        value_set: the codes that mark it.
        phrases: a phrase list that marks it as a last resort; "" for none.
        unless: value sets whose codes rule the words out.
    """

    id: str
    name: str
    value_set: str
    phrases: str = ""
    unless: frozenset[str] = frozenset()


class OrderKinds:
    """All kinds of orders of a guideline; empty for a guideline without orders."""

    def __init__(self, kinds: Sequence[OrderKind]) -> None:
        self._kinds = {kind.id: kind for kind in kinds}
        self.value_sets = frozenset(kind.value_set for kind in kinds)

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def kind_of(self, concept: Concept) -> str:
        """Return the id of a concept's kind, or "". Codes decide; words are the last resort."""
        for kind in self._kinds.values():
            if kind.value_set in concept.value_sets:
                return kind.id
        for kind in self._kinds.values():
            if kind.phrases in concept.said and kind.unless.isdisjoint(concept.value_sets):
                return kind.id
        return ""

    def name(self, kind: str) -> str:
        """Return how a card names a kind of order, or the patient if there is no order."""
        return self._kinds[kind].name if kind else "This patient"

    def words(self, kinds: Sequence[str]) -> str:
        """Return the orders of a card in words, such as "Dry needling (2 orders)"."""
        first, *others = dict.fromkeys(self.name(kind) for kind in kinds)
        words = " and ".join((first, *(name.lower() for name in others)))
        return words if len(kinds) == 1 else f"{words} ({len(kinds)} orders)"

    def longest_words(self) -> str:
        """Return the longest words that a card's orders can have."""
        return self.words([*self._kinds] * MOST_ORDERS if self._kinds else [""])


def read(document: Mapping[str, Any], value_sets: ValueSets, phrase_lists: Collection[str]) -> OrderKinds:
    """Read orders.toml.

    Raises:
        KnowledgeError: an entry is wrong; the message names file, entry and key.
    """
    kinds = []
    for name, entry in document.items():
        where = f"orders.toml: {name}"
        check_keys(where, entry, {"name": str, "value_set": str}, ("phrases", "unless"))
        for value_set in (entry["value_set"], *entry.get("unless", ())):
            if value_set not in value_sets.displays:
                raise KnowledgeError(f"{where}: {unknown('value set', value_set, tuple(value_sets.displays))}")
        if entry.get("phrases") and entry["phrases"] not in phrase_lists:
            raise KnowledgeError(f"{where}: phrases: {unknown('phrase list', entry['phrases'], tuple(phrase_lists))}")
        kinds.append(
            OrderKind(
                name, entry["name"], entry["value_set"], entry.get("phrases", ""), frozenset(entry.get("unless", ()))
            )
        )
    return OrderKinds(kinds)
