"""The prose of a file, line by line: code is replaced by blanks, so that a finding names the right line."""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_SUFFIXES = (".py", ".md", ".html", ".toml", ".yaml", ".js", ".conf", ".service", ".txt")
_PYTHON = ("cds_service/", "hooks/")
_LEFT_OUT = re.compile(
    r"LICENSE|/vendor/|other_systems\.toml|terms\.toml|broken_knowledge/|fixtures/(?:codes|calls|silent)/"
    r"|^CHANGELOG\.md$|^tests/wording/|kubernetes\.yaml$"
)
"""Words of others, words that are matched, examples of mistakes, the history of changes, and this check."""

_CODE = re.compile(
    r"^ *```.*?^ *```$|`[^`\n]*`|<script.*?</script>|<style.*?</style>|\{[{%#].*?[}%#]\}", re.DOTALL | re.MULTILINE
)
_ADDRESS = re.compile(r"https?://\S+|\(\S+\.(?:md|toml|png)\S*\)")
_DIRECTIVE = re.compile(r"# (?:noqa|type|pragma|fmt):.*")


def files() -> Iterator[tuple[str, str]]:
    """Yield path and prose of every tracked file that people read."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        path = ROOT / name
        if path.suffix not in _SUFFIXES or _LEFT_OUT.search(name) or not path.is_file():
            continue
        if path.suffix == ".py" and not name.startswith(_PYTHON):
            continue
        yield name, prose(path.suffix, path.read_text(encoding="utf-8"))


def prose(suffix: str, text: str) -> str:
    """Return the prose of a file, with as many lines as the file.

    Args:
        suffix: the kind of file; of Python, comments and string literals are prose.
        text: the file.
    """
    written = _of_python(text) if suffix == ".py" else text
    return _ADDRESS.sub(" ", _CODE.sub(lambda match: "\n" * match[0].count("\n") or " ", written))


def _of_python(source: str) -> str:
    lines = [""] * (source.count("\n") + 1)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            for number, line in enumerate(token.string.split("\n"), start=token.start[0] - 1):
                lines[number] += f" {_DIRECTIVE.sub('', line)}"
    return "\n".join(lines)
