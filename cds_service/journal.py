"""The journal: turns answers into records without patient data, and withholds repeats."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from cds_service.call import Answer, Waiting
from cds_service.guideline.cards import Advice
from cds_service.guideline.services import CdsService
from cds_service.protocol.feedback import FeedbackEntry
from cds_service.protocol.request import HookRequest, uuid_in
from cds_service.store import repeats
from cds_service.store.pseudonyms import Pseudonyms
from cds_service.store.recorder import Recorder
from cds_service.store.records import OTHER, UNRECOGNISED, CallRecord, CardRecord, FeedbackRecord


class Journal:
    """Records calls and feedback, and finds cards that need not be shown again."""

    def __init__(
        self, recorder: Recorder, overridden: repeats.Repeats, pseudonyms: Pseudonyms, *, keep_comments: bool = False
    ) -> None:
        """Prepare.

        Args:
            recorder: writes records.
            overridden: finds overridden cards.
            pseudonyms: hashes for patients, users and chart entries.
            keep_comments: store the comments of clinicians.
        """
        self._recorder = recorder
        self._overridden = overridden
        self._pseudonyms = pseudonyms
        self._keep_comments = keep_comments

    def of_call(self, client: str, received: datetime, waiting: Waiting = nullcontext) -> CallEntry:
        """Begin the entry of one client's call; it waits for the database in `waiting`."""
        return CallEntry(self, client, received, waiting)

    def repeats(self, entry: CallEntry, request: HookRequest, cards: Sequence[CardRecord]) -> frozenset[str]:
        """Return the uuids of the cards that repeat an overridden one."""
        with entry.waiting():
            return self._overridden.among(self._patient(entry.client, request), list(cards), entry.received)

    def asks_at(self, hook: str) -> bool:
        """Return whether cards of this hook may be repeats."""
        return self._overridden.asked_at(hook)

    def keep_call(self, entry: CallEntry, answered: Answer, cards: Sequence[CardRecord], seconds: float) -> None:
        """Record an answered call. Never waits, never raises."""
        request, guidance = answered.request, answered.guidance
        self._recorder.record(
            CallRecord(
                id=_call_id(),
                received=entry.received,
                service=answered.service.id,
                hook=request.hook,
                client=entry.client,
                patient=self._patient(entry.client, request),
                user=self._pseudonyms.of("user", entry.client, request.fhir_server or "", request.context.user_id),
                orders=guidance.orders,
                microseconds=round(seconds * 1e6),
                missing=answered.missing if guidance.orders else (),
                knowledge=answered.service.knowledge.version,
                cards=tuple(replace(card, repeat=card.uuid in answered.withheld) for card in cards),
            )
        )

    def keep_feedback(
        self, service_id: str, entries: Sequence[FeedbackEntry], offered: Mapping[str, str], received: datetime
    ) -> None:
        """Record feedback; it is durable when this returns.

        Args:
            service_id: of the service whose cards it is about.
            entries: as sent.
            offered: system by code of the reasons that its cards offer; any other code is stored as "other".
            received: when it came.

        Raises:
            Unavailable: it cannot be stored now.
        """
        self._recorder.keep([self._feedback(service_id, entry, offered) for entry in entries], received)

    def _patient(self, client: str, request: HookRequest) -> str:
        return self._pseudonyms.of("patient", client, request.fhir_server or "", request.context.patient_id)

    def card(self, advice: Advice, service: CdsService) -> CardRecord:
        """Return the record of a card."""
        card, subject = advice.card, advice.subject
        # New content is a new ground, because the clinician overrode what the old content said.
        grounds = (*subject.grounds, service.knowledge.version)
        return CardRecord(
            uuid=card["uuid"],
            rule=subject.rule,
            indicator=card["indicator"],
            codes=subject.codes,
            orders=frozenset(self._pseudonyms.of("order", words) for words in subject.orders),
            grounds=frozenset(self._pseudonyms.of("ground", words) for words in grounds),
            repeat=False,
            suggestions=subject.suggestions,
        )

    def _feedback(self, service_id: str, entry: FeedbackEntry, offered: Mapping[str, str]) -> FeedbackRecord:
        override = entry.override_reason
        code = override.reason.code if override and override.reason else None
        card = uuid_in(entry.card)
        return FeedbackRecord(
            service=service_id,
            card=card or UNRECOGNISED,
            # An id that is not from a card is stored as a hash, which distinguishes it and reveals nothing.
            told_apart_by="" if card else self._pseudonyms.of("card", entry.card),
            outcome=entry.outcome,
            outcome_timestamp=entry.outcome_timestamp,
            suggestions=tuple(
                dict.fromkeys(filter(None, (uuid_in(one.id) for one in entry.accepted_suggestions or ())))
            ),
            reason_system=offered.get(code, "") if code else "",
            reason_code=(code if code in offered else OTHER) if code else "",
            comment=override.user_comment if override and self._keep_comments else None,
        )


class CallEntry:
    """The journal's entry of one call: the subjects of its cards are computed once, for repeats and for the record."""

    def __init__(self, journal: Journal, client: str, received: datetime, waiting: Waiting) -> None:
        self.client = client
        self.received = received
        self.waiting = waiting
        self._journal = journal
        self._cards: tuple[CardRecord, ...] | None = None

    def repeats(self, request: HookRequest, service: CdsService, advice: Sequence[Advice]) -> frozenset[str]:
        """Return the uuids of the cards that repeat an overridden one."""
        if not self._journal.asks_at(request.hook):
            return frozenset()
        return self._journal.repeats(self, request, self._of(service, advice))

    def keep(self, answered: Answer, seconds: float) -> None:
        """Record the call once it is answered. Never waits, never raises."""
        cards = self._of(answered.service, answered.guidance.advice)
        self._journal.keep_call(self, answered, cards, seconds)

    def _of(self, service: CdsService, advice: Sequence[Advice]) -> tuple[CardRecord, ...]:
        if self._cards is None:
            self._cards = tuple(self._journal.card(item, service) for item in advice)
        return self._cards


def _call_id() -> str:
    """Return an id for a record, which must be unique but not secret.

    Asking the system for random bits would let the writing thread run first and delay this answer.
    """
    return str(UUID(int=random.getrandbits(128), version=4))
