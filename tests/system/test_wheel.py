"""The wheel, built and installed elsewhere: everything that is needed is in it, and it serves (F-E7)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import requests

from tests.cases import FIXTURES
from tests.system.conftest import free_port, wait_for

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("cds_service", "hooks")


@pytest.fixture(scope="module")
def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    return [name for name in listed.split("\0") if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tracked, tmp_path_factory):
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked:
        if name.split("/")[0] in PACKAGES or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(target), str(source)], check=True, capture_output=True)
    (found,) = target.glob("*.whl")
    return found


def test_every_file_of_the_packages_is_in_the_wheel(wheel, tracked):
    """Also those of a folder that is new."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in tracked if name.split("/")[0] in PACKAGES} <= inside


def test_the_wheel_serves_pages_patients_and_cards_elsewhere(wheel, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    port = free_port()
    own = {"CDS_PORT": str(port), "CDS_DATA_FOLDER": str(tmp_path), "CDS_CALL_MILLISECONDS": "20000"}
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own
    environ["CDS_DATABASE_URL"] = f"sqlite:///{tmp_path}/cds.sqlite3"
    with (
        (tmp_path / "log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [str(venv / "bin" / "cds-service"), "serve"], cwd=tmp_path, env=environ, stderr=log
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url, process, log)
            assert "Enoch" in requests.get(url, timeout=30).text
            assert requests.get(f"{url}/preview/patients/Enoch", timeout=30).json()["entry"]
            scripts = [f"static/{path.name}" for path in (ROOT / "cds_service" / "web" / "static").glob("*.js")]
            for path in ("evidence", "report", *scripts, "static/vendor/markdown-it.min.js", "health/ready"):
                assert requests.get(f"{url}/{path}", timeout=30).status_code == 200, path
            body = (FIXTURES / "calls" / "r1-chronic-code-on-problem-list" / "request.json").read_bytes()
            headers = {"Content-Type": "application/json"}
            called = requests.post(
                f"{url}/cds-services/dry-needling-order-select", data=body, headers=headers, timeout=30
            )
            assert called.json()["cards"]
        finally:
            process.terminate()
            process.wait(60)
