"""What a backtest costs: CPU seconds and memory of a whole run on synthetic exports (make backtest-bench).

Bars of issue 16 on 2 cores: 20,000 patients of 54 KB, 5 % with orders, at 4,000 patients a second by CPU; ten times as
many at 1.1 times that per patient at most; 1.2 GB in all. Wall seconds say nothing where others share the machine.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.bench.export import make

CORES = 2


def main(sizes: list[int]) -> None:
    """Make and backtest an export of each size, and print what it cost."""
    click.echo(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    click.echo(f"{'patients':>9} {'MB':>7} {'CPU s':>7} {'wall s':>7} {'patients/s by CPU':>18} {'MB a process':>13}")
    for patients in sizes:
        with tempfile.TemporaryDirectory(prefix="cds-backtest-") as name:
            folder = Path(name)
            size = make(folder / "export", patients)
            before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            words = ["-m", "cds_service", "backtest", str(folder / "export"), "--out", str(folder / "out")]
            environ = {**os.environ, "CDS_LOG_LEVEL": "error"}
            subprocess.run([sys.executable, *words], env=environ, check=True, capture_output=True)
            after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            rate, memory = CORES * patients / cpu, after.ru_maxrss / 1024
            click.echo(f"{patients:>9,} {size / 1e6:>7,.0f} {cpu:>7.1f} {wall:>7.1f} {rate:>18,.0f} {memory:>13,.0f}")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [20_000, 200_000])
