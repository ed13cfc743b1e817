"""The blueprint of the CDS Hooks endpoints: discovery and the call. Views of a few lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, jsonify, request

from cds_service import telemetry
from cds_service.call import answer
from cds_service.errors import BodyTooLarge, UnsupportedMediaType
from cds_service.fhir.fetch import FhirAccess
from cds_service.services import Registry

KNOWLEDGE_VERSION_HEADER = "Knowledge-Version"


def blueprint(registry: Registry, clock: Callable[[], datetime], max_body_bytes: int, access: FhirAccess) -> Blueprint:
    """Return the endpoints for the services of a registry.

    Args:
        clock: tells the time; its date is the evaluation date of a call.
        access: fetches what was not prefetched, from allowed FHIR servers.
        max_body_bytes: larger bodies are refused, also those whose length is not told in advance.
    """
    views = Blueprint("cds_services", __name__)

    @views.get("/cds-services", strict_slashes=False)
    def discovery() -> Response:
        """List the services (D1)."""
        return jsonify(registry.discovery())

    @views.post("/cds-services/<service_id>", strict_slashes=False)
    def call(service_id: str) -> Response:
        """Answer a call (C1)."""
        started = time.perf_counter()
        _require_json()
        answered = answer(registry, service_id, _body(max_body_bytes), clock().date(), access)
        telemetry.log().info(
            "call",
            call=telemetry.call_id(answered.hook_instance),
            service=answered.service.id,
            hook=answered.service.hook,
            cards=len(answered.guidance.cards),
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
            fetched=dict(answered.fetched),
            **answered.guidance.log,
        )
        response = Response(answered.body, mimetype="application/json")
        response.headers[KNOWLEDGE_VERSION_HEADER] = answered.service.review.version
        return response

    return views


def _body(limit: int) -> bytes:
    body = request.get_data()
    if len(body) > limit:
        raise BodyTooLarge("The body is larger than this service accepts")
    return body


def _require_json() -> None:
    """Refuse bodies that are not declared as plain JSON (C1)."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Content-Type must be application/json")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding is not supported")
