"""Decisions to figures: how many cards, for whom and about what, how sure that is, and whether the sums match."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import pyarrow as pa

from cds_service.backtest import rows, sums, traces
from cds_service.backtest.cells import SMALLEST, Shown, cells, grid, nested, part, rate, small
from cds_service.backtest.reading import Totals
from cds_service.backtest.run import Plan

_SHOWN = 30
"""Clinicians and departments that are shown one by one."""
Decision = Mapping[str, Any]


def summarize(
    plan: Plan, identity: Mapping[str, Any], totals: Totals, table: pa.Table, most_traces: int
) -> dict[str, Any]:
    """Return everything that the report shows, as plain data; no small count can be read or subtracted from it.

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
    left_out = Counter(row["outcome"] for row in found if row["outcome"] != rows.DECIDED)
    with_card = part(len(carded), len(decided))
    shown = with_card if isinstance(with_card, str) else small(len(cards))
    checked = sums.counted(totals, found)
    in_scope = totals.in_scope if part(len(decided), totals.in_scope) == len(decided) else _about(len(decided))
    return {
        "knowledge": identity["knowledge"],
        "compared": identity["compared"],
        "settings": {
            "zone": plan.setup.zone or None,
            "session_minutes": plan.setup.session.total_seconds() / 60,
            "from": plan.setup.first or None,
            "until": plan.setup.last or None,
            "hashes": "the site's key" if plan.site_key else "a key that was thrown away",
        },
        "refused": sums.faults(totals, checked, left_out),
        "files": {"read": len(totals.files), "not_read": totals.unread, "lines": dict(sorted(lines.items()))},
        "sums": [sums.shown(one, in_scope) for one in checked],
        "faulty": {file.scanned.name: len(file.scanned.faults) for file in totals.files if file.scanned.faults},
        "unreadable": {file.scanned.name: file.scanned.unreadable for file in totals.files if file.scanned.unreadable},
        "absent": sorted(set(totals.kinds) - plan.setup.present - {"ProcedureRequest"}),
        "merged_patients": small(totals.merged),
        "deleted": {"named": small(totals.gone), "left_out": small(lines["deleted"])},
        "servers": len({server for file in totals.files for server in file.scanned.servers}),
        "orders": {
            "all": small(totals.orders),
            "in_scope": in_scope,
            "decided": small(len(decided)),
            "left_out": cells(left_out),
            "with_card": with_card,
        },
        "patients": small(len({row["patient"] for row in decided})),
        "clinicians": small(len({row["clinician"] for row in decided} - {""})),
        "first_day": days[0] if days else None,
        "last_day": days[-1] if days else None,
        "cards": shown,
        "cards_per_1000_orders": rate(1000, len(cards), totals.orders, shown),
        "cards_per_100_in_scope": rate(100, len(cards), len(decided), shown),
        "silent_share": rate(1, len(decided) - len(carded), len(decided), with_card),
        "sessions": small(len({row["session"] for row in decided})),
        "sessions_of_several": part(
            len({row["session"] for row in decided if row["together"] > 1}), len({row["session"] for row in decided})
        ),
        "per_clinician_week": _per_week(cards.values()),
        "by_rule": _by_rule(decided, cards.values(), with_card),
        "by_month": _by_month(decided),
        "by_clinician": _ranked(row["clinician"] for row in cards.values()),
        "by_department": _ranked(row["department"] for row in cards.values()),
        "by_status": cells(Counter(row["status"] for row in decided)),
        "repeats": _repeats(carded),
        "carried_out": _carried_out(decided),
        "missing": _missing(decided),
        "uncertain": _uncertain(decided),
        "history": _history(found, decided),
        "codes": _codes(decided),
        "change": _change(decided) if identity["compared"] else None,
        "traces": traces.choose(found, most_traces),
    }


def _about(number: int) -> str:
    """Return words for a count that is larger than another, though by no more than a small one."""
    return f"{number:,} to {number + SMALLEST - 1:,}" if number >= SMALLEST else f"below {2 * SMALLEST - 1}"


def _per_week(cards: Iterable[Decision]) -> dict[str, float] | None:
    """Return cards of one clinician in one week that has any: median, 90th percentile, most.

    None where there are few such weeks.
    """
    weeks = Counter(
        (row["clinician"], date.fromisoformat(row["day"]).isocalendar()[:2]) for row in cards if row["clinician"]
    )
    counts = sorted(weeks.values())
    if len(counts) < SMALLEST:
        return None
    at = {"median": 0.5, "p90": 0.9, "most": 1.0}
    return {name: counts[min(len(counts) - 1, int(share * len(counts)))] for name, share in at.items()}


def _by_rule(decided: Sequence[Decision], cards: Collection[Decision], with_card: Shown) -> list[dict[str, Any]]:
    orders = Counter((row["guideline"], row["rule"], row["indicator"]) for row in decided)
    number = Counter((row["guideline"], row["rule"]) for row in cards)
    told = cells({f"{guideline}/{rule} {kind}": count for (guideline, rule, kind), count in orders.items()})
    of_cards = cells({f"{guideline}/{rule}": number[guideline, rule] for guideline, rule, _ in orders})
    found = []
    for guideline, rule, kind in sorted(orders):
        mine = told[f"{guideline}/{rule} {kind}"]
        # As nearly every order of a rule with a card has one, cards tell orders.
        hidden = mine if isinstance(mine, str) else with_card if isinstance(with_card, str) else None
        shown = of_cards[f"{guideline}/{rule}"] if hidden is None or kind == rows.SILENT else hidden
        found.append(
            {
                "guideline": guideline, "rule": rule, "indicator": kind, "orders": mine, "cards": shown,
                "cards_per_100_in_scope": rate(100, number[guideline, rule], len(decided), shown),
            }
        )  # fmt: skip
    return found


def _by_month(decided: Sequence[Decision]) -> dict[str, dict[str, Shown]]:
    months: dict[str, Counter[str]] = defaultdict(Counter)
    for row in decided:
        months[row["day"][:7]][row["indicator"]] += 1
    return grid({month: months[month] for month in sorted(months)})


def _ranked(names: Iterable[str]) -> dict[str, Any]:
    """Return the most frequent names with their counts, and the rest as one."""
    counts = Counter(names)
    unknown = counts.pop("", 0)
    most = dict(counts.most_common(_SHOWN))
    told = cells({**most, "rest": sum(counts.values()) - sum(most.values()), "unknown": unknown})
    rest, none = told.pop("rest"), told.pop("unknown")
    return {"shown": {name[:12]: number for name, number in told.items()}, "rest": rest, "unknown": none}


def _repeats(carded: Sequence[Decision]) -> dict[str, Shown]:
    """Return how many cards say what one said before, by patient, rule and codes: at most so many are withheld."""
    series: dict[tuple[str, ...], set[tuple[str, str]]] = defaultdict(set)
    for row in carded:
        series[row["patient"], row["guideline"], row["rule"], *row["codes"]].add((row["day"], row["session"]))
    gaps = [
        (date.fromisoformat(after[0]) - date.fromisoformat(before[0])).days
        for days in series.values()
        for before, after in pairwise(sorted(days))
    ]
    periods = {"1_day": 1, "30_days": 30, "12_months": 365}
    counts = {name: sum(gap <= days for gap in gaps) for name, days in periods.items()}
    return nested(counts, sum(len(days) for days in series.values()))


def _carried_out(decided: Sequence[Decision]) -> dict[str, Shown]:
    """Return the outcomes of orders that would have had a warning: bounds for what a warning could change."""
    warned = [row for row in decided if row["indicator"] == "warning"]
    return {
        "warned": part(len(warned), len(decided)),
        "done": part(sum(row["done"] for row in warned), len(warned)),
        "revoked": part(sum(row["status"] == "revoked" for row in warned), len(warned)),
    }


def _missing(decided: Sequence[Decision]) -> dict[str, Any]:
    names = Counter(name for row in decided for name in row["missing"])
    months: dict[str, Counter[str]] = defaultdict(Counter)
    for row in decided:
        months[row["day"][:7]]["missing" if row["missing"] or not row["problems"] else "there"] += 1
    by_month = grid({month: months[month] for month in sorted(months)})
    return {
        "not_available": {name: part(number, len(decided)) for name, number in sorted(names.items())},
        "unreadable": part(sum(row["unreadable"] for row in decided), len(decided)),
        "uncoded": part(sum(row["uncoded"] for row in decided), len(decided)),
        "no_problems": part(sum(not row["problems"] for row in decided), len(decided)),
        "by_month": {month: told.get("missing", 0) for month, told in by_month.items()},
    }


def _uncertain(decided: Sequence[Decision]) -> dict[str, Any]:
    doubtful = [row for row in decided if row["causes"]]
    differ = [row for row in doubtful if row["other_rule"] != row["rule"]]
    causes = Counter(cause for row in doubtful for cause in row["causes"])
    differing = Counter(cause for row in differ for cause in row["causes"])
    return {
        "orders": part(len(doubtful), len(decided)),
        "differ": part(len(differ), len(doubtful)),
        "by_cause": {
            cause: {"orders": part(number, len(doubtful)), "differ": part(differing[cause], number)}
            for cause, number in sorted(causes.items())
        },
    }


def _history(found: Sequence[Decision], decided: Sequence[Decision]) -> dict[str, Any]:
    later, copies = Counter[str](), Counter[str]()
    for name, into in (("later", later), ("copies", copies)):
        for row in found:
            for told in row[name]:
                kind, _, number = told.rpartition("=")
                into[kind] += int(number)
    deciding = sum(row["deciding"] for row in decided)
    return {
        "recorded_later": {kind: small(number) for kind, number in sorted(later.items())},
        "copies": {how: small(number) for how, number in sorted(copies.items())},
        "in_error": small(sum(row["in_error"] for row in decided)),
        "deciding": small(deciding),
        "deciding_changed_later": part(sum(row["deciding_changed"] for row in decided), deciding),
        "orders_in_utc": part(sum(row["in_utc"] for row in decided), len(decided)),
    }


def _codes(decided: Sequence[Decision]) -> dict[str, tuple[str, str]]:
    """Return the first and last month in which each code was ordered that was ordered more than a few times."""
    months: dict[str, list[str]] = defaultdict(list)
    for row in decided:
        for code in row["codes"]:
            months[code].append(row["day"][:7])
    return {code: (min(days), max(days)) for code, days in sorted(months.items()) if len(days) >= SMALLEST}


def _change(decided: Sequence[Decision]) -> dict[str, Any]:
    """Return what the compared folder decides otherwise: a matrix, warnings apart, and the facts that differ."""
    pairs: dict[str, Counter[str]] = defaultdict(Counter)
    facts: dict[tuple[str, str], set[str]] = defaultdict(set)
    changed = []
    for row in decided:
        old, new = (f"{row['rule' + b] or 'not in scope'} ({row['indicator' + b] or '-'})" for b in ("", "_b"))
        pairs[old][new] += 1
        if old != new:
            changed.append(row)
            facts[old, new] |= {fact.split("=")[0] for fact in set(row["facts"]) - set(row["facts_b"])}
    told = grid({old: pairs[old] for old in sorted(pairs)})
    number = part(len(changed), len(decided))
    return {
        "changed": number,
        "warnings": {
            "gained": part(sum(row["indicator_b"] == "warning" != row["indicator"] for row in changed), len(changed)),
            "lost": part(sum(row["indicator"] == "warning" != row["indicator_b"] for row in changed), len(changed)),
        },
        "matrix": [
            {"old": old, "new": new, "orders": told[old][new], "facts": sorted(facts[old, new])}
            for old in told
            for new in sorted(told[old])
        ],
        "orders": sorted(row["order"] for row in changed)[:1000] if isinstance(number, int) else [],
    }
