"""Keyed hashes in place of ids: equal for the same patient, and meaningless without the key."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from cds_service.errors import SettingsError

KEY_FILE = "cds-hash.key"
SHORTEST_KEY = 16
"""Minimum length of a key, in characters."""


class Pseudonyms:
    """Turns identifiers into keyed hashes."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(key.encode()).digest()

    def of(self, *parts: str) -> str:
        """Return the keyed hash of an identifier and its scope: 32 hexadecimal digits."""
        message = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(message, key=self._key, digest_size=16).hexdigest()


def own_key(folder: Path) -> str:
    """Return this machine's key, created once in a file that only its user can read.

    Raises:
        SettingsError: the file can be neither read nor created.
    """
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _make(path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"CDS_DATA_FOLDER: {KEY_FILE} can neither be read nor made there") from None
    if len(key) < SHORTEST_KEY:
        raise SettingsError(f"CDS_DATA_FOLDER: {KEY_FILE} holds no key")
    return key


def _make(path: Path) -> None:
    """Create the key file under a temporary name, so that a process that starts now reads all of it or nothing."""
    unfinished = path.with_suffix(f".{secrets.token_hex(8)}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(unfinished, path)
    except FileExistsError:
        pass  # another process was first, so its key is used
    finally:
        unfinished.unlink()
