"""Decisions to figures: how many cards, for whom and about what, how sure that is, and whether the sums match."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import pyarrow as pa

from cds_service.backtest import rows, traces
from cds_service.backtest.reading import Totals
from cds_service.backtest.run import Plan

SMALLEST = 11
"""A cell of fewer orders is told as `<11`: it might point at somebody."""
_SHOWN = 30
"""Clinicians and departments that are shown one by one."""
MOST_FAULTY = 0.001
"""Share of lines that may be faulty, and of orders that may fail, before a run counts as refused."""

Decision = Mapping[str, Any]


def small(number: int) -> int | str:
    """Return a count as it may be shown."""
    return f"<{SMALLEST}" if 0 < number < SMALLEST else number


def summarize(
    plan: Plan, identity: Mapping[str, Any], totals: Totals, table: pa.Table, most_traces: int
) -> dict[str, Any]:
    """Return everything that the report shows, as plain data.

    Args:
        plan: the run.
        identity: its identity.
        totals: what was read.
        table: the decisions.
        most_traces: how many traces to choose.
    """
    found = table.to_pylist()
    decided = [row for row in found if row["outcome"] == rows.DECIDED and row["rule"]]
    carded = [row for row in decided if row["indicator"] != rows.SILENT]
    cards = {(row["session"], row["guideline"], row["rule"]): row for row in carded}
    days = sorted(row["day"] for row in found if row["day"])
    lines = Counter[str]()
    for file in totals.files:
        lines.update(file.scanned.states)
    return {
        "knowledge": identity["knowledge"],
        "compared": identity["compared"],
        "settings": {
            "zone": plan.setup.zone or None,
            "session_minutes": plan.setup.session.total_seconds() / 60,
            "from": plan.setup.first or None,
            "until": plan.setup.last or None,
        },
        "files": {"read": len(totals.files), "not_read": totals.unread, "lines": dict(sorted(lines.items()))},
        "sums": sums(totals, found),
        "faulty": {file.scanned.name: len(file.scanned.faults) for file in totals.files if file.scanned.faults},
        "unreadable": {file.scanned.name: file.scanned.unreadable for file in totals.files if file.scanned.unreadable},
        "absent": sorted({kind for kind in ASKED if kind not in plan.setup.present}),
        "merged_patients": totals.merged,
        "deleted": {"named": totals.gone, "left_out": lines["deleted"]},
        "servers": len({server for file in totals.files for server in file.scanned.servers}),
        "orders": {
            "all": totals.orders,
            "in_scope": totals.in_scope,
            "decided": len(decided),
            "left_out": dict(Counter(row["outcome"] for row in found if row["outcome"] != rows.DECIDED)),
            "with_card": len(carded),
        },
        "patients": len({row["patient"] for row in decided}),
        "clinicians": len({row["clinician"] for row in decided} - {""}),
        "first_day": days[0] if days else None,
        "last_day": days[-1] if days else None,
        "cards": len(cards),
        "cards_per_1000_orders": _rate(1000, len(cards), totals.orders),
        "cards_per_100_in_scope": _rate(100, len(cards), len(decided)),
        "silent_share": _rate(1, len(decided) - len(carded), len(decided)),
        "sessions": len({row["session"] for row in decided}),
        "sessions_of_several": len({row["session"] for row in decided if row["together"] > 1}),
        "per_clinician_week": _per_week(cards.values()),
        "by_rule": _by_rule(decided, cards.values()),
        "by_month": _by_month(decided, lambda row: row["indicator"]),
        "by_month_and_rule": _by_month(decided, lambda row: f"{row['guideline']}/{row['rule']}"),
        "by_clinician": _ranked(row["clinician"] for row in cards.values()),
        "by_department": _ranked(row["department"] for row in cards.values()),
        "by_status": _shown(Counter(row["status"] for row in decided)),
        "repeats": _repeats(carded),
        "carried_out": _carried_out(decided),
        "missing": _missing(decided),
        "uncertain": _uncertain(decided),
        "history": _history(found, decided),
        "codes": _codes(decided),
        "change": _change(decided) if identity["compared"] else None,
        "traces": traces.choose(found, most_traces),
    }


ASKED = ("CarePlan", "Condition", "Encounter", "Observation", "Patient", "Procedure", "ServiceRequest")


def sums(totals: Totals, found: Sequence[Decision]) -> list[dict[str, Any]]:
    """Return what must be equal and was counted in two ways: lines of each file, lines decided about, orders."""
    kept = sum(file.scanned.states.get("kept", 0) for file in totals.files)
    pairs = [("lines kept = lines decided about", kept, totals.dealt)]
    pairs.append(
        ("orders in scope = orders decided or left out", totals.in_scope, len({row["order"] for row in found}))
    )
    for file in totals.files:
        name = file.scanned.name
        if not file.scanned.unreadable:
            pairs.append((f"lines of {name} = what became of them", file.counted, file.scanned.lines))
        pairs.append((f"lines of {name} without a resource", file.undecodable, file.scanned.states.get("invalid", 0)))
    return [{"sum": name, "one": one, "other": other} for name, one, other in pairs]


def faults(summary: Mapping[str, Any]) -> list[str]:
    """Return why a run counts as refused, in words; nothing where it does not."""
    lines, orders = sum(summary["files"]["lines"].values()), summary["orders"]
    wrong = sum(summary["faulty"].values())
    failed = sum(number for outcome, number in orders["left_out"].items() if outcome.startswith("failed"))
    told = [f"{s['sum']}: {s['one']} and {s['other']}" for s in summary["sums"] if s["one"] != s["other"]]
    told += [f"{name}: {why}" for name, why in summary["unreadable"].items()]
    if wrong > MOST_FAULTY * lines:
        told.append(f"{wrong} of {lines} lines are faulty; faults.ndjson names them")
    if failed > MOST_FAULTY / 10 * max(1, orders["in_scope"]):
        told.append(f"{failed} orders could not be decided because of a defect of this service")
    if summary["servers"] > 1:
        told.append("references to patients name several servers, whose ids may be those of other patients")
    return told


def _rate(per: int, part: int, whole: int) -> float | None:
    return round(per * part / whole, 3) if whole else None


def _shown(counts: Mapping[str, int]) -> dict[str, int | str]:
    return {name: small(number) for name, number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def _per_week(cards: Iterable[Decision]) -> dict[str, float] | None:
    """Return cards of one clinician in one week that has any: median, 90th percentile, most."""
    weeks = Counter(
        (row["clinician"], date.fromisoformat(row["day"]).isocalendar()[:2]) for row in cards if row["clinician"]
    )
    counts = sorted(weeks.values())
    if not counts:
        return None
    at = {"median": 0.5, "p90": 0.9, "most": 1.0}
    return {name: counts[min(len(counts) - 1, int(share * len(counts)))] for name, share in at.items()}


def _by_rule(decided: Sequence[Decision], cards: Iterable[Decision]) -> list[dict[str, Any]]:
    orders = Counter((row["guideline"], row["rule"], row["indicator"]) for row in decided)
    shown = Counter((row["guideline"], row["rule"]) for row in cards)
    return [
        {
            "guideline": guideline, "rule": rule, "indicator": indicator, "orders": small(number),
            "cards": small(shown[guideline, rule]),
            "cards_per_100_in_scope": _rate(100, shown[guideline, rule], len(decided))
            if shown[guideline, rule] >= SMALLEST else None,
        }
        for (guideline, rule, indicator), number in sorted(orders.items())
    ]  # fmt: skip


def _by_month(decided: Sequence[Decision], kind: Callable[[Decision], str]) -> dict[str, dict[str, int | str]]:
    months: dict[str, Counter[str]] = defaultdict(Counter)
    for row in decided:
        months[row["day"][:7]][kind(row)] += 1
    return {month: _shown(months[month]) for month in sorted(months)}


def _ranked(names: Iterable[str]) -> dict[str, Any]:
    """Return the most frequent names with their counts, and the rest as one."""
    counts = Counter(names)
    unknown = counts.pop("", 0)
    shown = counts.most_common(_SHOWN)
    rest = sum(counts.values()) - sum(number for _, number in shown)
    return {"shown": {name[:12]: small(number) for name, number in shown}, "rest": rest, "unknown": unknown}


def _repeats(carded: Sequence[Decision]) -> dict[str, int]:
    """Return how many cards say what one said before, by patient, rule and codes: at most so many are withheld."""
    series: dict[tuple[str, ...], set[tuple[str, str]]] = defaultdict(set)
    for row in carded:
        series[row["patient"], row["guideline"], row["rule"], *row["codes"]].add((row["day"], row["session"]))
    gaps = [
        (date.fromisoformat(after[0]) - date.fromisoformat(before[0])).days
        for days in series.values()
        for before, after in pairwise(sorted(days))
    ]
    return {
        name: sum(gap <= days for gap in gaps) for name, days in (("1_day", 1), ("30_days", 30), ("12_months", 365))
    }


def _carried_out(decided: Sequence[Decision]) -> dict[str, int]:
    """Return what became of orders that would have had a warning: bounds for what a warning could change."""
    warned = [row for row in decided if row["indicator"] == "warning"]
    return {
        "warned": len(warned),
        "done": sum(row["done"] for row in warned),
        "revoked": sum(row["status"] == "revoked" for row in warned),
    }


def _missing(decided: Sequence[Decision]) -> dict[str, Any]:
    names = Counter(name for row in decided for name in row["missing"])
    by_month = Counter(row["day"][:7] for row in decided if row["missing"] or not row["problems"])
    return {
        "not_available": _shown(names),
        "unreadable": sum(row["unreadable"] for row in decided),
        "uncoded": sum(row["uncoded"] for row in decided),
        "no_problems": sum(not row["problems"] for row in decided),
        "by_month": {month: small(number) for month, number in sorted(by_month.items())},
    }


def _uncertain(decided: Sequence[Decision]) -> dict[str, Any]:
    doubtful = [row for row in decided if row["causes"]]
    differ = [row for row in doubtful if row["other_rule"] != row["rule"]]
    causes = Counter(cause for row in doubtful for cause in row["causes"])
    differing = Counter(cause for row in differ for cause in row["causes"])
    by_cause = {cause: {"orders": small(n), "differ": small(differing[cause])} for cause, n in sorted(causes.items())}
    return {"orders": len(doubtful), "differ": len(differ), "by_cause": by_cause}


def _history(found: Sequence[Decision], decided: Sequence[Decision]) -> dict[str, Any]:
    later, copies = Counter[str](), Counter[str]()
    for name, into in (("later", later), ("copies", copies)):
        for row in found:
            for told in row[name]:
                kind, _, number = told.rpartition("=")
                into[kind] += int(number)
    return {
        "recorded_later": dict(sorted(later.items())),
        "copies": dict(sorted(copies.items())),
        "deciding": sum(row["deciding"] for row in decided),
        "deciding_changed_later": sum(row["deciding_changed"] for row in decided),
        "orders_in_utc": sum(row["in_utc"] for row in decided),
    }


def _codes(decided: Sequence[Decision]) -> dict[str, tuple[str, str]]:
    """Return the first and last month in which each code was ordered."""
    months: dict[str, list[str]] = defaultdict(list)
    for row in decided:
        for code in row["codes"]:
            months[code].append(row["day"][:7])
    return {code: (min(days), max(days)) for code, days in sorted(months.items())}


def _change(decided: Sequence[Decision]) -> dict[str, Any]:
    """Return what the compared folder decides otherwise: a matrix, warnings apart, and the facts that differ."""
    pairs = Counter((row["rule"], row["indicator"], row["rule_b"], row["indicator_b"]) for row in decided)
    changed = [row for row in decided if (row["rule"], row["indicator"]) != (row["rule_b"], row["indicator_b"])]
    facts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in changed:
        new = set(row["facts_b"])
        facts[row["rule"], row["rule_b"]].update(fact.split("=")[0] for fact in row["facts"] if fact not in new)
    return {
        "changed": len(changed),
        "warnings": {"gained": sum(r["indicator_b"] == "warning" != r["indicator"] for r in changed),
                     "lost": sum(r["indicator"] == "warning" != r["indicator_b"] for r in changed)},
        "matrix": [
            {"old": a, "was": was, "new": b, "becomes": becomes, "orders": small(number), "facts": sorted(facts[a, b])}
            for (a, was, b, becomes), number in sorted(pairs.items())
        ],
        "orders": sorted(row["order"] for row in changed)[:1000],
    }  # fmt: skip
