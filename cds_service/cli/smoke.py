"""cds-service smoke URL: checks a running service from outside, as an EHR sees it."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from cds_service.cli.configuration import settings_or_exit
from cds_service.cli.examples import examples
from cds_service.cli.smoke_checks import Canned, Finding, Target, Unreachable, examine
from cds_service.errors import EXIT_REFUSED
from cds_service.guideline.examples import read
from cds_service.main import load_registry
from cds_service.web.app import local_time


@click.command(
    epilog=examples(
        "cds-service smoke http://127.0.0.1:8080 --inside",
        'cds-service smoke https://cds.example.org --token-command "mint-token --audience {url}"',
    ),
)
@click.argument("url")
@click.option(
    "--token-command", default="", help="Command that prints a fresh token; {url} is replaced with its audience."
)
@click.option(
    "--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File of tokens, one per line."
)
@click.option("--origin", default="", help="Origin of a browser client that must be allowed.")
@click.option("--calls", default=50, show_default=True, help="Number of calls to time.", type=click.IntRange(1, 1000))
@click.option("--inside", is_flag=True, help="Allow pages for operators, because this is the hospital's own network.")
def smoke(url: str, token_command: str, token_file: Path | None, origin: str, calls: int, inside: bool) -> None:
    """Check a running service from outside.

    Run it before go-live and after each change. It sends made-up patients only, prints one line per check, and exits
    with 1 when a check failed. To trust your own certificate authority, set REQUESTS_CA_BUNDLE to its file.
    """
    target = Target(
        url=url.rstrip("/"),
        token=_tokens(token_command, token_file),
        origin=origin,
        calls=calls,
        inside=inside,
    )
    failed = False
    try:
        for finding in examine(target, _canned()):
            failed = failed or finding.failed
            click.echo(_line(finding))
    except Unreachable as error:
        click.echo(_line(Finding("reached", True, str(error))))
        failed = True
    if failed:
        raise SystemExit(EXIT_REFUSED)


def _canned() -> tuple[Canned, ...]:
    """Return a call for each rule of the guidelines that are on."""
    first = {service.guideline.folder: service for service in reversed(load_registry(settings_or_exit()).services)}
    return tuple(
        Canned(example.rule, service.id, example.request(service.hook, local_time().date()))
        for folder, service in first.items()
        for example in read(folder.parent / "examples.toml")
    )


def _line(finding: Finding) -> str:
    return f"{'FAILED' if finding.failed else 'passed'}  {finding.name:<14}{finding.words}"


def _tokens(command: str, file: Path | None) -> Callable[[str], str] | None:
    """Return a source of tokens by endpoint URL, or None for calls without tokens."""
    if command:
        return lambda endpoint: subprocess.run(  # noqa: S603 - the operator's own program
            [part.replace("{url}", endpoint) for part in shlex.split(command)],
            check=True, capture_output=True, text=True, timeout=30,
        ).stdout.strip()  # fmt: skip
    if file is None:
        return None
    lines: Iterator[str] = iter(file.read_text(encoding="utf-8").split())

    def following(_: str) -> str:
        """Return the next token of the file."""
        try:
            return next(lines)
        except StopIteration:
            raise Unreachable(f"{file} has too few tokens; each is used once, so add more") from None

    return following
