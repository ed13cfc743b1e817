"""What a run is: its export, its settings and its folder, and that only the same run goes on where one was killed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from cds_service.backtest.asking import Setup, Versions
from cds_service.backtest.lines import ExportFile, files_of
from cds_service.errors import BacktestRefused

PARTS = 32
"""Parts that patients are dealt to when a run does not say; a worker holds one at a time."""

MEMORY = "800MB"
"""The most that DuckDB takes in each process while it reads: enough for the longest line that is read."""

Progress = Callable[[str, int, int], None]
"""Told the stage, and how much of how much of it is done."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        export: the folder of the export.
        out: where results go.
        files: the files of the export.
        setup: how each patient is decided.
        processes: worker processes.
        parts: parts that patients are dealt to.
        memory: of each engine, as DuckDB writes it.
        verify: decode every line again in another way, and compare.
        site_key: hashes are made with the site's key, so that runs can be joined.
    """

    export: Path
    out: Path
    files: tuple[ExportFile, ...]
    setup: Setup
    processes: int = 2
    parts: int = PARTS
    memory: str = MEMORY
    verify: bool = False
    site_key: bool = False

    @property
    def work(self) -> Path:
        """Return the folder of lines under way. It holds patients' data, and is removed at the end."""
        return self.out / "work"

    @property
    def decisions(self) -> Path:
        """Return the folder of decisions."""
        return self.out / "decisions"

    def read(self, kinds: tuple[str, ...]) -> list[tuple[int, ExportFile]]:
        """Return the files that hold resources of these types, each with its number, the largest first."""
        found = [(n, file) for n, file in enumerate(self.files) if file.kind in kinds and not file.deleted]
        return sorted(found, key=lambda item: -item[1].path.stat().st_size)

    def identity(self, versions: Versions) -> dict[str, Any]:
        """Return what makes a run this run: files, content and settings."""
        setup = self.setup
        return {
            "version": version("dry-needling-cds"),
            "files": [[str(f.path.relative_to(self.export)), *_stamp(f.path)] for f in self.files],
            "knowledge": {s.knowledge.identity.id: s.knowledge.version for s in versions.now},
            "compared": {name: s.knowledge.version for name, s in versions.compared.items()},
            "settings": [setup.zone, setup.session.total_seconds(), setup.first, setup.last, self.parts, self.verify],
        }


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def export_files(folder: Path) -> tuple[ExportFile, ...]:
    """Return an export's files.

    Raises:
        BacktestRefused: there are none.
    """
    found = tuple(files_of(folder))
    if not found:
        raise BacktestRefused(f"{folder}: no file such as Condition.ndjson or Condition.0001.ndjson.gz is there")
    return found


def begin(plan: Plan, identity: dict[str, Any], *, restart: bool) -> None:
    """Make the folder of a run, or go on in the folder of the same run.

    Raises:
        BacktestRefused: the folder is that of another run, or holds something else.
    """
    told = plan.out / "run.json"
    if restart:
        for name in ("work", "decisions"):
            shutil.rmtree(plan.out / name, ignore_errors=True)
        told.unlink(missing_ok=True)
    if told.exists():
        if orjson.loads(told.read_bytes()) != orjson.loads(orjson.dumps(identity)):
            raise BacktestRefused(f"{plan.out}: holds another run, of other files, content or settings; add --restart")
    elif plan.decisions.exists():
        raise BacktestRefused(f"{plan.out}: holds decisions of an unknown run; add --restart")
    plan.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan.decisions.mkdir(exist_ok=True)
    write(told, orjson.dumps(identity, option=orjson.OPT_INDENT_2))


def hash_key(out: Path, site_key: str) -> str:
    """Return the key for keyed hashes: the site's, else one that is thrown away when the run ends."""
    if site_key:
        return site_key
    path = out / "work" / "key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(path, secrets.token_hex(32).encode())
    return path.read_text("ascii")


def write(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there, for its owner alone."""
    unfinished = path.with_name(f".{path.name}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    unfinished.rename(path)
