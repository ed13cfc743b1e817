"""Structured logs that hold no patient data: what happened, how long it took, which rules fired."""

from __future__ import annotations

import hashlib
import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import structlog


def configure(level: str) -> None:
    """Write log lines as JSON to standard error, from the given level up."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def log_defect(ended: threading.ExceptHookArgs) -> None:
    """Log that a thread ended by a defect: where, but not the exception's own text, which can quote data."""
    name = ended.thread.name if ended.thread else ""
    log().error("defect", thread=name, cause=ended.exc_type.__name__, places=places(ended.exc_traceback))


def log() -> Any:
    """Return the logger. Callers pass names and numbers of ours, never values from a request."""
    return structlog.get_logger()


def call_id(hook_instance: str) -> str:
    """Return the id that log lines of one call share: a hash, because a client chose the original."""
    return hashlib.sha256(hook_instance.encode()).hexdigest()[:16]


def places(trace: TracebackType | None) -> list[str]:
    """Return where an exception came from, as file, line and function.

    Never the exception's own text or the source line's values: either can quote patient data.
    """
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
