"""cds-service diff: what a change of a guideline would change, without any data."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from cds_service.backtest import content, difference
from cds_service.cli.examples import examples
from cds_service.errors import EXIT_MISCONFIGURED, KnowledgeError
from cds_service.guideline.table import FactSpace
from cds_service.main import load_registry
from cds_service.settings import Settings, settings_or_exit

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(
    epilog=examples(
        "cds-service diff hooks/dry_needling/knowledge our-knowledge",
        "cds-service diff --json hooks/dry_needling/knowledge our-knowledge",
    ),
)
@click.argument("old", type=_FOLDER)
@click.argument("new", type=_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Compare two knowledge folders, OLD and NEW: every combination of facts whose rule changes, and every text.

    Facts themselves are made by code: what they mean is compared only as far as words and value sets say.
    """
    settings = settings_or_exit()
    try:
        before, after = content.pair(old, new)
        found = difference.between(before, after, _facts(settings, after.guideline))
    except KnowledgeError as error:
        click.echo(f"Wrong knowledge: {error}", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None
    if as_json:
        click.echo(orjson.dumps(difference.as_document(found), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(difference.as_text(found))


def _facts(settings: Settings, guideline: str) -> FactSpace:
    """Return the facts of a guideline that is on; none are known of another."""
    spaces = (s.guideline.fact_space for s in load_registry(settings).services if s.knowledge.identity.id == guideline)
    return next(spaces, {})
