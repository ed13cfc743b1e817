"""make screenshots: the pages wide and narrow, light and dark, from the running service with made-up figures."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from cds_service.store.database import Database
from tests.bench.export import make
from tests.browser.conftest import FLAGS
from tests.cases import FIXTURES
from tests.store.filling import fill
from tests.system.conftest import served

FOLDER = FIXTURES / "screenshots"
SHOTS = {
    "preview": ("/#patient=Enoch&reason=Chronic+low+back+pain", "#cards h3"),
    "report": ("/report", "canvas"),
    "evidence": ("/evidence", "#dry-needling-R1"),
}
LOOKS = {"": (1400, "light"), "-dark": (1400, "dark"), "-narrow": (360, "light"), "-narrow-dark": (360, "dark")}


def main() -> None:
    """Write a picture of each page in each look, and of what a change does to a card."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        address = f"sqlite:///{Path(folder)}/cds.sqlite3"
        fill(Database(address), 5000)
        with served(CDS_DATABASE_URL=address, CDS_LOG_LEVEL="error") as (url, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            for look, (width, scheme) in LOOKS.items():
                page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
                for name, (path, ready) in SHOTS.items():
                    page.goto(url + path)
                    page.locator(ready).first.wait_for()
                    page.screenshot(path=FOLDER / f"{name}{look}.png")
                _change(page, url, look)
                page.close()
            page = browser.new_page(viewport={"width": 1200, "height": 1300})
            page.goto(backtest(Path(folder)).as_uri())
            page.wait_for_function("window.Chart !== undefined && Object.keys(Chart.instances).length === 5")
            page.screenshot(path=FOLDER / "backtest.png")
            browser.close()


def _change(page: Page, url: str, look: str) -> None:
    """Add a nerve-root diagnosis to the preview's patient, and take the card before and after it."""
    page.goto(url + SHOTS["preview"][0])
    page.locator("#cards h3").wait_for()
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("#comparison").wait_for()
    page.locator("#comparison").screenshot(path=FOLDER / f"change{look}.png")


def backtest(folder: Path) -> Path:
    """Return the page of a backtest of 3,000 synthetic patients."""
    make(folder / "export", 3000, chart_bytes=8000, share=0.4)
    words = ["backtest", str(folder / "export"), "--out", str(folder / "out")]
    subprocess.run([sys.executable, "-m", "cds_service", *words], check=True)
    return folder / "out" / "report.html"


if __name__ == "__main__":
    main()
