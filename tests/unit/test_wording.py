"""The check of wording: it finds banned phrases in prose, also across lines, and leaves code alone (make lint)."""

from __future__ import annotations

import re

import pytest

from tests.wording.__main__ import PHRASES, findings
from tests.wording.prose import files, prose

ISSUE = ("could not be had", "what became of", "for want of", "of ours", "tells whether", "anew")


@pytest.mark.parametrize("phrase", ISSUE)
def test_each_phrase_that_was_named_is_banned(phrase):
    (found,) = findings("x.md", f"A sentence\nthat says {phrase} here.")
    assert found.startswith(f"x.md:2: {phrase!r}; write: ")


def test_a_phrase_is_found_across_lines_of_a_comment():
    (found,) = findings("x.py", prose(".py", "#  what\n# became of it\n"))
    assert found.startswith("x.py:1: ")


def test_code_is_not_prose_and_keeps_its_lines():
    text = "One.\n\n```sh\nmake anew\n```\n\nTwo `anew` three.\n"
    assert list(findings("x.md", prose(".md", text))) == []
    assert prose(".md", text).count("\n") == text.count("\n")
    assert list(findings("x.py", prose(".py", "anew = 1\n"))) == []


def test_proselint_is_asked_too():
    (found,) = findings("x.md", "\nIt is very unique.")
    assert found.startswith("x.md:2: ")
    assert "unique" in found


def test_markdown_templates_toml_and_docstrings_are_checked():
    names = {name for name, _ in files()}
    for name in (
        "README.md", "cds_service/web/templates/evidence.html", "hooks/dry_needling/knowledge/rules.toml",
        "cds_service/settings.py", "CONTRIBUTING.md", "cds_service/cli/new_guideline/README.md.txt",
    ):  # fmt: skip
        assert name in names
    assert "CHANGELOG.md" not in names


def test_every_phrase_says_what_to_write_instead():
    for phrase, instead in PHRASES.items():
        assert re.compile(phrase)
        assert instead
