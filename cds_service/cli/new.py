"""cds-service new NAME FOLDER: writes a guideline package that runs, as a starting point."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from cds_service.cli.examples import examples
from cds_service.errors import EXIT_MISCONFIGURED
from cds_service.web.app import local_time

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_LONGEST_NAME = 30
_PATTERNS = "new_guideline"
_SUFFIX = ".txt"


@click.command(
    epilog=examples(
        "cds-service new neck-pain our-guidelines",
    ),
)
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def new(name: str, folder: Path) -> None:
    """Create a guideline package that runs.

    Writes FOLDER/NAME with one rule, one evidence statement, one value set, cases and a test.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise click.BadParameter(
            f"use lowercase letters and digits, with - between words, at most {_LONGEST_NAME} characters"
        )
    target = folder / name
    if target.exists():
        click.echo(f"{target} already exists, so nothing was written. Choose another name or folder.", err=True)
        raise SystemExit(EXIT_MISCONFIGURED)
    today = local_time().date()
    words = {
        "@NAME@": name,
        "@MODULE@": name.replace("-", "_"),
        "@TITLE@": name.replace("-", " ").capitalize(),
        "@TODAY@": today.isoformat(),
        "@NEXT_YEAR@": today.replace(year=today.year + 1, day=min(today.day, 28)).isoformat(),
    }
    _write(files("cds_service.cli") / _PATTERNS, target, words)
    click.echo(f"Created {target}. Next: pip install -e {target}, then CDS_GUIDELINES={name} cds-service check")


def _write(pattern: Traversable, target: Path, words: dict[str, str]) -> None:
    """Write a folder of templates with their placeholders filled in."""
    target.mkdir(parents=True)
    for item in pattern.iterdir():
        if item.is_dir():
            _write(item, target / (words["@MODULE@"] if item.name == "package" else item.name), words)
        elif item.name.endswith(_SUFFIX):
            text = item.read_text(encoding="utf-8")
            for mark, word in words.items():
                text = text.replace(mark, word)
            (target / item.name.removesuffix(_SUFFIX)).write_text(text, encoding="utf-8")
