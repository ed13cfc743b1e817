"""A request body to a JSON object, within limits that protect the service from the sender."""

from __future__ import annotations

from typing import Any

import orjson

from cds_service.errors import MalformedJson, NestedTooDeeply

MAX_NESTING = 100
"""Levels of objects and arrays a request may have."""

_PIECE = 128
_NOT_BRACKETS = bytes(set(range(256)) - set(b'{}[]"'))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"{}", b"[]")


def decode(body: bytes) -> dict[str, Any]:
    """Decode a request body.

    Duplicate keys are tolerated (the last wins); NaN, Infinity and invalid UTF-8 are not JSON.

    Raises:
        MalformedJson: the body is not a JSON object in UTF-8.
        NestedTooDeeply: it has more than MAX_NESTING levels.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedJson("The body is not JSON in UTF-8") from None
    if nesting_exceeds(body, MAX_NESTING):
        raise NestedTooDeeply(f"The body has more than {MAX_NESTING} levels of objects and arrays")
    if not isinstance(document, dict):
        raise MalformedJson("The body must be a JSON object")
    return document


def nesting_exceeds(body: bytes, limit: int) -> bool:
    """Tell whether valid JSON has more than `limit` levels of objects and arrays.

    Works on bytes, because a walk through the decoded document takes as long as decoding it. Strings are taken out, so
    that brackets remain.
    """
    if b"\\" in body:  # an escaped quote does not end a string
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = body.translate(_ONE_KIND_OF_BRACKET, _NOT_BRACKETS).replace(b'""', b"")
    if b'"' in brackets:  # strings that hold brackets themselves
        brackets = b"".join(brackets.split(b'"')[::2])
    return _may_exceed(brackets, limit) and _exceeds(brackets, limit)


def _may_exceed(brackets: bytes, limit: int) -> bool:
    """Rule out by a bound what almost every document is: nowhere near the limit.

    Within a piece, the level is at most the one it began with and all the brackets that it opens.
    """
    level = 0
    for start in range(0, len(brackets), _PIECE):
        opened = brackets.count(b"[", start, start + _PIECE)
        if level + opened > limit:
            return True
        level += 2 * opened - len(brackets[start : start + _PIECE])
    return False


def _exceeds(brackets: bytes, limit: int) -> bool:
    """Count exactly: each round removes the innermost pairs, which is one level."""
    for _ in range(limit):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
