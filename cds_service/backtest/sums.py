"""Whether a run can be relied on: what must be equal was counted in two ways, and few lines and orders failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cds_service.backtest.cells import Shown
from cds_service.backtest.reading import Totals

MOST_FAULTY = 0.001
"""Share of lines that may be faulty, and of orders that may fail, before a run counts as refused."""


class Sum(NamedTuple):
    """What must be equal and was counted in two ways."""

    name: str
    one: int
    other: int


_ORDERS = "orders in scope = orders decided or left out"


def counted(totals: Totals, found: Sequence[Mapping[str, Any]]) -> list[Sum]:
    """Return what must be equal: lines of each file, lines decided about, orders."""
    kept = sum(file.scanned.states.get("kept", 0) for file in totals.files)
    told = [
        Sum("lines kept = lines decided about", kept, totals.dealt),
        Sum(_ORDERS, totals.in_scope, len({row["order"] for row in found})),
    ]
    for file in totals.files:
        name = file.scanned.name
        if not file.scanned.unreadable:
            told.append(Sum(f"lines of {name} = lines by outcome", file.counted, file.scanned.lines))
        invalid = file.scanned.states.get("invalid", 0)
        told.append(Sum(f"lines of {name} without a resource", file.undecodable, invalid))
    return told


def shown(one: Sum, in_scope: Shown) -> dict[str, Any]:
    """Return a sum as it is shown: about orders, the counts stand elsewhere, as far as they may be shown."""
    counts = {"one": in_scope, "other": in_scope} if one.name == _ORDERS else {"one": one.one, "other": one.other}
    return {"sum": one.name, "equal": one.one == one.other, **counts}


def faults(totals: Totals, checked: Sequence[Sum], left_out: Mapping[str, int]) -> list[str]:
    """Return why a run counts as refused, in words; nothing where it does not."""
    scanned = [file.scanned for file in totals.files]
    lines, wrong = sum(file.lines for file in scanned), sum(len(file.faults) for file in scanned)
    failed = sum(number for outcome, number in left_out.items() if outcome.startswith("failed"))
    told = [f"{one.name}: {one.one} and {one.other}" for one in checked if one.one != one.other]
    told += [f"{file.name}: {file.unreadable}" for file in scanned if file.unreadable]
    if wrong > MOST_FAULTY * lines:
        told.append(f"{wrong} of {lines} lines are faulty; faults.ndjson names them")
    if failed > MOST_FAULTY / 10 * max(1, totals.in_scope):
        told.append(f"{failed} orders could not be decided because of a defect of this service")
    if len({server for file in scanned for server in file.servers}) > 1:
        told.append("references to patients name several servers, whose ids may be those of other patients")
    return told
