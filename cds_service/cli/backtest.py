"""cds-service backtest | diff: run a guideline over a history, and compare two versions of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import orjson

from cds_service import telemetry
from cds_service.backtest import content, difference
from cds_service.backtest.asking import Setup, Versions
from cds_service.backtest.run import MEMORY, Plan, export_files, hash_key
from cds_service.cli.configuration import settings_or_exit
from cds_service.cli.examples import examples
from cds_service.errors import EXIT_MISCONFIGURED, EXIT_REFUSED, BacktestRefused, KnowledgeError
from cds_service.guideline.knowledge import SiteConfiguration
from cds_service.guideline.services import load_services
from cds_service.guideline.table import FactSpace
from cds_service.main import load_registry
from cds_service.settings import Settings

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
    """Compare two versions of a guideline.

    OLD and NEW are knowledge folders. Shows every combination of facts whose rule changes, and every changed text.
    Facts are computed by code, so changes of their meaning show only in words and value sets.
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


@click.command(
    epilog=examples(
        "cds-service backtest fixtures/export --out our-backtest",
        "cds-service backtest fixtures/export --out our-backtest --zone Europe/Berlin --compare our-knowledge",
    ),
)
@click.argument("export", type=_FOLDER)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for results.")
@click.option("--compare", type=_FOLDER, help="Knowledge folder to compare with.")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day of orders to decide.")
@click.option("--until", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day of orders to decide.")
@click.option("--zone", default="", help="Time zone of the hospital, such as America/New_York; empty: days as written.")
@click.option("--processes", type=click.IntRange(1, 256), default=2, show_default=True, help="Worker processes.")
@click.option("--memory", default=MEMORY, show_default=True, help="Memory of the engine per process.")
@click.option("--traces", type=click.IntRange(0, 1000), default=20, show_default=True, help="Orders to show in full.")
@click.option(
    "--session-minutes", type=click.IntRange(0, 10080), default=60, show_default=True,
    help="Longest time between two orders of an encounter that were signed together.",
)  # fmt: skip
@click.option("--strict/--no-strict", default=True, show_default=True, help="Exit with 1 if the data are faulty.")
@click.option("--verify", is_flag=True, help="Decode every line again with another decoder, and compare.")
@click.option("--engine", type=click.Choice(["embedded", "spark"]), default="embedded", show_default=True)
@click.option("--master", default="local[2]", show_default=True, help="Spark's master.")
@click.option("--restart", is_flag=True, help="Start over if the folder has another run, or a part of one.")
def backtest(export: Path, out: Path, engine: str, master: str, traces: int, strict: bool, **told: Any) -> None:
    """Run the service over a hospital's history.

    EXPORT is a Bulk FHIR export: a folder of NDJSON files, plain or .gz. Every order is decided as of its own time.
    Writes report.html, summary.json, summary.csv, faults.ndjson and the decisions as Parquet. To resume a run that was
    killed, repeat the command.
    """
    settings = settings_or_exit()
    try:
        load = partial(_versions, settings, told["compare"])
        versions = load()
        plan = _plan(export, out, load, settings, told)
        job, decide = _job(engine, master)
        found = job.run(plan, versions, decide, _Told(), traces, restart=told["restart"])
    except KnowledgeError as error:
        click.echo(f"Wrong knowledge: {error}", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None
    except BacktestRefused as refused:
        click.echo(f"Refused: {refused}", err=True)
        raise SystemExit(EXIT_REFUSED) from None
    except KeyboardInterrupt:
        click.echo("Interrupted; the same command goes on.", err=True)
        raise SystemExit(_INTERRUPTED) from None
    except OSError as failure:
        click.echo(f"Cannot go on: {failure.strerror or 'a file cannot be read or written'}", err=True)
        raise SystemExit(EXIT_REFUSED) from None
    orders = {name: f"{count:,}" if isinstance(count, int) else count for name, count in found["orders"].items()}
    click.echo(f"{orders['decided']} of {orders['in_scope']} orders in scope decided, of {orders['all']} in all")
    click.echo(f"{found['cards']} cards, {found['cards_per_1000_orders'] or '-'} per 1,000 orders of all kinds")
    click.echo(f"Written: {out / 'report.html'}")
    for reason in found["refused"]:
        click.echo(f"Not to be relied on: {reason}", err=True)
    if found["refused"] and strict:
        raise SystemExit(EXIT_REFUSED)


_INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def _plan(export: Path, out: Path, load: Callable[[], Versions], settings: Settings, told: dict[str, Any]) -> Plan:
    """Return the run that the options ask for."""
    try:
        zone = told["zone"] and ZoneInfo(told["zone"]).key
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter("there is no such time zone; write it as Europe/Berlin", param_hint="--zone") from None
    files = export_files(export)

    def day(moment: datetime | None) -> str:
        """Return a day as decisions have it."""
        return moment.date().isoformat() if moment else ""

    setup = Setup(
        load=load,
        present=frozenset(file.kind for file in files if not file.deleted),
        key=hash_key(out, settings.hash_key),
        zone=zone,
        session=timedelta(minutes=told["session_minutes"]),
        first=day(told["first"]),
        last=day(told["last"]),
    )
    return Plan(
        export, out, files, setup, told["processes"],
        memory=told["memory"], verify=told["verify"], site_key=bool(settings.hash_key),
    )  # fmt: skip


def _job(engine: str, master: str) -> tuple[Any, Any]:
    """Return what runs a backtest and the engine that decides, or say which extra is missing."""
    try:
        job = import_module("cds_service.backtest.job")
        if engine == "spark":
            return job, partial(import_module("cds_service.backtest.spark").run, master)
        return job, import_module("cds_service.backtest.embedded").run
    except ModuleNotFoundError as missing:
        extra = "spark" if engine == "spark" else "backtest"
        click.echo(f"{missing.name} is missing: pip install 'dry-needling-cds[{extra}]'", err=True)
        raise SystemExit(EXIT_MISCONFIGURED) from None


@cache
def _versions(settings: Settings, compare: Path | None) -> Versions:
    """Load the guidelines whose orders are decided, one service of each, and the folder compared with."""
    now = {s.knowledge.identity.id: s for s in reversed(load_registry(settings).services) if s.knowledge.orders}
    if compare is None:
        return Versions(tuple(now.values()))
    name = content.read(compare).guideline
    if name not in now:
        raise KnowledgeError(f"{compare}: is of guideline {name}, which is not on")
    folder = Path(settings.site_value_sets) if settings.site_value_sets else None
    site = SiteConfiguration(value_sets=folder, public_url=settings.base_url)
    others = {known: service.guideline for known, service in now.items()}
    loaded = load_services({**others, name: replace(others[name], folder=compare)}, site)
    return Versions(tuple(now.values()), {name: next(s for s in loaded if s.knowledge.identity.id == name)})


class _Told:
    """Reports progress, speed and remaining time: on a terminal in one line, otherwise in the log."""

    def __init__(self) -> None:
        self._stage, self._begun, self._last = "", 0.0, 0.0

    def __call__(self, stage: str, done: int, whole: int) -> None:
        """Report the progress of a stage."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._begun, self._last = stage, now, now
        seconds = now - self._begun
        left = seconds / done * (whole - done) if done else 0.0
        rate = done / seconds if seconds else 0.0
        if sys.stderr.isatty():
            click.echo(
                f"\r{stage}: {done:,} of {whole:,}, {rate:,.0f} a second, {left:.0f} s left   ",
                err=True,
                nl=done == whole,
            )
        elif now - self._last >= _EVERY:
            self._last = now
            telemetry.log().info(
                "backtest", stage=stage, done=done, whole=whole, per_second=round(rate), seconds_left=round(left)
            )


_EVERY = 10.0
"""Seconds between two lines of the log."""
