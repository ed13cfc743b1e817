"""The blueprint of the health endpoints: is the process alive, and can it answer calls?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, jsonify

from cds_service.services import Registry


def blueprint(
    registry: Registry, clock: Callable[[], datetime], store_reachable: Callable[[], bool] | None = None
) -> Blueprint:
    """Return the health endpoints.

    Args:
        registry: the services that must be there.
        clock: tells the time; reviews due before its date are listed.
        store_reachable: tells whether the database answers; None where no database is used.
    """
    views = Blueprint("health", __name__, url_prefix="/health")

    @views.get("/live")
    def live() -> Response:
        """Tell that the process answers."""
        return jsonify(status="alive")

    @views.get("/ready")
    def ready() -> tuple[Response, int]:
        """Tell whether calls can be answered: value sets are loaded, and the database answers where one is used.

        Overdue reviews are listed, but make nobody unready: old advice that says its date is better than none.
        """
        loaded = {service.id: bool(service.content.value_sets) for service in registry.services}
        store = store_reachable() if store_reachable else None
        is_ready = bool(loaded) and all(loaded.values()) and store is not False
        today = clock().date()
        overdue = sorted({name for service in registry.services for name in service.review.overdue(today)})
        body = {
            "status": "ready" if is_ready else "not ready",
            "services": [{"id": name, "valueSetsLoaded": there} for name, there in loaded.items()],
            "overdueReviews": overdue,
            **({} if store is None else {"storeReachable": store}),
        }
        return jsonify(body), 200 if is_ready else 503

    return views
