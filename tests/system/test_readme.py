"""The README, run: each of its commands against a real server, with what it says they give."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line for block in BLOCKS for line in block.replace("\\\n", " ").replace(" \\\n", " ").splitlines() if line.strip()
]
CURLS = [line for line in re.sub(r"\\\n\s*", " ", "\n".join(BLOCKS)).splitlines() if line.startswith("curl")]
CLI = [line for line in COMMANDS if "cds-service " in line and not line.startswith("curl")]
SAID = {
    "r1-chronic-code-on-problem-list": "not recommended for chronic low back pain without nerve-root pain",
    "r7-neck-pain-as-reason": "pain relief is short-term only, up to 12 weeks",
    "r5-migraine-alone": "evidence for headache is insufficient, neither for nor against",
}


def run(command: str, server: str) -> str:
    words = shlex.split(command.replace("http://127.0.0.1:8080", server))
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize("command", CURLS)
def test_each_curl_gives_what_the_readme_says(command, server):
    cards = json.loads(run(command, server))["cards"]
    case = Path(shlex.split(command)[-1].removeprefix("@")).parent.name
    if case not in SAID:
        assert cards == []
        assert '`{"cards":[]}`' in README
        return
    assert cards[0]["summary"].endswith(SAID[case])
    assert SAID[case] in README


def test_there_are_curls_for_each_kind_of_answer():
    assert len(CURLS) == 4


@pytest.mark.parametrize("command", CLI)
def test_each_command_of_the_command_line_works(command, tmp_path):
    words = [sys.executable, "-m", "cds_service", *shlex.split(command)[1:]]
    environ = {**os.environ, "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite3"}
    result = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=True, timeout=30)
    assert result.stdout
    assert not result.stderr


def test_every_service_and_error_status_is_in_the_readme(client):
    for service in client.get("/cds-services").json["services"]:
        assert f"`{service['id']}`" in README
    for status in ("400", "404", "405", "412", "413", "415"):
        assert status in README
