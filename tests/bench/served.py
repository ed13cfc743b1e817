"""make bench: the service under wrk beside what only receives, decodes or is a bare Flask view, and beside its peers.

In alternating rounds, for requests of three sizes at 1, 8 and 32 connections: calls a second, their median and 99th
percentile, CPU time of the workers for a call and how even their shares are, each also as the median of its ratios to
the floor's; then memory and the time to start. Arguments choose sizes and connections, such as `real 8`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from subprocess import run

from cds_service.settings import Settings
from tests.bench import wrk
from tests.bench.bodies import sizes
from tests.bench.processes import (
    FLASK,
    FLOOR,
    PARSING,
    RECEIVING,
    cpu_seconds,
    gunicorn,
    healthchain,
    largest_worker,
    seconds_to_ready,
    service,
    started,
)
from tests.bench.wrk import Measured

ROUNDS = 3
SECONDS = 2
CONNECTIONS = (1, 8, 32)
STARTS = 5
SIZES = {"small": "1 KB", "real": "405 KB", "large": "2 MB"}
HEALTHCHAIN = Path(sys.prefix) / "healthchain" / "bin" / "python"
"""The interpreter that has HealthChain, where it could be installed."""


@dataclass(frozen=True)
class Round:
    """What one server did in one round.

    Attributes:
        cpu: milliseconds of its workers for a call.
        share: of the worker that did most.
    """

    measured: Measured
    cpu: float
    share: float


Servers = Mapping[str, tuple[str, int]]
"""URL and process id of each server."""


def main() -> None:
    """Print the tables."""
    wrk.require()
    chosen = sys.argv[1:]
    out = sys.stdout.write
    settings = Settings()
    commit = run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    out(
        f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}, load average {os.getloadavg()[0]:.2f} before; "
        f"{os.cpu_count()} cores, {settings.workers} workers of {settings.threads} threads, "
        f"{ROUNDS} rounds of {SECONDS} s each, in turn\n\n"
    )
    grown = []
    with tempfile.TemporaryDirectory() as folder, _servers() as servers:
        scripts = {name: wrk.script(Path(folder) / name, bodies) for name, bodies in sizes().items()}
        _head()
        for name, script in scripts.items():
            for connections in CONNECTIONS:
                if {name, str(connections)} >= set(chosen):
                    _compare(f"{name} ({SIZES[name]})", servers, script, connections)
            grown.append(f"| {name} | {' | '.join(f'{largest_worker(pid):.0f}' for _, pid in servers.values())} |\n")
        if {"real", "8"} >= set(chosen):
            with _peers() as peers:
                out("\nPeers, on real requests at 8 connections:\n\n")
                _head()
                _compare("real (405 KB)", {"floor": servers["floor"], **peers}, scripts["real"], 8)
        out(f"\nLargest worker after all requests of a size, in MB:\n\n| after | {' | '.join(servers)} |\n")
        out(f"|---|{'---|' * len(servers)}\n" + "".join(grown))
    if not chosen:
        starts = [seconds_to_ready() for _ in range(STARTS)]
        out(f"\nFrom cold start to ready: {median(starts):.1f} s ({min(starts):.1f} to {max(starts):.1f})\n")


@contextmanager
def _servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield {
            "only receives": stack.enter_context(started(gunicorn(RECEIVING))),
            "floor": stack.enter_context(started(gunicorn(FLOOR))),
            "Flask view": stack.enter_context(started(gunicorn(FLASK))),
            "service": stack.enter_context(service()),
        }


@contextmanager
def _peers() -> Iterator[Servers]:
    with ExitStack() as stack:
        peers = {"Flask and fhir.resources": stack.enter_context(started(gunicorn(PARSING)))}
        if HEALTHCHAIN.exists():
            peers["HealthChain, doing nothing"] = stack.enter_context(started(healthchain(), str(HEALTHCHAIN)))
        else:
            sys.stdout.write("\nHealthChain could not be installed and is not measured.\n")
        yield peers


def _head() -> None:
    columns = ("request", "connections", "server", "calls/s", "p50, p99, ms", "CPU of a call, ms", "largest share")
    ratios = ("calls", "p99", "CPU")
    names = [*columns, *(f"{name} / floor's" for name in ratios)]
    sys.stdout.write(f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n")


def _compare(size: str, servers: Servers, script: Path, connections: int) -> None:
    """Measure servers in turn, and print a row for each."""
    rounds = [{name: _round(*server, script, connections) for name, server in servers.items()} for _ in range(ROUNDS)]
    for name in servers:
        own = [found[name] for found in rounds]
        lost = sum(one.measured.refused + one.measured.broken for one in own)
        cells = [
            size,
            str(connections),
            name,
            f"{median(one.measured.rate for one in own):,.0f}" + (f", {lost} not answered" if lost else ""),
            f"{median(one.measured.p50 for one in own):.1f}, {median(one.measured.p99 for one in own):.1f}",
            f"{median(one.cpu for one in own):.2f}",
            f"{median(one.share for one in own):.0%}",
        ]
        for ratio in (lambda one: one.measured.rate, lambda one: one.measured.p99, lambda one: one.cpu):
            ratios = [ratio(found[name]) / ratio(found["floor"]) for found in rounds]
            cells.append(f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


def _round(url: str, process: int, script: Path, connections: int) -> Round:
    before = cpu_seconds(process)
    measured = wrk.run(url, script, connections, SECONDS)
    spent = [seconds - before.get(worker, 0) for worker, seconds in cpu_seconds(process).items()]
    calls = max(1, measured.rate * SECONDS)
    return Round(measured, sum(spent) / calls * 1000, max(spent) / (sum(spent) or 1))


if __name__ == "__main__":
    main()
