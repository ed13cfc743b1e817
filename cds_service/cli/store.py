"""cds-service report | purge | export: what was kept, for people at a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from cds_service.cli import prediction
from cds_service.cli.examples import examples
from cds_service.errors import EXIT_MISCONFIGURED, EXIT_REFUSED, SettingsError, StoreUnavailable
from cds_service.settings import settings_or_exit
from cds_service.store import export, report_text, retention
from cds_service.store.database import Database
from cds_service.store.period import Period
from cds_service.store.report import report
from cds_service.web import report_page
from cds_service.web.app import local_time

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class _Days(click.ParamType[timedelta]):
    """So many days, as 400d."""

    name = "DAYS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the number of days."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,5})d", value)
        if match is None:
            self.fail("must be a number of days such as 400d", param, ctx)
        return timedelta(days=int(match[1]))


def _period_options(command: Decorated) -> Decorated:
    """Add the options that choose days and a service."""
    day = click.DateTime(["%Y-%m-%d"])
    for option in (
        click.option("--service", default="", help="Id of a service; by default all of them."),
        click.option("--until", type=day, help="Last day, as 2026-11-23 (UTC)."),
        click.option("--from", "since", type=day, help="First day, as 2026-11-01 (UTC)."),
    ):
        command = option(command)
    return command


@click.command(
    "report",
    epilog=examples(
        "cds-service report",
        "cds-service report --from 2026-11-01 --csv",
        "cds-service report --html cds-report.html",
        "cds-service report --predicted fixtures/predicted/summary.json",
    ),
)
@_period_options
@click.option(
    "--predicted", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="summary.json of a backtest: its cards per 100 orders beside the real ones.",
)  # fmt: skip
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write a page of its own.")
def report_command(
    since: datetime | None,
    until: datetime | None,
    service: str,
    form: str | None,
    page: Path | None,
    predicted: Path | None,
) -> None:
    """Report calls, cards, and what became of them, by rule, hook, service, client and week."""
    period = _period(since, until, service)
    forecast = prediction.read(predicted) if predicted else None
    found = _from_store(lambda database: report(database, period))
    if page is not None:
        page.write_text(report_page.standalone(found), encoding="utf-8")
        click.echo(f"Written: {page}")
    elif form == "csv":
        click.echo(report_text.as_csv(found), nl=False)
    elif form == "json":
        beside = {"predicted": prediction.beside(forecast, found)} if forecast else {}
        click.echo(orjson.dumps({**report_text.as_document(found), **beside}, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(report_text.as_table(found))
        if forecast:
            click.echo(prediction.as_table(forecast, found))


@click.command(
    epilog=examples(
        "cds-service purge --older-than 400d",
    ),
)
@click.option("--older-than", "age", type=_Days(), required=True, help="Remove what was received so long ago, as 400d.")
def purge(age: timedelta) -> None:
    """Remove calls and feedback that are older than a number of days."""
    removed = _from_store(lambda database: retention.purge(database, local_time() - age))
    click.echo("Removed: " + ", ".join(f"{number} {table}" for table, number in removed.items()))


@click.command(
    "export",
    epilog=examples(
        "cds-service export",
        "cds-service export --from 2026-11-01 --output feedback.ndjson",
    ),
)
@_period_options
@click.option("--output", type=click.File("wb"), default="-", help="File to write; by default standard output.")
def export_command(since: datetime | None, until: datetime | None, service: str, output: Any) -> None:
    """Write feedback, each entry with the card it is about, as NDJSON."""
    period = _period(since, until, service)

    def write(database: Database) -> None:
        """Write entry by entry."""
        for entry in export.feedback_entries(database, period):
            output.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))

    _from_store(write)


def _period(since: datetime | None, until: datetime | None, service: str) -> Period:
    return Period(since.date() if since else None, until.date() if until else None, service)


Found = TypeVar("Found")


def _from_store(work: Callable[[Database], Found]) -> Found:
    """Do something with the database that the settings name, or say why not and end."""
    try:
        database = Database(settings_or_exit().database_address)
    except SettingsError as error:
        click.echo(f"Wrong settings:\n{error}", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None
    try:
        return work(database)
    except StoreUnavailable as failure:
        click.echo(f"The database does not answer ({failure}).", err=True)
        raise SystemExit(EXIT_REFUSED) from None
    finally:
        database.close()
