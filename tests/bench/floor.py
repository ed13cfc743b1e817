"""What `make bench` measures against: the same web server that only receives, or decodes the JSON; a canned card."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from tests.cases import FIXTURES

CANNED = (FIXTURES / "calls" / "r1-chronic-code-on-problem-list" / "expected.json").read_bytes()
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(CANNED)))]


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Decode what was posted, and answer always the same."""
    if environ["REQUEST_METHOD"] == "POST":
        orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    start_response("200 OK", HEADERS)
    return [CANNED]


def receiving(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Receive what was posted, look at none of it, and answer always the same."""
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", HEADERS)
    return [CANNED]
