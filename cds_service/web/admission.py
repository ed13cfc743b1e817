"""Admission: one call per process computes at a time, and each client has a rate limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from cds_service.errors import TooManyRequests, Unavailable

RECEIVED = "cds_service.received"
"""Key in the WSGI environment: when the whole request had arrived, by time.monotonic()."""


class Admission:
    """Lets one call of this process compute at a time.

    Python computes one call at a time anyway. Taking turns by call saves thread switches every few milliseconds, and
    the memory of charts decoded in the meantime.
    """

    def __init__(self, wait_seconds: float) -> None:
        """Set how long after its arrival a call may wait for its turn."""
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, received: float) -> Iterator[None]:
        """Let a call compute for as long as the block runs.

        Args:
            received: when the call arrived, by time.monotonic(). A call that waited elsewhere waits less here.

        Raises:
            Unavailable: other calls computed for as long as it may wait.
        """
        left = received + self._wait_seconds - time.monotonic()
        if not self._lock.acquire(timeout=max(left, 0)):
            raise Unavailable("Too many calls are under way")
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let other calls compute while the block, inside `turn`, waits for another system."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()


class RateLimit:
    """Limits calls, or feedback entries, per client and minute in this process."""

    def __init__(self, per_minute: int) -> None:
        """Set the limit per minute; 0 means no limit."""
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, client: str, number: int = 1) -> None:
        """Count a call of a client, or a number of entries.

        Raises:
            TooManyRequests: the client is over the limit.
        """
        if self._item is not None and not self._limiter.hit(self._item, client, cost=number):
            raise TooManyRequests("This client calls too often")
