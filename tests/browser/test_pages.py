"""All pages: accessible, usable by keyboard, and the report agrees with the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

PAGES = {"/": "#cards h3", "/evidence": "#dry-needling-R1", "/report": "canvas"}


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(path, page):
    page.goto(path)
    page.locator(PAGES[path]).first.wait_for()
    found = Axe().run(page).response["violations"]
    assert [(violation["id"], [node["html"] for node in violation["nodes"]][:3]) for violation in found] == []


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_the_screen(path, page):
    page.goto(path)
    page.locator(PAGES[path]).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("paper", ["Letter", "A4"])
@pytest.mark.parametrize("page", [(1400, "light")], ids=["1400px-light"], indirect=True)
def test_the_evidence_page_prints_on_six_pages(paper, page):
    page.goto("/evidence/dry-needling")
    printed = page.pdf(format=paper)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 6


def test_the_links_of_a_card_lead_to_the_rows_of_the_evidence_page(page, site):
    page.goto("/")
    page.locator("#cards h3").wait_for()
    for link in page.locator(".rules a").all():
        assert page.request.get(link.get_attribute("href").split("#")[0]).ok
    link = page.get_by_role("link", name="Decision table and evidence")
    place = link.get_attribute("href")
    assert place.startswith(f"{site}/evidence/dry-needling#dry-needling-R")
    link.click()
    page.wait_for_url(place)
    expect(page.locator("tr:target th")).to_have_text(place.rsplit("-", 1)[1])


def test_the_pages_can_be_walked_by_keyboard(page):
    page.goto("/")
    page.locator("#cards h3").wait_for()
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Evidence and decision table")


def test_the_report_shows_the_figures_of_the_command_line(page, database_of_server):
    environ = {**os.environ, "CDS_DATABASE_URL": database_of_server}
    # A past period: what the other tests do meanwhile is not in it.
    period = ["--from", "2026-08-31", "--until", "2026-11-22"]
    command = [sys.executable, "-m", "cds_service", "report", "--json", *period]
    told = json.loads(subprocess.run(command, env=environ, capture_output=True, check=True, timeout=30).stdout)
    page.goto("/report?from=2026-08-31&until=2026-11-22")
    names, values = (page.locator(f".tiles {part}").all_text_contents() for part in ("dt", "dd"))
    tiles = dict(zip(names, values, strict=True))
    assert tiles["Calls"] == str(told["calls"])
    assert tiles["Cards shown"] == str(told["total"]["cards"])
    assert tiles["Median duration"] == f"{told['median_milliseconds']:.1f} ms"
    for group in told["by_rule"]:
        row = page.locator("section[aria-labelledby=by_rule] tbody tr").filter(has_text=group["name"])
        cells = row.locator("td").all_text_contents()
        assert [int(cell.split(" ")[0]) for cell in cells] == [
            group[name] for name in ("cards", "accepted", "overridden", "no_response", "repeats")
        ]
    assert page.locator("canvas").count() == 3
    assert page.evaluate("Object.values(Chart.instances).map((chart) => chart.data.datasets[0].data.length)") == [
        len(told["by_rule"]), len(told["weeks"]), len(told["reasons"]),
    ]  # fmt: skip


def test_the_page_that_stands_alone_draws_its_plots(page, database_of_server, tmp_path):
    environ = {**os.environ, "CDS_DATABASE_URL": database_of_server}
    path = tmp_path / "report.html"
    command = [sys.executable, "-m", "cds_service", "report", "--html", str(path)]
    subprocess.run(command, env=environ, capture_output=True, check=True, timeout=30)
    page.goto(f"file://{path}")
    page.locator("canvas").first.wait_for()
    assert page.evaluate("Object.keys(Chart.instances).length") == 3
