"""Write the second part of NOTICE: the license of every package that the lock file installs. `make notice`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent.parent
NOTICE = ROOT / "NOTICE"
LOCK = ROOT / "requirements.lock"
HEADING = "Software this service is installed with"
_INTRODUCTION = (
    f"{HEADING}\n{'=' * len(HEADING)}\n"
    "Made by `make notice` from requirements.lock. None of it is copied into this repository, except the two scripts\n"
    "named at the end. Versions stand in the lock file. Each package brings the text of its license with it.\n"
)
_SCRIPTS = (
    "Scripts in cds_service/web/static/vendor, unchanged\n"
    "  Chart.js 4.6.1, MIT; markdown-it 15.0.3, MIT. Their licenses lie beside them.\n"
)


def locked(lock: str) -> dict[str, str]:
    """Return the packages that a lock file installs on this machine: name to version."""
    pins = re.findall(r"^([a-z0-9._-]+==[^\\\n]+)", lock, re.MULTILINE)
    found = [Requirement(pin) for pin in pins]
    here = [item for item in found if item.marker is None or item.marker.evaluate()]
    return {item.name: str(item.specifier).removeprefix("==") for item in here}


def installed(names: list[str]) -> list[dict[str, str]]:
    """Return name, version, license and address of installed packages, as pip-licenses reads them.

    Raises:
        SystemExit: a package is not installed, so that its license cannot be read.
    """
    missing = [name for name in names if not _there(name)]
    if missing:
        raise SystemExit(f"Not installed, so that their licenses cannot be read: {', '.join(missing)}; run `make test`")
    command = [str(Path(sys.executable).with_name("pip-licenses")), "--from=mixed", "--format=json", "--with-urls",
               "--with-system", "--packages", *names]  # fmt: skip
    found: list[dict[str, str]] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _there(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def second_part(packages: list[dict[str, str]]) -> str:
    """Return the second part of NOTICE.

    Args:
        packages: name, license and address of each.
    """
    lines = [
        f"{item['Name'].lower()}\n  {' '.join(item['License'].split())[:200]}\n  {item['URL']}\n"
        for item in sorted(packages, key=lambda item: item["Name"].lower())
    ]
    return "\n".join((_INTRODUCTION, *lines, _SCRIPTS))


def write() -> None:
    """Replace the second part of NOTICE; the first part, written by hand, stays."""
    text = NOTICE.read_text(encoding="utf-8")
    first = text.split(HEADING)[0].rstrip()
    packages = installed(list(locked(LOCK.read_text(encoding="utf-8"))))
    NOTICE.write_text(f"{first}\n\n\n{second_part(packages)}", encoding="utf-8")


if __name__ == "__main__":
    write()
