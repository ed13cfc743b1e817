"""A backtest as a process, and one that is killed with all its workers, as a power cut would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.exports import KEY


def begun(export: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a backtest in a session of its own."""
    words = [sys.executable, "-m", "cds_service", "backtest", str(export), "--out", str(out), *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    environ = {**kept, "CDS_HASH_KEY": KEY, "CDS_LOG_LEVEL": "error"}
    return subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, start_new_session=True)


def backtest(export: Path, out: Path, *options: str) -> None:
    """Run a backtest to its end."""
    with begun(export, out, *options) as run:
        assert run.wait(3600) == 0


def killed(export: Path, out: Path, seconds: float) -> bool:
    """Kill a backtest so many seconds after its work began; return whether it had not ended yet."""
    with begun(export, out) as run:
        deadline = time.monotonic() + 600
        while run.poll() is None and not (out / "run.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(seconds)
        running = run.poll() is None
        os.killpg(run.pid, signal.SIGKILL) if running else None
    return running
