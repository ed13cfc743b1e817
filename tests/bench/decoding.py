"""make bench: calls in-process, against what decoding its JSON takes.

The garbage collector is set as in a served process, for both figures. Prints medians of alternating
executions, and of their ratios.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from statistics import median

import orjson

from cds_service.call import answer
from cds_service.main import load_registry, spare_the_collector
from cds_service.settings import Settings
from tests.bench.bodies import sizes
from tests.cases import TODAY

ROUNDS = {"small": 4800, "real": 600, "large": 120}
"""Executions of each size; the first of each request are among them."""


def microseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one execution, which others on the machine change least."""
    started = time.process_time_ns()
    work()
    return (time.process_time_ns() - started) / 1000


def main() -> None:
    """Print both figures and their ratio."""
    registry = load_registry(Settings())
    day = TODAY.date()
    spare_the_collector()
    sys.stdout.write("| request | KB | decoding its JSON | the whole call | ratio |\n|---|---|---|---|---|\n")
    for name, bodies in sizes().items():
        decoding, calls = [], []
        for body in islice(cycle(bodies), ROUNDS[name]):
            decoding.append(microseconds(lambda: orjson.loads(body)))  # noqa: B023 - run at once
            calls.append(microseconds(lambda: answer(registry, "", body, day)))  # noqa: B023 - run at once
        ratio = median(call / floor for call, floor in zip(calls, decoding, strict=True))
        times = f"{median(decoding):.0f} us | {median(calls):.0f} us | {ratio:.2f}"
        sys.stdout.write(f"| {name} | {len(bodies[0]) / 1000:.0f} | {times} |\n")


if __name__ == "__main__":
    main()
