"""The blueprint of /metrics, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response

from cds_service.web.health import StoreState
from cds_service.web.metrics import CONTENT_TYPE, Metrics


def blueprint(metrics: Metrics, store: Callable[[], StoreState]) -> Blueprint:
    """Return the endpoint.

    Args:
        metrics: the counts.
        store: returns the state of the store.
    """
    views = Blueprint("monitoring", __name__)

    @views.get("/metrics")
    def exposition() -> Response:
        """Return all counts in Prometheus' text format."""
        state = store()
        return Response(metrics.exposition(state.reachable, state.waiting), content_type=CONTENT_TYPE)

    return views
