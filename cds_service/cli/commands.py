"""cds-service: its commands, each loaded when it is asked for; serve and settings are here."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from dataclasses import fields
from importlib import import_module

import click

from cds_service import telemetry
from cds_service.cli.examples import examples
from cds_service.errors import SettingsError, StoreUnavailable
from cds_service.settings import Settings, environment_variable, settings_or_exit
from cds_service.store.database import bring_up_to_date, shown
from cds_service.store.private_files import data_folder
from cds_service.web.metrics import FOLDER_PREFIX, SHARED_FOLDER

DATABASE_SECONDS = 1.0
"""How long a start waits for the database, and for the tables to be brought up to date."""

_ELSEWHERE = {
    "check": ("cds_service.cli.check", "check"),
    "call": ("cds_service.cli.call", "call"),
    "services": ("cds_service.cli.call", "services"),
    "new": ("cds_service.cli.new", "new"),
    "report": ("cds_service.cli.store", "report_command"),
    "backtest": ("cds_service.cli.backtest", "backtest"),
    "diff": ("cds_service.cli.backtest", "diff"),
    "deploy": ("cds_service.cli.deploy", "deploy"),
    "smoke": ("cds_service.cli.smoke", "smoke"),
    "purge": ("cds_service.cli.store", "purge"),
    "export": ("cds_service.cli.store", "export_command"),
}


class _Commands(click.Group):
    """Loads a command with all that it needs only when it is asked for: `serve` starts another program at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*super().list_commands(ctx), *_ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None when there is none of this name."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, name = _ELSEWHERE[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 the service refused the request, 2 wrong usage, 3 wrong settings or knowledge.",
)
@click.version_option(package_name="dry-needling-cds")
def main() -> None:
    """A CDS Hooks service: should this patient get dry needling?"""


@main.command(
    epilog=examples(
        "cds-service serve",
        "CDS_PORT=9000 CDS_WORKERS=4 cds-service serve",
    ),
)
def serve() -> None:
    """Serve over HTTP, as the settings say."""
    settings = settings_or_exit()
    _prepare_database(settings)
    # Memory that a thread gives back is otherwise kept for that thread alone: a quarter more for large charts.
    environ = {SHARED_FOLDER: tempfile.mkdtemp(prefix=FOLDER_PREFIX), "MALLOC_ARENA_MAX": "1", **os.environ}
    arguments = [
        "gunicorn", "--config", "python:cds_service.web.web_server", "--bind", settings.address,
        "--workers", str(settings.workers), "--threads", str(settings.threads), "--preload",
        "--worker-class", "cds_service.web.worker.WaitressWorker", "--graceful-timeout", "30",
        "cds_service.main:serve()",
    ]  # fmt: skip
    os.execve(  # noqa: S606 - our own interpreter, no shell wanted
        sys.executable, [sys.executable, "-m", *arguments], environ
    )


def _prepare_database(settings: Settings) -> None:
    """Bring the tables up to date here: what that loads, 7 MB, would otherwise stay with every worker process.

    A database that does not answer soon is not waited for: the service answers without it, and tries again.
    """
    told = ["it does not answer yet"]

    def prepare() -> None:
        """Try once."""
        try:
            data_folder(settings.data_folder)
            bring_up_to_date(settings.database_address)
        except StoreUnavailable as failure:
            told[0] = str(failure)
        except SettingsError:
            told.clear()  # the next program tells what is wrong, of this and all else
        else:
            told.clear()

    trying = threading.Thread(target=prepare, daemon=True)
    trying.start()
    trying.join(DATABASE_SECONDS)
    if told:
        telemetry.configure(settings.log_level)
        without = "no token can be checked without it" if settings.checks_calls else "records wait in the outbox"
        telemetry.log().warning("database", reason=told[0], consequence=without)


@main.command(
    "settings",
    epilog=examples(
        "CDS_PORT=9000 cds-service settings",
    ),
)
def show_settings() -> None:
    """List every setting: its environment variable, value now, default and meaning."""
    settings = settings_or_exit()
    for item in fields(Settings):
        value = getattr(settings, item.name)
        changed = "" if value == item.default else f"  (default {item.default!r})"
        if item.metadata["secret"] and value:
            value = shown(value) if item.name == "database_url" else "(set)"
        click.echo(f"{environment_variable(item.name)}={value}{changed}\n    {item.metadata['help']}")
