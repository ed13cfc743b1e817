"""make bench: what a megabyte of the worst of each kind costs, beside what decoding it costs; none above ten times.

CPU time, the least of some rounds, of a call in this process: refused or answered. The worst first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress

import orjson

from cds_service.call import answer
from cds_service.errors import CdsError
from cds_service.main import load_registry, spare_the_collector
from cds_service.settings import Settings
from tests.bench.kinds import KINDS, of_size
from tests.cases import TODAY

MEGABYTES = (1, 10)
ROUNDS = 5
MOST = 10


def cpu_milliseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of the quickest of some executions."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times) * 1000


def main() -> None:
    """Print the table."""
    registry = load_registry(Settings())
    day = TODAY.date()
    spare_the_collector()
    rows = []
    for kind, make in KINDS.items():
        for megabytes in MEGABYTES:
            body = of_size(make, megabytes * 1_000_000)

            def call(body: bytes = body) -> None:
                with suppress(CdsError):
                    answer(registry, "", body, day)

            decoding = cpu_milliseconds(lambda: orjson.loads(body)) / len(body) * 1e6  # noqa: B023 - run at once
            calls = cpu_milliseconds(call) / len(body) * 1e6
            rows.append((calls / decoding, f"| {kind} | {len(body) / 1e6:.1f} | {decoding:.1f} | {calls:.1f} "))
    sys.stdout.write("\n| full of | MB | decoding, ms/MB | the call, ms/MB | ratio |\n|---|---|---|---|---|\n")
    for ratio, row in sorted(rows, reverse=True):
        sys.stdout.write(f"{row}| {ratio:.1f}{' (too much)' if ratio > MOST else ''} |\n")


if __name__ == "__main__":
    main()
