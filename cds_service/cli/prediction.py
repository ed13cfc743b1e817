"""A backtest's prediction compared with real cards: per 100 orders in scope, in all and by rule."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import orjson

from cds_service.store.report import Report

Forecast = Mapping[str, float | None]
"""Cards per 100 orders in scope by `guideline/rule`, and in all; None where a backtest had too few orders."""

_ALL = "all"


def read(path: Path) -> Forecast:
    """Return what the summary.json of a backtest predicts.

    Raises:
        click.BadParameter: the file is not the summary of a backtest.
    """
    try:
        found = orjson.loads(path.read_bytes())
        rules = {f"{row['guideline']}/{row['rule']}": row["cards_per_100_in_scope"] for row in found["by_rule"]}
        return {_ALL: found["cards_per_100_in_scope"], **rules}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise click.BadParameter("must be the summary.json of a backtest", param_hint="--predicted") from None


def beside(forecast: Forecast, found: Report) -> dict[str, dict[str, float | None]]:
    """Return predicted and real cards per 100 orders by rule; None where one of them is not known."""
    orders = found.orders
    real = {group.name: group.cards + group.repeats for group in found.by_rule}
    names = list(forecast)
    # Records may name a rule with its guideline or without.
    names += [name for name in real if not any(known == name or known.endswith(f"/{name}") for known in names)]
    rates: dict[str, dict[str, float | None]] = {}
    for name in names:
        cards = found.total.cards + found.total.repeats if name == _ALL else _of(real, name)
        rate = round(100 * cards / orders, 1) if orders else None
        rates[name] = {"predicted": forecast.get(name), "real": rate}
    return rates


def _of(real: Mapping[str, int], name: str) -> int:
    return real.get(name, real.get(name.rpartition("/")[2], 0))


def as_table(forecast: Forecast, found: Report) -> str:
    """Return predicted and real figures for a terminal. Withheld repeats count as real: no backtest withholds any."""
    rows = [(name, *(_number(value) for value in pair.values())) for name, pair in beside(forecast, found).items()]
    lines = [
        "",
        "Cards per 100 orders in scope, withheld repeats included",
        f"  {'rule':<30} {'predicted':>10} {'real':>10}",
    ]
    return "\n".join([*lines, *(f"  {name:<30} {predicted:>10} {real:>10}" for name, predicted, real in rows)])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
