"""The blueprint of the CDS Hooks endpoints: discovery and the call. Views of a few lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, jsonify, request

from cds_service import telemetry
from cds_service.call import Answer, Support, answer
from cds_service.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType
from cds_service.fhir.fetch import FhirAccess
from cds_service.guideline.services import SPECIFICATION_VERSION, Registry
from cds_service.journal import Journal
from cds_service.protocol.decoding import decode
from cds_service.protocol.feedback import FeedbackBounds, FeedbackEntry, read_feedback
from cds_service.web import openapi
from cds_service.web.load import Baton, RateLimit, Turnstile
from cds_service.web.metrics import Metrics

if TYPE_CHECKING:  # loaded only where tokens are checked
    from cds_service.trust.client_jwt import Gatekeeper

KNOWLEDGE_VERSION_HEADER = "Knowledge-Version"


@dataclass(frozen=True, slots=True)
class Entrance:
    """What a request must pass before it is answered.

    Attributes:
        base_url: where clients reach this server; a token's audience begins with it.
        max_body_bytes: larger bodies are refused, also those whose length is not told in advance.
        gatekeeper: checks tokens; None lets everybody in.
        everywhere: discovery needs a token too.
        turnstile: how many calls run and wait at once.
        rate: how often a client may call.
        feedback_rate: how many entries of feedback a client may send.
        feedback_bounds: how many entries and suggestions one request may bring.
        call_seconds: time for a whole call.
    """

    base_url: str
    max_body_bytes: int
    turnstile: Turnstile
    rate: RateLimit
    feedback_rate: RateLimit
    feedback_bounds: FeedbackBounds
    call_seconds: float
    gatekeeper: Gatekeeper | None = None
    everywhere: bool = False

    def admit(self, service_id: str = "") -> str:
        """Check who is calling, and that it does not call too often (S1-S4).

        Returns:
            The issuer of the caller's token, or "" when none is asked for.

        Raises:
            Unauthorized, Forbidden, Unavailable: as the gatekeeper says.
            TooManyRequests: the client made too many calls.
        """
        client = ""
        if self.gatekeeper is not None and (service_id or self.everywhere):
            url = f"{self.base_url}{request.path}"
            client = self.gatekeeper.identify(request.headers.get("Authorization", ""), url, service_id).issuer
        self.rate.count(client or _address())
        return client

    def feedback(self, client: str) -> list[FeedbackEntry]:
        """Return the entries of a feedback request (B1-B4).

        Raises:
            CdsError: as `body`, `decode` and `read_feedback` say.
            TooManyRequests: the client sent too many entries.
        """
        entries = read_feedback(decode(self.body()), self.feedback_bounds)
        self.feedback_rate.count(client or _address(), len(entries))
        return entries

    def admit_reader(self) -> None:
        """Check who reads a page that is not for everybody: with a token, where calls need one.

        Raises:
            Unauthorized, Forbidden, Unavailable: as the gatekeeper says.
        """
        if self.gatekeeper is not None:
            self.gatekeeper.identify(request.headers.get("Authorization", ""), f"{self.base_url}{request.path}")

    def body(self) -> bytes:
        """Return the body of a request for JSON (C1).

        Raises:
            UnsupportedMediaType: it is declared as something else, or compressed.
            BodyTooLarge: it is over the limit.
            InvalidRequest: the client went away before all of it was sent.
        """
        if request.mimetype != "application/json":
            raise UnsupportedMediaType("Content-Type must be application/json")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("Content-Encoding is not supported")
        length = request.content_length
        body = b""
        if length is None:  # streamed: its size shows only in reading
            body = request.get_data(cache=False)
        elif length <= self.max_body_bytes:  # at once, rather than in pieces that are put together again
            body = request.environ["wsgi.input"].read(length)
        if max(length or 0, len(body)) > self.max_body_bytes:
            raise BodyTooLarge("The body is larger than this service accepts")
        if len(body) < (length or 0):
            raise InvalidRequest("The body is shorter than Content-Length says")
        return body


def _address() -> str:
    """Return where a request comes from, which tells clients without tokens apart."""
    return request.remote_addr or ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is counted of a call that was answered."""

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
        entrance: what a request must pass.
        clock: tells the time; its date is the evaluation date of a call.
        access: fetches what was not prefetched, from allowed FHIR servers.
        journal: remembers calls and feedback.
        metrics: counts them.
    """
    views = Blueprint("cds_services", __name__)
    baton = Baton()

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
        with entrance.turnstile.turn(), baton.held():
            return respond(service_id, body, client, now)

    def respond(service_id: str, body: bytes, client: str, now: datetime) -> Response:
        """Answer, keep a record, and let go of the chart: the next call begins without it in memory."""
        deadline = time.monotonic() + entrance.call_seconds - (time.perf_counter() - g.began)
        support = Support(access, deadline, journal.repeats(client, now, baton.put_down), baton.put_down)
        answered = answer(registry, service_id, body, now.date(), support)
        seconds = time.perf_counter() - g.began
        g.outcome = Outcome.of(answered)
        journal.keep_call(answered, client, now, seconds)
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
        """Keep feedback (B1-B4): answered with 200 only once it is kept."""
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
        """Note when the request came."""
        g.began = time.perf_counter()

    @views.after_app_request
    def count(response: Response) -> Response:
        """Count each call, also those that were refused."""
        if request.endpoint == f"{views.name}.call":
            _count(registry, metrics, response.status_code)
        return response

    return views


def _count(registry: Registry, metrics: Metrics, status: int) -> None:
    """Count the call that is being answered: its service, hook and rules, as far as it came to that."""
    outcome: Outcome | None = g.get("outcome")
    seconds = time.perf_counter() - g.began
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
