"""make bench: the service beside its floor, under wrk, in alternating rounds; printed as a table.

Prints, for requests of three sizes at 1, 8 and 32 connections, the calls a second of both, their median and 99th
percentile, and the ratio of service to floor with its spread over the rounds. Nothing asserts a time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import orjson

from tests.bench import WANTED, real_request
from tests.charts import condition, request
from tests.system.conftest import free_port, served, wait_for

ROUNDS = 3
SECONDS = 3
CONNECTIONS = (1, 8, 32)
WORKERS = 2
THREADS = 20
PATH = "/cds-services/dry-needling-order-select"
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = io.open("{path}", "rb"):read("*all")
"""


@dataclass(frozen=True)
class Measured:
    """One round: calls a second, and milliseconds that half and 99 of 100 calls did not exceed."""

    rate: float
    p50: float
    p99: float
    errors: int


def bodies() -> dict[str, bytes]:
    """Return the requests by the name of their size."""
    small = request(condition("M54.50", onsetDateTime="2020-01-01"), condition("I10"), condition("E11.9"))
    return {
        "small": orjson.dumps(small),
        "real": real_request(),
        "large": real_request({key: 5 * number for key, number in WANTED.items()}),
    }


@contextmanager
def floor() -> Iterator[tuple[str, int]]:
    """Start the floor; yield its URL and process id."""
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), "--worker-class",
        "gthread", "--threads", str(THREADS), "--preload", "--log-level", "error", "tests.floor:app",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()


def measure(url: str, script: Path, connections: int) -> Measured:
    """Run wrk for one round."""
    threads = min(2, connections)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", str(script), url + PATH]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Measured(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        p50=_milliseconds(re.search(r"(?m)^\s+50%\s+(\S+)", said)[1]),
        p99=_milliseconds(re.search(r"(?m)^\s+99%\s+(\S+)", said)[1]),
        errors=int(refused[1]) if refused else 0,
    )


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def memory(process: int) -> float:
    """Return the resident memory of the largest worker of a server, in MB."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    sizes = [
        int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{child}/status").read_text())[1]) / 1000 for child in children
    ]
    return max(sizes)


def main() -> None:
    """Print the table."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed, as from Debian's package of that name")
    out = sys.stdout.write
    out(
        f"{os.cpu_count()} cores, {WORKERS} workers, {ROUNDS} rounds of {SECONDS} s each, floor and service in turn\n\n"
    )
    out("| request | connections | floor calls/s | service | ratio (spread) | floor p50, p99 | service p50, p99 |\n")
    out("|---|---|---|---|---|---|---|\n")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base, floor_process = stack.enter_context(floor())
        environ = {"CDS_WORKERS": str(WORKERS), "CDS_THREADS": str(THREADS), "CDS_LOG_LEVEL": "error"}
        # All of 32 connections may wait for their turn: a call that is refused costs nothing and would flatter us.
        url, process = stack.enter_context(served(**environ, CDS_WAITING_CALLS="64", CDS_CALL_MILLISECONDS="5000"))
        for name, body in bodies().items():
            (folder / f"{name}.json").write_bytes(body)
            script = folder / f"{name}.lua"
            script.write_text(LUA.format(path=folder / f"{name}.json"), encoding="utf-8")
            for connections in CONNECTIONS:
                rounds = [
                    (measure(base, script, connections), measure(url, script, connections)) for _ in range(ROUNDS)
                ]
                out(_row(f"{name} ({len(body) / 1000:,.0f} KB)", connections, rounds))
                sys.stdout.flush()
        out(f"\nlargest worker: floor {memory(floor_process):.0f} MB, service {memory(process.pid):.0f} MB\n")


def _row(name: str, connections: int, rounds: list[tuple[Measured, Measured]]) -> str:
    ratios = [service.rate / base.rate for base, service in rounds]
    cells = [name, str(connections)]
    cells += [f"{mean(one.rate for one in side):.0f}" for side in zip(*rounds, strict=True)]
    cells.append(f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    for side in zip(*rounds, strict=True):
        p50, p99 = median(one.p50 for one in side), median(one.p99 for one in side)
        errors = sum(one.errors for one in side)
        cells.append(f"{p50:.1f}, {p99:.1f} ms" + (f", {errors} refused" if errors else ""))
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
