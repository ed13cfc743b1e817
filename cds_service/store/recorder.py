"""Stores records: each goes to the outbox before its answer, and a thread forwards them to the database."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from cds_service import telemetry
from cds_service.errors import StoreRefused, StoreUnavailable, Unavailable
from cds_service.store.database import Database
from cds_service.store.outbox import Outbox
from cds_service.store.records import CallRecord, FeedbackRecord, merged
from cds_service.store.writing import rows_of, write

FORWARD_SECONDS = 0.25
"""How often records are forwarded."""

RETRY_SECONDS = 1.0
"""How long the thread waits after the database failed."""

END_SECONDS = 20
"""How long the end of the process waits for the thread; less than the web server waits for workers."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Callbacks for failures and losses.

    Attributes:
        failed: a read or write failed; takes the operation: outbox, forward, repeats or purge.
        lost: takes how many records could not be stored anywhere, or were refused by the database.
    """

    failed: Callable[[str], None]
    lost: Callable[[int], None]


class Recorder:
    """Stores records of calls and feedback without letting the database delay or fail an answer."""

    def __init__(
        self, database: Database, outbox: Outbox, watch: Watch, daily: Callable[[], None] | None = None
    ) -> None:
        """Prepare.

        Args:
            database: the destination of records.
            outbox: where they wait until then.
            watch: callbacks for failures and losses.
            daily: a task the thread runs once a day, such as deleting old records.
        """
        self._database = database
        self._outbox = outbox
        self._watch = watch
        self._daily = daily
        self._starting = threading.Lock()
        self._process = 0
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._next_day = 0.0

    def start(self) -> None:
        """Start the thread if this process has none yet, because worker processes are forked after startup."""
        if self._process == os.getpid():
            return
        with self._starting:
            if self._process != os.getpid():
                # Created only now, because after a fork Python treats earlier threads as ended.
                self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
                self._thread.start()
                self._process = os.getpid()
                atexit.register(self.close)

    @property
    def ended(self) -> bool:
        """Return whether the thread ended although the process runs: a defect, after which records only wait."""
        thread = self._own_thread
        return thread is not None and not thread.is_alive() and not self._ending.is_set()

    def record(self, call: CallRecord) -> None:
        """Store a call. Never raises: a record that cannot be stored is counted as lost."""
        self.start()
        try:
            self._outbox.append(orjson.dumps(call.rows()))
        except StoreUnavailable as failure:
            self._fail("outbox", failure)
            self._lose(1, "the outbox did not take it")

    def keep(self, entries: Sequence[FeedbackRecord], received: datetime) -> None:
        """Store all entries of feedback; they are on disk when this returns.

        Raises:
            Unavailable: nothing was stored, and the client should try again.
        """
        self.start()
        try:
            self._outbox.append(orjson.dumps(merged(entry.rows(received) for entry in entries)), durable=True)
        except StoreUnavailable as failure:
            self._fail("outbox", failure)
            raise Unavailable("Feedback cannot be kept at the moment") from None

    def close(self) -> None:
        """Forward the remaining records; called when the process ends."""
        self._ending.set()
        if thread := self._own_thread:
            thread.join(END_SECONDS)
        self._forward()

    def settle(self, seconds: float = 60) -> bool:
        """Wait until the database has everything recorded so far; return whether it does."""
        until = time.monotonic() + seconds
        while (waiting := self._outbox.waiting()) and time.monotonic() < until:
            time.sleep(0.005)
        return not waiting

    @property
    def _own_thread(self) -> threading.Thread | None:
        return self._thread if self._process == os.getpid() else None

    def _run(self) -> None:
        pause = FORWARD_SECONDS
        while not self._ending.wait(pause):
            pause = FORWARD_SECONDS if self._forward() else RETRY_SECONDS
            if self._daily is not None and time.monotonic() >= self._next_day:
                self._next_day = time.monotonic() + 24 * 3600
                self._daily()

    def _forward(self) -> bool:
        """Write waiting records to the database; return whether nothing failed."""
        try:
            self._outbox.forward(self._write)
        except StoreUnavailable as failure:
            self._fail("forward", failure)
            return False
        return True

    def _write(self, records: Sequence[bytes]) -> None:
        """Write records to the database; set aside those that it refuses, so that they do not block others.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        try:
            rows = merged(map(rows_of, records))
            with self._database.writing() as connection:
                write(connection, rows)
        except StoreRefused as refusal:
            if len(records) > 1:
                half = len(records) // 2
                self._write(records[:half])
                self._write(records[half:])
            else:
                self._outbox.set_aside(records)
                self._lose(1, f"the database refused it: {refusal}")

    def _fail(self, what: str, failure: StoreUnavailable) -> None:
        self._watch.failed(what)
        telemetry.log().warning("store failed", what=what, cause=str(failure))

    def _lose(self, records: int, why: str) -> None:
        self._watch.lost(records)
        telemetry.log().error("records lost", records=records, reason=why)
