"""What is delivered beside our own code is named, licensed, and what it was when it was taken in."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.supply_chain import audit, notice

VENDOR = notice.ROOT / "cds_service" / "web" / "static" / "vendor"


def test_each_locked_package_stands_in_the_notice_with_its_license():
    """`make notice` writes them anew after a change of the lock file."""
    second = notice.NOTICE.read_text().split(notice.HEADING)[1]
    named = re.findall(r"^([a-z0-9._-]+)\n  \S", second, re.MULTILINE)
    assert {_plain(name) for name in named} == {_plain(name) for name in notice.locked(notice.LOCK.read_text())}
    assert "UNKNOWN" not in second
    assert re.search(r"^psycopg\n  .*(LGPL|Lesser)", second, re.MULTILINE)


def test_the_notice_is_what_the_tool_would_write():
    packages = notice.installed(list(notice.locked(notice.LOCK.read_text())))
    assert notice.NOTICE.read_text().endswith(notice.second_part(packages))


def test_scripts_of_others_are_what_they_were_when_they_were_taken_in():
    listed = dict(re.findall(r"`(\S+\.js)`.*?sha256 `([0-9a-f]{64})`", (VENDOR / "README.md").read_text(), re.DOTALL))
    assert {path.name for path in VENDOR.glob("*.js")} == set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name


def test_the_bill_of_materials_holds_each_locked_package_with_its_hashes(tmp_path):
    made = tmp_path / "sbom.json"
    subprocess.run(["make", "sbom", f"SBOM={made}", "VENV=" + str(Path(sys.executable).parent.parent)],
                   cwd=notice.ROOT, check=True, capture_output=True, timeout=120)  # fmt: skip
    components = json.loads(made.read_text())["components"]
    named = {(_plain(item["name"]), item["version"]) for item in components}
    expected = {(_plain(name), version) for name, version in notice.locked(notice.LOCK.read_text()).items()}
    assert expected <= named
    assert all(item["purl"].startswith("pkg:pypi/") for item in components)


def test_every_direct_dependency_has_a_lowest_version_that_the_lock_file_meets():
    pins = {_plain(name): version for name, version in notice.locked(notice.LOCK.read_text()).items()}
    for line in requires("dry-needling-cds") or []:
        requirement = Requirement(line)
        if requirement.marker is None:
            assert requirement.specifier, line
            assert requirement.specifier.contains(pins[_plain(requirement.name)]), line


def _package(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "version": "1", "vulns": [], **more}


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([_package("a"), _package("b")], audit.CLEAN, "2 of 2 packages audited, 0 known weaknesses"),
        ([_package("a", vulns=[{"id": "CVE-1", "fix_versions": ["2"]}])], audit.WEAK, "a 1: CVE-1, mended in 2"),
        (
            [_package("a"), {"name": "b", "skip_reason": "not found"}],
            audit.NOT_ASKED,
            "could not be reached for them: b",
        ),
        ([], audit.NOT_ASKED, "0 of 0"),
    ],
)
def test_an_audit_that_asked_nobody_is_no_clean_audit(packages, code, words):
    found, told = audit.verdict({"dependencies": packages})
    assert found == code
    assert words in told


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
