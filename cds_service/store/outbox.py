"""The outbox: files to which each record is appended before its answer, deleted once the database has them."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from cds_service.errors import SettingsError, StoreUnavailable

FOLDER = "cds-outbox"

MOST_BYTES = 64 * 1024 * 1024
"""Limit for one process: about 100,000 calls."""

MOST_REFUSED_BYTES = 1024 * 1024
"""Limit for records that the database refused, kept for inspection."""

MOST_AT_ONCE = 500
"""Records forwarded together."""


class Outbox:
    """Records on their way to the database, one per line.

    Each process appends to its own file, which it keeps locked. A file without a lock is complete, because its process
    closed it or ended: the next process that locks it forwards and deletes it. So a record survives the end of its
    process, even by kill -9; a durable one also survives a power cut.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        """Create the folder of the files if it does not exist.

        Raises:
            SettingsError: it can be neither written nor created.
        """
        self._folder = folder / FOLDER
        self._most_bytes = most_bytes
        self._appending = threading.Lock()
        self._file: int | None = None
        self._size = 0
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise SettingsError(f"CDS_DATA_FOLDER: {FOLDER} can neither be written nor made there")

    def append(self, record: bytes, *, durable: bool = False) -> None:
        """Append a record, which must not contain a line break.

        Raises:
            StoreUnavailable: the file cannot be written, or is full; nothing was stored.
        """
        line = record + b"\n"
        with _named_failures():
            with self._appending:
                if self._file is None:
                    self._file, self._size = self._new_file(), 0
                if self._size + len(line) > self._most_bytes:
                    raise StoreUnavailable("the outbox is full")
                if os.write(self._file, line) < len(line):
                    os.ftruncate(self._file, self._size)
                    raise StoreUnavailable("the disk is full")
                self._size += len(line)
                file = os.dup(self._file) if durable else None
            if file is not None:
                _sync(file, self._folder)

    def forward(self, write: Callable[[Sequence[bytes]], None]) -> None:
        """Forward everything that waits, oldest first, except files that other processes still hold.

        Args:
            write: takes some records; if it raises, these and all later ones stay.

        Raises:
            StoreUnavailable: a file cannot be read or removed.
        """
        with _named_failures():
            for path in self._paths():
                _forward_file(path, write)
            if self.release():
                for path in self._paths():
                    _forward_file(path, write)

    def release(self) -> bool:
        """Close this process's file, so that it can be forwarded; return whether there was one."""
        with self._appending:
            if self._file is None:
                return False
            os.close(self._file)
            self._file = None
            return True

    def set_aside(self, records: Iterable[bytes]) -> None:
        """Keep records that the database refused for inspection, up to a limit.

        Raises:
            StoreUnavailable: the file cannot be written.
        """
        with _named_failures():
            file = os.open(self._folder / "refused", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(file, "ab") as refused:
                for record in records:
                    if refused.tell() + len(record) < MOST_REFUSED_BYTES:
                        refused.write(record.rstrip(b"\n") + b"\n")

    def waiting(self) -> int:
        """Return how many records of all processes wait."""
        count = 0
        for path in self._paths():
            with suppress(OSError), path.open("rb") as file:
                count += sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
        return count

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))

    def _new_file(self) -> int:
        while True:
            path = self._folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            if _locked(file):
                return file
            os.close(file)  # another process took it for an abandoned one


def _forward_file(path: Path, write: Callable[[Sequence[bytes]], None]) -> None:
    with suppress(FileNotFoundError), path.open("rb") as file:
        if _locked(file.fileno()):
            while records := list(islice(file, MOST_AT_ONCE)):
                write(records)
            path.unlink()


def _locked(file: int) -> bool:
    """Lock a file until it is closed; return whether it is now locked and was not deleted in the meantime."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0


def _sync(file: int, folder: Path) -> None:
    """Return once a file and its name are on disk, and close it."""
    names = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
        os.fsync(names)
    finally:
        os.close(file)
        os.close(names)


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise StoreUnavailable(type(failure).__name__) from None
