"""Traces for a committee: some orders of every rule, those that change or are uncertain, and no one recognizable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cds_service.backtest import rows
from cds_service.backtest.cells import SMALLEST

_OF_EACH_RULE = 2


def choose(found: Sequence[Mapping[str, Any]], most: int) -> list[dict[str, Any]]:
    """Return traces: two of each rule, one of a rare one, then orders that change or are uncertain, then others.

    Args:
        found: the decisions.
        most: how many traces.

    Returns:
        What was decided, from which facts, and what it was weighed against; no hash, day, clinician or word.
    """
    # Keyed hashes put orders in an order that has nothing to do with them, and is the same in every run with the key.
    shuffled = sorted(
        (row for row in found if row["outcome"] == rows.DECIDED and row["rule"]), key=lambda row: row["order"]
    )
    seen, number = Counter[str](), Counter(row["guideline"] + row["rule"] for row in shuffled)
    first, second, rest = [], [], []
    for row in shuffled:
        name = row["guideline"] + row["rule"]
        seen[name] += 1
        if seen[name] <= (_OF_EACH_RULE if number[name] >= SMALLEST else 1):
            first.append(row)
        elif number[name] < SMALLEST:
            continue  # the number of traces must not reveal the number of orders
        elif (row["rule_b"] and row["rule_b"] != row["rule"]) or row["other_rule"] != row["rule"]:
            second.append(row)
        else:
            rest.append(row)
    return [_trace(row) for row in (first + second + rest)[:most]]


def _trace(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("guideline", "rule", "indicator", "notes", "facts", "grounds", "causes", "other_rule", "rule_b", "missing")
    return {name: row[name] for name in kept}
