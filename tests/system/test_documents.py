"""Every Markdown file, run: each command as it stands, in a folder like the repository, against a real server."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cds_service.trust.issuers import read as read_issuers
from tests.documents import DOCUMENTS, ROOT, blocks, commands

SERVER = "http://127.0.0.1:8080"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WITH_COMMANDS = [name for name, text in DOCUMENTS.items() if any(language == "sh" for language, _ in blocks(text))]
HISTORY = "CHANGELOG.md"


@pytest.fixture
def folder(tmp_path):
    """A folder as if the repository had just been cloned and installed, with what a site has beside it."""
    for name in ("fixtures", "hooks", "cds_service", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for program in ("cds-service", "python"):
        (tmp_path / ".venv" / "bin" / program).symlink_to(Path(sys.executable).with_name(program))
    shutil.copytree(ROOT / "hooks" / "dry_needling" / "knowledge", tmp_path / "our-knowledge")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}",
        "CDS_DATA_FOLDER": str(folder / "data"),
        "CDS_DATABASE_URL": f"sqlite:///{folder}/data/cds.sqlite3",
    }


def run(line: str, folder: Path, server: str) -> str:
    """Run a command line and return what it prints; one that would install or not end is checked instead."""
    words = shlex.split(line)
    settings = [word for word in words if re.match(r"\w+=", word)]
    program, *arguments = words[next(at for at, word in enumerate(words) if word not in settings) :]
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", MAKEFILE, re.MULTILINE), line
        line = shlex.join([*settings, "cds-service", "settings"])
    elif arguments[:1] == ["serve"]:
        line = shlex.join([*settings, "cds-service", "settings"])
    elif program == "pip":
        for extra in re.findall(r"\[(\w+)\]", line):
            assert extra in PYPROJECT["project"]["optional-dependencies"], line
        return ""
    else:
        assert program.removeprefix(".venv/bin/") in ("cds-service", "curl", "eval"), f"no test runs {program}: {line}"
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace(SERVER, server)],
        cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{line}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_every_command_works_as_it_stands_and_prints_what_the_text_shows(name, folder, server):
    (folder / "data").mkdir(mode=0o700)
    run("cds-service check", folder, server)  # makes the database, as a start does
    output = ""
    for language, content in blocks(DOCUMENTS[name]):
        if language == "sh":
            for line in commands(content):
                output = run(line, folder, server)
                if line.startswith("curl") and "/cds-services/" in line:
                    assert json.loads(output)["cards"], line
        elif language == "text":
            for line in content.splitlines():
                assert " ".join(line.split()) in " ".join(output.split()), line


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_example_of_a_file_can_be_read(name, tmp_path):
    for language, content in blocks(DOCUMENTS[name]):
        assert language in ("", "sh", "text", "json", "toml", "mermaid"), language
        if language == "json":
            json.loads(content)
        elif language == "toml":
            example = tmp_path / "example.toml"
            example.write_text(content, encoding="utf-8")
            if "issuer" in tomllib.loads(content):
                assert read_issuers(example)


def test_the_local_codes_of_the_example_are_accepted(folder, server):
    (codes,) = [content for language, content in blocks(DOCUMENTS["cds_service/README.md"]) if language == "json"]
    (folder / "our-codes").mkdir()
    (folder / "our-codes" / "orders.json").write_text(codes, encoding="utf-8")
    chart = "fixtures/bundles/neck-pain.json"
    made = json.loads(run(f"CDS_SITE_VALUE_SETS=our-codes cds-service request --order DN1 {chart}", folder, server))
    (folder / "request.json").write_text(json.dumps(made), encoding="utf-8")
    card = run("CDS_SITE_VALUE_SETS=our-codes cds-service call request.json", folder, server)
    assert "pain relief is short-term only" in card
