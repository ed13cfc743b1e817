"""make servers: floor and service under each web server that could be used, and what hostile clients hold there."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from statistics import median

from tests.bench import wrk
from tests.bench.bodies import sizes
from tests.bench.processes import FLOOR, SERVICE, granian, gunicorn, largest_worker, started, waitress
from tests.system.hostile_clients import KINDS, LONGEST, attacked, honest, p99

ROUNDS = 3
SECONDS = 4
CONNECTIONS = 8
HOSTILE = 100
SERVERS = {
    "as served": gunicorn,
    "gunicorn sync": lambda app: gunicorn(app, "sync", 1),
    "gunicorn gthread, 4 threads": lambda app: gunicorn(app, "gthread", 4),
    "gunicorn gthread, 20 threads": lambda app: gunicorn(app, "gthread", 20),
    "granian, 1 thread": lambda app: granian(app, 1),
    "granian, 4 threads": lambda app: granian(app, 4),
    "waitress, 4 threads": lambda app: waitress(app, 4),
}


def main() -> None:
    """Print the table."""
    wrk.require()
    out = sys.stdout.write
    out(f"{CONNECTIONS} connections, median of {ROUNDS} rounds of {SECONDS} s\n\n")
    out(
        "| server | request | floor, calls/s | service, calls/s | service p50, p99 | largest worker |\n"
        "|---|---|---|---|---|---|\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        measured = {name: bodies for name, bodies in sizes().items() if name != "large"}
        scripts = {name: wrk.script(Path(folder) / name, bodies) for name, bodies in measured.items()}
        for server, command in SERVERS.items():
            with started(command(FLOOR)) as (base, _), started(command(SERVICE)) as (url, process):
                for name, script in scripts.items():
                    below, above = [], []
                    for _ in range(ROUNDS):
                        below.append(wrk.run(base, script, CONNECTIONS, SECONDS))
                        above.append(wrk.run(url, script, CONNECTIONS, SECONDS))
                    p50, p99 = median(one.p50 for one in above), median(one.p99 for one in above)
                    lost = sum(one.refused + one.broken for one in above)
                    out(
                        f"| {server} | {name} | {median(one.rate for one in below):,.0f} "
                        f"| {median(one.rate for one in above):,.0f} | {p50:.1f}, {p99:.1f} ms "
                        f"| {largest_worker(process):.0f} MB{f', {lost} not answered' if lost else ''} |\n"
                    )
                    sys.stdout.flush()
    out(f"\nCalls and liveness while {HOSTILE} others hold on, p99 in ms; {LONGEST * 1000:.0f}: no answer\n\n")
    out(f"| server | {' | '.join(kind.__name__.replace('_', ' ') for kind in KINDS)} |\n|---|{'---|' * len(KINDS)}\n")
    for server, command in SERVERS.items():
        with started(command(SERVICE)) as (url, _):
            out(f"| {server} | {' | '.join(_while_held(url, kind) for kind in KINDS)} |\n")
            sys.stdout.flush()


def _while_held(url: str, kind: Callable[[], AsyncIterator[bytes]]) -> str:
    """Return what calls and liveness take while others hold connections in one way."""
    with attacked(url, kind, HOSTILE):
        time.sleep(0.3)
        return ", ".join(f"{p99(times) * 1000:.0f}" for times in honest(url, 2))


if __name__ == "__main__":
    main()
