"""make fuzz: 100,000 mutated requests, seeded: no 5xx, no hang, no invalid card, and memory that stays flat.

    python -m tests.fuzz.campaign [NUMBER [SEED]]      so many requests
    python -m tests.fuzz.campaign --only N [SEED]      the Nth again, with its body, to look at a fault

Each request is made by a generator of its own, from the seed and its number, so that any can be made again alone.
Every processor takes a share of the numbers, in a process with applications of its own.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from multiprocessing import get_context
from random import Random
from statistics import median
from typing import Any

from flask.testing import FlaskClient

from tests.bench.processes import memory
from tests.campaigns.test_robustness import check
from tests.fuzz.kinds import Kinds, Sent

NUMBER = 100_000
SEED = 12
HANG_SECONDS = 120
"""A request that takes so long hangs: the process ends and says where."""

MOST_FAULTS = 20
WARM_UP = 0.5
"""The part of a campaign in which memory may grow: what is remembered between calls fills up to its bounds."""

MOST_GROWTH = 0.05


@dataclass
class Campaign:
    """What a campaign showed.

    Attributes:
        statuses: how often each kind of request was answered with each status.
        faults: number of a request, its kind, and what was wrong.
        megabytes: memory of this process, sampled at even intervals.
        slowest: seconds of the slowest request, and its number.
    """

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)

    @property
    def growth(self) -> float:
        """Return how memory grew after the warm-up, from its first third to its last, as a fraction."""
        after = self.megabytes[round(len(self.megabytes) * WARM_UP) :]
        third = max(1, len(after) // 3)
        return median(after[-third:]) / median(after[:third]) - 1


def made(kinds: Kinds, seed: int, number: int) -> Sent:
    """Return a request of a campaign."""
    return kinds.request(Random(f"{seed} {number}"))


def run(kinds: Kinds, seed: int, numbers: range, sampled: Callable[[], float] = lambda: 0.0) -> Campaign:
    """Send requests and look at each answer."""
    found = Campaign()
    for done, number in enumerate(numbers):
        if done % 100 == 0:
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        if done % max(1, len(numbers) // 200) == 0:
            found.megabytes.append(sampled())
        sent = made(kinds, seed, number)
        began = time.perf_counter()
        status, fault = _answered(kinds.client(sent.kind), sent)
        found.slowest = max(found.slowest, (time.perf_counter() - began, number))
        found.statuses[sent.kind, status] += 1
        if fault:
            found.faults.append((number, sent.kind, fault))
            if len(found.faults) >= MOST_FAULTS:
                break
    faulthandler.cancel_dump_traceback_later()
    return found


def _answered(client: FlaskClient, sent: Sent) -> tuple[int, str]:
    """Return the status of an answer, and what is wrong with it, or nothing."""
    response = client.post(sent.path, data=sent.body, headers=sent.headers)
    body: Any = response.get_json(silent=True)
    try:
        if sent.kind in ("feedback", "trace") and response.status_code == 200:
            assert isinstance(body, dict)
        else:
            check(response.status_code, body)
    except Exception as wrong:  # noqa: BLE001 - whatever it is, it is a fault of the answer
        return response.status_code, f"{response.status_code} {type(wrong).__name__}: {str(wrong)[:300]}"
    return response.status_code, ""


def _share(numbers: range, seed: int) -> Campaign:
    """Run a part of a campaign, in a process of its own."""
    with Kinds.prepared() as kinds:
        return run(kinds, seed, numbers, lambda: memory(os.getpid()))


def shared(number: int, seed: int, processes: int) -> list[Campaign]:
    """Run a campaign in so many processes at once; return what each of them found."""
    shares = [range(first, number, processes) for first in range(processes)]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return list(pool.map(_share, shares, repeat(seed)))


def main() -> None:
    """Run a campaign, or make one request of it again."""
    words = sys.argv[1:]
    if words[:1] == ["--only"]:
        with Kinds.prepared() as kinds:
            sent = made(kinds, int(words[2]) if len(words) > 2 else SEED, int(words[1]))
            sys.stdout.write(f"{sent.path} {sent.headers}\n{sent.body!r}\n{_answered(kinds.client(sent.kind), sent)}\n")
        return
    number = int(words[0]) if words else NUMBER
    seed = int(words[1]) if len(words) > 1 else SEED
    began = time.monotonic()
    shares = shared(number, seed, os.cpu_count() or 1)
    statuses = sum((share.statuses for share in shares), Counter[tuple[str, int]]())
    faults = sorted(fault for share in shares for fault in share.faults)
    slowest = max(share.slowest for share in shares)
    counts = ", ".join(f"{kind} {status}: {many:,}" for (kind, status), many in sorted(statuses.items()))
    sys.stdout.write(
        f"seed       {seed}\n"
        f"answers    {counts}\n"
        f"slowest    {slowest[0] * 1000:.0f} ms (number {slowest[1]})\n"
        + "".join(
            f"memory     {share.megabytes[0]:.0f} MB at first, {max(share.megabytes):.0f} MB at most, "
            f"{share.growth:+.1%} after the warm-up\n"
            for share in shares
        )
        + "".join(f"fault      number {n} ({kind}): {fault}\n" for n, kind, fault in faults)
    )
    sys.stdout.flush()
    chunked = Kinds.chunked(Random(seed), number // 50)
    sys.stdout.write(
        f"chunked    {', '.join(f'{status}: {many:,}' for status, many in sorted(chunked.statuses.items()))}\n"
        + "".join(f"fault      chunked: {fault}\n" for fault in chunked.faults)
        + f"time       {time.monotonic() - began:.0f} s\n"
    )
    grown = any(share.growth >= MOST_GROWTH for share in shares)
    sys.exit(1 if faults or chunked.faults or grown else 0)


if __name__ == "__main__":
    main()
