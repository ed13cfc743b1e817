"""create_app: settings, services and clock to a Flask application; the one place where errors become answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from flask import Flask, Response, jsonify
from flask_cors import CORS
from werkzeug.exceptions import HTTPException

from cds_service import endpoints, health, telemetry
from cds_service.endpoints import Entrance
from cds_service.errors import (
    BodyTooLarge,
    CdsError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    UnknownPath,
)
from cds_service.fhir.client import Limits
from cds_service.fhir.fetch import FhirAccess
from cds_service.fhir.servers import AllowList
from cds_service.load import RateLimit, Turnstile
from cds_service.services import CdsService, Registry
from cds_service.settings import Settings
from cds_service.store.database import connect
from cds_service.store.feedback import FeedbackStore
from cds_service.store.used_tokens import UsedTokens
from cds_service.trust.client_jwt import Gatekeeper
from cds_service.trust.issuers import read as read_issuers
from cds_service.trust.key_sets import KeySets
from cds_service.web import views


def local_time() -> datetime:
    """Return the time in the machine's own time zone, whose date a clinician there would call today."""
    return datetime.now().astimezone()


def create_app(settings: Settings, services: Iterable[CdsService], clock: Callable[[], datetime] = local_time) -> Flask:
    """Return the WSGI application.

    Args:
        services: what the guidelines offer.
        clock: tells the time; tests pass a frozen one.

    Raises:
        SettingsError: the issuers file is wrong, or the database cannot be opened.
    """
    app = Flask("cds_service", static_folder=None)
    # One more than allowed: a streamed body is cut off there without a word, and its length then tells.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the provider protocol does not declare it
    registry = Registry(services, settings.shared_service_id)
    used = UsedTokens(connect(settings.database_url)) if settings.checks_calls else None
    entrance = _entrance(settings, used)
    store = FeedbackStore(settings.database_url)
    app.register_blueprint(endpoints.blueprint(registry, clock, entrance, fhir_access(settings), store))
    app.register_blueprint(views.blueprint(registry, clock))
    app.register_blueprint(health.blueprint(registry, clock, used.reachable if used else None))
    if settings.origins:
        CORS(
            app,
            origins=settings.origins,
            methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
            expose_headers=[endpoints.KNOWLEDGE_VERSION_HEADER],
            max_age=600,
            allow_private_network=settings.cors_private_network,
        )
    app.after_request(_keep_private)
    app.register_error_handler(CdsError, _answer_error)
    app.register_error_handler(HTTPException, _answer_http_exception)
    app.register_error_handler(Exception, _answer_defect)
    return app


def _entrance(settings: Settings, used: UsedTokens | None) -> Entrance:
    """Return what requests must pass, as the settings say.

    Raises:
        SettingsError: the issuers file is wrong.
    """
    seconds = settings.call_milliseconds / 1000
    gatekeeper = None
    if used is not None:
        issuers = read_issuers(Path(settings.issuers_file))
        gatekeeper = Gatekeeper(issuers, KeySets(), used.use, settings.audiences)
    elif settings.exposed:
        telemetry.log().warning("open", reason="CDS_JWT is off and others can reach this service")
    return Entrance(
        base_url=settings.base_url,
        max_body_bytes=settings.max_body_bytes,
        turnstile=Turnstile(settings.running_calls, settings.waiting_calls, seconds / 2),
        rate=RateLimit(settings.calls_per_minute),
        call_seconds=seconds,
        gatekeeper=gatekeeper,
        everywhere=settings.jwt == "everywhere",
    )


def _keep_private(response: Response) -> Response:
    """Keep answers, which can hold patient data, out of caches and from being taken for something else."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def fhir_access(settings: Settings) -> FhirAccess:
    """Return the access to FHIR servers that the settings allow."""
    limits = Limits(settings.fhir_request_milliseconds / 1000, settings.fhir_total_milliseconds / 1000)
    return FhirAccess(AllowList.parse(settings.fhir_servers), limits, settings.max_resources)


def _answer_error(error: CdsError) -> Response:
    """Answer a failure with its status and an OperationOutcome (C1)."""
    telemetry.log().warning(
        "refused",
        status=error.status,
        cause=type(error).__name__,
        fields=[issue.expression for issue in error.issues if issue.expression],
    )
    response = jsonify(error.operation_outcome())
    response.status_code = error.status
    response.headers.update(error.headers)
    return response


def _answer_http_exception(error: HTTPException) -> Response:
    """Answer what the web framework refuses in the same form as our own errors."""
    if error.code is None or error.code < 400:
        return Response(status=error.code or 308, headers=error.get_headers())
    allow = {name: value for name, value in error.get_headers() if name == "Allow"}
    causes: dict[int, CdsError] = {
        404: UnknownPath("Nothing is served at this path"),
        405: MethodNotAllowed("This path does not take this method; see Allow", headers=allow),
        413: BodyTooLarge("The body is larger than this service accepts"),
    }
    return _answer_error(causes.get(error.code, InvalidRequest("The request is not valid HTTP")))


def _answer_defect(error: Exception) -> Response:
    """Answer a defect of ours: an incident id for the log, and never an empty card list."""
    incident = str(uuid4())
    telemetry.log().error(
        "defect", incident=incident, cause=type(error).__name__, places=telemetry.places(error.__traceback__)
    )
    return _answer_error(InternalError(f"This service failed; incident {incident}"))
