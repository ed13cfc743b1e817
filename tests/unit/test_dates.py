"""Partial dates, time zones and ages: durations are never overstated."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir import dates


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2024-02-29", date(2024, 2, 29), date(2024, 2, 29)),
        ("2024-03-01T23:30:00-05:00", date(2024, 3, 1), date(2024, 3, 1)),
        ("2024-03-01T23:30Z", date(2024, 3, 1), date(2024, 3, 1)),
        ("2014-02-06T22:12:50.039984+00:00", date(2014, 2, 6), date(2014, 2, 6)),
        ("2010-05-28T10:00:00", date(2010, 5, 28), date(2010, 5, 28)),
        ("2010-05-28 10:00:00", date(2010, 5, 28), date(2010, 5, 28)),
        ("2010-05-28T23:30:00+0000", date(2010, 5, 28), date(2010, 5, 28)),
        ("2010-05-28 23:30:00 -0500", date(2010, 5, 28), date(2010, 5, 28)),
        ("2010-05-28t10:00z", date(2010, 5, 28), date(2010, 5, 28)),
        ("2010-05-28T23:59:60Z", date(2010, 5, 28), date(2010, 5, 28)),
        (" 2010-05 ", date(2010, 5, 1), date(2010, 5, 31)),
    ],
)
def test_span(text, earliest, latest):
    read = dates.parse(text)
    assert (read.earliest, read.latest) == (earliest, latest)
    assert read.exact == (earliest == latest)


@pytest.mark.parametrize(
    "text",
    ["", " ", "05/28/2010", "28.05.2010", "2010-05-28T", "2010-05-28T10", "2010-05-28 noon", "x" * 300,
     "yesterday", "2024-13", "2024-02-30", "0000", "24-01-01", "2024-1-1", "2024-01-01T25:00:00Z", None, 2024, {},
     "2024-01-01T10:00:00+99:00", "2024-01-01T10:00:00+01:75", "0001-01-01T00:00:00+14:00", "٢٠٢٤"],
)  # fmt: skip
def test_what_is_no_date(text):
    assert dates.parse(text) is None


def test_entries_of_one_day_are_ordered_by_instant_across_time_zones():
    late = dates.parse("2024-03-01T23:30:00-05:00")
    early = dates.parse("2024-03-01T23:30:00+02:00")
    assert early.instant < late.instant
    assert dates.parse("2024-03-01T10:00:00").instant == datetime(2024, 3, 1, 10, tzinfo=UTC)
    assert dates.parse("2024-03-01T10:00:00.25+0130").instant == datetime(2024, 3, 1, 8, 30, 0, 250_000, tzinfo=UTC)
    assert dates.parse("2024-03-01T10:00-05").instant == datetime(2024, 3, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "unit", "earliest", "latest"),
    [
        (45, "a", date(2025, 5, 17), date(2026, 5, 16)),
        (45.9, "a", date(2025, 5, 17), date(2026, 5, 16)),
        (45, "years", date(2025, 5, 17), date(2026, 5, 16)),
        (8, "mo", date(1981, 1, 17), date(1981, 2, 16)),
        (2, "wk", date(1980, 5, 31), date(1980, 6, 6)),
        (3, "d", date(1980, 5, 20), date(1980, 5, 20)),
    ],
)
def test_an_age_spans_one_unit(value, unit, earliest, latest):
    read = dates.at_age(dates.parse("1980-05-17"), value, unit)
    assert (read.earliest, read.latest) == (earliest, latest)


def test_an_age_counted_from_a_partial_birth_date_is_read_as_late_as_possible():
    assert dates.at_age(dates.parse("1980"), 45, "a").latest == date(2026, 12, 30)


def test_an_age_from_the_29th_of_february():
    assert dates.at_age(dates.parse("2000-02-29"), 1, "a").earliest == date(2001, 2, 28)


@pytest.mark.parametrize(
    ("value", "unit"),
    [(True, "a"), ("45", "a"), (-1, "a"), (45, "fortnight"), (45, None), (45, []), (190_000, "a"), (float("nan"), "a")],
)
def test_what_is_no_age(value, unit):
    assert dates.at_age(dates.parse("1980-05-17"), value, unit) is None


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 1, 1)))
def test_a_partial_date_never_lies_before_the_day_it_stands_for_at_the_latest(day):
    for text in (f"{day:%Y}", f"{day:%Y-%m}", day.isoformat()):
        read = dates.parse(text)
        assert read.earliest <= day <= read.latest
        assert read.latest - read.earliest < timedelta(days=366)


@given(st.text())
def test_any_text_is_a_date_or_none(text):
    read = dates.parse(text)
    assert read is None or read.earliest <= read.latest
