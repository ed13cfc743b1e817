"""cds-service call | services: what the service would answer, and what it offers, without a web server."""

from __future__ import annotations

from datetime import date, datetime
from typing import BinaryIO

import click
import orjson

from cds_service.call import Support, answer
from cds_service.cli import terminal
from cds_service.cli.examples import examples
from cds_service.errors import EXIT_MISCONFIGURED, EXIT_REFUSED, CdsError, KnowledgeError
from cds_service.guideline.services import Registry
from cds_service.main import load_registry
from cds_service.settings import Settings, settings_or_exit
from cds_service.web.app import fhir_access, local_time


@click.command(
    epilog=examples(
        "cds-service call fixtures/calls/r1-chronic-code-on-problem-list/request.json",
        "cds-service call --explain request.json",
        "cds-service call --json - < request.json",
    ),
)
@click.argument("file", type=click.File("rb"))
@click.option("--service", "service_id", default="", help="Id of the service; by default the one for the file's hook.")
@click.option("--json", "as_json", is_flag=True, help="Print the response as the client would get it.")
@click.option("--explain", "explained", is_flag=True, help="Print the trace: orders, findings, every rule and why.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Evaluate as of this day instead of today.")
def call(file: BinaryIO, service_id: str, as_json: bool, explained: bool, today: datetime | None) -> None:
    """Run the request in FILE (- for standard input) through the service, without a web server."""
    settings = settings_or_exit()
    registry = _registry(settings)
    day: date = today.date() if today else local_time().date()
    try:
        answered = answer(registry, service_id, file.read(), day, Support(fhir_access(settings)))
    except CdsError as error:
        if as_json:
            click.echo(orjson.dumps(error.operation_outcome(), option=orjson.OPT_INDENT_2).decode())
        for issue in error.issues:
            click.echo(f"Refused ({error.status}): {issue.diagnostics}", err=True)
        raise SystemExit(EXIT_REFUSED) from None
    if as_json:
        click.echo(orjson.dumps(orjson.loads(answered.body), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(terminal.cards(advice.card for advice in answered.guidance.advice))
    if explained:
        click.echo(terminal.explanation(answered.guidance.explain()))


@click.command(
    epilog=examples(
        "cds-service services",
        "cds-service services --json",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print the discovery response.")
def services(as_json: bool) -> None:
    """List the services, their prefetch, and whose content they are; overdue reviews are marked."""
    registry = _registry(settings_or_exit())
    if as_json:
        click.echo(orjson.dumps(registry.discovery(), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(terminal.services(registry.services, local_time().date()))


def _registry(settings: Settings) -> Registry:
    try:
        return load_registry(settings)
    except KnowledgeError as error:
        click.echo(f"Wrong knowledge: {error}", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None
