"""When a call must have ended: asked at steps of the computation, so that one that takes too long frees its worker.

A thread of Python cannot be ended from outside without leaving locks and caches in doubt. So whatever is done for each
resource, element or concept asks here, and the call ends between two steps. A guideline need not ask: it sees a chart
only through what asks.
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


@contextmanager
def until(moment: float) -> Iterator[None]:
    """Have `step` end what this thread computes in the block once a moment has passed, by time.monotonic()."""
    _deadline.moment, before = moment, _deadline.moment
    try:
        yield
    finally:
        _deadline.moment = before


def step() -> None:
    """Go on, unless the deadline of this thread's call has passed.

    Raises:
        TooLate: it has.
    """
    if time.monotonic() > _deadline.moment:
        raise TooLate("The call took longer than this service gives itself")
