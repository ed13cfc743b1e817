"""FHIR dates and ages as ranges of days, so that no duration is overstated."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:(?:T| +)(?P<hour>\d{2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?P<fraction>[.,]\d{1,20})?)?"
    r" *(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_LEAP_SECOND = 60
_WIDEST_ZONE = 14
_LONGEST = 60
"""Longest date that is read, in characters."""
_AGE_UNITS = {"a": "years", "mo": "months", "wk": "weeks", "d": "days"}
_AGE_WORDS = {
    "year": "a", "years": "a", "yr": "a", "month": "mo", "months": "mo",
    "week": "wk", "weeks": "wk", "day": "d", "days": "d",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FhirDate:
    """A FHIR date, dateTime or instant.

    Attributes:
        earliest: the first calendar day it can mean, in its own time zone.
        latest: the last calendar day it can mean; equal to `earliest` when the day is known.
        instant: for ordering entries of one day: the time in UTC, or the start of `earliest` when none is given.
        words: the day, month or year as written, without the time.
    """

    earliest: date
    latest: date
    instant: datetime
    words: str

    @property
    def exact(self) -> bool:
        """Return whether the day is known."""
        return self.earliest == self.latest


def parse(text: object) -> FhirDate | None:
    """Read a FHIR date, dateTime or instant (R4 2.24.0.1); None for anything else, such as the 30th of February.

    Also accepted: spaces around it and instead of the T, a zone without the colon (+0000), and a time without a zone,
    which counts as its day only. US dates are not accepted, because they could be European ones.
    """
    return _parsed(text) if isinstance(text, str) and len(text) <= _LONGEST else None


@lru_cache(maxsize=10_000)
def _parsed(text: str) -> FhirDate | None:
    """Read a date, cached, because each is needed several times in a call and in the patient's next call."""
    if not (match := _DATE.fullmatch(text := text.strip())):
        return None
    year = int(match["year"])
    month, day = (int(match[part]) if match[part] else None for part in ("month", "day"))
    try:
        if month is None:
            earliest, latest = date(year, 1, 1), date(year, 12, 31)
        elif day is None:
            earliest, latest = date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
        else:
            earliest = latest = date(year, month, day)
        instant = datetime(earliest.year, earliest.month, earliest.day, tzinfo=UTC)
        if match["hour"]:
            instant = _instant(earliest, match)
    except (ValueError, OverflowError):
        return None
    return FhirDate(earliest, latest, instant, text[:10])


def _instant(day: date, match: re.Match[str]) -> datetime:
    """Return the time in UTC; without a zone as if it were UTC, which orders what one system wrote on one day."""
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    second = 59 if second == _LEAP_SECOND else second
    microsecond = int((match["fraction"] or ".0")[1:7].ljust(6, "0"))
    local = datetime(day.year, day.month, day.day, hour, minute, second, microsecond, tzinfo=UTC)
    zone = match["zone"] or "Z"
    if zone in "Zz":
        return local
    hours, minutes = int(zone[1:3]), int(zone[3:].removeprefix(":") or 0)
    if hours > _WIDEST_ZONE or minutes > 59:
        raise ValueError(zone)
    offset = timedelta(hours=hours, minutes=minutes)
    return local + offset if zone[0] == "-" else local - offset


def at_age(birth: FhirDate, value: object, unit: object) -> FhirDate | None:
    """Return when somebody born on `birth` had the age `value` in `unit` (UCUM a, mo, wk, d, or the word).

    An age of 45 years means any day up to the one before the 46th birthday, so the span is one unit long.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 200_000:
        return None
    if not isinstance(unit, str):
        return None
    code = unit if unit in _AGE_UNITS else _AGE_WORDS.get(unit.strip().lower())
    if code is None:
        return None
    count = int(value)
    try:
        earliest = _later(birth.earliest, count, code)
        latest = _later(birth.latest, count + 1, code) - timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    instant = datetime(earliest.year, earliest.month, earliest.day, tzinfo=UTC)
    return FhirDate(earliest, latest, instant, f"age {count} {_AGE_UNITS[code]}")


def _later(day: date, count: int, unit: str) -> date:
    if unit == "d":
        return day + timedelta(days=count)
    if unit == "wk":
        return day + timedelta(weeks=count)
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "a" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
