"""Records of calls and feedback as plain data: codes, ids and keyed hashes, never text from a chart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
Rows = dict[str, list[Row]]
"""Rows by table name, as they wait in the outbox and are written to the database."""

UNRECOGNISED = "unrecognised"
"""Stored in place of a code or id that could be free text."""

OTHER = "other"
"""Stored in place of a reason code that the card does not offer, because it could be a record number."""

LONGEST_COMMENT = 500
"""Longest comment stored, in characters, where a site stores comments."""

_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_SYSTEM = re.compile(r"(?:https?://|urn:)[A-Za-z0-9./:_#-]{1,200}", re.ASCII)
_UUID = re.compile(r"[0-9A-Fa-f-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CardRecord:
    """One card of a call.

    Attributes:
        codes: codes of the orders that the guideline knows, such as 20560.
        orders: keyed hashes, equal for orders of the same thing.
        grounds: keyed hashes of the chart entries and the content version that decided.
        repeat: whether it was withheld because the same card was recently overridden.
        suggestions: names in the guideline, by uuid.
    """

    uuid: str
    rule: str
    indicator: str
    codes: tuple[str, ...]
    orders: frozenset[str]
    grounds: frozenset[str]
    repeat: bool
    suggestions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call that was answered.

    Attributes:
        client: issuer of the caller's token, or "".
        patient: keyed hash.
        user: keyed hash.
        orders: how many orders are in the guideline's scope.
        microseconds: time from the request to the answer.
        missing: prefetch keys without data.
        knowledge: version of the content that decided.
    """

    id: str
    received: datetime
    service: str
    hook: str
    client: str
    patient: str
    user: str
    orders: int
    microseconds: int
    missing: tuple[str, ...]
    knowledge: str
    cards: tuple[CardRecord, ...]

    def rows(self) -> Rows:
        """Return the rows of the call, its cards and their suggestions."""
        call = {
            "id": self.id,
            "received": utc(self.received),
            "service": self.service[:100],
            "hook": self.hook[:40],
            "client": self.client[:256],
            "patient": self.patient,
            "user": self.user,
            "outcome": ",".join(card.rule for card in self.cards)[:100] or "silent",
            "orders": self.orders,
            "microseconds": self.microseconds,
            "missing": ",".join(self.missing)[:400],
            "knowledge": self.knowledge[:64],
        }
        cards = [
            {
                "uuid": card.uuid,
                "call": self.id,
                "rule": card.rule[:40],
                "indicator": card.indicator,
                "codes": ",".join(card.codes)[:400],
                "orders": " ".join(sorted(card.orders)),
                "grounds": " ".join(sorted(card.grounds)),
                "repeat": card.repeat,
            }
            for card in self.cards
        ]
        suggestions = [
            {"uuid": uuid, "card": card.uuid, "name": name[:64]}
            for card in self.cards
            for uuid, name in card.suggestions.items()
        ]
        return {"calls": [call], "cards": cards, "suggestions": suggestions}


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """One entry of feedback.

    Attributes:
        outcome_timestamp: when it happened, according to the client.
        told_apart_by: a keyed hash that distinguishes entries about unrecognized cards, or "".
        suggestions: ids of those that were accepted.
        reason_code: of the override, or "".
        comment: the clinician's comment where the site stores comments, else None.
    """

    service: str
    card: str
    outcome: str
    outcome_timestamp: datetime
    suggestions: tuple[str, ...] = ()
    reason_system: str = ""
    reason_code: str = ""
    comment: str | None = None
    told_apart_by: str = ""

    def key(self) -> str:
        """Return the key that is equal for an entry sent twice."""
        moment = utc(self.outcome_timestamp)
        parts = (self.told_apart_by or self.card, self.outcome, moment, *sorted(self.suggestions))
        return hashlib.sha256("\0".join((*parts, "", self.reason_system, self.reason_code)).encode()).hexdigest()

    def rows(self, received: datetime) -> Rows:
        """Return the row of the entry, without anything that could be free text in place of a code."""
        row = {
            "key": self.key(),
            "received": utc(received),
            "service": self.service[:100],
            "card": _recognised(self.card, _UUID),
            "outcome": self.outcome,
            "outcome_timestamp": utc(self.outcome_timestamp),
            "suggestions": " ".join(_recognised(name, _UUID) for name in self.suggestions),
            "reason_code": _recognised(self.reason_code, _CODE),
            "reason_system": _recognised(self.reason_system, _SYSTEM),
            "comment": self.comment.replace("\0", " ")[:LONGEST_COMMENT] if self.comment else None,
        }
        return {"feedback": [row]}


def utc(moment: datetime) -> str:
    """Return a moment as it is stored: UTC, ISO 8601 with milliseconds, so that text sorts as time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def merged(records: Iterable[Rows]) -> Rows:
    """Return the rows of several records together."""
    together: Rows = {}
    for record in records:
        for table, rows in record.items():
            together.setdefault(table, []).extend(rows)
    return together


def _recognised(text: str, form: re.Pattern[str]) -> str:
    return text if not text or form.fullmatch(text) else UNRECOGNISED
