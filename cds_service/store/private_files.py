"""Files and folders that nobody but this user may read, and a look at those that others made."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cds_service.errors import SettingsError


def data_folder(path: str) -> Path:
    """Return the folder for what belongs to this machine, made with mode 0700 where there is none.

    Raises:
        SettingsError: it can neither be written nor made.
    """
    folder = Path(path)
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise SettingsError("CDS_DATA_FOLDER can neither be written nor made")
    return folder


def make_private(path: str) -> None:
    """Make an empty file with mode 0600, unless it is there or cannot be made.

    A file that is there is not even opened: closing it would take SQLite's locks from this process.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def open_to_everybody(paths: Iterable[Path]) -> list[Path]:
    """Return which of some files and folders every user of this machine may read or write."""
    return [path for path in paths if path.exists() and path.stat().st_mode & 0o006]
