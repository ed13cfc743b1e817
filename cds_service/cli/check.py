"""cds-service check: can the service run with these settings, and if not, what is wrong?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from cds_service.cli import terminal
from cds_service.cli.configuration import settings_or_exit
from cds_service.cli.examples import examples
from cds_service.errors import EXIT_MISCONFIGURED, KnowledgeError, SettingsError, StoreIsNewer, StoreUnavailable
from cds_service.fhir.servers import AllowList
from cds_service.main import exposures, load_registry
from cds_service.settings import Settings
from cds_service.store.database import bring_up_to_date
from cds_service.store.private_files import data_folder
from cds_service.store.pseudonyms import own_key
from cds_service.trust.issuers import read as read_issuers
from cds_service.web.app import local_time

_NO_DATABASE = "CDS_DATABASE_URL: the database is not available, and calls with tokens need it (they get 503)"


@click.command(
    epilog=examples(
        "cds-service check",
        "CDS_SITE_VALUE_SETS=our-codes cds-service check",
    ),
)
def check() -> None:
    """Check the configuration before a start.

    Checks clinical content, tokens, FHIR servers, data folder, database and hash key, and reports everything that is
    wrong, not only the first error. Like a start, it migrates the database and creates this machine's key.
    """
    settings = settings_or_exit()
    wrong = False
    for name, look in _LOOKS.items():
        try:
            words = look(settings)
        except (KnowledgeError, SettingsError) as error:
            wrong, words = True, f"WRONG: {error}"
        click.echo(f"{name:<14}{words}")
    if wrong:
        raise SystemExit(EXIT_MISCONFIGURED)


def _content(settings: Settings) -> str:
    """Return the version of each guideline and whether a review is overdue."""
    today = local_time().date()
    return f"\n{'':<14}".join(
        f"{name} {knowledge.version}, {terminal.next_review(knowledge.review, today)}"
        for name, knowledge in load_registry(settings).guidelines.items()
    )


def _tokens(settings: Settings) -> str:
    """Return whose tokens are trusted."""
    if not settings.checks_calls:
        return "not required" + (", although other machines can reach the service" if settings.exposed else "")
    return f"trusted from {', '.join(sorted(read_issuers(Path(settings.issuers_file))))}"


def _fhir_servers(settings: Settings) -> str:
    """Return how many FHIR servers may be read."""
    servers = len(AllowList.parse(settings.fhir_servers).servers)
    return f"{servers} may be read" if servers else "none may be read; data that is not prefetched will be missing"


def _database(settings: Settings) -> str:
    """Return whether the database answers. It must where tokens are required, because it remembers used ones."""
    try:
        bring_up_to_date(settings.database_address)
    except StoreUnavailable as failure:
        if settings.checks_calls and not isinstance(failure, StoreIsNewer):
            raise SettingsError(f"{_NO_DATABASE} ({failure})") from None
        return f"not available ({failure}); records will wait in the outbox"
    return "answers"


def _data_folder(settings: Settings) -> str:
    """Return who else can read the data folder; it must be writable."""
    data_folder(settings.data_folder)
    return "; ".join(exposures(settings, os.environ)) or "readable by this user only"


def _hashes(settings: Settings) -> str:
    """Return which key hashes patients and users."""
    if settings.hash_key:
        return "with the key in CDS_HASH_KEY"
    own_key(data_folder(settings.data_folder))
    return "with a key of this machine, in the data folder"


_LOOKS: Mapping[str, Callable[[Settings], str]] = {
    "content": _content,
    "tokens": _tokens,
    "FHIR servers": _fhir_servers,
    "data folder": _data_folder,
    "database": _database,
    "hashes": _hashes,
}
