"""Work counted instead of timed: how many lines of Python run, which no other load on the machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType


def lines_run(work: Callable[[], object]) -> int:
    """Return how many lines of Python a piece of work runs; a turn of a loop or a comprehension counts as a line.

    Work within one call of a C function does not show, so inputs must be bounded where such a call could take long.
    """
    count = 0

    def each(_frame: FrameType, event: str, _argument: object) -> object:
        nonlocal count
        count += event == "line"
        return each

    before = sys.gettrace()
    sys.settrace(each)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
