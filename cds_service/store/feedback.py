"""Feedback, kept durably and each entry once, however often it is sent (B1, B3)."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from cds_service.errors import SettingsError, Unavailable
from cds_service.store.database import connect, feedback

_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_SYSTEM = re.compile(r"(?:https?://|urn:)[A-Za-z0-9./:_#-]{1,200}", re.ASCII)
_UUID = re.compile(r"[0-9A-Fa-f-]{1,64}", re.ASCII)
UNRECOGNISED = "unrecognised"
"""Kept in the place of a code or id that could as well be free text."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of one entry: codes and ids, never words.

    Attributes:
        outcome_timestamp: as sent, RFC 3339.
        reason_code: of the override, or "".
    """

    service: str
    card: str
    outcome: str
    outcome_timestamp: str
    suggestions: tuple[str, ...]
    reason_system: str
    reason_code: str

    def key(self) -> str:
        """Return what makes an entry the same as one that was sent before."""
        return hashlib.sha256(json.dumps(astuple(self)).encode()).hexdigest()


class FeedbackStore:
    """Keeps feedback in the database, which is opened when the first arrives."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine: Engine | None = None
        self._opening = threading.Lock()

    def keep(self, entries: Iterable[Entry], received: datetime) -> None:
        """Keep entries, all or none; those that are kept already are passed over.

        Raises:
            Unavailable: the database does not answer; nothing is kept, and the client should send again.
        """
        sent = {entry.key(): entry for entry in entries}
        for _ in range(2):  # a second time when another process was faster with the same entry
            try:
                self._insert(sent, received)
            except IntegrityError:
                continue
            except (SQLAlchemyError, SettingsError):
                break
            return
        raise Unavailable("Feedback cannot be kept at the moment")

    def _insert(self, entries: dict[str, Entry], received: datetime) -> None:
        with self._database().begin() as connection:
            kept = set(connection.scalars(select(feedback.c.key).where(feedback.c.key.in_(entries))))
            rows = [
                {
                    "key": key,
                    "received": received.isoformat(),
                    "service": entry.service,
                    "card": _plain(entry.card, _UUID),
                    "outcome": entry.outcome,
                    "outcome_timestamp": entry.outcome_timestamp,
                    "suggestions": json.dumps([_plain(name, _UUID) for name in entry.suggestions]),
                    "reason_code": _plain(entry.reason_code, _CODE),
                    "reason_system": _plain(entry.reason_system, _SYSTEM),
                }
                for key, entry in entries.items()
                if key not in kept
            ]
            if rows:
                connection.execute(insert(feedback), rows)

    def _database(self) -> Engine:
        with self._opening:
            if self._engine is None:
                self._engine = connect(self._url)
            return self._engine


def _plain(text: str, form: re.Pattern[str]) -> str:
    return text if not text or form.fullmatch(text) else UNRECOGNISED
