"""A range of days, for one service or all, that selects calls and feedback."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement


@dataclass(frozen=True, slots=True)
class Period:
    """Days in UTC, both included; None leaves that end open.

    Attributes:
        service: id of the service, or "" for all.
    """

    first: date | None = None
    last: date | None = None
    service: str = ""

    def of(self, received: Column[Any], service: Column[Any]) -> list[ColumnElement[bool]]:
        """Return the conditions on a table's columns."""
        conditions: list[ColumnElement[bool]] = []
        if self.first:
            conditions.append(received >= self.first.isoformat())
        if self.last and self.last < date.max:
            conditions.append(received < (self.last + timedelta(days=1)).isoformat())
        if self.service:
            conditions.append(service == self.service)
        return conditions
