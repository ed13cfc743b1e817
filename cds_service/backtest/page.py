"""The figures of a backtest as a page that needs nothing else, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cds_service.backtest.cells import Shown

_STATIC = files("cds_service.web") / "static"
_TEMPLATES = Environment(
    loader=PackageLoader("cds_service.backtest"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_COLORS = {"warning": "--overridden", "info": "--accepted", "silent": "--unanswered"}

Summary = Mapping[str, Any]


def as_html(found: Summary) -> str:
    """Return a summary as one HTML file with everything in it."""
    inline = {name: (_STATIC / path).read_text("utf-8") for name, path in _PARTS.items()}
    return _TEMPLATES.get_template("backtest.html").render(
        found=found, inline=inline, count=count, tiles=list(tiles(found)), plots=_plots(found)
    )


_PARTS = {"style": "style.css", "library": "vendor/chart.min.js", "plots": "report.js"}


def tiles(found: Summary) -> Iterator[tuple[str, str]]:
    """Yield the figures that come first, each with what it is a share of."""
    orders, uncertain, decided = found["orders"], found["uncertain"], count(found["orders"]["decided"])
    yield "Orders in the export", count(orders["all"])
    yield "Orders in scope, each once", count(orders["in_scope"])
    yield "Orders decided", decided
    yield "Orders with a card", f"{count(orders['with_card'])} of {decided}"
    yield "Cards", count(found["cards"])
    yield "Cards per 1,000 orders of all kinds", _number(found["cards_per_1000_orders"])
    yield "Cards per 100 orders in scope", _number(found["cards_per_100_in_scope"])
    yield "Silent share of orders in scope", _percent(found["silent_share"])
    yield "Patients", count(found["patients"])
    yield "Clinicians", count(found["clinicians"])
    if week := found["per_clinician_week"]:
        told = f"median {week['median']}, 90th percentile {week['p90']}, most {week['most']}"
        yield "Cards of a clinician in a week that has any", told
    yield "Orders with something uncertain", f"{count(uncertain['orders'])} of {decided}"
    yield "Orders whose rule would differ without it", f"{count(uncertain['differ'])} of {decided}"


def count(number: Shown) -> str:
    """Return a count for people."""
    return number if isinstance(number, str) else f"{number:,}"


def as_table(found: Summary) -> dict[str, list[str]]:
    """Return every figure that is a count of something as columns of one table."""
    flat = list(_flat(found))
    return {
        "grouping": [path[0] for path, _ in flat],
        "name": ["/".join(path[1:-1]) for path, _ in flat],
        "figure": [path[-1] for path, _ in flat],
        "value": [str(value) for _, value in flat],
    }


def as_csv(table: Mapping[str, Sequence[str]]) -> str:
    """Return a table as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([list(table), *zip(*table.values(), strict=True)])
    return out.getvalue()


def _flat(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every single value of nested tables with its path; lists are no figures, but for the rules'."""
    if isinstance(value, Mapping):
        for name, found in value.items():
            yield from _flat(found, (*path, name))
    elif isinstance(value, list) and path == ("by_rule",):
        for row in value:
            named = (*path, f"{row['guideline']}/{row['rule']}")
            yield from _flat({key: item for key, item in row.items() if key not in ("guideline", "rule")}, named)
    elif isinstance(value, int | float | str):
        yield path, value


def _plots(found: Summary) -> dict[str, Any]:
    rules = [f"{row['guideline']}/{row['rule']}" for row in found["by_rule"]]
    months = found["by_month"]
    missing = found["missing"]["by_month"]
    return {
        "by_rule": {
            "labels": rules,
            "series": [
                {
                    "label": indicator,
                    "values": [
                        _plain(row["orders"]) if row["indicator"] == indicator else 0 for row in found["by_rule"]
                    ],
                    "color": color,
                }
                for indicator, color in _COLORS.items()
            ],
            "horizontal": True,
        },
        "by_month": {
            "labels": list(months),
            "series": [
                {
                    "label": indicator,
                    "values": [_plain(month.get(indicator, 0)) for month in months.values()],
                    "color": color,
                }
                for indicator, color in _COLORS.items()
            ],
            "horizontal": False,
        },
        "by_clinician": _bars(found["by_clinician"]["shown"]),
        "by_department": _bars(found["by_department"]["shown"]),
        "missing": {**_bars(missing), "horizontal": False},
    }


def _bars(counts: Mapping[str, int | str]) -> dict[str, Any]:
    values = [_plain(number) for number in counts.values()]
    series = [{"label": "Cards", "values": values, "color": "--accepted"}]
    return {"labels": list(counts), "series": series, "horizontal": True}


def _plain(number: int | str) -> int | None:
    """Return a count as it can be drawn; a small cell is not."""
    return number if isinstance(number, int) else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
