"""What every engine reads an export for: whose orders are in scope, who is who, what is gone, and the totals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cds_service.backtest import lines, scan
from cds_service.backtest.asking import Versions
from cds_service.backtest.lines import ExportFile, Faults, numbered
from cds_service.backtest.rows import DECISIONS
from cds_service.backtest.run import Plan, write
from cds_service.backtest.scan import Scanned, Wanted


@dataclass(frozen=True, slots=True)
class FileRead:
    """The outcome of a file's lines, with separate counts of all lines and of lines without a resource."""

    scanned: Scanned
    counted: int
    undecodable: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What was read and decided, from which the sums are made.

    Attributes:
        files: the outcome of each file.
        orders: orders of all kinds.
        in_scope: orders in scope, each once, as the engine counts them.
        dealt: lines that came to where they are decided.
        merged: how many ids of patients were merged into others.
        gone: how many resources the export says are deleted.
        unread: files that hold nothing anybody reads.
        kinds: resource types that are read where there are files of them.
    """

    files: tuple[FileRead, ...]
    orders: int
    in_scope: int
    dealt: int
    merged: int
    gone: int
    unread: int
    kinds: tuple[str, ...]


def totals(plan: Plan, files: Sequence[FileRead], orders: int, in_scope: int, dealt: int) -> Totals:
    """Return the totals of a run, with what was found out about people on the way."""
    told = orjson.loads((plan.work / "people.json").read_bytes())
    return Totals(
        files=tuple(files),
        orders=orders,
        in_scope=in_scope,
        dealt=dealt,
        merged=told["merged"],
        gone=told["gone"],
        unread=len(plan.files) - len(files) - sum(file.deleted for file in plan.files),
        kinds=tuple(told["kinds"]),
    )


def in_scope(found: pa.Table, versions: Versions, codes: dict[str | None, bool]) -> set[str]:
    """Return the patients of orders in scope.

    Args:
        found: patient and code, as JSON, of orders.
        versions: what decides about scope.
        codes: what was decided about codes; more is added.
    """
    patients = set()
    for patient, code in zip(found.column("patient").to_pylist(), found.column("code").to_pylist(), strict=True):
        if code not in codes:
            codes[code] = versions.in_scope(code)
        if codes[code]:
            patients.add(patient)
    return patients


def people(
    plan: Plan, kinds: Mapping[str, frozenset[str]], patients: Iterable[str], merges: Iterable[tuple[str, str]]
) -> None:
    """Write down whose lines are kept, which ids are one patient's, and what the export says is deleted."""
    aliases = {former: now for former, now in sorted(merges) if former != now}
    gone = sorted({name for file in plan.files if file.deleted for name in _gone(file)})
    wanted = sorted({aliases.get(patient, patient) for patient in patients})
    table = {"former": pa.array(aliases, pa.string()), "patient": pa.array(aliases.values(), pa.string())}
    write_table(plan.work / "wanted.parquet", pa.table({"patient": pa.array(wanted, pa.string())}))
    write_table(plan.work / "aliases.parquet", pa.table(table))
    write_table(plan.work / "gone.parquet", pa.table({"reference": pa.array(gone, pa.string())}))
    codes = [sorted(token.partition("|")[2] for token in tokens) or None for tokens in kinds.values()]
    asked = {"kind": pa.array(kinds, pa.string()), "codes": pa.array(codes, pa.list_(pa.string()))}
    write_table(plan.work / "asked.parquet", pa.table(asked))
    told = {"merged": len(aliases), "gone": len(gone), "kinds": list(kinds)}
    write(plan.work / "people.json", orjson.dumps(told))


def wanted_of(plan: Plan) -> Wanted:
    """Return what `people` wrote down."""
    return Wanted(*(pq.read_table(plan.work / f"{name}.parquet") for name in ("asked", "wanted", "aliases", "gone")))


def merges_in(file: ExportFile) -> list[tuple[str, str]]:
    """Return the ids of merged patients, each with the id that stands for it now."""
    found = []
    for _, block in numbered(file.path, Faults()):
        for line in block.filter(pc.match_substring(block, b'"replace')).to_pylist():
            try:
                found += scan.merges(orjson.loads(line))
            except orjson.JSONDecodeError:
                continue  # named when the file is scanned
    return found


def _gone(file: ExportFile) -> Iterator[str]:
    """Yield what a file of deletions names: Bundles whose entries ask for DELETE of `Type/id`."""
    for _, block in numbered(file.path, Faults()):
        for line in filter(None, block.to_pylist()):
            try:
                bundle = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            entries = bundle.get("entry") if isinstance(bundle, dict) else None
            for entry in entries if isinstance(entries, list) else ():
                asked = entry.get("request") if isinstance(entry, dict) else None
                if isinstance(asked, dict) and asked.get("method") == "DELETE" and isinstance(asked.get("url"), str):
                    yield "/".join(asked["url"].rstrip("/").split("/")[-2:])


def told_of(file: ExportFile, found: Scanned, *, verify: bool) -> dict[str, Any]:
    """Return the outcome of a file's lines, with the separate counts, as plain data."""
    undecodable = _undecodable(file) if verify else found.states.get("invalid", 0)
    return {"scanned": found.as_document(), "counted": lines.count(file.path), "undecodable": undecodable}


def file_read(told: dict[str, Any]) -> FileRead:
    """Return what `told_of` told."""
    return FileRead(Scanned(**told["scanned"]), told["counted"], told["undecodable"])


def _undecodable(file: ExportFile) -> int:
    """Return how many lines of a file hold no resource, after each was decoded once more by another decoder."""
    faults, wrong = Faults(), 0
    for _, block in numbered(file.path, faults):
        for line in filter(bytes.strip, block.to_pylist()):
            try:
                resource = orjson.loads(line)
            except orjson.JSONDecodeError:
                wrong += 1
                continue
            wrong += not (isinstance(resource, dict) and isinstance(resource.get("resourceType"), str))
    return wrong + len(faults.lines)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table that is either whole or not there."""
    unfinished = path.with_name(f".{path.name}")
    pq.write_table(table, unfinished, compression="zstd")
    unfinished.rename(path)


def read_decisions(folder: Path) -> pa.Table:
    """Return all decisions of a run, in a fixed order."""
    found = pq.read_table(folder, schema=DECISIONS)
    return found.sort_by(
        [("patient", "ascending"), ("day", "ascending"), ("order", "ascending"), ("guideline", "ascending")]
    )
