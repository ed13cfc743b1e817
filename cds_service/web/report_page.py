"""The report as a page: in the browser, and as one self-contained file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

from flask import Blueprint, Response, request

from cds_service.errors import InvalidFields, Issue, StoreUnavailable, Unavailable
from cds_service.store import report_text
from cds_service.store.database import Database
from cds_service.store.period import Period
from cds_service.store.report import Group, Report, report
from cds_service.web.pages import TEMPLATES, page

PATH = "/report"
_STATIC = files("cds_service.web") / "static"


@dataclass(frozen=True, slots=True)
class _Inline:
    """The files embedded in a self-contained page."""

    style: str
    library: str
    plots: str


def blueprint(database: Database, services: Iterable[str], pages: Iterable[tuple[str, str]]) -> Blueprint:
    """Return the page.

    Args:
        database: the calls and feedback.
        services: the service ids to choose from.
        pages: names and paths of all pages that are served.
    """
    views = Blueprint("report", __name__)
    names, listed = sorted(set(services)), list(pages)

    @views.get(PATH)
    def show() -> Response:
        """Show the figures of the period in the query."""
        period = Period(_day("from"), _day("until"), request.args.get("service", ""))
        if period.service and period.service not in names:
            raise InvalidFields(Issue("service must be the id of a service", "service"))
        try:
            found = report(database, period)
        except StoreUnavailable:
            raise Unavailable("The database does not answer at the moment") from None
        return page("report.html", PATH, listed, {"inline": None, "services": names, **_values(found)})

    return views


def standalone(found: Report) -> str:
    """Return a report as one self-contained HTML file."""
    parts = ("style.css", "vendor/chart.min.js", "report.js")
    inline = _Inline(*((_STATIC / name).read_text("utf-8") for name in parts))
    return TEMPLATES.get_template("report.html").render(here="", pages=[], inline=inline, services=[], **_values(found))


def _day(name: str) -> date | None:
    text = request.args.get(name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidFields(Issue(f"{name} must be a day such as 2026-11-23", name)) from None


def _values(found: Report) -> dict[str, Any]:
    return {
        "report": found,
        "period": report_text.period_in_words(found),
        "figures": report_text.figures(found),
        "groupings": report_text.GROUPINGS,
        "headings": report_text.HEADINGS,
        "of_all": report_text.of_all,
        "plots": {
            "by_rule": _stacked(found.by_rule),
            "weeks": _stacked(found.weeks, [number for _, number in found.calls_by_week]),
            "reasons": {
                "labels": [code for code, _ in found.reasons],
                "series": [
                    {"label": "Entries", "values": [number for _, number in found.reasons], "color": "--overridden"}
                ],
                "horizontal": True,
            },
        },
    }


def _stacked(groups: Iterable[Group], calls: list[int] | None = None) -> dict[str, Any]:
    """Return a chart of the outcomes of each group's cards as stacked bars, with calls as a line."""
    shown = list(groups)
    series = [
        {"label": "Accepted", "values": [group.accepted for group in shown], "color": "--accepted"},
        {"label": "Overridden", "values": [group.overridden for group in shown], "color": "--overridden"},
        {"label": "No response", "values": [group.no_response for group in shown], "color": "--unanswered"},
    ]
    line = [{"label": "Calls", "values": calls, "color": "--text", "line": True}] if calls else []
    return {"labels": [group.name for group in shown], "series": [*line, *series], "horizontal": False}
