"""Text of a chart made safe to show: plain, on one line, without characters that hide or reverse others."""

from __future__ import annotations

import unicodedata
from typing import Any

import orjson

_HIDDEN = ("Cc", "Cf")
"""Unicode categories: controls such as NUL and ESC, and formats such as bidirectional overrides and zero widths."""

_LINES = frozenset("\t\n\r")


def plain_line(text: str) -> str:
    r"""Return a text on one line, without control and format characters (conformance H4).

    >>> plain_line("  low\n back\x1b[2J pain\u202e ")
    'low back[2J pain'
    """
    line = " ".join(text.split())
    return line if line.isprintable() else _visible(line)


def _visible(line: str) -> str:
    kept = "".join(character for character in line if unicodedata.category(character) not in _HIDDEN)
    return " ".join(kept.split())


def hides_characters(value: Any) -> bool:
    """Return whether any text of a resource holds control or format characters; tabs and line ends are harmless."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if text.isprintable() and ("\\" not in text or value is text):
        return False
    if isinstance(value, str):
        return any(unicodedata.category(character) in _HIDDEN for character in value if character not in _LINES)
    if isinstance(value, dict):
        return any(hides_characters(part) for item in value.items() for part in item)
    return isinstance(value, list) and any(map(hides_characters, value))
