"""Shared fixtures: the registry of services, the application with a frozen clock, its client, and databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from cds_service.guideline.knowledge import Knowledge
from cds_service.guideline.services import CdsService, Registry
from cds_service.main import create, load_registry
from cds_service.settings import Settings
from cds_service.store.database import Database
from cds_service.web.app import create_app
from tests.cases import KNOWLEDGE, TODAY, own_settings
from tests.postgres import PostgresServer

# A busy machine is slow, and nothing is wrong with what is tested.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


@pytest.fixture(scope="session")
def today() -> date:
    return TODAY.date()


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return KNOWLEDGE


@pytest.fixture(scope="session")
def app() -> Flask:
    return create(own_settings(), clock=lambda: TODAY)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry(Settings())


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind: whatever is tested with it is tested on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cds.sqlite3"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def make_app(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Flask]]:
    """Make applications that share an empty database; what they keep is written when the test ends."""
    monkeypatch.setattr("cds_service.store.recorder.FORWARD_SECONDS", 0.01)
    made = []

    def make(
        services: Iterable[CdsService] = (), clock: Callable[[], datetime] = lambda: TODAY, **changes: object
    ) -> Flask:
        told = own_settings(**{"database_url": database_url, "data_folder": str(tmp_path), **changes})
        made.append(create_app(told, services, clock) if services else create(told, clock))
        return made[-1]

    yield make
    for app in made:
        app.extensions["store"].recorder.close()
        app.extensions["store"].database.close()
