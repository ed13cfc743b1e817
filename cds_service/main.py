"""Composition root: builds the WSGI application from environment and guidelines."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from flask import Flask

from cds_service import telemetry
from cds_service.errors import EXIT_MISCONFIGURED, KnowledgeError, SettingsError
from cds_service.guideline import installed
from cds_service.guideline.knowledge import SiteConfiguration
from cds_service.guideline.services import CdsService, Registry, load_services
from cds_service.settings import Settings, listed
from cds_service.store.database import database_url
from cds_service.store.private_files import open_to_everybody
from cds_service.store.pseudonyms import KEY_FILE
from cds_service.web.app import create_app, local_time

_FILES_WITH_SECRETS = ("CDS_CONFIG_FILE", "CDS_HASH_KEY_FILE", "CDS_DATABASE_URL_FILE")
"""Environment variables that name files in which a secret can stand."""


def create(settings: Settings | None = None, clock: Callable[[], datetime] = local_time) -> Flask:
    """Return the application, configured from the environment unless settings are given.

    Raises:
        SettingsError: a setting is wrong; all errors are named.
        KnowledgeError: a knowledge file is wrong.
    """
    settings = settings or Settings.from_environ(os.environ)
    telemetry.configure(settings.log_level)
    return create_app(settings, load_guidelines(settings), clock)


def serve() -> Flask:
    """Return the application for a web server process, fully loaded; exit if that fails.

    This opens no database connection: calls are answered without one, and worker processes must not share it.
    """
    try:
        settings = Settings.from_environ(os.environ)
        app = create(settings)
    except (KnowledgeError, SettingsError) as error:
        sys.stderr.write(f"Cannot start: {error}\n")
        raise SystemExit(EXIT_MISCONFIGURED) from None
    for exposure in exposures(settings, os.environ):
        telemetry.log().warning("exposed", reason=exposure)
    threading.excepthook = telemetry.log_defect
    spare_the_collector()
    return app


def exposures(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Return warnings about who else on this machine can read or change the service's data."""
    folder = Path(settings.data_folder)
    database = database_url(settings.database_address)
    own = [folder, folder / KEY_FILE]
    if database.get_backend_name() == "sqlite" and database.database:
        own.append(Path(database.database))
    named = [Path(environ[name]) for name in _FILES_WITH_SECRETS if environ.get(name)]
    found = [f"every user of this machine can read {path}: chmod o= {path}" for path in open_to_everybody(own + named)]
    if os.geteuid() == 0:
        found.append("the service runs as root, and needs no rights at all: give it a user of its own")
    return found


def spare_the_collector() -> None:
    """Keep the garbage collector from traversing everything loaded at start during every call.

    A call makes tens of thousands of short-lived objects from a chart, which reference counting frees.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def load_registry(settings: Settings) -> Registry:
    """Return the services alone, for use without a web server."""
    return Registry(load_guidelines(settings), settings.shared_service_id)


def load_guidelines(settings: Settings) -> tuple[CdsService, ...]:
    """Load the guidelines that are on and return the services they offer.

    Raises:
        KnowledgeError: a guideline is missing or wrong; the message names it with file, entry and key.
    """
    folders = [Path(folder) for folder in listed(settings.guideline_folders)]
    guidelines = installed.find(listed(settings.guidelines), folders)
    folder = Path(settings.site_value_sets) if settings.site_value_sets else None
    site = SiteConfiguration(value_sets=folder, public_url=settings.base_url)
    return load_services(guidelines, site)
