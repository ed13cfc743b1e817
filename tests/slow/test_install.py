"""The install script of the image in a fresh Debian: no compiler, then a call answered by nobody on a read-only tree.

An image cannot be built where these tests run. What the image does beside the script, a dozen lines of Dockerfile, is
read here line by line, and not run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import requests

from tests.cases import FIXTURES
from tests.system.conftest import free_port

ROOT = Path(__file__).parent.parent.parent
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin") or "chroot"
NOBODY = 10001
SOURCES = [
    path for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")) if path.is_file()
]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mmdebstrap") is None, reason="needs root and Debian's mmdebstrap"
)


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """A fresh Debian with Python and nothing else, and the service installed in it by the script."""
    root = tmp_path_factory.mktemp("debian") / "root"
    mirrors = [str(path) for path in SOURCES if path.read_text().strip()]
    command = ["mmdebstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "bookworm", root]
    subprocess.run([*command, *mirrors], check=True, capture_output=True, timeout=900)
    for name in ("resolv.conf", "hosts", "ssl/certs/ca-certificates.crt"):
        shutil.copy(Path("/etc") / name, root / "etc" / name)
    archive = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, timeout=60).stdout
    for name in filter(None, archive.decode().split("\0")):
        if _is_sent_to_the_builder(name):
            (root / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / "checkout" / name)
    done = _inside(root, "/checkout/cds_service/deploy/install.sh", "/checkout")
    assert done.returncode == 0, done.stderr
    (root / "data").mkdir(mode=0o700)
    os.chown(root / "data", NOBODY, NOBODY)
    return root


def _is_sent_to_the_builder(name: str) -> bool:
    """Return whether .dockerignore lets a file through."""
    kept = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    return any(name == item or name.startswith(f"{item}/") for item in kept)


def _inside(root: Path, *command: str, user: str = "0:0", **environ: str) -> subprocess.CompletedProcess:
    ours = {"PATH": "/usr/bin:/bin", "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt", **environ}
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return subprocess.run(
        [CHROOT, f"--userspec={user}", root, *command],
        env={**proxies, **ours}, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip


def test_the_script_leaves_no_installer_and_needs_no_compiler(debian):
    assert not list((debian / "usr/bin").glob("*gcc*"))
    assert not list((debian / "opt/cds-service/bin").glob("pip*"))
    assert list((debian / "opt/cds-service/lib").glob("python3*/site-packages/cds_service/__pycache__/*.pyc"))


def test_a_call_is_answered_by_a_user_who_may_write_nothing_but_data(debian):
    port = free_port()
    environ = {
        "PATH": "/usr/bin:/bin", "CDS_PORT": str(port), "CDS_DATA_FOLDER": "/data", "TMPDIR": "/data",
        "CDS_DATABASE_URL": "sqlite:////data/cds.sqlite3", "CDS_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    mounted = debian.parent / "read-only"
    mounted.mkdir()
    subprocess.run(["mount", "--bind", debian, mounted], check=True, timeout=60)
    subprocess.run(["mount", "-o", "remount,bind,ro", mounted], check=True, timeout=60)
    subprocess.run(["mount", "--bind", debian / "data", mounted / "data"], check=True, timeout=60)
    subprocess.run(["mount", "--bind", "/dev", mounted / "dev"], check=True, timeout=60)
    subprocess.run(["mount", "-t", "proc", "proc", mounted / "proc"], check=True, timeout=60)
    process = subprocess.Popen(
        [CHROOT, f"--userspec={NOBODY}:{NOBODY}", mounted, "/opt/cds-service/bin/cds-service", "serve"],
        env=environ, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/cds-services"
        _wait(url, process)
        request = (FIXTURES / "calls" / "r1-chronic-code-as-order-reason" / "request.json").read_bytes()
        headers = {"Content-Type": "application/json"}
        answered = requests.post(f"{url}/dry-needling-order-select", request, headers=headers, timeout=20)
        assert answered.status_code == 200
        assert [card["indicator"] for card in answered.json()["cards"]] == ["warning"]
        owners = {path.stat().st_uid for path in (debian / "data").iterdir()}
        assert owners == {NOBODY}
        denied = _inside(mounted, "/usr/bin/touch", "/opt/cds-service/written", user=f"{NOBODY}:{NOBODY}")
        assert denied.returncode != 0
    finally:
        process.terminate()
        process.communicate(timeout=60)
        for name in ("proc", "dev", "data", ""):
            subprocess.run(["umount", "-l", mounted / name], check=True, timeout=60)


def _wait(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the service ended: {process.communicate()[1]}")
        try:
            requests.get(url, timeout=1)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the service did not start")


def test_the_dockerfile_runs_the_script_as_nobody_and_asks_about_its_health():
    text = (ROOT / "Dockerfile").read_text()
    assert len(text.splitlines()) < 30
    assert "RUN /checkout/cds_service/deploy/install.sh /checkout /opt/cds-service" in text
    assert f"USER {NOBODY}:{NOBODY}" in text
    command = json.loads(re.search(r"HEALTHCHECK .*? CMD (\[.*?\])$", text.replace("\\\n", ""), re.MULTILINE)[1])
    compile(command[2], "healthcheck", "exec")
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.12-slim-bookworm"] * 2
