"""A request body to a JSON object, within limits that protect the service from the sender."""

from __future__ import annotations

import codecs
from array import array
from itertools import accumulate
from typing import Any

import orjson

from cds_service.errors import MalformedJson, NestedTooDeeply, TooManyResources
from cds_service.limits import MOST_CONTAINERS, MOST_VALUES

MAX_NESTING = 100
"""Limit of nested objects and arrays in a request."""

_GZIP = b"\x1f\x8b"
_PIECE = 128
_NOT_BRACKETS = bytes(set(range(256)) - set(b'{}[]"'))
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"{}", b"[]")
_STEPS = bytes.maketrans(b"[]", bytes((1, 255)))
"""An opening bracket is one level up, a closing one (255 is -1 in a signed byte) one level down."""


def decode(body: bytes) -> dict[str, Any]:
    """Decode a request body.

    Duplicate keys are tolerated (the last wins), and so is a byte order mark (C10); NaN, Infinity and invalid UTF-8 are
    not JSON.

    Raises:
        TooManyResources: it has more values than a real request of ten times its size. Checked before decoding,
            because 10 MB of empty arrays would take half a gigabyte.
        NestedTooDeeply: it has more than MAX_NESTING levels.
        MalformedJson: the body is not a JSON object in UTF-8.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    brackets = _brackets(body)
    if brackets.count(b"[") > MOST_CONTAINERS or body.count(b",") > MOST_VALUES:
        raise TooManyResources(f"The body holds more than {MOST_CONTAINERS:,} objects or {MOST_VALUES:,} values")
    if _exceeds(brackets, MAX_NESTING):
        raise NestedTooDeeply(f"The body has more than {MAX_NESTING} levels of objects and arrays")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedJson(_what_it_is(body)) from None
    if not isinstance(document, dict):
        raise MalformedJson("The body must be a JSON object")
    return document


def _what_it_is(body: bytes) -> str:
    """Return what a body is that is not JSON in UTF-8, if that is clear (C10)."""
    if not body.strip():
        return "The body is empty"
    if body.startswith(_GZIP):
        return "The body is compressed with gzip, which is not supported"
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in body[:2]:
        return "The body is JSON in UTF-16 or UTF-32, if any; it must be in UTF-8"
    return "The body is not JSON in UTF-8"


def nesting_exceeds(body: bytes, limit: int) -> bool:
    """Return whether JSON has more than `limit` levels of objects and arrays; undefined for anything but JSON."""
    return _exceeds(_brackets(body), limit)


def _brackets(body: bytes) -> bytes:
    """Return the brackets of JSON, all as square ones.

    Works on bytes, because a walk through the decoded document takes as long as decoding it. Strings are taken out, so
    that brackets remain.
    """
    if b"\\" in body:  # an escaped quote does not end a string
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = body.translate(_ONE_KIND_OF_BRACKET, _NOT_BRACKETS).replace(b'""', b"")
    if b'"' in brackets:  # strings that hold brackets themselves
        brackets = b"".join(brackets.split(b'"')[::2])
    return brackets


def _exceeds(brackets: bytes, limit: int) -> bool:
    return _may_exceed(brackets, limit) and max(accumulate(array("b", brackets.translate(_STEPS)))) > limit


def _may_exceed(brackets: bytes, limit: int) -> bool:
    """Return quickly whether the limit may be exceeded; almost every document is far below it.

    Within a piece, the level is at most the one it began with and all the brackets that it opens.
    """
    level = 0
    for start in range(0, len(brackets), _PIECE):
        opened = brackets.count(b"[", start, start + _PIECE)
        if level + opened > limit:
            return True
        level += 2 * opened - len(brackets[start : start + _PIECE])
    return False
