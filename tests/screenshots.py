"""make screenshots: pictures of the pages for the README, from the running service with made-up figures."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from cds_service.store.database import Database
from tests.browser.conftest import FLAGS
from tests.cases import FIXTURES
from tests.store.filling import fill
from tests.system.conftest import served

FOLDER = FIXTURES / "screenshots"
SHOTS = {
    "preview": ("/", "#cards h3", 1300),
    "report": ("/report", "canvas", 1300),
    "evidence": ("/evidence", "#dry-needling-R1", 900),
}


def main() -> None:
    """Write one picture of each page."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        address = f"sqlite:///{Path(folder)}/cds.sqlite3"
        fill(Database(address), 5000)
        with served(CDS_DATABASE_URL=address, CDS_LOG_LEVEL="error") as (url, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            for name, (path, ready, height) in SHOTS.items():
                page = browser.new_page(viewport={"width": 1200, "height": height})
                page.goto(url + path)
                page.locator(ready).first.wait_for()
                page.screenshot(path=FOLDER / f"{name}.png")
            browser.close()


if __name__ == "__main__":
    main()
