"""cds-service call | services: what the service answers and offers, without a web server."""

from __future__ import annotations

from datetime import date, datetime
from typing import BinaryIO

import click
import orjson

from cds_service.call import Support, answer
from cds_service.cli import terminal
from cds_service.cli.choice import guideline_option, registry_or_exit, service_for
from cds_service.cli.configuration import settings_or_exit
from cds_service.cli.examples import examples
from cds_service.errors import EXIT_REFUSED, CdsError
from cds_service.protocol.decoding import decode
from cds_service.protocol.request import hook_of
from cds_service.web.app import fhir_access, local_time


@click.command(
    epilog=examples(
        "cds-service call fixtures/calls/r1-chronic-code-on-problem-list/request.json",
        "cds-service call --explain request.json",
        "cds-service call --guideline dry-needling request.json",
        "cds-service call --json - < request.json",
    ),
)
@click.argument("file", type=click.File("rb"))
@click.option("--service", "service_id", default="", help="Service id; by default the service for the hook in FILE.")
@guideline_option
@click.option("--json", "as_json", is_flag=True, help="Print the response as JSON, as a client gets it.")
@click.option("--explain", "explained", is_flag=True, help="Explain the answer: orders, data, findings and every rule.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Evaluate as of this date instead of today.")
def call(
    file: BinaryIO, service_id: str, guideline: str, as_json: bool, explained: bool, today: datetime | None
) -> None:
    """Show the cards for a request, without a server.

    FILE is a CDS Hooks request in JSON; - reads standard input.
    """
    settings = settings_or_exit()
    registry = registry_or_exit(settings)
    day: date = today.date() if today else local_time().date()
    body = file.read()
    try:
        if not service_id:
            chosen = service_for(registry, hook_of(decode(body)), guideline)
            service_id = chosen.id if chosen else ""
        answered = answer(registry, service_id, body, day, Support(fhir_access(settings)))
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
    """List the services with prefetch, owner and review date.

    Overdue reviews are marked.
    """
    registry = registry_or_exit(settings_or_exit())
    if as_json:
        click.echo(orjson.dumps(registry.discovery(), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(terminal.services(registry.services, local_time().date()))
