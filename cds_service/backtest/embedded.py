"""The engine within one machine: worker processes, each with a DuckDB of its own, file by file and part by part.

A task writes its result under another name and renames it, so that a run that was killed goes on with what is missing.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from cds_service.backtest import scan
from cds_service.backtest.asking import Versions
from cds_service.backtest.decisions import decide_batches
from cds_service.backtest.lines import ExportFile
from cds_service.backtest.reading import (
    FileRead,
    Totals,
    file_read,
    in_scope,
    merges_in,
    people,
    told_of,
    totals,
    wanted_of,
    write_table,
)  # fmt: skip
from cds_service.backtest.rows import DECISIONS
from cds_service.backtest.run import Plan, Progress, write
from cds_service.backtest.sessions import ORDER_TYPES
from cds_service.errors import BacktestRefused

_DEALING = "300MB"
"""The most that DuckDB takes where it holds lines of many patients at once, and can spill them."""


def run(plan: Plan, versions: Versions, progress: Progress) -> Totals:
    """Decide every order in scope of an export into `decisions`.

    Raises:
        BacktestRefused: a worker ended, or nothing can be decided.
    """
    gc.freeze()  # workers neither look through nor copy what is loaded by now
    pool = ProcessPoolExecutor(plan.processes, mp_context=get_context("fork"))
    try:
        with pool:
            orders, wanted = _wanted(plan, versions, pool, progress)
            files = _scanned(plan, versions.kinds, pool, progress)
            codes = tuple(code for code, meant in wanted.items() if meant)
            number = pool.submit(_deal, plan, codes).result()
            dealt = _decide(plan, pool, progress)
    except BrokenProcessPool:
        raise BacktestRefused(
            "A worker process ended, perhaps without enough memory; repeat the command to resume"
        ) from None
    except duckdb.OutOfMemoryException:
        raise BacktestRefused(f"A file has lines that need more memory than {plan.memory}; add --memory 2GB") from None
    return totals(plan, files, orders, number, dealt)


def _all(
    pool: ProcessPoolExecutor, task: Callable[..., Any], plan: Plan, items: Sequence[tuple[int, ExportFile]]
) -> Iterator[tuple[ExportFile, Any]]:
    """Do a task for each file; yield as they are done."""
    doing = {pool.submit(task, plan, number, file): file for number, file in items}
    for done in as_completed(doing):
        yield doing[done], done.result()


def _wanted(
    plan: Plan, versions: Versions, pool: ProcessPoolExecutor, progress: Progress
) -> tuple[int, dict[str | None, bool]]:
    """Find the patients with an order in scope; return how many orders there are, and which codes are in scope."""
    codes: dict[str | None, bool] = {}
    patients: set[str] = set()
    number = 0
    items = plan.read(ORDER_TYPES)
    size, whole = 0, sum(file.path.stat().st_size for _, file in items)
    for file, (found, orders) in _all(pool, _orders, plan, items):
        number += orders
        patients |= in_scope(found, versions, codes)
        progress("orders", size := size + file.path.stat().st_size, whole)
    merges = [pair for _, found in _all(pool, _merges, plan, plan.read(("Patient",))) for pair in found]
    people(plan, versions.kinds, patients, merges)
    return number, codes


def _orders(plan: Plan, _: int, file: ExportFile) -> tuple[pa.Table, int]:
    with scan.connection(plan.memory, 1, plan.work) as engine:
        return scan.orders(engine, file)


def _merges(_plan: Plan, _: int, file: ExportFile) -> list[tuple[str, str]]:
    return merges_in(file)


def _scanned(plan: Plan, kinds: Iterable[str], pool: ProcessPoolExecutor, progress: Progress) -> list[FileRead]:
    """Read every file once; return the outcome of its lines, and a separate count of them."""
    (plan.work / "kept").mkdir(exist_ok=True)
    items = plan.read(tuple(kinds))
    size, whole = 0, sum(file.path.stat().st_size for _, file in items)
    for file, _ in _all(pool, _scan, plan, items):
        progress("lines", size := size + file.path.stat().st_size, whole)
    told = [
        orjson.loads((plan.work / "kept" / f"{number:05d}.json").read_bytes())
        for number, _ in sorted(items, key=lambda i: i[0])
    ]
    return [file_read(document) for document in told]


def _scan(plan: Plan, number: int, file: ExportFile) -> None:
    told = plan.work / "kept" / f"{number:05d}.json"
    if told.exists():
        return
    with scan.connection(plan.memory, 1, plan.work) as engine:
        found, kept = scan.scan(engine, file, plan.export, wanted_of(plan))
    write_table(told.with_suffix(".parquet"), kept)
    write(told, orjson.dumps(told_of(file, found, verify=plan.verify)))


def _deal(plan: Plan, codes: tuple[str | None, ...]) -> int:
    """Deal the lines that were kept to parts by patient; return how many orders in scope there are, each once."""
    told = plan.work / "dealt.json"
    if told.exists():
        return int(orjson.loads(told.read_bytes()))
    shutil.rmtree(plan.work / "parts", ignore_errors=True)
    kept = str(plan.work / "kept" / "*.parquet")
    with scan.connection(_DEALING, plan.processes, plan.work) as engine:
        scan.deal(engine, kept, plan.parts, plan.work / "parts")
        number = scan.in_scope(engine, kept, codes)
    write(told, orjson.dumps(number))
    return number


def _decide(plan: Plan, pool: ProcessPoolExecutor, progress: Progress) -> int:
    """Decide part by part; return how many lines were decided about."""
    doing = [pool.submit(_decide_part, plan, part) for part in range(plan.parts)]
    dealt = 0
    for done, task in enumerate(as_completed(doing), start=1):
        dealt += task.result()
        progress("decisions", done, plan.parts)
    return dealt


def _decide_part(plan: Plan, part: int) -> int:
    told, path = plan.work / f"part-{part:05d}.json", plan.decisions / f"part-{part:05d}.parquet"
    if told.exists() and path.exists():
        return int(orjson.loads(told.read_bytes()))
    folder = plan.work / "parts" / f"part={part}"
    mine = (
        pq.read_table(folder, columns=["patient", "line"], partitioning=None)
        if folder.exists()
        else scan.KEPT.empty_table()
    )
    mine = mine.sort_by("patient")
    unfinished = path.with_name(f".{path.name}")
    with pq.ParquetWriter(unfinished, DECISIONS, compression="zstd") as writer:
        for found in decide_batches(mine.to_batches(max_chunksize=4096), plan.setup):
            writer.write_batch(found)
    unfinished.rename(path)
    write(told, orjson.dumps(mine.num_rows))
    return int(mine.num_rows)
