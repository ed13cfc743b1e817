"""The wheel under each Python version that is promised: built, installed from the lock file, and asked for a card."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.cases import FIXTURES

ROOT = Path(__file__).parent.parent.parent
VERSIONS = ("3.11", "3.12", "3.13")
CASE = FIXTURES / "calls" / "r1-chronic-code-as-order-reason"


def interpreter(version: str) -> str | None:
    """Return a Python of a version: one on the path, or one that pyenv keeps."""
    kept = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python"))
    candidates = [str(path) for path in reversed(kept)] + [shutil.which(f"python{version}") or ""]
    for candidate in filter(None, candidates):
        asked = subprocess.run(
            [candidate, "-c", "import venv, ensurepip"], check=False, capture_output=True, timeout=60
        )
        if asked.returncode == 0:
            return candidate
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [shutil.which("python3"), "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, "."]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_gives_the_same_answer_under_each_version(version, wheel, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine: not tried")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True, timeout=300)
    pip = [tmp_path / "venv/bin/pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements.lock"], check=True, timeout=600)
    subprocess.run([*pip, "--no-deps", wheel], check=True, timeout=300)
    today = tomllib.loads((CASE / "case.toml").read_text())["today"].isoformat()
    command = [tmp_path / "venv/bin/cds-service", "call", "--json", "--today", today, CASE / "request.json"]
    own = {"PATH": os.environ["PATH"], "CDS_DATA_FOLDER": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=own, check=True, capture_output=True, text=True, timeout=120)
    expected = json.loads((CASE / "expected.json").read_text())
    assert [card["uuid"] for card in json.loads(done.stdout)["cards"]] == [card["uuid"] for card in expected["cards"]]
