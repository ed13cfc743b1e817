"""An export's files and their lines: which file holds what, and every line with its number, faulty ones named."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_NAME = re.compile(r"(?:[^A-Za-z]*)([A-Za-z]+)[^/]*\.(?:ndjson|jsonl)(?:\.gz)?", re.ASCII)
_MARK = b"\xef\xbb\xbf"
BLOCK = 4 << 20
"""Bytes that are read at a time."""
LONGEST_LINE = 64 << 20
"""Bytes of a line; a longer one is left out and named."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export; `kind` is the resource type its name says, `deleted` that it lists deletions."""

    path: Path
    kind: str
    deleted: bool = False


@dataclass(slots=True)
class Faults:
    """Lines of a file that are left out before anybody decodes them: (number, what is wrong), and if it is cut off."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    unreadable: str = ""
    total: int = 0
    blank: int = 0


def files_of(folder: Path) -> list[ExportFile]:
    """Return the files of an export, found by their names: `Condition.ndjson`, `Condition.0007.ndjson.gz` and the like.

    What lies in a folder named `deleted`, as a manifest's `deleted` list does, names resources that are gone.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        match = _NAME.fullmatch(path.name)
        if match and path.is_file():
            gone = "deleted" in (part.lower() for part in path.relative_to(folder).parent.parts)
            found.append(ExportFile(path, match[1], gone or match[1].lower() == "deleted"))
    return found


def numbered(path: Path, faults: Faults, longest: int = LONGEST_LINE) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the lines of a file in blocks, each with the number of its first line; blank ones as empty.

    Args:
        path: plain or gzip.
        faults: what is wrong is added here; such a line is yielded as empty.
        longest: bytes of a line that are read.
    """
    number, rest, skipping = 1, b"", False
    for block in _blocks(path, faults):
        parts = block.split(b"\n")
        parts[0] = rest + parts[0]
        rest = parts.pop()
        if skipping and parts:
            faults.lines.append((number, "too long"))
            parts[0], skipping = b"", False
            faults.total, faults.blank = faults.total + 1, faults.blank - 1
        if len(rest) > longest:
            rest, skipping = b"", True
        if parts:
            yield number, _checked(number, parts, faults)
            number += len(parts)
    if skipping:
        faults.lines.append((number, "too long"))
        faults.total += 1
    elif rest.strip():
        yield number, _checked(number, [rest], faults)


def _checked(number: int, parts: list[bytes], faults: Faults) -> list[bytes]:
    """Cut off a byte order mark, count lines, and take out those that are not UTF-8."""
    if number == 1 and parts[0].startswith(_MARK):
        parts[0] = parts[0][len(_MARK) :]
    blank = sum(not part or part.isspace() for part in parts)
    faults.blank += blank
    faults.total += len(parts) - blank
    if all(part.isascii() for part in parts):
        return parts
    for place, part in enumerate(parts):
        try:
            part.decode()
        except UnicodeDecodeError:
            faults.lines.append((number + place, "not UTF-8"))
            parts[place] = b""
    return parts


def _blocks(path: Path, faults: Faults) -> Iterator[bytes]:
    try:
        with path.open("rb") as raw:
            stream: io.BufferedIOBase = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            while block := stream.read(BLOCK):
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile):
        faults.unreadable = "cut off or damaged"
    except OSError:
        faults.unreadable = "cannot be read"


def count(path: Path) -> int:
    """Return how many lines of a file are not blank, counted on its own, without anything above."""
    found, filled = 0, False
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            while piece := stream.readline(BLOCK):
                filled = filled or not piece.isspace()
                if piece.endswith(b"\n"):
                    found, filled = found + filled, False
    except (EOFError, zlib.error, OSError):
        return found + filled
    return found + filled
