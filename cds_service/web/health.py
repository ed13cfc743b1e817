"""Health endpoints: is the process alive, can it answer calls, and are records being stored?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response, jsonify

from cds_service.guideline.services import Registry


@dataclass(frozen=True, slots=True)
class StoreState:
    """The state of the store.

    Attributes:
        reachable: the database answers, and is not of a newer version.
        remembers: used tokens can be checked.
        waiting: records of all worker processes that are not yet in the database.
        lost: records of all worker processes that could not be stored anywhere, since the start.
        recording: this process's forwarding thread has not failed.
    """

    reachable: bool
    remembers: bool
    waiting: int
    lost: int
    recording: bool


def blueprint(
    registry: Registry, clock: Callable[[], datetime], store: Callable[[], StoreState], *, needed: bool
) -> Blueprint:
    """Return the health endpoints.

    Args:
        registry: the services that must be loaded.
        clock: returns the time; reviews due before its date are listed.
        store: returns the state of the store.
        needed: calls need the database, because used tokens are checked in it.
    """
    views = Blueprint("health", __name__, url_prefix="/health")

    @views.get("/live")
    def live() -> Response:
        """Return that the process answers."""
        return jsonify(status="alive")

    @views.get("/ready")
    def ready() -> tuple[Response, int]:
        """Return whether calls can be answered: guidelines are loaded, and the database answers if it is needed.

        Overdue reviews are listed but do not make the service unready: old advice with its date is better than none.
        Nor does a database that is needed for records only: they wait in the outbox. A failed recorder is a defect.
        """
        kept = store()
        is_ready = bool(registry.services) and (kept.remembers or not needed) and kept.recording
        today = clock().date()
        overdue = [
            f"{guideline}/{name}"
            for guideline, knowledge in sorted(registry.guidelines.items())
            for name in sorted(knowledge.review.overdue(today))
        ]
        body = {
            "status": "ready" if is_ready else "not ready",
            "services": [{"id": service.id, "hook": service.hook} for service in registry.services],
            "guidelines": {name: knowledge.version for name, knowledge in registry.guidelines.items()},
            "overdueReviews": overdue,
            "store": {
                "reachable": kept.reachable,
                "waitingRecords": kept.waiting,
                "lostRecords": kept.lost,
                "recording": kept.recording,
            },
        }
        return jsonify(body), 200 if is_ready else 503

    return views
