"""make soak: twenty stops under load, then ten minutes of mixed requests at 8 connections, one in a hundred malformed.

Prints how many calls were answered and not recorded when the service was stopped, the answers by status, their
percentiles, and how the memory of the workers grew after the warm-up. Ends with 1 when a record was lost, an answer was
wrong or missing, or memory grew by 5 % or more.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import orjson

from tests.bench import wrk
from tests.bench.bodies import sizes
from tests.bench.processes import memory, service, workers
from tests.bench.wrk import Measured
from tests.cases import all_cases
from tests.system.stopping import stop_under_load

SECONDS = 600
CONNECTIONS = 8
STOPS = 20
WARM_UP = 0.3
"""The part of the time in which memory may grow."""

MOST_GROWTH = 0.05


@dataclass(frozen=True)
class Soaked:
    """What a soak showed.

    Attributes:
        answers: how they came.
        megabytes: memory of all workers together, sampled at even intervals.
        log: what the service logged at error level.
    """

    answers: Measured
    megabytes: list[float]
    log: list[str]

    @property
    def growth(self) -> float:
        """Return how memory grew after the warm-up, from its first to its last third, as a fraction."""
        after = self.megabytes[round(len(self.megabytes) * WARM_UP) :]
        third = max(1, len(after) // 3)
        return median(after[-third:]) / median(after[:third]) - 1

    @property
    def faults(self) -> list[str]:
        """Return what was not as it should be, in words; memory aside."""
        statuses = self.answers.statuses
        told = [f"{number} answers with {code}" for code, number in statuses.items() if code not in (200, 400)]
        share = statuses.get(400, 0) / max(1, sum(statuses.values()))
        if not 0.005 < share < 0.02:
            told.append(f"{share:.2%} of the answers with 400, for 1 % malformed requests")
        if self.answers.broken:
            told.append(f"{self.answers.broken} connections failed or timed out")
        return told + self.log


def mixed() -> list[bytes]:
    """Return the requests: every size, and every order-select fixture that is answered with 200."""
    by_size = sizes()
    fixtures = [
        orjson.dumps(case.request)
        for case in all_cases()
        if case.told.get("status", 200) == 200 and case.request["hook"] == "order-select"
    ]
    return [*by_size["small"], *by_size["real"] * 4, *by_size["large"][:2], *fixtures]


def malformed() -> list[bytes]:
    """Return requests that must be refused with 400."""
    whole = sizes()["real"][0]
    nested = b'{"hook":"order-select","x":' + b"[" * 200 + b"]" * 200 + b"}"
    wrong = {**orjson.loads(whole), "hookInstance": "none", "context": {"patientId": 5}}
    return [whole[: len(whole) // 2], b"", b"[]", nested, orjson.dumps(wrong), b"\xff\xfe"]


def soak(seconds: int) -> Soaked:
    """Send mixed requests for so many seconds."""
    samples: list[float] = []
    done = threading.Event()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = wrk.script(folder / "mixed", mixed(), malformed(), counting=True)
        with service(folder / "log") as (url, process):

            def watch() -> None:
                while not done.wait(seconds / 200):
                    samples.append(sum(memory(worker) for worker in workers(process)))

            watcher = threading.Thread(target=watch)
            watcher.start()
            try:
                answers = wrk.run(url, script, CONNECTIONS, seconds)
            finally:
                done.set()
                watcher.join()
        lines = (folder / "log").read_text(encoding="utf-8").splitlines()
    return Soaked(answers, samples, [line for line in lines if is_error(line)])


def stops(times: int) -> tuple[int, int]:
    """Stop the service under load so many times; return how many calls were answered, and how many of them lost."""
    answered = lost = 0
    for _ in range(times):
        with tempfile.TemporaryDirectory() as name:
            found = stop_under_load(f"sqlite:///{name}/cds.sqlite3", Path(name))
        answered += len(found.answered)
        lost += len(found.lost)
    return answered, lost


def is_error(line: str) -> bool:
    """Tell whether a line of the log tells of an error: one of ours at that level, or a trace of somebody else's."""
    try:
        return orjson.loads(line)["level"] not in ("debug", "info", "warning")
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "Traceback" in line or "[ERROR]" in line or "[CRITICAL]" in line


def main() -> None:
    """Soak, and print what it showed."""
    wrk.require()
    before, lost = stops(STOPS)
    sys.stdout.write(f"stops      {STOPS}: {before:,} calls answered, {lost} of them not recorded\n")
    found = soak(int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
    answers = found.answers
    statuses = ", ".join(f"{number:,} with {code}" for code, number in sorted(answers.statuses.items()))
    sys.stdout.write(
        f"answers    {statuses}; {answers.rate:,.0f} a second\n"
        f"p50, p99   {answers.p50:.1f}, {answers.p99:.1f} ms\n"
        f"memory     all workers {found.megabytes[0]:.0f} MB at first, {max(found.megabytes):.0f} MB at most, "
        f"{found.growth:+.1%} after the warm-up\n" + "".join(f"fault      {fault}\n" for fault in found.faults)
    )
    sys.exit(1 if lost or found.faults or found.growth >= MOST_GROWTH else 0)


if __name__ == "__main__":
    main()
