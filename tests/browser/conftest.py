"""A browser that notices every fault: messages in the console, errors of scripts, and requests that leave the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from cds_service.store.database import Database
from tests.store.filling import fill
from tests.system.conftest import served

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def database_of_server(folder: Path) -> str:
    url = f"sqlite:///{folder}/cds.sqlite3"
    database = Database(url)
    fill(database, 60)
    return url


@pytest.fixture(scope="module")
def site(database_of_server: str) -> Iterator[str]:
    """A server that has answered sixty calls already."""
    with served(CDS_DATABASE_URL=database_of_server, CDS_LOG_LEVEL="error") as (url, _):
        yield url


@pytest.fixture(params=[(360, "dark"), (1400, "light")], ids=["360px-dark", "1400px-light"])
def page(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Page]:
    """A page in both widths and color schemes; what goes wrong in it fails the test."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, base_url=site)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    host = urlsplit(site).netloc
    opened.on(
        "request",
        lambda sent: faults.append(sent.url) if urlsplit(sent.url).netloc not in ("", host) else None,
    )
    yield opened
    context.close()
    assert faults == []
