"""Every Markdown file: links lead somewhere, commands exist, and the README is short and agrees with its sources."""

from __future__ import annotations

import re
import subprocess
import tomllib

import click
import pytest

from cds_service.cli import commands
from tests.documents import DOCUMENTS, ROOT, anchors, in_text, links, without_code

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
README = DOCUMENTS["README.md"]
SERVER = DOCUMENTS["cds_service/README.md"]
CLINICAL = DOCUMENTS["hooks/dry_needling/README.md"]
FIGURES = DOCUMENTS["tests/bench/README.md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading(name):
    for target in links(DOCUMENTS[name]):
        path, _, anchor = target.partition("#")
        found = (ROOT / name).parent.joinpath(path) if path else ROOT / name
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_named_in_the_text_exists(name):
    for code in in_text(DOCUMENTS[name]):
        program, *words = code.split()
        if program == "make":
            assert re.search(rf"^{words[0]}:", MAKEFILE, re.MULTILINE), code
        elif program.endswith("cds-service") and words and re.fullmatch(r"[a-z]+", words[0]):
            command = commands.main.get_command(click.Context(commands.main), words[0])
            assert command, code
            known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
            assert {word.split("=")[0] for word in words if word.startswith("-") and word != "-"} <= known, code


def test_every_command_is_in_the_guide_for_integrators_or_contributors():
    text = "".join(DOCUMENTS.values())
    for name in commands.main.list_commands(click.Context(commands.main)):
        assert f"cds-service {name}" in text, name


def test_the_readme_has_at_most_700_words():
    assert len(README.split()) <= 700


def test_the_readme_has_one_picture_and_one_card_of_six_lines():
    assert README.count("![") == 1
    (card,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    assert len(card.splitlines()) == 6


def test_the_figures_of_the_readme_are_those_that_were_measured():
    measured = README[README.index("## Measured") : README.index("## Limits")]
    figures = re.findall(r"\d[\d,.]*\d", measured)
    assert len(figures) >= 3
    for figure in figures:
        assert figure in FIGURES, figure


def test_each_measurement_has_its_date_and_commit():
    for section in FIGURES.split("\n## ")[1:]:
        assert re.search(r"2026-\d\d-\d\d", section), section.splitlines()[0]
        for commit in re.findall(r"commit ([0-9a-f]{7,})", section) or pytest.fail(section.splitlines()[0]):
            if (ROOT / ".git").exists():
                subprocess.run(["git", "cat-file", "-e", commit], cwd=ROOT, check=True)


def test_every_rule_stands_in_the_clinical_table_in_its_order():
    rules = tomllib.loads((ROOT / "hooks/dry_needling/knowledge/rules.toml").read_text(encoding="utf-8"))["rule"]
    table = re.findall(r"^\| (R\d+) \| .* \| (info|warning|no card)", CLINICAL, re.MULTILINE)
    assert table == [(rule["id"], rule.get("indicator", "no card")) for rule in rules]


def test_every_alert_and_error_status_is_in_the_guide_for_integrators():
    alerts = (ROOT / "cds_service/deploy/alerts.yaml").read_text(encoding="utf-8")
    for alert in re.findall(r"alert: (\w+)", alerts):
        assert f"`{alert}`" in SERVER
    errors = (ROOT / "cds_service/errors.py").read_text(encoding="utf-8")
    for status in set(re.findall(r"    status = (\d{3})", errors)):
        assert re.search(rf"^\| (\d+, )?{status}[ ,]", SERVER, re.MULTILINE), status


def test_every_fixture_folder_is_explained():
    text = DOCUMENTS["fixtures/README.md"]
    for path in (ROOT / "fixtures").iterdir():
        assert f"`{path.name}{'/' if path.is_dir() else ''}`" in text or path.name == "README.md"


def test_every_file_that_a_document_names_exists():
    """Paths in code spans that begin at the top of the repository."""
    for name, text in DOCUMENTS.items():
        if name == "CHANGELOG.md":
            continue
        for path in re.findall(r"`((?:cds_service|hooks|tests|fixtures)/[\w./-]+)`", without_code(text)):
            assert (ROOT / path).exists(), f"{name}: {path}"
