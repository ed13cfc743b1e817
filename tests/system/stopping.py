"""Stops a service under load, and compares what was answered with what is kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import requests
from sqlalchemy import select

from cds_service.store.database import Database
from cds_service.store.tables import cards
from tests.charts import condition, request
from tests.system.conftest import served
from tests.waiting import wait_for

PATH = "/cds-services/dry-needling-order-select"
CALLERS = 6
SECONDS = 0.7
"""How long there is load before the stop."""


@dataclass
class Stopped:
    """What became of the calls around a stop.

    Attributes:
        answered: the cards of calls whose answer arrived, with when it did.
        broken: calls whose connection ended before an answer; they may have been recorded or not.
        kept: the cards in the database once the service has ended, or has come back.
        ended: when the signal was sent, on the clock of `answered`.
    """

    answered: dict[str, float] = field(default_factory=dict)
    broken: int = 0
    kept: set[str] = field(default_factory=set)
    ended: float = 0.0

    @property
    def lost(self) -> dict[str, float]:
        """Return the cards that were answered and are not kept, with how long before the signal they were."""
        return {card: self.ended - moment for card, moment in self.answered.items() if card not in self.kept}


def stop_under_load(database_url: str, folder: Path, end: signal.Signals = signal.SIGTERM) -> Stopped:
    """Start a service with two workers, let callers call without pause, and end it with a signal to all of it."""
    found = Stopped()
    environ = {"CDS_DATABASE_URL": database_url, "CDS_DATA_FOLDER": str(folder), "TMPDIR": str(folder)}
    patient = {"CDS_WORKERS": "2", "CDS_CALL_MILLISECONDS": "20000"}
    with served(CDS_LOG_LEVEL="error", **patient, **environ) as (url, process):
        callers = [threading.Thread(target=_call, args=(url, found)) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        time.sleep(SECONDS)
        processes = [process.pid]
        if end == signal.SIGKILL:  # a machine that fails takes all of them
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
            processes += [int(child) for child in children.split()]
        found.ended = time.monotonic()
        for one in processes:
            os.kill(one, end)
        for caller in callers:
            caller.join(60)
        process.communicate(timeout=60)
    if end == signal.SIGKILL:
        with served(CDS_LOG_LEVEL="error", **environ) as (url, _):
            wait_for(lambda: requests.get(f"{url}/health/ready", timeout=60).json()["store"]["waitingRecords"] == 0)
    found.kept = kept(database_url)
    return found


def _call(url: str, found: Stopped) -> None:
    """Call without pause until the service has ended."""
    session = requests.Session()
    while not found.ended or time.monotonic() < found.ended + 30:
        sent = {**request(condition("278860009", "sct")), "hookInstance": str(uuid4())}
        try:
            response = session.post(url + PATH, json=sent, timeout=60)
        except requests.RequestException:
            found.broken += 1
            if found.ended:
                return
            continue
        if response.ok:
            found.answered[response.json()["cards"][0]["uuid"]] = time.monotonic()


def kept(database_url: str) -> set[str]:
    """Return the cards in the database."""
    database = Database(database_url)
    with database.reading() as connection:
        found = set(connection.scalars(select(cards.c.uuid)))
    database.close()
    return found
