"""Small counts cannot be read or subtracted from what is shown (issue 16, 4)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cds_service.backtest.cells import HIDDEN, SMALL, SMALLEST, cells, grid, nested, part, rate, small

NAMES = st.sampled_from("abcde")
TABLES = st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(0, 60), min_size=1), min_size=1)


@given(TABLES)
def test_no_line_of_a_table_tells_a_small_count(table):
    shown = grid(table)
    columns = {column for counts in table.values() for column in counts}
    lines = [[(row, column) for column in counts] for row, counts in table.items()]
    if len(table) > 1:  # a table of one row has no sums of columns
        lines += [[(row, column) for row in table if column in table[row]] for column in columns]
    for line in lines:
        hidden = [table[row][column] for row, column in line if isinstance(shown[row][column], str)]
        told = [table[row][column] for row, column in line if isinstance(shown[row][column], int)]
        assert not any(0 < number < SMALLEST for number in told)
        if hidden and any(told):
            assert len(hidden) > 1
            assert sum(hidden) >= SMALLEST


@given(TABLES)
def test_what_is_shown_is_true(table):
    for row, counts in grid(table).items():
        for column, told in counts.items():
            number = table[row][column]
            assert (
                told == number or (told == SMALL and 0 < number < SMALLEST) or (told == HIDDEN and number >= SMALLEST)
            )


def test_counts_beside_their_sum():
    assert cells({"a": 100, "b": 40, "c": 3}) == {"a": 100, "b": HIDDEN, "c": SMALL}
    assert cells({"a": 100, "b": 40, "c": 0}) == {"a": 100, "b": 40, "c": 0}
    assert cells({"a": 100, "b": 6, "c": 7}) == {"a": 100, "b": SMALL, "c": SMALL}
    assert list(cells({"a": 20, "b": 40})) == ["b", "a"]


def test_a_part_beside_its_whole():
    assert [part(n, 100) for n in (0, 3, 50, 95, 100)] == [0, SMALL, 50, HIDDEN, 100]


@given(st.lists(st.integers(0, 60), min_size=3, max_size=3).map(sorted), st.integers(60, 80))
def test_counts_within_each_other_tell_no_small_difference(counts, whole):
    shown = nested(dict(zip("abc", counts, strict=True)), whole)
    told = [number for number in shown.values() if isinstance(number, int)] + [whole]
    assert not any(0 < number < SMALLEST for number in told[:-1])
    assert not any(0 < after - before < SMALLEST for before, after in pairwise(told))


def test_a_rate_tells_no_count_that_is_not_shown():
    assert rate(100, 5, 200, small(5)) is None
    assert rate(100, 50, 200, small(50)) == 25.0
    assert rate(100, 0, 0, 0) is None
