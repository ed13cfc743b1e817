"""python -m tests.wording: print what is not plain American English; exit with 1 if there is anything."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from proselint.checks import __register__
from proselint.config import Config
from proselint.registry import CheckRegistry
from proselint.tools import LintFile

from tests.wording.prose import files

PHRASES = tomllib.loads((Path(__file__).parent / "phrases.toml").read_text(encoding="utf-8"))["instead"]
_PATTERNS = [
    (re.compile(rf"\b(?:{phrase})\b".replace(" ", r"[\s#*]+"), re.IGNORECASE), instead)
    for phrase, instead in PHRASES.items()
]

CHECKS = {
    "archaism", "cliches", "hedging", "industrial_language", "lexical_illusions", "malapropisms", "mixed_metaphors",
    "mondegreens", "needless_variants", "nonwords", "oxymorons", "redundancy", "spelling", "uncomparables",
}  # fmt: skip
"""Groups of proselint's checks that suit technical text; others want curly quotes, or a better word for waitress."""

_PROSE = (".html", ".md", ".py", ".toml", ".txt")
"""Files that proselint checks: the others repeat words in configuration."""

_CONFIG = cast("Config", {"max_errors": 1000, "checks": dict.fromkeys(CHECKS, True)})
CheckRegistry().register_many(__register__)


def findings(name: str, text: str) -> Iterator[str]:
    """Yield what is wrong with the prose of a file, one line each: where, what, and what to write instead."""
    for pattern, instead in _PATTERNS:
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{name}:{line}: {' '.join(match[0].split())!r}; write: {instead}"
    if text.strip() and name.endswith(_PROSE):
        for result in LintFile(name, text).lint(_CONFIG):
            line = text.count("\n", 0, result.check_result.span[0] - 1) + 1  # proselint puts a line in front
            yield f"{name}:{line}: {' '.join(result.check_result.message.split())}"


def main() -> int:
    """Check every file; return 1 if there are findings, else 0."""
    found = [line for name, text in files() for line in findings(name, text)]
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main())
