"""A real server, as `cds-service serve` starts it, on a free port of the loopback interface."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
import requests

START_SECONDS = 300
"""On a busy machine a start may take long; a service that ends instead is noticed at once."""


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def served(log: Path | None = None, **environ: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start the service; yield its base URL and process; stop it gracefully.

    Args:
        log: where to write what it logs; never a pipe, which nobody may read and which then stops the service.
        environ: settings.
    """
    port = free_port()
    folder = tempfile.TemporaryDirectory(prefix="cds-system-")
    own = {"CDS_DATA_FOLDER": folder.name, "CDS_DATABASE_URL": f"sqlite:///{folder.name}/cds.sqlite3"}
    # A busy machine is no reason to refuse: neither what computes for long, nor what arrives in two pieces.
    patient = {"CDS_CALL_MILLISECONDS": "20000", "CDS_RECEIVE_SECONDS": "60"}
    settings = {"CDS_PORT": str(port), **patient, **own, **environ}
    command = [sys.executable, "-m", "cds_service", "serve"]
    with (
        folder,
        (log or Path(folder.name, "log")).open("w", encoding="utf-8") as errors,
        subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=errors) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(url, process, errors)
            yield url, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_SECONDS)


def wait_for(url: str, process: subprocess.Popen, log: IO[str] | None = None) -> None:
    """Return when the service answers discovery; fail, with what it logged, when it ends before."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            logged = Path(log.name).read_text(encoding="utf-8") if log else ""
            raise AssertionError(f"the service ended with {process.returncode}: {logged}")
        try:
            requests.get(f"{url}/cds-services", timeout=1)
        except requests.RequestException:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the service did not start")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The base URL of a running service with the default settings."""
    with served(CDS_PUBLIC_URL="http://127.0.0.1:8080") as (url, _):
        yield url
