"""Reads a guideline's knowledge folder at start and refuses what is wrong by file, entry and key."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cds_service.decision import Condition, FactSpace, FactValue, Note, Rule, Table, never_reached
from cds_service.errors import KnowledgeError

INDICATORS = ("info", "warning", "critical")
READ_AS = ("full text", "abstract", "guideline summary", "source document only")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One citable statement.

    Attributes:
        id: how cards cite it.
        strength: of the recommendation, in the source's own words.
        certainty: of the evidence, in the source's own words.
        url: where to read it; "" when no primary source is known.
        reviewed: when somebody last checked it against its source.
        next_review: when that is due again.
        read_as: how it could be checked against its source, beginning with one of READ_AS.
        remark: what the maintainers add, on the evidence page only; "" for nothing.
        context: shown on the evidence page only.
    """

    id: str
    label: str
    statement: str
    population: str
    strength: str
    certainty: str
    citation: str
    url: str
    reviewed: date
    next_review: date
    read_as: str
    remark: str
    context: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """What the [guideline] table says: whose content this is and when it is reviewed."""

    id: str
    title: str
    version: str
    owner: str
    reviewed: date
    next_review: date
    closing: str


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A guideline's content: identity, evidence and decision table, and a fingerprint of all its files."""

    identity: Identity
    evidence: Mapping[str, Evidence]
    table: Table
    fingerprint: str

    @property
    def version(self) -> str:
        """Return the version that every answer carries: number and fingerprint."""
        return f"{self.identity.version}+{self.fingerprint}"


_GUIDELINE_KEYS = {"id": str, "title": str, "version": str, "owner": str, "closing": str}
_EVIDENCE_KEYS = dict.fromkeys(
    ("label", "statement", "population", "strength", "certainty", "citation", "read_as"), str
)
_REVIEW_KEYS = {"reviewed": date, "next_review": date}
_RULE_TEXTS = {"summary": str, "detail": str, "topic": str, "source": str}


def load(folder: Path, space: FactSpace, suggestions: tuple[str, ...]) -> Knowledge:
    """Load rules.toml and evidence.toml of a knowledge folder.

    Args:
        folder: the folder.
        space: every fact and the values it can have.
        suggestions: the names of the suggestions that the guideline can make.

    Raises:
        KnowledgeError: something is wrong; the message names file, entry and key.
    """
    evidence = _evidence(_toml(folder / "evidence.toml"))
    document = _toml(folder / "rules.toml")
    known = {"guideline", "rule", "note"}
    for key in document.keys() - known:
        raise KnowledgeError(f"rules.toml: {key}: there is no such table; there are {', '.join(sorted(known))}")
    header = document.get("guideline")
    if not isinstance(header, dict):
        raise KnowledgeError("rules.toml: guideline: the table is missing")
    where = "rules.toml: guideline"
    _check(where, header, {**_GUIDELINE_KEYS, **_REVIEW_KEYS})
    rules = tuple(_rule(entry, space, evidence, suggestions) for entry in _tables(document, "rule"))
    notes = tuple(_note(entry, space, evidence, suggestions, rules) for entry in _tables(document, "note"))
    table = Table(rules, notes)
    _check_table(table, space, evidence)
    return Knowledge(Identity(**header), evidence, table, fingerprint(folder))


def fingerprint(folder: Path) -> str:
    """Return the first 12 digits of a hash over all knowledge files, so that a changed text is never mistaken."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".toml", ".json"):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KnowledgeError(f"{path.name}: the file is missing") from None
    except tomllib.TOMLDecodeError as fault:
        raise KnowledgeError(f"{path.name}: is not TOML: {fault}") from None


def _tables(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    tables = document.get(name, [])
    if not isinstance(tables, list):
        raise KnowledgeError(f"rules.toml: {name}: write [[{name}]], with two brackets")
    return tables


def _check(where: str, entry: Mapping[str, Any], required: Mapping[str, type], optional: tuple[str, ...] = ()) -> None:
    """Refuse missing, unknown and wrong-typed keys of one entry."""
    for key in entry:
        if key not in required and key not in optional:
            raise KnowledgeError(f"{where}: {_unknown('key', key, (*required, *optional))}")
    for key, kind in required.items():
        if key not in entry:
            raise KnowledgeError(f"{where}: {key}: is missing")
        if type(entry[key]) is not kind or entry[key] == "":
            words = {str: "text", list: "a list", dict: "a table", date: "a date such as 2026-11-23"}[kind]
            raise KnowledgeError(f"{where}: {key}: must be {words}")


def _unknown(what: str, name: object, known: tuple[object, ...]) -> str:
    close = get_close_matches(str(name), [str(item) for item in known], n=1)
    return f"no {what} is called {str(name)!r}" + (f"; did you mean {close[0]!r}?" if close else "")


def _evidence(document: Mapping[str, Any]) -> dict[str, Evidence]:
    found: dict[str, Evidence] = {}
    for name, entry in document.items():
        where = f"evidence.toml: {name}"
        if not isinstance(entry, dict):
            raise KnowledgeError(f"{where}: must be a table, [{name}]")
        _check(where, entry, {**_EVIDENCE_KEYS, **_REVIEW_KEYS}, ("url", "remark", "context"))
        if not entry["read_as"].startswith(READ_AS):
            raise KnowledgeError(f"{where}: read_as: must begin with one of {', '.join(READ_AS)}")
        if entry["next_review"] <= entry["reviewed"]:
            raise KnowledgeError(f"{where}: next_review: must be after reviewed")
        found[name] = Evidence(**{"id": name, "url": "", "remark": "", "context": False, **entry})
    return found


def _rule(
    entry: dict[str, Any], space: FactSpace, evidence: Mapping[str, Evidence], suggestions: tuple[str, ...]
) -> Rule:
    where = f"rules.toml: rule {entry.get('id', '(without id)')}"
    if entry.get("silent") is True:
        _check(where, entry, {"id": str, "name": str, "when": dict}, ("silent",))
        return Rule(entry["id"], entry["name"], _when(where, entry["when"], space), silent=True)
    required = {"id": str, "name": str, "when": dict, "indicator": str, "evidence": list, **_RULE_TEXTS}
    _check(where, entry, required, ("suggestions", "silent"))
    if entry["indicator"] not in INDICATORS:
        raise KnowledgeError(f"{where}: indicator: must be one of {', '.join(INDICATORS)}")
    if not entry["topic"].isalnum() or len(entry["topic"]) > 100:
        raise KnowledgeError(f"{where}: topic: must be letters and digits, at most 100")
    _check_cited(where, (*entry["evidence"], entry["source"]), evidence)
    _check_suggestions(where, entry.get("suggestions", []), suggestions)
    return Rule(
        id=entry["id"],
        name=entry["name"],
        when=_when(where, entry["when"], space),
        indicator=entry["indicator"],
        evidence=tuple(entry["evidence"]),
        suggestions=tuple(entry.get("suggestions", ())),
        **{key: entry[key] for key in _RULE_TEXTS},
    )


def _note(
    entry: dict[str, Any],
    space: FactSpace,
    evidence: Mapping[str, Evidence],
    suggestions: tuple[str, ...],
    rules: tuple[Rule, ...],
) -> Note:
    where = f"rules.toml: note {entry.get('id', '(without id)')}"
    required = {"id": str, "rules": list, "when": dict, "text": str}
    _check(where, entry, required, ("evidence", "checklist", "suggestion"))
    for name in entry["rules"]:
        if name not in {rule.id for rule in rules if not rule.silent}:
            carded = tuple(rule.id for rule in rules if not rule.silent)
            raise KnowledgeError(f"{where}: rules: {_unknown('rule with a card', name, carded)}")
    _check_cited(where, entry.get("evidence", ()), evidence)
    _check_suggestions(where, [entry["suggestion"]] if "suggestion" in entry else [], suggestions)
    return Note(
        id=entry["id"],
        rules=tuple(entry["rules"]),
        when=_when(where, entry["when"], space),
        text=entry["text"],
        evidence=tuple(entry.get("evidence", ())),
        checklist=entry.get("checklist", False) is True,
        suggestion=entry.get("suggestion", ""),
    )


def _when(where: str, conditions: Mapping[str, Any], space: FactSpace) -> tuple[Condition, ...]:
    found = []
    for fact, wanted in conditions.items():
        if fact not in space:
            raise KnowledgeError(f"{where}: when: {_unknown('finding', fact, tuple(space))}")
        accepted: tuple[FactValue, ...] = tuple(wanted) if isinstance(wanted, list) else (wanted,)
        for value in accepted:
            if not any(value is possible or (type(value) is str and value == possible) for possible in space[fact]):
                close = get_close_matches(str(value), [str(possible) for possible in space[fact]], n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise KnowledgeError(f"{where}: when: {fact} is never {value!r}{hint}")
        found.append(Condition(fact, accepted))
    return tuple(found)


def _check_cited(where: str, ids: tuple[object, ...] | list[object], evidence: Mapping[str, Evidence]) -> None:
    for name in ids:
        if name not in evidence:
            raise KnowledgeError(f"{where}: evidence: {name} is not in evidence.toml")


def _check_suggestions(where: str, names: list[object], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise KnowledgeError(f"{where}: suggestions: {_unknown('suggestion', name, known)}")


def _check_table(table: Table, space: FactSpace, evidence: Mapping[str, Evidence]) -> None:
    """Refuse a table that is not total, repeats an id, has a row nobody reaches or evidence nobody cites."""
    for kind, ids in (("rule", [rule.id for rule in table.rules]), ("note", [note.id for note in table.notes])):
        for name in ids:
            if ids.count(name) > 1:
                raise KnowledgeError(f"rules.toml: {kind} {name}: the id is used twice")
    if not table.rules:
        raise KnowledgeError("rules.toml: rule: there must be at least one")
    if table.rules[-1].when:
        raise KnowledgeError(
            f"rules.toml: rule {table.rules[-1].id}: the last rule must have no conditions, "
            "so that every patient gets an answer"
        )
    if unreached := never_reached(table, space):
        raise KnowledgeError(
            f"rules.toml: never reached: {', '.join(unreached)} (an earlier rule takes every such patient)"
        )
    cited = {name for rule in table.rules for name in rule.evidence}
    cited |= {name for note in table.notes for name in note.evidence}
    for name in evidence:
        if name not in cited and not evidence[name].context:
            raise KnowledgeError(f"evidence.toml: {name}: is cited by no rule or note")
