"""A whole backtest: an engine's decisions, the figures, and the files that tell them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa

from cds_service.backtest import page, reading, summary
from cds_service.backtest.asking import Versions
from cds_service.backtest.reading import Totals
from cds_service.backtest.run import Plan, Progress, begin, write

Engine = Callable[[Plan, Versions, Progress], Totals]


def run(plan: Plan, versions: Versions, engine: Engine, progress: Progress, most_traces: int, *, restart: bool) -> Any:
    """Run a backtest and write what it found into its folder.

    Returns:
        The summary, as in summary.json, with why the run counts as refused under `refused`.

    Raises:
        BacktestRefused: the export cannot be backtested, or not with this folder.
    """
    identity = plan.identity(versions)
    begin(plan, identity, restart=restart)
    totals = engine(plan, versions, progress)
    found = summary.summarize(plan, identity, totals, reading.read_decisions(plan.decisions), most_traces)
    table = page.as_table(found)
    write(plan.out / "summary.json", orjson.dumps(found, option=orjson.OPT_INDENT_2))
    write(plan.out / "summary.csv", page.as_csv(table).encode())
    reading.write_table(plan.out / "summary.parquet", pa.table(table))
    write(plan.out / "report.html", page.as_html(found).encode())
    faulty = [
        orjson.dumps({"file": file.scanned.name, "line": number, "fault": kind}, option=orjson.OPT_APPEND_NEWLINE)
        for file in totals.files
        for number, kind in file.scanned.faults
    ]
    write(plan.out / "faults.ndjson", b"".join(faulty))
    shutil.rmtree(plan.work)
    return found
