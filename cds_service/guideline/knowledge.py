"""A guideline's knowledge folder, loaded completely at start: decision table, evidence, codes and words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.fhir import value_set_files
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline import citations, fact_words, orders, phrases, rules, suggestions, templates, toml_files
from cds_service.guideline.citations import Citations
from cds_service.guideline.fact_words import FactWords
from cds_service.guideline.orders import OrderKinds
from cds_service.guideline.phrases import Lexicon
from cds_service.guideline.rules import Evidence, Identity, Rules
from cds_service.guideline.suggestions import Actions
from cds_service.guideline.table import FactSpace, Rule, Table
from cds_service.guideline.templates import PrefetchTemplate
from cds_service.protocol.cards import SUMMARY_LIMIT, summary_length

LONGEST_NAME = 40
"""Longest name of a rule with its guideline, such as dry-needling/R1, that fits into a record."""


@dataclass(frozen=True, slots=True)
class SiteConfiguration:
    """A site's configuration of guidelines.

    Attributes:
        value_sets: a folder of ValueSet files whose codes extend the guideline's.
        public_url: URL at which clients and clinicians reach the service, without a trailing slash; cards link to it.
    """

    value_sets: Path | None = None
    public_url: str = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Review:
    """Who owns a guideline's content, and when it is reviewed."""

    version: str
    owner: str
    reviewed: date
    next_review: date
    statements: Mapping[str, date]
    """Next review of each citable statement, by its id."""

    def overdue(self, today: date) -> tuple[str, ...]:
        """Return what is past its review date: `guideline` for the content as a whole, or ids of statements."""
        late = [name for name, due in self.statements.items() if due < today]
        return (("guideline",) if self.next_review < today else ()) + tuple(late)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything in a guideline's folder.

    Attributes:
        fingerprint: hash over all files.
        preview: what the preview offers: `order` and `problem` with label and code, `site` with label and text.
    """

    identity: Identity
    evidence: Mapping[str, Evidence]
    table: Table
    value_sets: ValueSets
    lexicon: Lexicon
    orders: OrderKinds
    templates: tuple[PrefetchTemplate, ...]
    actions: Actions
    citations: Citations
    fact_words: FactWords
    preview: Mapping[str, list[dict[str, Any]]]
    fingerprint: str

    @property
    def version(self) -> str:
        """Return the version in every answer: number and fingerprint."""
        return f"{self.identity.version}+{self.fingerprint}"

    def name_of(self, rule: Rule) -> str:
        """Return the name of a rule with its guideline, as in records, metrics, reports and links."""
        return f"{self.identity.id}/{rule.id}"

    @property
    def review(self) -> Review:
        """Return who owns the content and when it is next reviewed."""
        identity = self.identity
        statements = {item.id: item.next_review for item in self.evidence.values()}
        return Review(self.version, identity.owner, identity.reviewed, identity.next_review, statements)


def load(folder: Path, space: FactSpace, site: SiteConfiguration) -> Knowledge:
    """Load a knowledge folder, and the codes that a site adds.

    Args:
        folder: the folder; its README explains each file.
        space: every fact and the values it can have.
        site: the site's configuration.

    Raises:
        KnowledgeError: a file is wrong; the message names file, entry and key.
    """
    lexicon = phrases.read(toml_files.read_if_there(folder / "terms.toml"))
    value_sets = value_set_files.load(folder / "value_sets", site.value_sets, lexicon)
    actions = suggestions.read(toml_files.read_if_there(folder / "actions.toml"), space)
    kinds = orders.read(toml_files.read_if_there(folder / "orders.toml"), value_sets, lexicon.names)
    content = rules.read(folder, space, tuple(actions.suggestions))
    check_summaries(content.table, kinds)
    _check_names(content)
    return Knowledge(
        identity=content.identity,
        evidence=content.evidence,
        table=content.table,
        value_sets=value_sets,
        lexicon=lexicon,
        orders=kinds,
        templates=templates.read(toml_files.read_if_there(folder / "prefetch.toml"), value_sets),
        actions=actions,
        citations=citations.cite(content, f"{site.public_url}/evidence"),
        fact_words=fact_words.read(toml_files.read_if_there(folder / "facts.toml"), space),
        # Next to the folder, not in it: it decides nothing, so a change is not a new version of the content.
        preview=toml_files.read_if_there(folder.parent / "preview.toml"),
        fingerprint=fingerprint(folder),
    )


def fingerprint(folder: Path) -> str:
    """Return the first 12 digits of a hash over all knowledge files, so that every change of content shows."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".toml", ".json"):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _check_names(content: Rules) -> None:
    """Refuse rules whose full name is too long for a record, or whose topic another rule has."""
    topics: dict[str, str] = {}
    for rule in content.table.rules:
        if rule.topic and (other := topics.setdefault(rule.topic, rule.id)) != rule.id:
            raise KnowledgeError(f"rules.toml: rule {rule.id}: topic: is that of rule {other} already")
        if len(f"{content.identity.id}/{rule.id}") > LONGEST_NAME:
            raise KnowledgeError(
                f"rules.toml: rule {rule.id}: id: must have at most {LONGEST_NAME} characters with the guideline's"
            )


def check_summaries(table: Table, kinds: OrderKinds) -> None:
    """Refuse summaries that would be too long (conformance R2) with the most orders a session can have.

    Raises:
        KnowledgeError: a summary is too long, or uses an unknown placeholder; the message names its rule.
    """
    longest = kinds.longest_words()
    for rule in table.rules:
        where = f"rules.toml: rule {rule.id}: summary"
        try:
            summary = rule.summary.format(order=longest)
        except (KeyError, IndexError, ValueError):
            raise KnowledgeError(f"{where}: {{order}} is the only placeholder") from None
        if summary_length(summary) >= SUMMARY_LIMIT:
            raise KnowledgeError(f"{where}: must stay under {SUMMARY_LIMIT} characters, also for several orders")
