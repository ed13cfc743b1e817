"""What a backtest costs: CPU seconds and memory of a whole run on synthetic exports (make backtest-bench).

Bars of issue 16 on 2 cores: 20,000 patients of 54 KB, 5 % with orders, at 4,000 patients a second by CPU; ten times as
many at 1.1 times that per patient at most; 1.2 GB in all. Wall seconds say nothing where others share the machine.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.bench.export import make

CORES = 2
EMBEDDED = ("--engine", "embedded")
SPARK = ("--engine", "spark", "--master", "local[2]")


def main(engine: str, sizes: list[int]) -> None:
    """Make and backtest an export of each size, and print what it cost; two sizes give the cost of one patient more."""
    click.echo(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    click.echo(f"{'patients':>9} {'MB':>7} {'CPU s':>7} {'wall s':>7} {'patients/s by CPU':>18} {'MB in all':>10}")
    cost: dict[int, float] = {}
    for patients in sizes:
        with tempfile.TemporaryDirectory(prefix="cds-backtest-") as name:
            folder = Path(name)
            size = make(folder / "export", patients)
            cost[patients], wall, most = measured(folder, SPARK if engine == "spark" else EMBEDDED)
            rate = CORES * patients / cost[patients]
            click.echo(
                f"{patients:>9,} {size / 1e6:>7,.0f} {cost[patients]:>7.1f} {wall:>7.1f} {rate:>18,.0f} {most:>10,.0f}"
            )
    if len(sizes) > 1:
        small, large = min(sizes), max(sizes)
        each = (cost[large] - cost[small]) / (large - small)
        click.echo(f"{1000 * each:.3f} ms a patient at the margin, {cost[small] - small * each:.1f} s before the first")


def measured(folder: Path, options: tuple[str, ...]) -> tuple[float, float, float]:
    """Return CPU seconds, wall seconds and the most memory of a run, in MB, with all its processes."""
    begun, before, most = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN), 0.0
    words = [sys.executable, "-m", "cds_service", "backtest", str(folder / "export"), "--out", str(folder / "out")]
    environ = {**os.environ, "CDS_LOG_LEVEL": "error"}
    with subprocess.Popen([*words, *options], env=environ, stdout=subprocess.DEVNULL, start_new_session=True) as run:
        last: dict[int, float] = {}
        while run.poll() is None:
            family = members(run.pid)
            last |= {process: seconds(process) for process in family}
            most = max(most, sum(map(memory, family)))
            time.sleep(0.2)
    if run.returncode:
        raise SystemExit(f"the backtest ended with {run.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    waited = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Spark waits for none of its processes; those of the embedded engine may end between two looks.
    return max(waited, sum(last.values())), time.monotonic() - begun, most


def members(session: int) -> list[int]:
    """Return the processes of a session, which a run begins for itself."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        fields = stat(int(path.name))
        if fields and int(fields[3]) == session:
            found.append(int(path.name))
    return found


def stat(process: int) -> list[str]:
    """Return the fields of a process after its name; none where it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def seconds(process: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = stat(process)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def memory(process: int) -> float:
    """Return the memory of a process in MB, of what it shares its share."""
    try:
        told = Path(f"/proc/{process}/smaps_rollup").read_text("utf-8")
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+)", told, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "embedded", [int(size) for size in sys.argv[2:]] or [20_000, 200_000])
