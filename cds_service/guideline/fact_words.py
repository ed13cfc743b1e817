"""Facts in words (facts.toml): what each fact asks, and what its values mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.guideline.table import Condition, FactSpace, FactValue
from cds_service.guideline.toml_files import check_keys, unknown


@dataclass(frozen=True, slots=True)
class FactWords:
    """The words of a guideline's facts.

    Attributes:
        asks: what each fact asks, such as "nerve-root diagnosis".
        answers: words for a value, by fact and value as text; may contain placeholders of notes.
    """

    asks: Mapping[str, str]
    answers: Mapping[str, Mapping[str, str]]

    def say(self, fact: str, value: FactValue, values: Mapping[str, str]) -> str:
        """Return a fact's answer in words, such as "none recognized among 14 active problems".

        Args:
            fact: the fact's name.
            value: its value.
            values: words for placeholders.
        """
        words = self.answers[fact].get(_text(value))
        return words.format_map(values) if words else plainly(value)

    def condition(self, condition: Condition) -> str:
        """Return what a rule tests, such as "low back pain: yes or in words"; placeholders stay as they are."""
        words = self.answers[condition.fact]
        accepted = (words.get(_text(value)) or plainly(value) for value in condition.accepted)
        return f"{self.asks[condition.fact]}: {' or '.join(accepted)}"


def read(document: Mapping[str, Any], space: FactSpace) -> FactWords:
    """Read facts.toml; a fact that it does not name is shown by its name.

    Args:
        document: the file.
        space: every fact and the values it can have.

    Raises:
        KnowledgeError: an entry is wrong; the message names file, entry and key.
    """
    asks = {fact: fact.replace("_", " ") for fact in space}
    answers: dict[str, Mapping[str, str]] = {fact: {} for fact in space}
    for fact, entry in document.items():
        where = f"facts.toml: {fact}"
        if fact not in space:
            raise KnowledgeError(f"facts.toml: {unknown('fact', fact, tuple(space))}")
        check_keys(where, entry, {"asks": str}, ("words",))
        possible = [_text(value) for value in space[fact]]
        for value in entry.get("words", {}):
            if value not in possible:
                raise KnowledgeError(f"{where}: words: {unknown('value', value, possible)}")
        asks[fact] = entry["asks"]
        answers[fact] = entry.get("words", {})
    return FactWords(asks, answers)


def plainly(value: FactValue) -> str:
    """Return a value without words in facts.toml as text: yes, no, or the value without hyphens."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).replace("-", " ")


def _text(value: FactValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
