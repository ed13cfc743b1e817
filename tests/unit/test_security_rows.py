"""SECURITY.md: a threat without a test has no row, and lock files hold what they are said to hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in SECURITY.split("| threat | control | test |\n|---|---|---|\n")[1].split("\n\n")[0].splitlines()
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_each_threat_has_a_control_and_tests_that_exist(row):
    threat, control, tests = row
    assert threat
    assert control
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    for path in named:
        assert path.startswith("tests/")
        assert "def test_" in (ROOT / path).read_text(encoding="utf-8"), path


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_each_locked_dependency_has_a_version_and_hashes(name):
    """What is installed with --require-hashes is what was locked, from whatever index it comes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "index-url" not in text
    packages = [part for part in re.split(r"\n(?=\S)", text) if part.strip() and not part.startswith("#")]
    assert len(packages) > 30
    for package in packages:
        assert re.match(r"[\w.\[\],-]+==\S+", package), package[:80]
        assert "--hash=sha256:" in package, package[:80]
    assert "--require-hashes" in (ROOT / "Makefile").read_text(encoding="utf-8")
