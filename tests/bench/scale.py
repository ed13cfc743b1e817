"""make scale: what a call costs from 10 to 10,000 prefetched resources; printed as a table and a chart.

The chart (Mermaid, which renders in Markdown) shows microseconds for each resource: level means linear.
"""

from __future__ import annotations

import sys
from statistics import median

import orjson

from cds_service.call import answer
from cds_service.main import load_registry, spare_the_collector
from cds_service.settings import Settings
from tests.bench.bodies import WANTED, real_request
from tests.bench.decoding import microseconds
from tests.cases import TODAY

RESOURCES = (10, 30, 100, 300, 1000, 3000, 10_000)
ROUNDS = 15


def request_of(resources: int) -> bytes:
    """Return a request with about so many prefetched resources, mixed as in a real chart."""
    whole = sum(WANTED.values())
    return real_request(wanted={key: max(1, round(resources * number / whole)) for key, number in WANTED.items()})


def main() -> None:
    """Print the table and the chart."""
    registry = load_registry(Settings())
    day = TODAY.date()
    spare_the_collector()
    each = []
    sys.stdout.write(
        "| resources | KB | decoding its JSON | the whole call | for each resource |\n|---|---|---|---|---|\n"
    )
    for resources in RESOURCES:
        body = request_of(resources)
        calls = median(microseconds(lambda: answer(registry, "", body, day)) for _ in range(ROUNDS))  # noqa: B023
        decoding = median(microseconds(lambda: orjson.loads(body)) for _ in range(ROUNDS))  # noqa: B023
        each.append(calls / resources)
        sys.stdout.write(
            f"| {resources:,} | {len(body) / 1000:,.0f} | {decoding / 1000:.2f} ms | {calls / 1000:.2f} ms "
            f"| {each[-1]:.1f} us |\n"
        )
    sys.stdout.write(
        "\n```mermaid\nxychart-beta\n"
        '    title "Microseconds of a call for each prefetched resource"\n'
        f"    x-axis [{', '.join(map(str, RESOURCES))}]\n"
        f"    line [{', '.join(f'{value:.1f}' for value in each)}]\n```\n"
    )


if __name__ == "__main__":
    main()
