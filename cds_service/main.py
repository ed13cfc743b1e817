"""Composition root: environment and guidelines to the WSGI application. The only importer of `hooks`."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from flask import Flask

from cds_service import telemetry
from cds_service.app import Store, create_app, local_time
from cds_service.errors import EXIT_MISCONFIGURED, KnowledgeError, SettingsError
from cds_service.services import Registry, SiteConfiguration
from cds_service.settings import Settings
from hooks import load_services

NO_DATABASE = "CDS_DATABASE_URL: the database does not answer, and tokens cannot be checked without it"
"""Why a service that checks tokens does not start."""


def create(settings: Settings | None = None, clock: Callable[[], datetime] = local_time) -> Flask:
    """Return the application, configured from the environment unless settings are given.

    Raises:
        SettingsError: a setting is wrong; every fault is named.
        KnowledgeError: a knowledge file is wrong.
    """
    settings = settings or Settings.from_environ(os.environ)
    telemetry.configure(settings.log_level)
    return create_app(settings, load_services(_site(settings)), clock)


def serve() -> Flask:
    """Return the application for a web server's process, once everything is loaded; end the process if it cannot be."""
    try:
        app = create()
        prepare_store(app)
    except (KnowledgeError, SettingsError) as error:
        sys.stderr.write(f"Cannot start: {error}\n")
        raise SystemExit(EXIT_MISCONFIGURED) from None
    spare_the_collector()
    return app


def prepare_store(app: Flask) -> None:
    """Bring the database up to date before the first call, and leave no connection for worker processes to share.

    Raises:
        SettingsError: tokens are checked, and the database that remembers them does not answer.
    """
    store: Store = app.extensions["store"]
    if not store.database.reachable():
        if store.needed:
            raise SettingsError(NO_DATABASE)
        telemetry.log().warning("store", reason="the database does not answer; records wait in the spool")
    store.database.close()


def spare_the_collector() -> None:
    """Keep the garbage collector from walking through all that was loaded at start during every call.

    A call makes tens of thousands of short-lived objects out of one chart, which counting references frees.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def load_registry(settings: Settings) -> Registry:
    """Return the services alone, for use without a web server."""
    return Registry(load_services(_site(settings)), settings.shared_service_id)


def _site(settings: Settings) -> SiteConfiguration:
    folder = Path(settings.site_value_sets) if settings.site_value_sets else None
    return SiteConfiguration(value_sets=folder, public_url=settings.base_url)
