"""Ask the advisory database about every locked package: `make audit`. Says so when nobody could be asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent.parent.parent / "requirements.lock"
CLEAN, WEAK, NOT_ASKED = 0, 1, 2


def verdict(report: dict[str, Any]) -> tuple[int, str]:
    """Return exit code and words for a report of pip-audit in JSON.

    A package that could not be looked up was not audited: silence about it is no good news.
    """
    packages = report["dependencies"]
    weak = [
        f"{item['name']} {item['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no release'}"
        for item in packages
        for found in item.get("vulns", ())
    ]
    skipped = [item["name"] for item in packages if "skip_reason" in item]
    words = [f"{len(packages) - len(skipped)} of {len(packages)} packages audited, {len(weak)} known weaknesses", *weak]
    if skipped:
        words.append(f"NOT audited, because the advisory source could not be reached for them: {', '.join(skipped)}")
    return (WEAK if weak else NOT_ASKED if skipped or not packages else CLEAN), "\n".join(words)


def main() -> int:
    """Run pip-audit over the lock file."""
    command = [str(Path(sys.executable).with_name("pip-audit")), "--requirement", str(LOCK), "--require-hashes",
               "--disable-pip", "--progress-spinner=off", "--format=json"]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    try:
        code, words = verdict(json.loads(done.stdout))
    except json.JSONDecodeError:
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        code, words = NOT_ASKED, f"NOT audited: pip-audit could not ask the advisory source ({last[:200]})"
    sys.stdout.write(f"{words}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
