"""The deadline of a call, checked at steps of the computation, so that a call that takes too long frees its worker.

A Python thread cannot be stopped from outside without leaving locks and caches in an unknown state. So everything that
is done per resource, element or concept checks here, and the call ends between two steps. A guideline need not check:
it reads a chart only through functions that do. One that computes without reading the chart is noticed from outside
(`overdue`), and its worker is replaced.
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
    """Let `step` stop this thread's computation in the block after a deadline, by time.monotonic()."""
    thread = threading.get_ident()
    _deadline.moment, before = moment, _deadline.moment
    _under_way[thread] = moment
    try:
        yield
    finally:
        _deadline.moment = before
        _under_way[thread] = before


def overdue(moment: float) -> frozenset[int]:
    """Return the threads whose call should have ended before a time but has not."""
    return frozenset(thread for thread, deadline in list(_under_way.items()) if deadline < moment)


def step() -> None:
    """Continue unless the deadline of this thread's call has passed.

    Raises:
        TooLate: it has.
    """
    if time.monotonic() > _deadline.moment:
        raise TooLate("The call took longer than this service gives itself")
