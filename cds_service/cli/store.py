"""cds-service report | purge | export | downgrade: stored calls and feedback, at a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from cds_service.cli import prediction
from cds_service.cli.configuration import settings_or_exit
from cds_service.cli.examples import examples
from cds_service.errors import EXIT_MISCONFIGURED, EXIT_REFUSED, RemovalRefused, SettingsError, StoreUnavailable
from cds_service.store import export, report_text, retention
from cds_service.store.database import BACK_TO, Database, take_back
from cds_service.store.period import Period
from cds_service.store.report import report
from cds_service.web import report_page
from cds_service.web.app import local_time

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class _Days(click.ParamType[timedelta]):
    """A number of days, such as 400d."""

    name = "DAYS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the number of days."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,5})d", value)
        if match is None:
            self.fail("must be a number of days, such as 400d", param, ctx)
        return timedelta(days=int(match[1]))


def _period_options(command: Decorated) -> Decorated:
    """Add the options that select days and a service."""
    day = click.DateTime(["%Y-%m-%d"])
    for option in (
        click.option("--service", default="", help="Service id; by default all services."),
        click.option("--until", type=day, help="Last day (UTC), such as 2026-11-23."),
        click.option("--from", "since", type=day, help="First day (UTC), such as 2026-11-01."),
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
    help="The summary.json of a backtest, to compare predicted with real cards per 100 orders.",
)  # fmt: skip
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write a page to this file.")
def report_command(
    since: datetime | None,
    until: datetime | None,
    service: str,
    form: str | None,
    page: Path | None,
    predicted: Path | None,
) -> None:
    """Report cards, acceptance and overrides.

    By rule, hook, service, client and week.
    """
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
@click.option("--older-than", "age", type=_Days(), required=True, help="Age in days, such as 400d.")
@click.option("--even-most", is_flag=True, help="Delete even if that is more than half of the calls or feedback.")
def purge(age: timedelta, even_most: bool) -> None:
    """Delete old calls and feedback.

    Age is counted from the newest record, so that a wrong clock deletes nothing.
    """
    try:
        removed = _from_store(lambda database: retention.purge(database, local_time(), age, even_most=even_most))
    except RemovalRefused as refusal:
        click.echo(f"Nothing was deleted: {refusal}. If the clock is right, add --even-most.", err=True)
        raise SystemExit(EXIT_REFUSED) from None
    click.echo("Deleted: " + ", ".join(f"{number} {table}" for table, number in removed.items()))


@click.command(
    "export",
    epilog=examples(
        "cds-service export",
        "cds-service export --from 2026-11-01 --output feedback.ndjson",
    ),
)
@_period_options
@click.option("--output", type=click.File("wb"), default="-", help="Output file; by default standard output.")
def export_command(since: datetime | None, until: datetime | None, service: str, output: Any) -> None:
    """Export feedback with its cards as NDJSON."""
    period = _period(since, until, service)

    def write(database: Database) -> None:
        """Write one entry per line."""
        for entry in export.feedback_entries(database, period):
            output.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))

    _from_store(write)


@click.command(
    epilog=examples(
        "cds-service downgrade 0003",
    ),
)
@click.argument("schema", type=click.Choice(BACK_TO))
def downgrade(schema: str) -> None:
    """Take the tables back to an older schema, to go back to a version of this service that knows no newer one."""
    _from_store(lambda database: take_back(database, schema))
    click.echo(f"The tables are those of schema {schema}. Start that version: this one brings them up again.")


def _period(since: datetime | None, until: datetime | None, service: str) -> Period:
    return Period(since.date() if since else None, until.date() if until else None, service)


Found = TypeVar("Found")


def _from_store(work: Callable[[Database], Found]) -> Found:
    """Return what `work` does with the configured database; end with an error message when it is not available."""
    try:
        database = Database(settings_or_exit().database_address)
    except SettingsError as error:
        click.echo(f"Wrong settings:\n{error}", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None
    try:
        return work(database)
    except StoreUnavailable as failure:
        click.echo(f"The database does not answer ({failure}). Check CDS_DATABASE_URL, or try again later.", err=True)
        raise SystemExit(EXIT_REFUSED) from None
    finally:
        database.close()
