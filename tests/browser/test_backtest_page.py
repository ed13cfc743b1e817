"""The page of a backtest in a real browser: offline, drawn, accessible (issue 16, 4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner

from cds_service import cli
from tests.cases import FIXTURES


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("backtest")
    environ = {"CDS_LOG_LEVEL": "error"}
    result = CliRunner().invoke(cli.main, ["backtest", str(FIXTURES / "export"), "--out", str(out)], env=environ)
    assert result.exit_code == 0, result.output
    return out / "report.html"


def test_the_page_opens_without_a_network_and_axe_finds_nothing_serious(report, browser):
    opened = browser.new_context(offline=True).new_page()
    faults, asked = [], []
    opened.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(report.as_uri())
    opened.wait_for_function("window.Chart !== undefined && Object.keys(Chart.instances).length === 5")
    serious = [v for v in Axe().run(opened).response["violations"] if v["impact"] in ("serious", "critical")]
    opened.context.close()
    assert (faults, [url for url in asked if not url.startswith(("file:", "data:"))]) == ([], [])
    assert [v["id"] for v in serious] == []
