"""Waits until something holds that another thread brings about."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 60
"""On a busy machine a test may take long; it fails when it would never end."""


def wait_for(holds: Callable[[], bool]) -> None:
    """Return when it holds."""
    until = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
