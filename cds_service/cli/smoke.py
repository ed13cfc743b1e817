"""cds-service smoke URL: is a running service ready for clinicians, as seen from where an EHR stands?"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from cds_service.cli.examples import examples
from cds_service.cli.smoke_checks import Canned, Finding, Target, Unreachable, examine
from cds_service.errors import EXIT_REFUSED
from cds_service.guideline.examples import read
from cds_service.main import load_registry
from cds_service.settings import settings_or_exit
from cds_service.web.app import local_time


@click.command(
    epilog=examples(
        "cds-service smoke http://127.0.0.1:8080 --inside",
        'cds-service smoke https://cds.example.org --token-command "mint-token --audience {url}"',
    ),
)
@click.argument("url")
@click.option("--token-command", default="", help="Program that prints a fresh token; {url} becomes its audience.")
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Tokens, one a line.")
@click.option("--origin", default="", help="A browser client's origin that must be allowed.")
@click.option("--calls", default=50, show_default=True, help="Calls whose time is taken.", type=click.IntRange(1, 1000))
@click.option("--inside", is_flag=True, help="Stand inside the hospital: pages for operators may be there.")
def smoke(url: str, token_command: str, token_file: Path | None, origin: str, calls: int, inside: bool) -> None:
    """Examine the service at URL from outside, before go-live and after each change.

    Sends made-up patients only. Each check is a line of the table; exit code 1 when one failed. A certificate
    authority of your own is named by the environment variable REQUESTS_CA_BUNDLE.
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
    """Return what gives a token for an endpoint's URL; None when calls are to be made without."""
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
            raise Unreachable(f"{file} holds too few tokens: each can be used once") from None

    return following
