"""Nothing that was answered is lost when the service is stopped or killed, however much is going on."""

from __future__ import annotations

import signal

import pytest

from tests.system.stopping import stop_under_load

STOPS = 5


@pytest.mark.parametrize("stop", range(STOPS))
def test_what_was_answered_is_recorded_when_the_service_is_told_to_end(stop, database_url, tmp_path):
    found = stop_under_load(database_url, tmp_path)
    assert len(found.answered) > 20
    assert found.lost == {}
    assert len(found.kept) <= len(found.answered) + found.broken


def test_what_was_answered_is_recorded_once_the_service_is_back_after_it_was_killed(database_url, tmp_path):
    """kill -9 of all its processes takes nothing of it, as the README says."""
    found = stop_under_load(database_url, tmp_path, signal.SIGKILL)
    assert len(found.answered) > 20
    assert found.lost == {}
    assert len(found.kept) <= len(found.answered) + found.broken
