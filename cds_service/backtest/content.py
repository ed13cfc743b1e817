"""Two knowledge folders side by side: their rules and facts, and every text, statement and code that differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cds_service.backtest.boxes import OTHER
from cds_service.errors import KnowledgeError
from cds_service.guideline import toml_files
from cds_service.guideline.table import Condition, FactSpace, FactValue, Rule


@dataclass(frozen=True, slots=True)
class Folder:
    """A knowledge folder as its files are written, whichever version of the facts it was written for.

    Attributes:
        guideline: the id it gives.
        version: the version it gives.
        rules: its decision table.
        documents: every TOML file, by name.
        value_sets: the codes of every value set, by id; whole branches of codes with a star.
    """

    guideline: str
    version: str
    rules: tuple[Rule, ...]
    documents: Mapping[str, Mapping[str, Any]]
    value_sets: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between files: where it is, and what stood and stands there; "" for nothing."""

    place: str
    old: str
    new: str


def pair(old: Path, new: Path) -> tuple[Folder, Folder]:
    """Read two knowledge folders of one guideline.

    Raises:
        KnowledgeError: one of them is none, or they are of two guidelines.
    """
    before, after = read(old), read(new)
    if before.guideline != after.guideline:
        raise KnowledgeError(f"the folders are of two guidelines, {before.guideline} and {after.guideline}")
    return before, after


def read(folder: Path) -> Folder:
    """Read a knowledge folder.

    Raises:
        KnowledgeError: it is none; the message names the file.
    """
    documents = {path.stem: toml_files.read(path) for path in sorted(folder.glob("*.toml"))}
    if "rules" not in documents:
        raise KnowledgeError(f"{folder}: rules.toml: the file is missing")
    table = documents["rules"]
    try:
        rules = tuple(_rule(entry) for entry in table["rule"])
        guideline = table["guideline"]
        if not rules or rules[-1].when:
            raise KnowledgeError(f"{folder}: rules.toml: the last rule must have no conditions")
        sets = dict(_value_set(path) for path in sorted((folder / "value_sets").glob("*.json")))
        return Folder(guideline["id"], guideline["version"], rules, documents, sets)
    except (KeyError, TypeError, AttributeError):
        raise KnowledgeError(f"{folder}: is not a knowledge folder as its README describes one") from None


def _rule(entry: Mapping[str, Any]) -> Rule:
    when = [
        Condition(fact, tuple(accepted) if isinstance(accepted, list) else (accepted,))
        for fact, accepted in entry["when"].items()
    ]
    return Rule(entry["id"], entry["name"], tuple(when), entry.get("silent") is True, entry.get("indicator", ""))


def _value_set(path: Path) -> tuple[str, frozenset[str]]:
    try:
        resource = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        raise KnowledgeError(f"{path.name}: is not JSON") from None
    return resource["id"], frozenset(_codes(resource["compose"]))


def _codes(compose: Mapping[str, Any]) -> Iterator[str]:
    for include in compose["include"]:
        yield from (f"{include['system']}|{concept['code']}" for concept in include.get("concept", ()))
        yield from (f"{include['system']}|{category['value']}*" for category in include.get("filter", ()))
    for exclude in compose.get("exclude", ()):
        yield from (f"without {category['property']} {category['value']}" for category in exclude["filter"])


def tested(old: Folder, new: Folder, known: FactSpace) -> dict[str, tuple[FactValue, ...]]:
    """Return the facts that rules of either folder test, with the values each can have.

    Args:
        known: the facts of the guideline as it is now; for other facts, the values that rules name, and any other.
    """
    named: dict[str, list[FactValue]] = {}
    for rule in (*old.rules, *new.rules):
        for condition in rule.when:
            named.setdefault(condition.fact, []).extend(condition.accepted)
    return {fact: tuple(dict.fromkeys((*_rest(fact, values, known), *values))) for fact, values in named.items()}


def _rest(fact: str, values: list[FactValue], known: FactSpace) -> tuple[FactValue, ...]:
    if fact in known:
        return tuple(value if isinstance(value, bool) else str(value) for value in known[fact])
    return (True, False) if all(isinstance(value, bool) for value in values) else (OTHER,)


def changes(old: Folder, new: Folder) -> Iterator[Change]:
    """Yield every difference of rules, notes, statements, words and value sets."""
    for name in dict.fromkeys((*old.documents, *new.documents)):
        yield from _differences(f"{name}.toml", _by_id(old.documents.get(name)), _by_id(new.documents.get(name)))
    for name in dict.fromkeys((*old.value_sets, *new.value_sets)):
        before, after = old.value_sets.get(name, frozenset()), new.value_sets.get(name, frozenset())
        if before != after:
            yield Change(f"value set {name}", ", ".join(sorted(before - after)), ", ".join(sorted(after - before)))


def _by_id(value: Any) -> Any:
    """Return a document whose lists of tables are tables by id, so that one more in between is one difference."""
    if not isinstance(value, Mapping):
        return value
    found = {}
    for key, part in value.items():
        listed = isinstance(part, list) and part and all(isinstance(item, dict) and "id" in item for item in part)
        found[key] = {item["id"]: item for item in part} if listed else part
    return found


def _differences(place: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            yield from _differences(f"{place}: {key}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and sorted(map(_words, old)) != sorted(map(_words, new)):
        gone, come = [item for item in old if item not in new], [item for item in new if item not in old]
        yield Change(place, _words(gone), _words(come))
    else:
        yield Change(place, _words(old), _words(new))


def _words(value: Any) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_words(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
