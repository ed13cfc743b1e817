"""What is measured: the service as `cds-service serve` starts it, its floor, and both under other web servers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from cds_service.settings import Settings
from tests.system.conftest import free_port, served, wait_for

FLOOR = "tests.bench.floor:app"
RECEIVING = "tests.bench.floor:receiving"
FLASK = "tests.bench.floor_flask:app"
PARSING = "tests.bench.floor_flask:parsing"
SERVICE = "tests.bench.served_app:app"
# Every connection may wait for its turn: a call that is refused costs nothing and would flatter the service.
PATIENT = {"CDS_CALL_MILLISECONDS": "20000"}


OURS = "cds_service.web.worker.WaitressWorker"


def gunicorn(app: str, worker: str = OURS, threads: int = Settings().threads) -> list[str]:
    """Return the command that serves an application as the service is served by default."""
    return [
        "gunicorn", "--workers", str(Settings().workers), "--worker-class", worker, "--threads", str(threads),
        "--preload", "--log-level", "error", "--bind", "127.0.0.1:{port}", app,
    ]  # fmt: skip


def granian(app: str, threads: int) -> list[str]:
    """Return the command that serves an application with granian."""
    return [
        "granian", "--interface", "wsgi", "--workers", str(Settings().workers), "--blocking-threads", str(threads),
        "--backpressure", "64", "--no-ws", "--log-level", "error", "--host", "127.0.0.1", "--port", "{port}", app,
    ]  # fmt: skip


def waitress(app: str, threads: int) -> list[str]:
    """Return the command that serves an application with waitress, which knows no worker processes."""
    return ["waitress", "--threads", str(threads), "--listen", "127.0.0.1:{port}", app]


def healthchain() -> list[str]:
    """Return the command that serves HealthChain, as its documentation says, with as many workers."""
    workers = ["--workers", str(Settings().workers), "--log-level", "error"]
    return ["uvicorn", *workers, "--port", "{port}", "tests.bench.peer_healthchain:app"]


@contextmanager
def started(command: list[str], interpreter: str = sys.executable) -> Iterator[tuple[str, int]]:
    """Start a server in a folder of its own; yield its URL and process id."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as folder:
        own = {
            "CDS_DATA_FOLDER": folder,
            "CDS_DATABASE_URL": f"sqlite:///{folder}/cds.sqlite3",
            "PROMETHEUS_MULTIPROC_DIR": folder,
        }
        words = [interpreter, "-m", *(word.format(port=port) for word in command)]
        with subprocess.Popen(
            words, env={**os.environ, **PATIENT, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                wait_for(f"http://127.0.0.1:{port}", process)
                yield f"http://127.0.0.1:{port}", process.pid
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)


@contextmanager
def service(log: Path = Path(os.devnull)) -> Iterator[tuple[str, int]]:
    """Start the service with its default settings, but patient; yield its URL and process id."""
    with served(log=log, **PATIENT) as (url, process):
        yield url, process.pid


def workers(process: int) -> list[int]:
    """Return the ids of a server's worker processes, or its own where it has none."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    return [int(child) for child in children] or [process]


def cpu_seconds(process: int) -> dict[int, float]:
    """Return the CPU time that each of a server's workers has taken so far, by its id."""
    found = {}
    for worker in workers(process):
        fields = Path(f"/proc/{worker}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        found[worker] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def memory(process: int) -> float:
    """Return the resident memory of a process, in MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000


def largest_worker(process: int) -> float:
    """Return the resident memory of a server's largest worker process, in MB."""
    return max(memory(worker) for worker in workers(process))


def seconds_to_ready() -> float:
    """Return the time from starting the service on an empty folder to its first answer about its health."""
    began = time.monotonic()
    with served(log=Path(os.devnull)) as (url, _):
        while not requests.get(f"{url}/health/ready", timeout=5).ok:
            time.sleep(0.01)
        return time.monotonic() - began
