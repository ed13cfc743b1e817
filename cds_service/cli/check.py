"""cds-service check: could the service answer calls as it is set up, and what is wrong if it could not?"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from cds_service.cli import terminal
from cds_service.cli.examples import examples
from cds_service.errors import EXIT_MISCONFIGURED, KnowledgeError, SettingsError, StoreUnavailable
from cds_service.fhir.servers import AllowList
from cds_service.main import exposures, load_registry
from cds_service.settings import Settings, settings_or_exit
from cds_service.store.database import bring_up_to_date
from cds_service.store.private_files import data_folder
from cds_service.store.pseudonyms import own_key
from cds_service.trust.issuers import read as read_issuers
from cds_service.web.app import local_time

_NO_DATABASE = "CDS_DATABASE_URL: the database cannot be used, and every call would get 503 without it"


@click.command(
    epilog=examples(
        "cds-service check",
        "CDS_SITE_VALUE_SETS=our-codes cds-service check",
    ),
)
def check() -> None:
    """Tell whether the service could answer calls as it is set up: content, tokens, FHIR access, database.

    Everything that is wrong is told, not the first fault alone. The database is brought up to date and this machine's
    key is made, as by a start.
    """
    settings = settings_or_exit()
    wrong = False
    for name, look in _LOOKS.items():
        try:
            told = look(settings)
        except (KnowledgeError, SettingsError) as error:
            wrong, told = True, f"WRONG: {error}"
        click.echo(f"{name:<14}{told}")
    if wrong:
        raise SystemExit(EXIT_MISCONFIGURED)


def _content(settings: Settings) -> str:
    """Tell which content cards would speak from, and whether a review of it is overdue."""
    today = local_time().date()
    return f"\n{'':<14}".join(
        f"{name} {knowledge.version}, {terminal.next_review(knowledge.review, today)}"
        for name, knowledge in load_registry(settings).guidelines.items()
    )


def _tokens(settings: Settings) -> str:
    """Tell whose tokens would be trusted."""
    if not settings.checks_calls:
        return "not asked for" + (", though others can reach the service" if settings.exposed else "")
    return f"trusted of {', '.join(sorted(read_issuers(Path(settings.issuers_file))))}"


def _fhir_servers(settings: Settings) -> str:
    """Tell whether FHIR servers may be read."""
    servers = len(AllowList.parse(settings.fhir_servers).servers)
    return f"{servers} may be read" if servers else "none may be read: what is not prefetched is missing"


def _database(settings: Settings) -> str:
    """Tell whether the database answers; it must where it remembers used tokens."""
    try:
        bring_up_to_date(settings.database_address)
    except StoreUnavailable as failure:
        if settings.checks_calls:
            raise SettingsError(f"{_NO_DATABASE} ({failure})") from None
        return f"cannot be used: records would wait in the outbox ({failure})"
    return "answers"


def _data_folder(settings: Settings) -> str:
    """Tell whether records can wait here, and who else can read what is kept."""
    data_folder(settings.data_folder)
    return "; ".join(exposures(settings, os.environ)) or "only this user can read it"


def _hashes(settings: Settings) -> str:
    """Tell with which key patients and users would be hashed."""
    if settings.hash_key:
        return "with the site's key"
    own_key(data_folder(settings.data_folder))
    return "with this machine's own key"


_LOOKS: Mapping[str, Callable[[Settings], str]] = {
    "content": _content,
    "tokens": _tokens,
    "FHIR servers": _fhir_servers,
    "data folder": _data_folder,
    "database": _database,
    "hashes": _hashes,
}
