"""The blueprint of the CDS Hooks endpoints: discovery and the call. Views of a few lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response, g, jsonify, request

from cds_service import telemetry
from cds_service.call import Answer, Support, answer
from cds_service.fhir.fetch import FhirAccess
from cds_service.guideline.services import SPECIFICATION_VERSION, Registry
from cds_service.journal import Journal
from cds_service.web import openapi
from cds_service.web.entrance import Entrance, received
from cds_service.web.metrics import Metrics

KNOWLEDGE_VERSION_HEADER = "Knowledge-Version"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The metrics of an answered call."""

    service: str
    hook: str
    rules: tuple[str, ...]
    fetched: Mapping[str, str]
    withheld: int

    @classmethod
    def of(cls, answered: Answer) -> Outcome:
        """Return the outcome of an answer; its rules are `silent` when there is no card."""
        rules = tuple(advice.subject.rule for advice in answered.guidance.advice) or ("silent",)
        service = answered.service
        return cls(service.id, service.hook, rules, answered.fetched, len(answered.withheld))


def blueprint(
    registry: Registry,
    clock: Callable[[], datetime],
    entrance: Entrance,
    access: FhirAccess,
    journal: Journal,
    metrics: Metrics,
) -> Blueprint:
    """Return the endpoints for the services of a registry.

    Args:
        registry: the services.
        entrance: the checks that a request must pass.
        clock: tells the time; its date is the evaluation date of a call.
        access: fetches what was not prefetched, from allowed FHIR servers.
        journal: records calls and feedback.
        metrics: counts them.
    """
    views = Blueprint("cds_services", __name__)

    @views.get("/cds-services", strict_slashes=False)
    def discovery() -> Response:
        """List the services (D1)."""
        entrance.admit()
        return jsonify(registry.discovery())

    @views.get("/openapi.json")
    def described() -> Response:
        """Describe the endpoints as OpenAPI 3.1."""
        ids = [service.id for service in registry.services]
        return jsonify(openapi.description(ids, entrance.base_url, SPECIFICATION_VERSION))

    @views.post("/cds-services/<service_id>", strict_slashes=False)
    def call(service_id: str) -> Response:
        """Answer a call (C1)."""
        now = clock()
        client = entrance.admit(service_id)
        body = entrance.body()
        with entrance.computing() as deadline:
            return respond(service_id, body, client, now, deadline)

    def respond(service_id: str, body: bytes, client: str, now: datetime, deadline: float) -> Response:
        """Answer, record the call, and release the chart, so that the next call begins without it in memory."""
        released = entrance.admission.released
        entry = journal.of_call(client, now, released)
        support = Support(access, deadline, entry.repeats, released)
        answered = answer(registry, service_id, body, now.date(), support)
        seconds = time.monotonic() - received()
        g.outcome = Outcome.of(answered)
        entry.keep(answered, seconds)
        telemetry.log().info(
            "call",
            call=telemetry.call_id(answered.request.hook_instance),
            service=answered.service.id,
            hook=answered.service.hook,
            cards=len(answered.guidance.advice),
            withheld=len(answered.withheld),
            milliseconds=round(seconds * 1000, 1),
            fetched=dict(answered.fetched),
            **answered.guidance.log,
        )
        headers = {KNOWLEDGE_VERSION_HEADER: answered.service.knowledge.version}
        return Response(answered.body, content_type="application/json", headers=headers)

    @views.post("/cds-services/<service_id>/feedback", strict_slashes=False)
    def feedback(service_id: str) -> Response:
        """Store feedback (B1-B4); answer 200 only once it is stored."""
        client = entrance.admit(service_id)
        offered = registry.override_codes(service_id)
        entries = entrance.feedback(client)
        journal.keep_feedback(service_id, entries, offered, clock())
        for entry in entries:
            metrics.heard(service_id, entry.outcome)
        telemetry.log().info("feedback", service=service_id, entries=len(entries))
        return jsonify({})

    @views.before_request
    def begin() -> None:
        """Note the time of arrival if the web server did not."""
        received()

    @views.after_app_request
    def count(response: Response) -> Response:
        """Count each call, including refused ones."""
        if request.endpoint == f"{views.name}.call":
            _count(registry, metrics, response.status_code)
        return response

    return views


def _count(registry: Registry, metrics: Metrics, status: int) -> None:
    """Count the current call by service, hook and rules, as far as they are known."""
    outcome: Outcome | None = g.get("outcome")
    seconds = time.monotonic() - received()
    if outcome is None:
        known = {service.id for service in registry.services}
        named = (request.view_args or {}).get("service_id", "")
        metrics.called(named if named in known else "unknown", "", status, (), seconds)
        metrics.fetched(g.get("fetched", {}).items())
        return
    metrics.called(outcome.service, outcome.hook, status, outcome.rules, seconds)
    metrics.fetched(outcome.fetched.items())
    if outcome.withheld:
        metrics.withheld(outcome.service, outcome.withheld)
