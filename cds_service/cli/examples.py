"""Examples below a command's help, each on a line of its own; a test runs them all."""

from __future__ import annotations

_AS_IT_IS = "\b\n"
"""Tells click to leave the lines that follow as they are."""


def examples(*lines: str) -> str:
    """Return command lines as the end of a command's help."""
    return "\n".join((f"{_AS_IT_IS}{'Examples' if len(lines) > 1 else 'Example'}:", *(f"  {line}" for line in lines)))
