"""FHIR dates and ages as spans of days, so that nobody overstates how long ago something was."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:T(?P<time>\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(?P<zone>Z|[+-]\d{2}:\d{2})?)?)?)?",
    re.ASCII,
)
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
        """Tell whether the day is known."""
        return self.earliest == self.latest


def parse(text: object) -> FhirDate | None:
    """Read a FHIR date, dateTime or instant (R4 2.24.0.1); None for anything else, such as the 30th of February."""
    if not isinstance(text, str) or not (match := _DATE.fullmatch(text)):
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
        if match["time"]:
            zoned = datetime.fromisoformat(text)
            instant = zoned.replace(tzinfo=UTC) if zoned.tzinfo is None else zoned.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return FhirDate(earliest, latest, instant, text[:10])


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
