"""A slice of make fuzz against a real server: bodies in odd chunks get an answer, and no 5xx but 501."""

from __future__ import annotations

from random import Random

from tests.fuzz.kinds import Kinds


def test_bodies_in_odd_chunks_are_answered_or_refused():
    found = Kinds.chunked(Random(12), 100)
    assert found.faults == []
    assert {200, 400, 501} <= found.statuses.keys()
