"""The Markdown files of the repository, and what can be run or followed in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
_ELSEWHERE = {".venv", ".git", "node_modules", "build"}

DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted(ROOT.rglob("*.md"))
    if _ELSEWHERE.isdisjoint(path.relative_to(ROOT).parts) and "LICENSE" not in path.name
}
"""Text by path, from the top of the repository."""

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the language and content of each fenced block, without the indentation of a list."""
    for indent, language, content in _BLOCK.findall(text):
        yield language, re.sub(rf"^{indent}", "", content, flags=re.MULTILINE)


def commands(block: str) -> list[str]:
    """Return the command lines of a block, each in one line, without comments."""
    lines = re.sub(r"\\\n\s*", " ", block).splitlines()
    return [stripped for line in lines if (stripped := re.sub(r"(^|\s)# .*", "", line).strip())]


def without_code(text: str) -> str:
    """Return a text without its fenced blocks."""
    return _BLOCK.sub("", text)


def in_text(text: str) -> list[str]:
    """Return the code spans of a text, each in one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", without_code(text))]


def links(text: str) -> list[str]:
    """Return the links and pictures that lead to files or headings, as written."""
    prose = re.sub(r"`[^`]*`", "", without_code(text))
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if not target.startswith("http")]


def anchors(text: str) -> set[str]:
    """Return the anchors of a text's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
