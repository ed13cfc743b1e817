"""Writes behind the answer: calls from a thread, feedback at once; what the database does not take is spooled."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from cds_service import telemetry
from cds_service.errors import StoreRefused, StoreUnavailable, Unavailable
from cds_service.store.database import Database
from cds_service.store.records import CallRecord, FeedbackRecord, Rows, merged
from cds_service.store.spool import Spool
from cds_service.store.writing import write

MOST_QUEUED = 20_000
"""Calls that wait in memory; the next are lost, and counted."""

MOST_AT_ONCE = 1000
"""Records that one transaction writes."""

GATHER_SECONDS = 0.25
"""How long calls are gathered before they are written together."""

IDLE_SECONDS = 1.0
"""How often the thread looks after the spool when there are no calls."""

END_SECONDS = 20
"""How long the end of the process waits for what the thread is writing; less than the web server waits for workers."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told what becomes of records.

    Attributes:
        failed: a write or read failed; told what was tried: calls, feedback, replay, repeats or purge.
        lost: so many records could be kept nowhere.
    """

    failed: Callable[[str], None]
    lost: Callable[[int], None]


class Recorder:
    """Keeps records of calls and feedback. Nothing here delays or fails a clinician's answer."""

    def __init__(self, database: Database, spool: Spool, watch: Watch, daily: Callable[[], None] | None = None) -> None:
        """Prepare.

        Args:
            database: where records belong.
            spool: where they wait while the database does not answer.
            watch: is told of failures and losses.
            daily: done once a day by the thread, such as removing what is too old.
        """
        self._database = database
        self._spool = spool
        self._watch = watch
        self._daily = daily
        self._queue: queue.Queue[CallRecord | None] = queue.Queue(MOST_QUEUED)
        self._starting = threading.Lock()
        self._process = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._ending = threading.Event()
        self._next_day = 0.0

    def start(self) -> None:
        """Start the thread if this process has none yet: worker processes are forked after the application is made."""
        if self._process == os.getpid():
            return
        with self._starting:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._thread.start()
                atexit.register(self.close)

    def record(self, call: CallRecord) -> None:
        """Keep a call, later. Never waits, never raises."""
        self.start()
        try:
            self._queue.put_nowait(call)
        except queue.Full:
            self._lose(1, "the queue is full")

    def keep(self, entries: Sequence[FeedbackRecord], received: datetime) -> None:
        """Keep feedback, durably when this returns: in the database, or in the spool while that does not answer.

        Raises:
            Unavailable: neither takes it; nothing is kept, and the client should send again.
        """
        self.start()
        records = [entry.rows(received) for entry in entries]
        try:
            self._store(records, "feedback")
        except StoreUnavailable:
            raise Unavailable("Feedback cannot be kept at the moment") from None

    def close(self) -> None:
        """Write what still waits, and what the thread holds; called when the process ends."""
        self._ending.set()
        with suppress(queue.Full):
            self._queue.put_nowait(None)  # a thread that waits for calls is woken
        if self._process == os.getpid():
            self._thread.join(END_SECONDS)
        while batch := self._queued(wait=0):
            self._write(batch)

    def settle(self, seconds: float = 10) -> bool:
        """Wait until everything recorded so far is written or spooled; tell whether it is."""
        until = time.monotonic() + seconds
        while self._queue.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.005)
        return not self._queue.unfinished_tasks

    def _run(self) -> None:
        while not self._ending.is_set():
            self._write(self._queued(wait=IDLE_SECONDS))
            self._replay()
            if self._daily is not None and time.monotonic() >= self._next_day:
                self._next_day = time.monotonic() + 24 * 3600
                self._daily()

    def _queued(self, wait: float) -> list[CallRecord | None]:
        """Return the calls that wait, gathered for a moment so that many are written together."""
        batch: list[CallRecord | None] = []
        try:
            batch.append(self._queue.get(timeout=wait) if wait else self._queue.get_nowait())
            if wait:
                self._ending.wait(GATHER_SECONDS)
            while len(batch) < MOST_AT_ONCE:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _write(self, batch: list[CallRecord | None]) -> None:
        records = [call.rows() for call in batch if call is not None]
        try:
            if records:
                self._store(records, "calls")
        except StoreUnavailable:
            self._lose(len(records), "neither database nor spool took them")
        for _ in batch:
            self._queue.task_done()

    def _store(self, records: Sequence[Rows], what: str) -> None:
        """Write records to the database, or to the spool while that does not answer.

        Raises:
            StoreUnavailable: neither takes them; nothing is kept.
        """
        try:
            with self._database.writing() as connection:
                write(connection, merged(records))
        except StoreUnavailable as failure:
            self._fail(what, failure)
            try:
                self._spool.add(records)
            except StoreUnavailable as full:
                self._fail("spool", full)
                raise

    def _replay(self) -> None:
        """Write what was spooled to the database, the oldest first, until nothing waits or it fails again."""
        try:
            while not self._ending.is_set() and (waiting := self._spool.oldest(MOST_AT_ONCE)):
                self._write_spooled(waiting)
                self._spool.remove([number for number, _ in waiting])
                telemetry.log().info("replayed", records=len(waiting))
        except StoreUnavailable as failure:
            self._fail("replay", failure)

    def _write_spooled(self, waiting: list[tuple[int, Rows]]) -> None:
        try:
            with self._database.writing() as connection:
                write(connection, merged(rows for _, rows in waiting))
        except StoreRefused:
            for _, rows in waiting:  # one that the database refuses must not keep the others waiting for ever
                try:
                    with self._database.writing() as connection:
                        write(connection, rows)
                except StoreRefused:
                    self._lose(1, "the database refused it")

    def _fail(self, what: str, failure: StoreUnavailable) -> None:
        self._watch.failed(what)
        telemetry.log().warning("store failed", what=what, cause=str(failure))

    def _lose(self, records: int, why: str) -> None:
        self._watch.lost(records)
        telemetry.log().error("records lost", records=records, reason=why)
