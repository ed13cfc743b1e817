"""Examples at the end of a command's help, each on its own line; a test runs every one."""

from __future__ import annotations

_NOT_WRAPPED = "\b\n"
"""Tells click not to wrap the lines that follow."""


def examples(*lines: str) -> str:
    """Return example commands as the end of a command's help."""
    return "\n".join(
        (f"{_NOT_WRAPPED}{'Examples' if len(lines) > 1 else 'Example'}:", *(f"  {line}" for line in lines))
    )
