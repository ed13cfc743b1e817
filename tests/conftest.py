"""Shared fixtures: settings, the registry of services, the application with a frozen clock, its client."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.main import create
from cds_service.services import Registry
from cds_service.settings import Settings
from hooks import load_services
from hooks.dry_needling import guideline as guideline_module
from hooks.dry_needling.guideline import Guideline
from tests.cases import TODAY


@pytest.fixture(scope="session")
def today() -> date:
    return TODAY.date()


@pytest.fixture(scope="session")
def guideline() -> Guideline:
    return guideline_module.load()


@pytest.fixture(scope="session")
def app() -> Flask:
    return create(Settings(log_level="error"), clock=lambda: TODAY)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry(load_services())
