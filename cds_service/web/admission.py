"""How much is done at once: one call of a process computes, others wait a moment; and how often a client may call."""

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
"""The key of a WSGI environment that holds when the request had arrived as a whole, by time.monotonic()."""


class Admission:
    """Lets one call of this process compute at a time.

    Python computes one call at a time anyway. Taking turns by the call saves changing over every few milliseconds, and
    the memory of the charts that would be decoded meanwhile.
    """

    def __init__(self, wait_seconds: float) -> None:
        """Prepare; a call may wait for its turn so long after it has arrived."""
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, received: float) -> Iterator[None]:
        """Let a call compute for as long as the block runs.

        Args:
            received: when the call had arrived, by time.monotonic(). One that has waited elsewhere waits less here.

        Raises:
            Unavailable: others computed for all the time that it may wait.
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
        """Let others compute for as long as the block, inside of `turn`, waits for somebody else."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()


class RateLimit:
    """Lets each client make so many calls, or send so many entries of feedback, a minute in this process."""

    def __init__(self, per_minute: int) -> None:
        """Prepare; 0 means without limit."""
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, client: str, number: int = 1) -> None:
        """Count a call of a client, or so many entries.

        Raises:
            TooManyRequests: the client made too many.
        """
        if self._item is not None and not self._limiter.hit(self._item, client, cost=number):
            raise TooManyRequests("This client calls too often")
