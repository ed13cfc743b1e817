"""A report as a table for the terminal, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from cds_service.store.report import Group, Report

HEADINGS = ("cards", "accepted", "overridden", "no response", "repeats withheld")

GROUPINGS = (
    ("By rule", "rule", "by_rule"),
    ("By hook", "hook", "by_hook"),
    ("By service", "service", "by_service"),
    ("By client", "client", "by_client"),
    ("By week", "week from", "weeks"),
)
"""Title, heading of the first column, and field of a report, in order of display."""


def period_in_words(report: Report) -> str:
    """Return the days and service that a report covers."""
    first, last = report.period.first, report.period.last
    days = {
        (False, False): "all days",
        (True, False): f"from {first}",
        (False, True): f"until {last}",
        (True, True): f"{first} to {last}",
    }[first is not None, last is not None]
    return f"{days} (UTC), {report.period.service or 'all services'}"


def figures(report: Report) -> list[tuple[str, str]]:
    """Return the figures of the whole period with their names."""
    total = report.total
    return [
        ("Calls", f"{report.calls:,}"),
        ("Orders in scope", f"{report.orders:,}"),
        ("Cards shown", f"{total.cards:,}"),
        ("Cards per 100 orders in scope", _number(report.cards_per_100_orders)),
        ("Cards per 1,000 calls", _number(report.cards_per_1000_calls)),
        ("Accepted", of_all(total.accepted, total.cards)),
        ("Overridden", of_all(total.overridden, total.cards)),
        ("No response", of_all(total.no_response, total.cards)),
        ("Repeats withheld", f"{total.repeats:,}"),
        ("Feedback on unknown cards", f"{report.unmatched:,}"),
        ("Median duration", _milliseconds(report.median_milliseconds)),
        ("95th percentile", _milliseconds(report.p95_milliseconds)),
    ]


def of_all(part: int, whole: int) -> str:
    """Return a count with its share, such as 3 (25 %)."""
    return f"{part:,} ({100 * part / whole:.0f} %)" if whole else f"{part:,}"


def cells(group: Group) -> tuple[int, int, int, int, int]:
    """Return the figures of a group in the order of the headings."""
    return group.cards, group.accepted, group.overridden, group.no_response, group.repeats


def as_table(report: Report) -> str:
    """Return the report for a terminal."""
    lines = [f"Report: {period_in_words(report)}", ""]
    lines += [f"  {name:<30} {value:>14}" for name, value in figures(report)]
    for title, first, field in GROUPINGS:
        rows = [
            (group.name, f"{group.cards:,}", *(of_all(n, group.cards) for n in cells(group)[1:4]), f"{group.repeats:,}")
            for group in getattr(report, field)
        ]
        lines += _section(title, (first, *HEADINGS), rows)
    ranked = [(code, f"{number:,}") for code, number in report.reasons]
    lines += _section("Override reasons", ("reason", "entries"), ranked)
    return "\n".join(lines)


def as_csv(report: Report) -> str:
    """Return every grouping as lines of one CSV table, with the grouping's name in the first column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("grouping", "name", *(heading.replace(" ", "_") for heading in HEADINGS)))
    writer.writerow(("all", "all", *cells(report.total)))
    for _, _, field in GROUPINGS:
        for group in getattr(report, field):
            writer.writerow((field.removeprefix("by_").removesuffix("s"), group.name, *cells(group)))
    return out.getvalue()


def as_document(report: Report) -> dict[str, Any]:
    """Return the report as plain data for JSON."""
    document = asdict(report)
    document["period"] = {
        "first": report.period.first.isoformat() if report.period.first else None,
        "last": report.period.last.isoformat() if report.period.last else None,
        "service": report.period.service or None,
    }
    document["total"]["no_response"] = report.total.no_response
    for _, _, field in GROUPINGS:
        for told, group in zip(document[field], getattr(report, field), strict=True):
            told["no_response"] = group.no_response
    return {
        **document,
        "cards_per_100_orders": report.cards_per_100_orders,
        "cards_per_1000_calls": report.cards_per_1000_calls,
        "calls_by_week": dict(report.calls_by_week),
        "reasons": dict(report.reasons),
    }


def _section(title: str, headings: Iterable[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    table = [tuple(headings), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    told = []
    for first, *others in table:
        figures_told = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        told.append("  " + "  ".join((first.ljust(widths[0]), *figures_told)))
    return ["", title, *told]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} ms"
