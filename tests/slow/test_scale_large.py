"""From 1 to 10 MB of each kind, at most ten times the work; tests/campaigns/test_scale.py has smaller ones."""

from __future__ import annotations

from contextlib import suppress

import pytest

from cds_service.call import answer
from cds_service.errors import CdsError
from tests.bench.kinds import KINDS, of_size
from tests.campaigns.test_scale import FEW, MOST
from tests.work import lines_run


@pytest.mark.parametrize("kind", KINDS)
def test_ten_megabytes_take_no_more_than_ten_times_the_work_of_one(kind, registry, today):
    """What is met for the first time costs more; of ten megabytes not all can be remembered, so of one nothing is."""

    def work(size: int) -> int:
        body = of_size(KINDS[kind], size)

        def call() -> None:
            with suppress(CdsError):
                answer(registry, "", body, today)

        return lines_run(call)

    work(FEW)  # what is loaded once
    one = work(1_000_000)
    assert work(10_000_000) < MOST * one
