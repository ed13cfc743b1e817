"""Codes of other systems, such as national ICD-10s, ICPC and ATC, to value sets: tables in one TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.fhir.systems import canonical, categories

NOT_RECOGNIZED = "not-recognized"
"""In place of a value set: these codes are in none, although a shorter code is."""
_KEYS = frozenset({"title", "systems", "codes"})


@dataclass(frozen=True, slots=True)
class CodeTable:
    """One family of code systems that share their codes.

    Attributes:
        title: the family's common name.
        systems: the canonical addresses of its systems.
        listed: its codes as they are written in the file, by value set.
        codes: the value sets of each plain code, which stands for its subcodes too.
        patterns: the value sets of codes with `?` for any one character, for what `codes` does not hold.
    """

    title: str
    systems: tuple[str, ...]
    listed: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, frozenset[str]]
    patterns: tuple[tuple[re.Pattern[str], frozenset[str]], ...]

    def value_sets(self, plain_code: str) -> frozenset[str]:
        """Return the value sets of a code: those of the longest code in the table that it begins with."""
        for length in range(len(plain_code), 2, -1):
            found = self.codes.get(plain_code[:length])
            if found is not None:
                return found
        return next((found for pattern, found in self.patterns if pattern.match(plain_code)), frozenset())


def load(path: Path, value_sets: Collection[str]) -> tuple[CodeTable, ...]:
    """Load the tables of a file.

    Args:
        value_sets: ids of the value sets that a table may name.

    Raises:
        KnowledgeError: something is wrong; the message names file, table and key.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as fault:
        raise KnowledgeError(f"{path.name}: is not TOML: {fault}") from None
    tables = tuple(_table(f"{path.name}: {name}", entry, value_sets) for name, entry in document.items())
    systems = [system for table in tables for system in table.systems]
    for system in systems:
        if systems.count(system) > 1:
            raise KnowledgeError(f"{path.name}: {system} is listed twice; a system belongs to one table")
    return tables


def _table(where: str, entry: Any, value_sets: Collection[str]) -> CodeTable:
    if not isinstance(entry, dict) or entry.keys() != _KEYS:
        raise KnowledgeError(f"{where}: must be a table with title, systems and codes")
    if not isinstance(entry["title"], str) or not isinstance(entry["codes"], dict) or not _are_texts(entry["systems"]):
        raise KnowledgeError(f"{where}: title must be text, systems a list of texts, codes a table")
    codes: dict[str, set[str]] = {}
    patterns: dict[str, set[str]] = {}
    for name, listed in entry["codes"].items():
        if name not in value_sets and name != NOT_RECOGNIZED:
            raise KnowledgeError(f"{where}: codes: {name!r} is not a value set of this guideline")
        if not _are_texts(listed):
            raise KnowledgeError(f"{where}: codes: {name}: must list codes as text")
        for code in listed:
            for category in categories(code):
                found = (patterns if "?" in category else codes).setdefault(category, set())
                found |= {name} - {NOT_RECOGNIZED}
    return CodeTable(
        entry["title"],
        tuple(canonical(system) or system for system in entry["systems"]),
        {name: tuple(listed) for name, listed in entry["codes"].items()},
        {code: frozenset(found) for code, found in codes.items()},
        tuple((re.compile(code.replace("?", ".")), frozenset(found)) for code, found in patterns.items()),
    )


def _are_texts(listed: object) -> bool:
    return isinstance(listed, list) and bool(listed) and all(isinstance(item, str) and item.strip() for item in listed)
