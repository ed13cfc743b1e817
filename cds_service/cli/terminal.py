"""Cards, explanations and lists of services as text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from textwrap import fill, indent

import click

from cds_service.guideline.knowledge import Review
from cds_service.guideline.services import CdsService
from cds_service.guideline.trace import Trace, TracedDecision, TracedEntry, TracedFinding, TracedRule
from cds_service.protocol.cards import Card

WIDTH = 96
_INDENT = "  "
_BOLD = re.compile(r"(?<!\\)\*\*(.+?)(?<!\\)\*\*", re.DOTALL)
_LINK = re.compile(r"(?<!\\)\[([^\]]*)\]\(([^)]*)\)")
_ESCAPE = re.compile(r"\\([\\`*_\[\]<>|~#/.])")
_COLORS = {"info": "cyan", "warning": "yellow", "critical": "red"}
_STATES = {
    "prefetched": "sent",
    "fetched": "read from the FHIR server",
    "empty": "sent, with no entries",
    "absent": "not sent",
    "partial": "sent in part",
    "failed": "could not be read",
    "of-others": "about another patient, not used",
}
_DECIDED = "fired"
_LATER = "an earlier rule decided"


def cards(found: Iterable[Card]) -> str:
    """Return cards as a clinician would see them; colors are removed where the terminal has none."""
    return "\n\n".join(_card(card) for card in found) or "No card: the service has nothing to say about this call."


def _card(card: Card) -> str:
    indicator = card["indicator"]
    head = click.style(f"{indicator.upper()}:", fg=_COLORS[indicator], bold=True)
    parts = [f"{head} {click.style(card['summary'], bold=True)}", _detail(card["detail"])]
    if "suggestions" in card:
        offered = [
            f"  [ {offer['label']} ]{' (recommended)' if offer.get('isRecommended') else ''}"
            for offer in card["suggestions"]
        ]
        parts.append("\n".join(offered))
    about = [f"  Source: {card['source']['label']}"]
    if card.get("links"):
        about.append(f"  {card['links'][0]['label']}: {card['links'][0]['url']}")
    parts.append(click.style("\n".join(about), dim=True))
    return "\n\n".join(parts)


def _detail(markdown: str) -> str:
    """Return Markdown as indented lines: links by their label, as an EHR shows them, and bold words bold."""
    text = "\n".join(_filled(line) if line else "" for line in _LINK.sub(r"\1", markdown).split("\n"))
    return _ESCAPE.sub(r"\1", _BOLD.sub(lambda match: click.style(match[1], bold=True), text))


def _filled(line: str) -> str:
    further = _INDENT + ("  " if line.startswith("- ") else "")
    return fill(line, WIDTH, initial_indent=_INDENT, subsequent_indent=further, break_long_words=False)


def explanation(trace: Trace) -> str:
    """Return a trace in words: the orders, the data, and for each order which rule decided, why, and why no other."""
    lines = [
        "",
        _title(f"Why: {trace['guideline']}, as of {trace['evaluationDate']}, knowledge {trace['knowledgeVersion']}"),
        "",
        "Draft orders:",
        *(f"  {_entry(order)}: {order['outcome']}" for order in trace["orders"]),
    ]
    if trace["unmatchedSelections"]:
        lines.append(f"  Selected, but not among the draft orders: {trace['unmatchedSelections']}")
    lines += ["Data:", *(f"  {key}: {_STATES.get(state, state)}" for key, state in trace["prefetch"].items())]
    if trace["entriesAboutOthers"]:
        lines.append(f"  Entries about other patients, not used: {trace['entriesAboutOthers']}")
    for decision in trace["decisions"]:
        lines += ["", *_decision(decision)]
    return "\n".join(lines)


def _decision(decision: TracedDecision) -> Iterable[str]:
    rules = decision["rules"]
    fired = next(rule for rule in rules if rule["outcome"] == _DECIDED)
    yield _title(f"{_entry(decision['order'])}: rule {_name(fired)}")
    yield "Because:"
    yield from (f"  {reason}" for reason in fired["because"])
    found = [finding for finding in decision["findings"] if finding["grounds"]]
    yield "What the chart says:"
    yield from [line for finding in found for line in _finding(finding)] or ["  nothing that the rules ask about"]
    if decision["notes"]:
        yield "Lines that join the card, as far as there is room:"
        yield from (f"  {note['words']}" for note in decision["notes"])
    yield "Other rules, in order:"
    for rule in rules:
        if rule["outcome"] == _LATER:
            yield f"  {_name(rule)}: not reached, {fired['rule']} comes first"
        elif rule is not fired:
            yield f"  {_name(rule)}: does not apply ({'; '.join(rule['because'])})"
    yield "Everything else that was asked:"
    for finding in decision["findings"]:
        if not finding["grounds"]:
            yield from _finding(finding)
    for title, entries in (
        ("Entries that could not be read:", decision["unreadable"]),
        ("Entries with elements that could not be read:", decision["lost"]),
    ):
        if entries:
            yield title
            yield from (f"  {_entry(entry)}" for entry in entries)


def _finding(finding: TracedFinding) -> Iterable[str]:
    yield f"  {finding['asks']}: {finding['words']}"
    for ground in finding["grounds"]:
        entries = ", ".join(entry["reference"] for entry in ground["entries"])
        yield f"    {ground['role']}: {ground['words']}{f' ({entries})' if entries else ''}"


def _name(rule: TracedRule) -> str:
    return f"{rule['rule']} ({rule['name'].replace('-', ' ')})"


def _title(text: str) -> str:
    return click.style(text, bold=True)


def _entry(entry: TracedEntry) -> str:
    return f"{entry['display']} ({entry['reference']})"


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
