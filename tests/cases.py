"""Fixture folders as test cases: a request, the whole expected answer, and what a clinician decided by hand."""

from __future__ import annotations

import tempfile
import tomllib
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson

from cds_service.call import answer
from cds_service.errors import CdsError
from cds_service.guideline.services import Registry
from cds_service.main import load_registry
from cds_service.settings import Settings

FIXTURES = Path(__file__).parent.parent / "fixtures"
EXTENSION = "org.dry-needling-cds.explanation"

# Not UTC on purpose: a day counted in the wrong time zone shows.
TODAY = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=-8)))


KNOWLEDGE = load_registry(Settings()).services[0].knowledge
"""What the dry needling guideline knows."""

_DATA = tempfile.TemporaryDirectory(prefix="cds-tests-")


def own_settings(**changes: Any) -> Settings:
    """Return settings that log errors only, are patient, and keep what they keep in a folder of this test run."""
    own: dict[str, Any] = {"log_level": "error", "call_milliseconds": 60_000, "data_folder": _DATA.name}
    own["database_url"] = f"sqlite:///{_DATA.name}/cds.sqlite3"
    return Settings(**{**own, **changes})


@dataclass(frozen=True)
class Case:
    """One folder of fixtures/calls or fixtures/silent.

    `case.toml` is written by hand: why, today, status, rules in the order of the cards, notes that must join, notes
    that must not (without), words the cards must hold and the labels of the suggestions.
    """

    folder: Path
    request: dict[str, Any]
    told: dict[str, Any]

    @property
    def today(self) -> datetime:
        return datetime.combine(self.told["today"], time(9, 30), TODAY.tzinfo)

    @property
    def expected_path(self) -> Path:
        return self.folder / "expected.json"


def all_cases() -> list[Case]:
    """Read every case folder."""
    folders = sorted(path.parent for path in FIXTURES.glob("*/*/case.toml"))
    return [
        Case(
            folder,
            orjson.loads((folder / "request.json").read_bytes()),
            tomllib.loads((folder / "case.toml").read_text(encoding="utf-8")),
        )
        for folder in folders
    ]


def recorded(body: dict[str, Any]) -> bytes:
    """Return an answer as expected.json holds it."""
    return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def without_fingerprint(response: dict[str, Any]) -> dict[str, Any]:
    """Take the fingerprint out of the knowledge version, so that a new wording elsewhere does not touch every case."""
    for card in response.get("cards", []):
        told = card["extension"][EXTENSION]
        told["knowledgeVersion"] = told["knowledgeVersion"].split("+")[0]
    return response


def respond(registry: Registry, case: Case) -> tuple[int, dict[str, Any]]:
    """Return the status and body for a case, without a web server."""
    try:
        answered = answer(registry, "", orjson.dumps(case.request), case.today.date())
    except CdsError as error:
        return error.status, error.operation_outcome()
    return 200, without_fingerprint(orjson.loads(answered.body))
