"""make backtest-cluster: the engines compared on a Spark master with two workers on 127.0.0.1, stopped at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from tests.system.conftest import free_port
from tests.waiting import wait_for

_HOME = "from pyspark.find_spark_home import _find_spark_home; print(_find_spark_home())"
_DEPLOY = "org.apache.spark.deploy"


def main() -> int:
    """Start the cluster, run the comparison on it and stop it; return pytest's exit code."""
    home = subprocess.run([sys.executable, "-c", _HOME], check=True, capture_output=True, text=True).stdout.strip()
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    local = ["--host", "127.0.0.1", "--webui-port", "0"]
    with tempfile.TemporaryDirectory(prefix="cds-spark-") as name:
        folder = Path(name)
        environ = {
            **os.environ,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_WORKER_DIR": name,
        }
        log = (folder / "log").open("w")
        started = []
        try:
            worker = [*local, "--cores", "1", "--memory", "1g", master]
            for words in (
                ["master.Master", *local, "--port", str(port)],
                ["worker.Worker", *worker],
                ["worker.Worker", *worker],
            ):
                command = [f"{home}/bin/spark-class", f"{_DEPLOY}.{words[0]}", *words[1:]]
                started.append(subprocess.Popen(command, env=environ, stderr=log, start_new_session=True))
            wait_for(lambda: (folder / "log").read_text("utf-8").count("Registering worker") > 1)
            told = {**environ, "CDS_SLOW_TESTS": "1", "SPARK_MASTER": master}
            tests = ["-q", "-ra", "tests/slow/test_backtest.py", "-k", "spark"]
            return subprocess.run(
                [sys.executable, "-m", "pytest", *tests], env=told, check=False, timeout=900
            ).returncode
        finally:
            for process in started:
                os.killpg(process.pid, signal.SIGTERM)
            for process in started:
                process.wait(30)
            click.echo("cluster stopped")


if __name__ == "__main__":
    sys.exit(main())
