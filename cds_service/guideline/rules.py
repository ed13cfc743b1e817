"""Reads rules.toml and evidence.toml at start; errors name file, entry and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.guideline import toml_files
from cds_service.guideline.table import Condition, FactSpace, FactValue, Note, Rule, Table, never_reached
from cds_service.guideline.toml_files import check_keys, did_you_mean, unknown

INDICATORS = ("info", "warning", "critical")
READ_AS = ("full text", "abstract", "guideline summary", "source document only")
PARTS = ("instead", "lead", "verdict", "why", "precaution", "line", "seen")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One citable statement.

    Attributes:
        id: how cards cite it.
        strength: strength of the recommendation, in the source's words.
        certainty: certainty of the evidence, in the source's words.
        url: the primary source; "" when none is known.
        reviewed: when it was last checked against its source.
        next_review: when it must be checked again.
        read_as: what it was checked from, beginning with one of READ_AS.
        remark: a remark of the maintainers, on the evidence page only; "" for none.
        disagrees: with what it disagrees, on the evidence page only, where such statements stand first; "" for none.
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
    disagrees: str
    context: bool

    @property
    def short(self) -> str:
        """Return its name in a card's Evidence line."""
        return self.label.replace(" guideline", "")


@dataclass(frozen=True, slots=True)
class Identity:
    """The [guideline] table: what this is, who owns the content, and when it is reviewed.

    Attributes:
        description: what its services do, as discovery lists it.
        usage: what they read, and what else a client should know.
        closing: the last line of every card.
    """

    id: str
    title: str
    description: str
    usage: str
    version: str
    owner: str
    reviewed: date
    next_review: date
    closing: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The content of rules.toml and evidence.toml: identity, statements by id, and the decision table."""

    identity: Identity
    evidence: Mapping[str, Evidence]
    table: Table


_GUIDELINE_KEYS = {
    "id": str, "title": str, "description": str, "usage": str, "version": str, "owner": str, "closing": str,
}  # fmt: skip
_EVIDENCE_KEYS = dict.fromkeys(
    ("label", "statement", "population", "strength", "certainty", "citation", "read_as"), str
)
_REVIEW_KEYS = {"reviewed": date, "next_review": date}
_RULE_TEXTS = {"summary": str, "detail": str, "topic": str}


def read(folder: Path, space: FactSpace, suggestions: Sequence[str]) -> Rules:
    """Read rules.toml and evidence.toml of a knowledge folder.

    Args:
        folder: the folder.
        space: every fact and the values it can have.
        suggestions: the names of the suggestions that the guideline can make.

    Raises:
        KnowledgeError: something is wrong; the message names file, entry and key.
    """
    evidence = _evidence(toml_files.read(folder / "evidence.toml"))
    document = toml_files.read(folder / "rules.toml")
    known = {"guideline", "rule", "note"}
    for key in document.keys() - known:
        raise KnowledgeError(f"rules.toml: {key}: there is no such table; there are {', '.join(sorted(known))}")
    header = document.get("guideline")
    if not isinstance(header, dict):
        raise KnowledgeError("rules.toml: guideline: the table is missing")
    check_keys("rules.toml: guideline", header, {**_GUIDELINE_KEYS, **_REVIEW_KEYS})
    rules = tuple(_rule(entry, space, evidence, suggestions) for entry in _tables(document, "rule"))
    notes = tuple(_note(entry, space, evidence, suggestions, rules) for entry in _tables(document, "note"))
    table = Table(rules, notes)
    _check_table(table, space, evidence)
    return Rules(Identity(**header), evidence, table)


def _tables(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    tables = document.get(name, [])
    if not isinstance(tables, list):
        raise KnowledgeError(f"rules.toml: {name}: write [[{name}]], with two brackets")
    return tables


def _evidence(document: Mapping[str, Any]) -> dict[str, Evidence]:
    found: dict[str, Evidence] = {}
    for name, entry in document.items():
        where = f"evidence.toml: {name}"
        check_keys(where, entry, {**_EVIDENCE_KEYS, **_REVIEW_KEYS}, ("url", "remark", "disagrees", "context"))
        if not entry["read_as"].startswith(READ_AS):
            raise KnowledgeError(f"{where}: read_as: must begin with one of {', '.join(READ_AS)}")
        if entry["next_review"] <= entry["reviewed"]:
            raise KnowledgeError(f"{where}: next_review: must be after reviewed")
        left_out = {"url": "", "remark": "", "disagrees": "", "context": False}
        found[name] = Evidence(**{"id": name, **left_out, **entry})
    return found


def _rule(
    entry: dict[str, Any], space: FactSpace, evidence: Mapping[str, Evidence], suggestions: Sequence[str]
) -> Rule:
    where = f"rules.toml: rule {entry.get('id', '(without id)')}"
    if entry.get("silent") is True:
        check_keys(where, entry, {"id": str, "name": str, "when": dict}, ("silent",))
        return Rule(entry["id"], entry["name"], conditions(where, entry["when"], space), silent=True)
    required = {"id": str, "name": str, "when": dict, "indicator": str, "evidence": list, **_RULE_TEXTS}
    check_keys(where, entry, required, ("suggestions", "silent", "next", "info_when", "source"))
    if entry["indicator"] not in INDICATORS:
        raise KnowledgeError(f"{where}: indicator: must be one of {', '.join(INDICATORS)}")
    if not entry["topic"].isalnum() or len(entry["topic"]) > 100:
        raise KnowledgeError(f"{where}: topic: must be letters and digits, at most 100")
    _check_cited(where, (*entry["evidence"], *([entry["source"]] if "source" in entry else ())), evidence)
    _check_suggestions(where, entry.get("suggestions", []), suggestions)
    return Rule(
        id=entry["id"],
        name=entry["name"],
        when=conditions(where, entry["when"], space),
        indicator=entry["indicator"],
        evidence=tuple(entry["evidence"]),
        suggestions=tuple(entry.get("suggestions", ())),
        next=entry.get("next", ""),
        source=entry.get("source", ""),
        info_when=conditions(where, entry.get("info_when", {}), space),
        **{key: entry[key] for key in _RULE_TEXTS},
    )


def _note(
    entry: dict[str, Any],
    space: FactSpace,
    evidence: Mapping[str, Evidence],
    suggestions: Sequence[str],
    rules: tuple[Rule, ...],
) -> Note:
    where = f"rules.toml: note {entry.get('id', '(without id)')}"
    carded = tuple(rule.id for rule in rules if not rule.silent)
    if entry.get("rules") == "all":
        entry = {**entry, "rules": list(carded)}
    required = {"id": str, "rules": list, "when": dict, "text": str}
    check_keys(where, entry, required, ("evidence", "part", "suggestion"))
    if (part := entry.get("part", "line")) not in PARTS:
        raise KnowledgeError(f"{where}: part: {unknown('part', part, PARTS)}")
    for name in entry["rules"]:
        if name not in carded:
            raise KnowledgeError(f"{where}: rules: {unknown('rule with a card', name, carded)}")
    _check_cited(where, entry.get("evidence", ()), evidence)
    _check_suggestions(where, [entry["suggestion"]] if "suggestion" in entry else [], suggestions)
    return Note(
        id=entry["id"],
        rules=tuple(entry["rules"]),
        when=conditions(where, entry["when"], space),
        text=entry["text"],
        evidence=tuple(entry.get("evidence", ())),
        part=part,
        suggestion=entry.get("suggestion", ""),
    )


def conditions(where: str, when: Mapping[str, Any], space: FactSpace) -> tuple[Condition, ...]:
    """Read a `when`: facts, each with the value or the list of values that it may have.

    Raises:
        KnowledgeError: there is no such fact, or it never has this value.
    """
    found = []
    for fact, accepted in when.items():
        if fact not in space:
            raise KnowledgeError(f"{where}: when: {unknown('finding', fact, tuple(space))}")
        values: tuple[FactValue, ...] = tuple(accepted) if isinstance(accepted, list) else (accepted,)
        for value in values:
            if not any(value is possible or (type(value) is str and value == possible) for possible in space[fact]):
                raise KnowledgeError(f"{where}: when: {fact} is never {value!r}{did_you_mean(value, space[fact])}")
        found.append(Condition(fact, values))
    return tuple(found)


def _check_cited(where: str, ids: tuple[object, ...] | list[object], evidence: Mapping[str, Evidence]) -> None:
    for name in ids:
        if name not in evidence:
            raise KnowledgeError(f"{where}: evidence: {name} is not in evidence.toml")


def _check_suggestions(where: str, names: list[object], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise KnowledgeError(f"{where}: suggestions: {unknown('suggestion', name, known)}")


def _check_table(table: Table, space: FactSpace, evidence: Mapping[str, Evidence]) -> None:
    """Refuse a table that is not total, repeats an id, has an unreachable rule, or evidence that is never cited."""
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
