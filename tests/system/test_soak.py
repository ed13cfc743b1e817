"""A short soak, so that the long one (make soak) works when it is wanted, and a cold start."""

from __future__ import annotations

import shutil

import pytest

from tests.bench.processes import seconds_to_ready
from tests.bench.soak import is_error, soak

READY_SECONDS = 2
LATEST_MILLISECONDS = 500


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_mixed_requests_are_answered_and_malformed_ones_refused():
    found = soak(10)
    assert found.faults == []
    assert found.answers.p99 < LATEST_MILLISECONDS
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


def test_a_service_on_an_empty_folder_is_ready_soon():
    assert min(seconds_to_ready() for _ in range(3)) < READY_SECONDS
