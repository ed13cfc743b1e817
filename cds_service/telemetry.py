"""Structured logs that hold no patient data: what happened, how long it took, which rules fired."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import structlog

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
"""W3C Trace Context, section 3.2: version, trace id, parent id, flags; a later version may say more after them."""

_VERSION_0_CHARACTERS = 55


def configure(level: str) -> None:
    """Write log lines as JSON to standard error, from the given level up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def log_defect(ended: threading.ExceptHookArgs) -> None:
    """Log that a thread ended by a defect, and where, but not the exception's text, which can quote data."""
    name = ended.thread.name if ended.thread else ""
    log().error("defect", thread=name, cause=ended.exc_type.__name__, places=places(ended.exc_traceback))


def begin_trace(traceparent: str) -> None:
    """Put the trace id of a request into each log line that this thread writes until the next request begins.

    Args:
        traceparent: the header as received; anything but a W3C traceparent begins a call without a trace.
    """
    structlog.contextvars.clear_contextvars()
    match = _TRACEPARENT.fullmatch(traceparent)
    if match and (not traceparent.startswith("00") or len(traceparent) == _VERSION_0_CHARACTERS):
        structlog.contextvars.bind_contextvars(trace=match[1], trace_flags=match[2])


def outgoing_trace() -> dict[str, str]:
    """Return the header with which a server that is asked for data continues the trace; empty without a trace."""
    bound = structlog.contextvars.get_contextvars()
    if "trace" not in bound:
        return {}
    return {"traceparent": f"00-{bound['trace']}-{secrets.token_hex(8)}-{bound['trace_flags']}"}


def log() -> Any:
    """Return the logger. Callers pass names and numbers, never values from a request."""
    return structlog.get_logger()


def call_id(hook_instance: str) -> str:
    """Return the id that log lines of one call share: a hash, because a client chose the original."""
    return hashlib.sha256(hook_instance.encode()).hexdigest()[:16]


def places(trace: TracebackType | None) -> list[str]:
    """Return where an exception came from, as file, line and function.

    Never the exception's own text or the source line's values: either can quote patient data.
    """
    return _told(traceback.extract_tb(trace))


def places_of(thread: int) -> list[str]:
    """Return the stack of a thread, latest call last; empty when it has ended."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - the only way to look at another thread
    return _told(traceback.extract_stack(frame)) if frame else []


def _told(stack: traceback.StackSummary) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in stack]
