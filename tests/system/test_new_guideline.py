"""cds-service new: what it writes is installed, checked, served and tested as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli import main

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guidelines")
    result = CliRunner().invoke(main, ["new", "neck-pain", str(folder)])
    assert result.exit_code == 0, result.output
    return folder / "neck-pain"


@pytest.fixture(scope="module")
def python(written, tmp_path_factory):
    """A virtual environment of its own, with the guideline installed in it beside the service.

    It has no pip: Python 3.11 would put an old setuptools beside it, which hides the one of the lock file.
    """
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, capture_output=True)
    python = venv / "bin" / "python"
    packages = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    paths = (str(ROOT), sysconfig.get_path("purelib"))
    (Path(packages) / "service.pth").write_text("\n".join(paths), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", str(written)], check=True, capture_output=True)
    return str(python)


def run(python, *arguments, cwd):
    environ = {**os.environ, "CDS_GUIDELINES": "neck-pain", "CDS_DATA_FOLDER": str(cwd)}
    return subprocess.run([python, *arguments], check=True, capture_output=True, text=True, cwd=cwd, env=environ).stdout


def test_a_new_guideline_is_installed_and_gives_its_card(python, written, tmp_path):
    (case,) = (written / "tests" / "cases").glob("diagnosis-on-file.json")
    (tmp_path / "request.json").write_text(json.dumps(json.loads(case.read_text())["request"]), encoding="utf-8")
    assert "neck-pain 0.1.0+" in run(python, "-m", "cds_service", "check", cwd=tmp_path)
    assert "neck-pain-patient-view" in run(python, "-m", "cds_service", "services", cwd=tmp_path)
    card = run(python, "-m", "cds_service", "call", "request.json", cwd=tmp_path)
    assert card.startswith("INFO: This patient: write here")


def test_the_tests_of_a_new_guideline_pass(python, written):
    assert "4 passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=written)


@pytest.mark.parametrize("name", ["Neck", "neck pain", "../neck", "neck_pain", "-neck", "n" * 31])
def test_a_name_that_could_not_be_an_id_is_refused(name, tmp_path):
    assert CliRunner().invoke(main, ["new", "--", name, str(tmp_path)]).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over_what_is_there(tmp_path):
    (tmp_path / "neck").mkdir()
    assert CliRunner().invoke(main, ["new", "neck", str(tmp_path)]).exit_code == 3
