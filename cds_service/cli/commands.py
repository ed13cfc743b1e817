"""cds-service: its commands, each loaded when it is needed; serve is here."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from importlib import import_module
from typing import Any

import click

from cds_service import telemetry
from cds_service.cli.configuration import settings_or_exit
from cds_service.cli.examples import examples
from cds_service.errors import SettingsError, StoreIsNewer, StoreUnavailable
from cds_service.settings import Settings
from cds_service.store.database import bring_up_to_date
from cds_service.store.private_files import data_folder
from cds_service.web.metrics import FOLDER_PREFIX, SHARED_FOLDER

DATABASE_SECONDS = 1.0
"""How long startup waits for the database and its migrations."""

_RECORDS_WAIT = "records wait in the outbox"

_ELSEWHERE = {
    "settings": ("cds_service.cli.settings", "settings"),
    "check": ("cds_service.cli.check", "check"),
    "smoke": ("cds_service.cli.smoke", "smoke"),
    "services": ("cds_service.cli.call", "services"),
    "request": ("cds_service.cli.request", "request"),
    "call": ("cds_service.cli.call", "call"),
    "report": ("cds_service.cli.store", "report_command"),
    "export": ("cds_service.cli.store", "export_command"),
    "purge": ("cds_service.cli.store", "purge"),
    "backtest": ("cds_service.cli.backtest", "backtest"),
    "diff": ("cds_service.cli.backtest", "diff"),
    "new": ("cds_service.cli.new", "new"),
    "deploy": ("cds_service.cli.deploy", "deploy"),
    "downgrade": ("cds_service.cli.store", "downgrade"),
}


class _Commands(click.Group):
    """Loads a command and what it imports only when it is used, because `serve` starts another program at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*super().list_commands(ctx), *_ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None when none has this name."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, name = _ELSEWHERE[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a file or folder that cannot be used is one line, never a traceback."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except OSError as failure:
            raise click.ClickException(f"{failure.filename or 'A file'}: {failure.strerror or 'not usable'}") from None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 wrong settings or knowledge.
NO_COLOR=1 turns colors off.
Shell completion: eval "$(_CDS_SERVICE_COMPLETE=bash_source cds-service)"
(zsh_source or fish_source in those shells).""",
)
@click.version_option(package_name="dry-needling-cds")
def main() -> None:
    """Run, check and try out a CDS Hooks service: should this patient get dry needling?"""


@main.command(
    epilog=examples(
        "cds-service serve",
        "CDS_PORT=9000 CDS_WORKERS=4 cds-service serve",
    ),
)
def serve() -> None:
    """Start the service."""
    settings = settings_or_exit()
    _prepare_database(settings)
    environ = {SHARED_FOLDER: tempfile.mkdtemp(prefix=FOLDER_PREFIX), **os.environ}
    arguments = [
        "gunicorn", "--config", "python:cds_service.web.web_server", "--bind", settings.address,
        "--workers", str(settings.workers), "--threads", str(settings.threads), "--preload",
        "--worker-class", "cds_service.web.worker.WaitressWorker", "--graceful-timeout", "30",
        "cds_service.main:serve()",
    ]  # fmt: skip
    os.execve(  # noqa: S606 - this interpreter, no shell
        sys.executable, [sys.executable, "-m", *arguments], environ
    )


def _prepare_database(settings: Settings) -> None:
    """Migrate the database here, because the 7 MB this imports would otherwise stay in every worker process.

    A database that does not answer soon is not waited for: the service answers without it and tries again later.
    """
    without = "no token can be checked without it" if settings.checks_calls else _RECORDS_WAIT
    failures = ["it does not answer yet", without]

    def prepare() -> None:
        """Make one attempt."""
        try:
            data_folder(settings.data_folder)
            bring_up_to_date(settings.database_address)
        except StoreIsNewer as failure:
            failures[:] = [str(failure), _RECORDS_WAIT]
        except StoreUnavailable as failure:
            failures[0] = str(failure)
        except SettingsError:
            failures.clear()  # the web server reports it, together with everything else that is wrong
        else:
            failures.clear()

    trying = threading.Thread(target=prepare, daemon=True)
    trying.start()
    trying.join(DATABASE_SECONDS)
    if failures:
        telemetry.configure(settings.log_level)
        telemetry.log().warning("database", reason=failures[0], consequence=failures[1])
