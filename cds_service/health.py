"""The blueprint of the health endpoints: is the process alive, and can it answer calls?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, jsonify

from cds_service.services import Registry


def blueprint(registry: Registry, clock: Callable[[], datetime]) -> Blueprint:
    """Return the health endpoints.

    Args:
        registry: the services that must be there.
        clock: tells the time; reviews due before its date are listed.
    """
    views = Blueprint("health", __name__, url_prefix="/health")

    @views.get("/live")
    def live() -> Response:
        """Tell that the process answers."""
        return jsonify(status="alive")

    @views.get("/ready")
    def ready() -> tuple[Response, int]:
        """Tell whether calls can be answered: services and their value sets are loaded.

        Overdue reviews are listed, but make nobody unready: old advice that says its date is better than none.
        """
        loaded = {service.id: bool(service.content.value_sets) for service in registry.services}
        is_ready = bool(loaded) and all(loaded.values())
        today = clock().date()
        overdue = sorted({name for service in registry.services for name in service.review.overdue(today)})
        body = {
            "status": "ready" if is_ready else "not ready",
            "services": [{"id": name, "valueSetsLoaded": there} for name, there in loaded.items()],
            "overdueReviews": overdue,
        }
        return jsonify(body), 200 if is_ready else 503

    return views
