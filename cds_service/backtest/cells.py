"""Counts as they may be shown: a small one might point at somebody, and so might one that subtraction gives."""

from __future__ import annotations

from collections.abc import Mapping

SMALLEST = 11
"""A count below this is shown as `<11`."""
SMALL = f"<{SMALLEST}"
HIDDEN = "not shown"
"""Stands for a count from which, with its total, a small one could be subtracted."""

Shown = int | str


def small(number: int) -> Shown:
    """Return a count as it may be shown, where nothing else tells more about it."""
    return SMALL if 0 < number < SMALLEST else number


def part(number: int, whole: int) -> Shown:
    """Return a count as it may be shown beside the whole of which it is a part."""
    return cells({"part": number, "rest": whole - number})["part"]


def cells(counts: Mapping[str, int]) -> dict[str, Shown]:
    """Return counts of which each thing is in one, as they may be shown beside their sum; the largest first."""
    shown = grid({"": counts})[""]
    return {name: shown[name] for name in sorted(counts, key=lambda name: (-counts[name], name))}


def grid(table: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, Shown]]:
    """Return counts by row and column as they may be shown beside the sums of rows and of columns.

    In each line are hidden none, or several that are no small count together, as long as there are others to hide.
    """
    rows = {row: [(row, column) for column in counts] for row, counts in table.items()}
    columns: dict[str, list[tuple[str, str]]] = {}
    for places in rows.values():
        for place in places:
            columns.setdefault(place[1], []).append(place)
    counts = {(row, column): number for row, listed in table.items() for column, number in listed.items()}
    lines = list(rows.values()) + (list(columns.values()) if len(rows) > 1 else [])
    hidden = {place for place, number in counts.items() if 0 < number < SMALLEST}
    changed = True
    while changed:
        changed = False
        for line in lines:
            here = [place for place in line if place in hidden]
            others = sorted((counts[place], place) for place in line if place not in hidden and counts[place])
            if here and others and (len(here) == 1 or sum(counts[place] for place in here) < SMALLEST):
                hidden.add(others[0][1])
                changed = True
    return {
        row: {
            column: number if (row, column) not in hidden else SMALL if number < SMALLEST else HIDDEN
            for column, number in listed.items()
        }
        for row, listed in table.items()
    }


def nested(counts: Mapping[str, int], whole: int) -> dict[str, Shown]:
    """Return counts each of which holds the one before, as they may be shown beside the whole that holds all."""
    shown: dict[str, Shown] = {}
    for name, number in reversed(list(counts.items())):
        told = small(number)
        shown[name] = HIDDEN if isinstance(told, int) and 0 < whole - number < SMALLEST else told
        whole = number if isinstance(shown[name], int) else whole
    return {name: shown[name] for name in counts}


def rate(per: int, number: int, whole: int, *shown: Shown) -> float | None:
    """Return a rate; None where there is no whole, or where it would tell a count that is not shown."""
    return round(per * number / whole, 3) if whole and all(isinstance(count, int) for count in shown) else None
