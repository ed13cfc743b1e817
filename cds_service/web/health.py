"""The blueprint of the health endpoints: is the process alive, can it answer calls, and what becomes of its records?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response, jsonify

from cds_service.guideline.services import Registry


@dataclass(frozen=True, slots=True)
class StoreState:
    """How the store is.

    Attributes:
        reachable: the database answers, and is not of a newer version.
        remembers: used tokens can be checked.
        waiting: records of all worker processes that it does not have yet.
        lost: records that could be kept nowhere since the start, by all worker processes.
        recording: this process's thread that forwards records has not failed.
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
        registry: the services that must be there.
        clock: tells the time; reviews due before its date are listed.
        store: tells how the store is.
        needed: without the database nobody is let in, because used tokens cannot be checked.
    """
    views = Blueprint("health", __name__, url_prefix="/health")

    @views.get("/live")
    def live() -> Response:
        """Tell that the process answers."""
        return jsonify(status="alive")

    @views.get("/ready")
    def ready() -> tuple[Response, int]:
        """Tell whether calls can be answered: guidelines are loaded, and the database answers where it is needed.

        Overdue reviews are listed, but make nobody unready: old advice that says its date is better than none. Nor does
        a database that only keeps records: they wait in the outbox. A process whose recorder failed is defective.
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
