"""An export's files and their lines: which file holds what, and every line with its number, faulty ones named."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

_NAME = re.compile(r"(?:[^A-Za-z]*)([A-Za-z]+)[^/]*\.(?:ndjson|jsonl)(?:\.gz)?", re.ASCII)
_MARK = b"\xef\xbb\xbf"
BLOCK = 1 << 19
"""Bytes that are read at a time: what fits a cache next to its copies."""
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


def numbered(path: Path, faults: Faults, longest: int = LONGEST_LINE) -> Iterator[tuple[int, pa.Array]]:
    """Yield the lines of a file in blocks, as bytes, each with the number of its first line.

    Args:
        path: plain or gzip.
        faults: what is wrong is added here; such a line is yielded as empty.
        longest: bytes of a line that are read.
    """
    number, rest, skipping = 1, b"", False
    for block in chain(_blocks(path, faults), [b""]):
        ended, end, begun = block.rpartition(b"\n")
        if end or (not block and (rest or skipping)):  # the last line may have no end
            if skipping:
                faults.lines.append((number, "too long"))
                ended = b"".join(ended.partition(b"\n")[1:])
            found = _checked(rest + ended, number, faults, longest)
            yield number, found
            number += len(found)
            rest, skipping = b"", False
        rest += begun
        if skipping or len(rest) > longest:
            rest, skipping = b"", True


def _checked(text: bytes, number: int, faults: Faults, longest: int) -> pa.Array:
    """Return lines without a byte order mark, and empty where one is too long or not UTF-8."""
    if number == 1:
        text = text.removeprefix(_MARK)
    found = pc.split_pattern(pa.array([text], pa.binary()), b"\n").flatten()
    if _fault(text, len(text)) or pc.max(pc.binary_length(found)).as_py() > longest:
        listed = text.split(b"\n")
        for place, line in enumerate(listed):
            if fault := _fault(line, longest):
                faults.lines.append((number + place, fault))
                listed[place] = b""
        found = pa.array(listed, pa.binary())
    return found


def _fault(text: bytes, longest: int) -> str:
    if len(text) > longest:
        return "too long"
    try:
        if not text.isascii():
            text.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return ""


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
    """Return how many lines a file has, counted on its own, without anything above."""
    found, last = 0, b"\n"
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            while block := stream.read(BLOCK):
                found, last = found + block.count(b"\n"), block[-1:]
    except (EOFError, zlib.error, OSError):
        return found
    return found + (last != b"\n")
