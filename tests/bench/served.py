"""make bench: the service beside its floor, under wrk, in alternating rounds; printed as a table.

Prints, for requests of three sizes at 1, 8 and 32 connections, the calls a second of both, their median and 99th
percentile, and the ratio of service to floor with its spread over the rounds; then memory and the time to start.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from cds_service.settings import Settings
from tests.bench import wrk
from tests.bench.bodies import sizes
from tests.bench.processes import FLASK, FLOOR, gunicorn, largest_worker, seconds_to_ready, service, started
from tests.bench.wrk import Measured

ROUNDS = 5
SECONDS = 3
CONNECTIONS = (1, 8, 32)
STARTS = 5
SIZES = {"small": "1 KB", "real": "405 KB", "large": "2 MB"}

Rounds = list[tuple[Measured, Measured]]
"""Floor and service, in turn."""


def main() -> None:
    """Print the table."""
    wrk.require()
    out = sys.stdout.write
    settings = Settings()
    out(
        f"\n{os.cpu_count()} cores, {settings.workers} workers of {settings.threads} threads, "
        f"{ROUNDS} rounds of {SECONDS} s each, floor and service in turn\n\n"
        "| request | connections | floor, calls/s | service, calls/s | ratio (spread) | floor p50, p99 "
        "| service p50, p99 |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    grown = []
    with tempfile.TemporaryDirectory() as folder, started(gunicorn(FLOOR)) as (base, below):
        scripts = {name: wrk.script(Path(folder) / name, bodies) for name, bodies in sizes().items()}
        with service() as (url, process):
            for name, script in scripts.items():
                for connections in CONNECTIONS:
                    out(_row(f"{name} ({SIZES[name]})", connections, _rounds(base, url, script, connections)))
                    sys.stdout.flush()
                grown.append(f"| {name} | {largest_worker(below):.0f} | {largest_worker(process):.0f} |\n")
        with started(gunicorn(FLASK)) as (url, _):
            out(_row("small, a bare Flask view instead of the service", 8, _rounds(base, url, scripts["small"], 8)))
    out("\nLargest worker after all requests of a size, in MB:\n\n| after | floor | service |\n|---|---|---|\n")
    out("".join(grown))
    starts = [seconds_to_ready() for _ in range(STARTS)]
    out(f"\nFrom cold start to ready: {median(starts):.1f} s ({min(starts):.1f} to {max(starts):.1f})\n")


def _rounds(base: str, url: str, script: Path, connections: int) -> Rounds:
    return [
        (wrk.run(base, script, connections, SECONDS), wrk.run(url, script, connections, SECONDS)) for _ in range(ROUNDS)
    ]


def _row(name: str, connections: int, rounds: Rounds) -> str:
    ratios = [above.rate / below.rate for below, above in rounds]
    cells = [name, str(connections)]
    cells += [f"{median(one.rate for one in side):,.0f}" for side in zip(*rounds, strict=True)]
    cells.append(f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    for side in zip(*rounds, strict=True):
        lost = sum(one.refused + one.broken for one in side)
        words = f"{median(one.p50 for one in side):.1f}, {median(one.p99 for one in side):.1f} ms"
        cells.append(words + (f", {lost} not answered" if lost else ""))
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
