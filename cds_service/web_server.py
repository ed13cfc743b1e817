"""What the web server does when processes come and go: the counts of all of them add up, and leave nothing behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from cds_service.metrics import FOLDER_PREFIX, SHARED_FOLDER


def on_exit(_: Any) -> None:
    """Remove the folder through which worker processes added up their counts."""
    folder = os.environ.get(SHARED_FOLDER)
    if folder and Path(folder).name.startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
