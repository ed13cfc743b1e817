"""A short soak, so that the long one (make soak) works when it is wanted, and what a cold start loads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.bench.soak import is_error, soak

MOST_MODULES = 1100
"""A start takes as long as it loads code; `make bench` prints the time."""

ELSEWHERE = ("alembic", "mako", "cryptography", "psycopg", "hypothesis", "pytest")
"""What a service without tokens, on SQLite, has no use for: migrations are made before it starts."""


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_mixed_requests_are_answered_and_malformed_ones_refused():
    found = soak(10)
    assert found.faults == []
    assert set(found.answers.statuses) == {200, 400}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"event":"records lost","level":"error"}', True),
        ('{"event": "defect", "level": "error"}', True),
        ('{"event": "store failed", "level": "warning"}', False),
        ('{"event": "call", "level": "info", "rules": "R1"}', False),
        ("Traceback (most recent call last):", True),
        ("[2026-11-25 01:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGKILL!", True),
        ("[2026-11-25 01:00:00 +0000] [7] [INFO] Listening at: http://127.0.0.1:8080 (7)", False),
    ],
)
def test_errors_in_the_log_are_faults_of_a_soak(line, error):
    assert is_error(line) is error


def test_a_start_loads_only_what_answers_calls(tmp_path):
    told = "import sys; from cds_service.main import serve; serve(); print(*sys.modules, sep='\\n')"
    own = {"CDS_DATA_FOLDER": str(tmp_path), "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite3"}
    migrated = subprocess.run([sys.executable, "-m", "cds_service", "check"], env={**os.environ, **own}, check=False)
    assert migrated.returncode == 0
    started = subprocess.run(
        [sys.executable, "-c", told], env={**os.environ, **own}, stdout=subprocess.PIPE, check=True
    )
    loaded = started.stdout.decode().split()
    assert len(loaded) < MOST_MODULES
    assert {name.split(".")[0] for name in loaded}.isdisjoint(ELSEWHERE)
