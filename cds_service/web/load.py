"""How much is done at once: so many calls run, so many wait a moment, the next are told to come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from cds_service.errors import TooManyRequests, Unavailable


class Turnstile:
    """Lets a bounded number of calls run in this process, and a bounded number wait."""

    def __init__(self, running: int, waiting: int, wait_seconds: float) -> None:
        """Prepare.

        Args:
            running: calls that may run at once.
            waiting: calls that may wait for their turn.
            wait_seconds: for how long.
        """
        self._free = running
        self._places = waiting
        self._wait_seconds = wait_seconds
        self._turn = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Take a turn for as long as the block runs.

        Raises:
            Unavailable: too many calls run and wait already, or the wait was too long.
        """
        self._enter()
        try:
            yield
        finally:
            with self._turn:
                self._free += 1
                self._turn.notify()

    def _enter(self) -> None:
        until = time.monotonic() + self._wait_seconds
        with self._turn:
            if self._free <= 0:
                if self._places <= 0:
                    raise Unavailable("Too many calls are under way")
                self._places -= 1
                try:
                    self._turn.wait_for(lambda: self._free > 0, timeout=until - time.monotonic())
                finally:
                    self._places += 1
                if self._free <= 0:
                    raise Unavailable("Too many calls are under way")
            self._free -= 1


class Baton:
    """Held by the one call of this process that computes, and put down while it waits for somebody else.

    Python computes one call at a time anyway. Taking turns by the call saves changing over every few milliseconds, and
    the memory of the charts that would be decoded meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def held(self) -> AbstractContextManager[bool]:
        """Hold the baton for as long as the block runs."""
        return self._lock

    @contextmanager
    def put_down(self) -> Iterator[None]:
        """Let others compute for as long as the block, inside of `held`, waits for something."""
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
