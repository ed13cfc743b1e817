"""Creates files and folders that only this user can read, and finds those that others can read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cds_service.errors import SettingsError


def data_folder(path: str) -> Path:
    """Return the data folder, created with mode 0700 if it does not exist.

    Raises:
        SettingsError: it can be neither written nor created.
    """
    folder = Path(path)
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise SettingsError("CDS_DATA_FOLDER can neither be written nor made")
    return folder


def make_private(path: str) -> None:
    """Create an empty file with mode 0600, unless it exists or cannot be created.

    An existing file is not even opened: closing it would release SQLite's locks of this process.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def open_to_everybody(paths: Iterable[Path]) -> list[Path]:
    """Return the files and folders that every user of this machine can read or write."""
    return [path for path in paths if path.exists() and path.stat().st_mode & 0o006]
