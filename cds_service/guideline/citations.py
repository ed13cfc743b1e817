"""Citations on cards: line, link and review dates of each statement, and each rule's source; made once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cds_service.guideline.rules import Evidence, Rules
from cds_service.guideline.table import Rule
from cds_service.protocol.cards import Coding, Link, Source

TOPIC_SYSTEM = "urn:dry-needling-cds:topic"


@dataclass(frozen=True, slots=True)
class Citation:
    """One statement as cards cite it.

    Attributes:
        line: in Markdown, with the population it is about, its strength and its certainty.
        link: to the primary source; None when none is known.
        reviews: its id and the dates of its last and next review, for machines.
    """

    line: str
    link: Link | None
    reviews: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Citations:
    """All citations of a guideline.

    Attributes:
        statements: by the statement's id.
        sources: where each rule's advice comes from, by the rule's id.
        pages: each rule's place on the evidence page, by the rule's id.
        lines: the Evidence line of each rule's card, in Markdown: the page and the rule's sources by name.
    """

    statements: Mapping[str, Citation]
    sources: Mapping[str, Source]
    pages: Mapping[str, Link]
    lines: Mapping[str, str]


def cite(content: Rules, evidence_url: str) -> Citations:
    """Prepare the citations of a guideline.

    Args:
        evidence_url: URL of the evidence page.
    """
    guideline = content.identity.id
    page = f"{evidence_url}/{guideline}"
    rules = [rule for rule in content.table.rules if not rule.silent]
    sources = {}
    for rule in rules:
        source = content.evidence.get(rule.source)
        topic = Coding(system=TOPIC_SYSTEM, code=rule.topic, display=rule.name.replace("-", " "))
        sources[rule.id] = Source(label=source.label if source else content.identity.title, topic=topic)
        if source and source.url:
            sources[rule.id]["url"] = source.url
    return Citations(
        statements={name: _citation(item) for name, item in content.evidence.items()},
        sources=sources,
        pages={rule.id: _link("Decision table and evidence", f"{page}#{guideline}-{rule.id}") for rule in rules},
        lines={rule.id: _line(rule, content, f"{page}#{guideline}-{rule.id}") for rule in rules},
    )


def _line(rule: Rule, content: Rules, page: str) -> str:
    sources = [content.evidence[name] for name in rule.evidence]
    named = dict.fromkeys(f"[{item.short}]({item.url})" if item.url else item.short for item in sources)
    return f"[Evidence]({page}): {', '.join(named)}." if named else f"[Evidence]({page})."


def _citation(item: Evidence) -> Citation:
    label = f"[{item.label}]({item.url})" if item.url else item.label
    strength = "" if item.strength in ("none stated", item.certainty) else f"{item.strength}; "
    return Citation(
        line=f"**{item.id}** {label}: {item.statement} Population: {item.population}. "
        f"Certainty: {strength}{item.certainty}.",
        link=_link(item.label, item.url) if item.url else None,
        reviews={"id": item.id, "reviewed": item.reviewed.isoformat(), "nextReview": item.next_review.isoformat()},
    )


def _link(label: str, url: str) -> Link:
    return Link(label=label, url=url, type="absolute")
