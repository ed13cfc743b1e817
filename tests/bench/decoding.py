"""make bench: a real-sized call in-process, against what decoding its JSON takes.

The garbage collector is set as in a served process, for both figures. Prints medians of alternating executions.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import orjson

from cds_service.call import answer
from cds_service.main import load_registry, spare_the_collector
from cds_service.settings import Settings
from tests.bench.bodies import real_request
from tests.cases import TODAY

ROUNDS = 500


def microseconds(work: Callable[[], object]) -> float:
    """Return what one execution takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e6


def main() -> None:
    """Print both figures and their ratio."""
    body = real_request()
    registry = load_registry(Settings())
    day = TODAY.date()
    prefetch = orjson.loads(body)["prefetch"]
    resources = sum(len(bundle.get("entry", [1])) for bundle in prefetch.values())
    cards = orjson.loads(answer(registry, "", body, day).body)["cards"]
    spare_the_collector()
    decoding, calls = [], []
    for _ in range(ROUNDS):
        decoding.append(microseconds(lambda: orjson.loads(body)))
        calls.append(microseconds(lambda: answer(registry, "", body, day)))
    sys.stdout.write(
        f"request            {len(body) / 1000:.0f} KB, {resources} prefetched resources, {len(cards)} card(s)\n"
        f"decoding its JSON  {median(decoding):.0f} us\n"
        f"the whole call     {median(calls):.0f} us\n"
        f"ratio              {median(calls) / median(decoding):.2f}\n"
    )


if __name__ == "__main__":
    main()
