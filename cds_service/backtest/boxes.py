"""Sets of combinations of facts as boxes: for each fact the values it may have. Exact, however many facts there are.

A decision table is a list of boxes of which the first wins, so that what two tables do differently is found by taking
boxes from boxes, without visiting the combinations one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import prod

from cds_service.guideline.table import Condition, FactValue, Rule

Box = tuple[int, ...]
"""For each fact a bit mask of the values it may have; no mask is zero."""

OTHER = "(any other)"
"""Stands for the values of a fact that no rule names and that are not known."""


class Grid:
    """Facts with their values, in a fixed order, and the boxes that can be drawn on them."""

    def __init__(self, space: Mapping[str, tuple[FactValue, ...]]) -> None:
        """Take every fact and the values it can have."""
        self.space = dict(space)
        self._places = {fact: number for number, fact in enumerate(self.space)}
        self.whole: Box = tuple((1 << len(values)) - 1 for values in self.space.values())

    def box(self, conditions: Iterable[Condition]) -> Box | None:
        """Return where conditions hold; None where they never do, or test a fact that is not here."""
        masks = list(self.whole)
        for condition in conditions:
            place = self._places[condition.fact]
            values = self.space[condition.fact]
            masks[place] &= sum(1 << number for number, value in enumerate(values) if value in condition.accepted)
        return tuple(masks) if all(masks) else None

    def conditions(self, box: Box) -> dict[str, tuple[FactValue, ...]]:
        """Return a box as facts with their values, those that may have any value left out."""
        return {
            fact: tuple(value for number, value in enumerate(values) if mask >> number & 1)
            for (fact, values), mask, every in zip(self.space.items(), box, self.whole, strict=True)
            if mask != every
        }

    def by_rule(self, rules: Sequence[Rule], among: Sequence[Box] = ()) -> dict[str, list[Box]]:
        """Return for each rule of a table the combinations that it decides, as boxes that do not overlap.

        Args:
            among: boxes that do not overlap, to look at these alone; everything by default.
        """
        found: dict[str, list[Box]] = {}
        left = list(among) or [self.whole]
        for rule in rules:
            box = self.box(rule.when)
            taken = [] if box is None else [both for part in left if (both := overlap(part, box)) is not None]
            found[rule.id] = taken
            if box is not None:
                left = [piece for part in left for piece in without(part, box)]
        return found


def size(boxes: Iterable[Box]) -> int:
    """Return how many combinations boxes hold that do not overlap."""
    return sum(prod(mask.bit_count() for mask in box) for box in boxes)


def overlap(one: Box, other: Box) -> Box | None:
    """Return what two boxes have in common; None for nothing."""
    both = tuple(map(int.__and__, one, other))
    return both if all(both) else None


def without(box: Box, taken: Box) -> Iterator[Box]:
    """Yield a box without another, in pieces that do not overlap."""
    if overlap(box, taken) is None:
        yield box
        return
    kept = list(box)
    for place, mask in enumerate(taken):
        if outside := kept[place] & ~mask:
            yield (*kept[:place], outside, *kept[place + 1 :])
        kept[place] &= mask


def described(grid: Grid, wanted: Sequence[Box], unwanted: Sequence[Box]) -> list[Box]:
    """Return few and wide boxes that together hold all that is wanted and nothing unwanted.

    None of them can do without a fact or value that it names, and none can be left out. What is neither wanted nor
    unwanted may be held: whoever says "of the orders that rule R6 decides" need not say again which those are.
    """
    length = partial(_length, grid)
    left = list(wanted)
    found: list[Box] = []
    while left:
        # The largest piece first: small ones then often lie within what it widens to.
        start = max(left, key=lambda box: size((box,)))
        wide = min((_widened(grid, start, unwanted, order) for order in _orders(grid)), key=length)
        found.append(wide)
        left = [piece for box in left for piece in without(box, wide)]
    for box in sorted(found, key=length, reverse=True):
        others = [other for other in found if other != box]
        if not _left_over(wanted, others):
            found = others
    return sorted((_narrowed(grid, box, wanted) for box in found), key=lambda box: (length(box), box))


def _orders(grid: Grid) -> Iterator[list[int]]:
    """Yield orders in which to widen facts: each fact once as the last, which is then the most likely to stay."""
    places = list(range(len(grid.whole)))
    yield places
    for place in places:
        yield [*(other for other in places if other != place), place]


def _widened(grid: Grid, box: Box, unwanted: Sequence[Box], order: Sequence[int]) -> Box:
    """Return a box as wide as it can be: facts that need not be named first, then single values."""
    for place in order:
        every = (*box[:place], grid.whole[place], *box[place + 1 :])
        if not _touches(every, unwanted):
            box = every
    for place in order:
        for number in range(grid.whole[place].bit_length()):
            wider = (*box[:place], box[place] | 1 << number, *box[place + 1 :])
            if wider != box and not _touches(wider, unwanted):
                box = wider
    return box


def _narrowed(grid: Grid, box: Box, wanted: Sequence[Box]) -> Box:
    """Return a box whose named facts name no value that nothing wanted has."""
    for place, mask in enumerate(box):
        needed = 0
        for number in range(mask.bit_length()):
            if mask >> number & 1 and _touches((*box[:place], 1 << number, *box[place + 1 :]), wanted):
                needed |= 1 << number
        if mask != grid.whole[place]:
            box = (*box[:place], needed, *box[place + 1 :])
    return box


def _touches(box: Box, others: Sequence[Box]) -> bool:
    return any(overlap(box, other) is not None for other in others)


def _left_over(wanted: Sequence[Box], found: Sequence[Box]) -> bool:
    left = list(wanted)
    for box in found:
        left = [piece for part in left for piece in without(part, box)]
    return bool(left)


def _length(grid: Grid, box: Box) -> tuple[int, int]:
    """Return how long the sentence is that describes a box: how many facts it names, and how many values."""
    named = [mask.bit_count() for mask, every in zip(box, grid.whole, strict=True) if mask != every]
    return len(named), sum(named)
