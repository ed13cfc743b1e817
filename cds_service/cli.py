"""cds-service serve | call | services | settings, and what store_commands.py adds."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import fields
from datetime import date, datetime
from typing import BinaryIO

import click
import orjson

from cds_service import reading, store_commands
from cds_service.app import fhir_access, local_time
from cds_service.call import Support, answer
from cds_service.errors import CdsError, KnowledgeError, SettingsError
from cds_service.main import create, load_registry, prepare_store
from cds_service.metrics import FOLDER_PREFIX, SHARED_FOLDER
from cds_service.services import Registry
from cds_service.settings import Settings, environment_variable

EXIT_REFUSED = 1
EXIT_MISCONFIGURED = 3


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 the service refused the request, 2 wrong usage, 3 wrong settings or knowledge.",
)
@click.version_option(package_name="dry-needling-cds")
def main() -> None:
    """A CDS Hooks service: should this patient get dry needling?"""


@main.command()
def serve() -> None:
    r"""Serve over HTTP, as the settings say.

    \b
    Examples:
      cds-service serve
      CDS_PORT=9000 CDS_WORKERS=4 cds-service serve
    """
    settings = _settings()
    _created(settings)  # wrong files are told here, once, not by every worker
    # Memory that a thread gives back is otherwise kept for that thread alone: a quarter more for large charts.
    environ = {SHARED_FOLDER: tempfile.mkdtemp(prefix=FOLDER_PREFIX), "MALLOC_ARENA_MAX": "1", **os.environ}
    arguments = [
        "gunicorn", "--config", "python:cds_service.web_server", "--bind", f"{settings.host}:{settings.port}",
        "--workers", str(settings.workers), "--worker-class", "gthread", "--threads", str(settings.threads),
        "--preload", "--graceful-timeout", "30", "cds_service.main:serve()",
    ]  # fmt: skip
    click.echo(f"Serving on http://{settings.host}:{settings.port}/cds-services (Ctrl-C stops)", err=True)
    os.execve(  # noqa: S606 - our own interpreter, no shell wanted
        sys.executable, [sys.executable, "-m", *arguments], environ
    )


@main.command()
@click.argument("file", type=click.File("rb"))
@click.option("--service", "service_id", default="", help="Id of the service; by default the one for the file's hook.")
@click.option("--json", "as_json", is_flag=True, help="Print the response as the client would get it.")
@click.option("--explain", "explained", is_flag=True, help="Print the trace: orders, findings, every rule and why.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Evaluate as of this day instead of today.")
def call(file: BinaryIO, service_id: str, as_json: bool, explained: bool, today: datetime | None) -> None:
    r"""Run the request in FILE (- for standard input) through the service, without a web server.

    \b
    Examples:
      cds-service call fixtures/calls/r1-problem-list-278860009/request.json
      cds-service call --explain request.json
      cds-service call --json - < request.json
    """
    settings = _settings()
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
        click.echo(reading.cards(answered.guidance.cards))
    if explained:
        click.echo(reading.explanation(answered.guidance.explain()))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the discovery response.")
def services(as_json: bool) -> None:
    r"""List the services, their prefetch, and whose content they are; overdue reviews are marked.

    \b
    Examples:
      cds-service services
      cds-service services --json
    """
    registry = _registry(_settings())
    if as_json:
        click.echo(orjson.dumps(registry.discovery(), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(reading.services(registry.services, local_time().date()))


@main.command("settings")
def show_settings() -> None:
    r"""List every setting: its environment variable, value now, default and meaning.

    \b
    Example:
      CDS_PORT=9000 cds-service settings
    """
    settings = _settings()
    for item in fields(Settings):
        value = getattr(settings, item.name)
        changed = "" if value == item.default else f"  (default {item.default!r})"
        if item.metadata["secret"] and value:
            value = "(set)"
        click.echo(f"{environment_variable(item.name)}={value}{changed}\n    {item.metadata['help']}")


for command in (store_commands.report_command, store_commands.purge, store_commands.export_command):
    main.add_command(command)


def _settings() -> Settings:
    try:
        return Settings.from_environ(os.environ)
    except SettingsError as error:
        click.echo(f"Wrong settings:\n{error}", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None


def _created(settings: Settings) -> None:
    try:
        prepare_store(create(settings))
    except (KnowledgeError, SettingsError) as error:
        click.echo(f"Cannot start: {error}", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None


def _registry(settings: Settings) -> Registry:
    try:
        return load_registry(settings)
    except KnowledgeError as error:
        click.echo(f"Wrong knowledge: {error}", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None
