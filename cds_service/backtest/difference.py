"""What a change of a decision table changes: every combination of facts whose rule differs, in the shortest words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cds_service.backtest import content
from cds_service.backtest.boxes import Box, Grid, described, size
from cds_service.backtest.content import Change, Folder
from cds_service.guideline.table import FactSpace, FactValue, Rule

When = dict[str, tuple[FactValue, ...]]
"""Facts with the values that they may have; all of them hold together."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What one rule decided and another decides now.

    Attributes:
        old, new: the rules' ids.
        was, becomes: what a card of the rule is: warning, info or silent.
        combinations: how many combinations of facts.
        when: among what the old rule decided, what moves: any of these.
    """

    old: str
    new: str
    was: str
    becomes: str
    combinations: int
    when: tuple[When, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two versions of a guideline side by side.

    Attributes:
        facts: the facts that rules of either version test.
        unknown: those of them that the guideline's code does not make; their values are those that rules name.
        combinations: how many combinations of their values there are.
        matrix: how many combinations each pair of rules decides, old first.
        moved: the pairs that differ, the largest first.
        changes: texts, statements, words and value sets that differ.
    """

    guideline: str
    versions: tuple[str, str]
    facts: tuple[str, ...]
    unknown: tuple[str, ...]
    combinations: int
    matrix: dict[tuple[str, str], int]
    moved: tuple[Moved, ...]
    changes: tuple[Change, ...] = field(default=())

    def turning(self, was: bool, becomes: bool) -> int:
        """Return how many combinations had a warning or not, and have one now or not."""
        kinds = (was, becomes)
        return sum(m.combinations for m in self.moved if (m.was == "warning", m.becomes == "warning") == kinds)


def between(old: Folder, new: Folder, known: FactSpace) -> Difference:
    """Compare two knowledge folders of one guideline.

    Args:
        old: the one that decides now.
        new: the one that may decide.
        known: the guideline's facts and the values each can have.
    """
    grid = Grid(content.tested(old, new, known))
    regions = {
        (a, b): boxes
        for a, before in grid.by_rule(old.rules).items()
        if before
        for b, boxes in grid.by_rule(new.rules, before).items()
    }
    moved = sorted(_moved(old.rules, new.rules, grid, regions), key=lambda m: -m.combinations)
    return Difference(
        guideline=new.guideline,
        versions=(old.version, new.version),
        facts=tuple(grid.space),
        unknown=tuple(fact for fact in grid.space if fact not in known),
        combinations=size([grid.whole]),
        matrix={pair: size(boxes) for pair, boxes in regions.items() if boxes},
        moved=tuple(moved),
        changes=tuple(content.changes(old, new)),
    )


def _moved(
    old: Sequence[Rule], new: Sequence[Rule], grid: Grid, regions: dict[tuple[str, str], list[Box]]
) -> Iterator[Moved]:
    before, after = {rule.id: rule for rule in old}, {rule.id: rule for rule in new}
    for (a, b), boxes in regions.items():
        if not boxes or (a == b and _kind(before[a]) == _kind(after[b])):
            continue
        others = [box for (one, other), found in regions.items() if one == a and other != b for box in found]
        when = tuple(grid.conditions(box) for box in described(grid, boxes, others))
        yield Moved(a, b, _kind(before[a]), _kind(after[b]), size(boxes), when)


def _kind(rule: Rule) -> str:
    return "silent" if rule.silent else rule.indicator


def as_document(found: Difference) -> dict[str, Any]:
    """Return a difference as plain data for JSON."""
    return {
        "guideline": found.guideline,
        "old": found.versions[0],
        "new": found.versions[1],
        "facts": list(found.facts),
        "unknown": list(found.unknown),
        "combinations": found.combinations,
        "changed": sum(m.combinations for m in found.moved),
        "matrix": [{"old": a, "new": b, "combinations": n} for (a, b), n in found.matrix.items()],
        "moved": [
            {"old": m.old, "new": m.new, "was": m.was, "becomes": m.becomes, "combinations": m.combinations,
             "when": [{fact: list(values) for fact, values in when.items()} for when in m.when]}
            for m in found.moved
        ],
        "changes": [{"place": c.place, "old": c.old, "new": c.new} for c in found.changes],
    }  # fmt: skip


def as_text(found: Difference) -> str:
    """Return a difference for a committee at a terminal."""
    total = found.combinations
    changed = sum(m.combinations for m in found.moved)
    lines = [
        f"{found.guideline}: {found.versions[0]} -> {found.versions[1]}",
        f"Rules of either version test {len(found.facts)} facts: {', '.join(found.facts)}",
        f"{changed:,} of {total:,} combinations of their values get another rule, or another kind of card.",
        f"{found.turning(was=False, becomes=True):,} get a warning and had none.",
        f"{found.turning(was=True, becomes=False):,} had a warning and get none.",
        "A combination is no patient: how many of them there are, a backtest with --compare tells.",
    ]
    if found.unknown:
        lines.append(
            f"Not made by this version's code, and so with the values that rules name: {', '.join(found.unknown)}"
        )
    for move in found.moved:
        lines += [
            "",
            f"{move.old} ({move.was}) -> {move.new} ({move.becomes}): {move.combinations:,} combinations",
            *(f"  {'when' if number == 0 else 'or when'} {sentence(when)}" for number, when in enumerate(move.when)),
        ]
    if found.changes:
        lines += ["", "Rules as written, notes, statements, words and codes:"]
    for change in found.changes:
        lines.append(f"  {change.place}")
        lines += [f"    - {change.old}"] if change.old else []
        lines += [f"    + {change.new}"] if change.new else []
    return "\n".join(lines)


def sentence(when: When) -> str:
    """Return a condition in words; one that names no fact always holds."""
    told = (f"{fact} is {' or '.join(map(_word, values))}" for fact, values in when.items())
    return " and ".join(told) or "always"


def _word(value: FactValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
