"""From 1 to 10 MB of each kind, at most ten times the work; tests/campaigns/test_scale.py has smaller ones."""

from __future__ import annotations

import pytest

from tests.bench.kinds import KINDS, of_size
from tests.campaigns.test_scale import MOST, work


@pytest.mark.parametrize("kind", KINDS)
def test_ten_megabytes_take_no_more_than_ten_times_the_work_of_one(kind, registry, today):
    one, ten = (of_size(KINDS[kind], size) for size in (1_000_000, 10_000_000))
    assert work(registry, ten, today) < MOST * work(registry, one, today)
