"""Cards, traces and service lists as plain text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from textwrap import fill, indent

from cds_service.guideline.knowledge import Review
from cds_service.guideline.services import CdsService
from cds_service.guideline.trace import Trace, TracedDecision, TracedEntry, TracedRule
from cds_service.protocol.cards import Card

WIDTH = 100
_EMPHASIS = re.compile(r"(?<!\\)\*\*")
_LINK = re.compile(r"(?<!\\)\[([^\]]*)\]\(([^)]*)\)")
_ESCAPE = re.compile(r"\\([\\`*_\[\]<>|~#/.])")


def cards(found: Iterable[Card]) -> str:
    """Return cards as a clinician would read them."""
    return "\n\n".join(_card(card) for card in found) or "No card: the service has nothing to say about this call."


def _card(card: Card) -> str:
    summary = f"[{card['indicator'].upper()}] {card['summary']}"
    parts = [summary, _plain(card["detail"]), f"Source: {card['source']['label']}"]
    if "suggestions" in card:
        offered = [
            f"  {'*' if offer.get('isRecommended') else '-'} {offer['label']} ({offer['actions'][0]['type']})"
            for offer in card["suggestions"]
        ]
        parts.append("\n".join(["Suggestions (* recommended):", *offered]))
    return "\n\n".join(parts)


def _plain(markdown: str) -> str:
    text = _ESCAPE.sub(r"\1", _LINK.sub(r"\1 <\2>", _EMPHASIS.sub("", markdown)))
    return "\n".join(
        fill(line, WIDTH, subsequent_indent="  " if line.startswith("- ") else "", break_long_words=False)
        for line in text.split("\n")
    )


def explanation(trace: Trace) -> str:
    """Return a trace: orders seen, what was found and where, and every rule with why and why not."""
    lines = [
        "",
        f"Evaluated on {trace['evaluationDate']} with knowledge {trace['knowledgeVersion']}",
        "Draft orders:",
        *(f"  {_entry(order)}: {order['outcome']}" for order in trace["orders"]),
        *([f"  {trace['unmatchedSelections']} selections name no draft order"] if trace["unmatchedSelections"] else []),
        "Prefetch:",
        *(f"  {key}: {state}" for key, state in trace["prefetch"].items()),
    ]
    if trace["entriesAboutOthers"]:
        lines.append(f"  {trace['entriesAboutOthers']} entries about other patients were ignored")
    for decision in trace["decisions"]:
        lines += ["", f"{_entry(decision['order'])} -> {decision['rule']}", "Findings:", *_findings(decision)]
        lines += ["Rules:", *(_rule(step) for step in decision["rules"])]
        lines.append(f"Notes: {', '.join(note['note'] for note in decision['notes']) or 'none'}")
        for title, entries in (
            ("Could not be read", decision["unreadable"]),
            ("Elements that could not be read", decision["lost"]),
        ):
            if entries:
                lines += [f"{title}:", *(f"  {_entry(entry)}" for entry in entries)]
    return "\n".join(lines)


def _findings(decision: TracedDecision) -> Iterable[str]:
    for finding in decision["findings"]:
        yield f"  {finding['asks']}: {finding['words']}"
        for ground in finding["grounds"]:
            yield f"      {ground['role']}: {ground['words']}"
            yield from (f"        {entry['reference']}" for entry in ground["entries"])


def _rule(step: TracedRule) -> str:
    because = f" ({', '.join(step['because'])})" if step["because"] else ""
    return f"  {step['rule']} {step['name']}: {step['outcome']}{because}"


def _entry(entry: TracedEntry) -> str:
    return f"{entry['reference']} {entry['display']!r}"


def next_review(review: Review, today: date) -> str:
    """Return when a guideline's content is reviewed next, and what is overdue."""
    overdue = review.overdue(today)
    state = f"OVERDUE: {', '.join(overdue)}" if overdue else "nothing overdue"
    return f"next review {review.next_review.isoformat()}: {state}"


def services(found: Iterable[CdsService], today: date) -> str:
    """Return the services with their prefetch and the state of their content's review."""
    return "\n\n".join(_service(service, today) for service in found)


def _service(service: CdsService, today: date) -> str:
    review = service.knowledge.review
    prefetch = [
        f"  {template.key}{' (required)' if template.required else ''}: {template.query}"
        for template in service.knowledge.templates
    ]
    return "\n".join(
        [
            f"{service.id}  ({service.hook})",
            indent(fill(service.knowledge.identity.description, WIDTH - 2), "  "),
            f"  Content {review.version}, owner: {review.owner}",
            f"  Reviewed {review.reviewed.isoformat()}, {next_review(review, today)}",
            "  Prefetch:",
            *(f"  {line}" for line in prefetch),
        ]
    )
