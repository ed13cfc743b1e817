"""Reads TOML files of a knowledge folder, and checks the keys of each entry with helpful messages."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cds_service.errors import KnowledgeError

_WORDS: Mapping[type, str] = {
    str: "text", list: "a list", dict: "a table", date: "a date such as 2026-11-23", bool: "true or false",
    int: "a whole number",
}  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """Return a TOML file.

    Raises:
        KnowledgeError: the file is missing, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KnowledgeError(f"{path.name}: the file is missing") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise KnowledgeError(f"{path.name}: is not TOML: {fault}") from None


def read_if_there(path: Path) -> dict[str, Any]:
    """Return an optional TOML file; empty if it does not exist.

    Raises:
        KnowledgeError: the file is not TOML.
    """
    return read(path) if path.exists() else {}


def check_keys(where: str, entry: object, required: Mapping[str, type], optional: Sequence[str] = ()) -> None:
    """Refuse missing, unknown and wrong-typed keys of one entry.

    Args:
        where: file and entry, for the message.
        required: each key and the type its value must have; texts must not be empty.
        optional: further keys; the caller checks their values.

    Raises:
        KnowledgeError: the first thing that is wrong; the message names file, entry and key.
    """
    if not isinstance(entry, dict):
        raise KnowledgeError(f"{where}: must be a table, [{where.rsplit(': ', 1)[-1]}]")
    for key in entry:
        if key not in required and key not in optional:
            raise KnowledgeError(f"{where}: {unknown('key', key, (*required, *optional))}")
    for key, kind in required.items():
        if key not in entry:
            raise KnowledgeError(f"{where}: {key}: is missing")
        if type(entry[key]) is not kind or entry[key] == "":
            raise KnowledgeError(f"{where}: {key}: must be {_WORDS[kind]}")


def unknown(what: str, name: object, known: Sequence[object]) -> str:
    """Return a message about an unknown name, with the closest known one."""
    return f"no {what} is called {str(name)!r}{did_you_mean(name, known)}"


def did_you_mean(name: object, known: Sequence[object]) -> str:
    """Return a hint at the closest known name, or ""."""
    close = get_close_matches(str(name), [str(item) for item in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
