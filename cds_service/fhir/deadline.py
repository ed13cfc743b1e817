"""When a call must have ended: asked at steps of the computation, so that one that takes too long frees its worker.

A thread of Python cannot be ended from outside without leaving locks and caches in doubt. So whatever is done for each
resource, element or concept asks here, and the call ends between two steps. A guideline need not ask: it sees a chart
only through what asks. One that computes on without looking at the chart is noticed from outside (`overdue`), and costs
the worker its life.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cds_service.errors import TooLate

_NEVER = float("inf")


class _Deadline(threading.local):
    moment = _NEVER


_deadline = _Deadline()
_under_way: dict[int, float] = {}
"""The deadline of each thread that computes a call."""


@contextmanager
def until(moment: float) -> Iterator[None]:
    """Have `step` end what this thread computes in the block once a moment has passed, by time.monotonic()."""
    thread = threading.get_ident()
    _deadline.moment, before = moment, _deadline.moment
    _under_way[thread] = moment
    try:
        yield
    finally:
        _deadline.moment = before
        _under_way[thread] = before


def overdue(moment: float) -> frozenset[int]:
    """Return the threads whose call should have ended before a moment, and has not."""
    return frozenset(thread for thread, deadline in list(_under_way.items()) if deadline < moment)


def step() -> None:
    """Go on, unless the deadline of this thread's call has passed.

    Raises:
        TooLate: it has.
    """
    if time.monotonic() > _deadline.moment:
        raise TooLate("The call took longer than this service gives itself")
