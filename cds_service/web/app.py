"""create_app: from settings, services and clock to a Flask application; errors become answers here."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from flask import Flask, Response, g, jsonify, request
from flask_cors import CORS
from werkzeug.exceptions import HTTPException

from cds_service import telemetry
from cds_service.errors import (
    BodyTooLarge,
    CdsError,
    Forbidden,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RemovalRefused,
    StoreUnavailable,
    Unauthorized,
    UnknownPath,
)
from cds_service.fhir.client import Limits
from cds_service.fhir.fetch import FhirAccess
from cds_service.fhir.servers import AllowList
from cds_service.guideline.services import CdsService, Registry
from cds_service.journal import Journal
from cds_service.protocol.feedback import FeedbackBounds
from cds_service.settings import LOOPBACK, Settings, listed
from cds_service.store import retention
from cds_service.store.database import Database
from cds_service.store.outbox import Outbox
from cds_service.store.private_files import data_folder
from cds_service.store.pseudonyms import Pseudonyms, own_key
from cds_service.store.recorder import Recorder, Watch
from cds_service.store.repeats import Repeats
from cds_service.store.used_tokens import UsedTokens
from cds_service.trust.issuers import read as read_issuers
from cds_service.trust.key_sets import KeySets, Trust
from cds_service.web import endpoints, evidence_page, health, monitoring, preview_page, report_page
from cds_service.web.admission import Admission, RateLimit
from cds_service.web.entrance import Entrance
from cds_service.web.metrics import Metrics
from cds_service.web.readers import READERS, Readers


def local_time() -> datetime:
    """Return the time in the machine's time zone, whose date is "today" for clinicians there."""
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
    # One more than allowed: a streamed body is cut off there silently, and its length shows it.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    app.url_map.merge_slashes = False  # an unknown path is refused, not redirected, so that no chart is sent elsewhere
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the provider protocol does not declare it
    registry = Registry(services, settings.shared_service_id)
    store = _store(settings, clock)
    app.extensions["store"] = store
    entrance = _entrance(settings, UsedTokens(store.database) if store.needed else None)
    access = fhir_access(settings)
    app.register_blueprint(endpoints.blueprint(registry, clock, entrance, access, store.journal, store.metrics))
    pages = _pages(settings)
    app.register_blueprint(evidence_page.blueprint(registry, clock, pages))
    if settings.serves("preview"):
        app.register_blueprint(preview_page.blueprint(registry, clock, entrance, access, pages))
    if settings.serves("report"):
        names = [service.id for service in registry.services]
        app.register_blueprint(report_page.blueprint(store.database, names, pages))
    app.register_blueprint(health.blueprint(registry, clock, store.state, needed=store.needed))
    if settings.serves("metrics"):
        app.register_blueprint(monitoring.blueprint(store.metrics, store.state))
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
    app.before_request(_begin_trace)
    app.before_request(_refuse_doubled_slashes)
    _keep_inside(app, settings, entrance)
    app.after_request(_keep_private)
    app.register_error_handler(CdsError, _answer_error)
    app.register_error_handler(HTTPException, _answer_http_exception)
    app.register_error_handler(Exception, _answer_defect)
    return app


def _begin_trace() -> None:
    telemetry.begin_trace(request.headers.get("traceparent", ""))


def _pages(settings: Settings) -> list[tuple[str, str]]:
    """Return the names and paths of the pages that are served."""
    preview = [("Preview", preview_page.PATH)] if settings.serves("preview") else []
    report = [("Report", report_page.PATH)] if settings.serves("report") else []
    return [*preview, ("Evidence", evidence_page.PATH), *report]


_METRICS = "monitoring.exposition"


def _keep_inside(app: Flask, settings: Settings, entrance: Entrance) -> None:
    """Protect pages that are not public: by a token where calls need one, otherwise as the settings say.

    If CDS_METRICS_TOKEN is set, only a reader with that secret gets the metrics.

    A page elsewhere can make a browser on this machine call the service under another host name (DNS rebinding), so
    unknown host names are refused.
    """
    names = {*LOOPBACK, urlsplit(settings.base_url).hostname}

    def guard() -> None:
        """Refuse unknown host names, unknown proxies, and readers without a token where calls need one."""
        if request.endpoint is None or READERS.get(request.endpoint, Readers.INSIDE) is not Readers.INSIDE:
            return
        if not settings.public_url and _came_through_a_proxy():
            raise Forbidden("This page is not served through a proxy until CDS_PUBLIC_URL says where others reach it")
        if not settings.exposed and urlsplit(f"//{request.host}").hostname not in names:
            raise Forbidden("This page is served under this machine's own names only")
        secret = settings.metrics_token if request.endpoint == _METRICS else ""
        if not secret:
            entrance.admit_reader()
        elif not hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {secret}".encode()):
            raise Unauthorized("This page needs the bearer token that CDS_METRICS_TOKEN sets")

    app.before_request(guard)


def _came_through_a_proxy() -> bool:
    """Return whether a proxy says so; loopback then does not mean that the reader is on this machine."""
    names = {name.lower() for name in request.headers.keys()}  # noqa: SIM118 - no mapping
    return not names.isdisjoint({"forwarded", "via", "x-real-ip"}) or any(n.startswith("x-forwarded") for n in names)


def _refuse_doubled_slashes() -> None:
    """Refuse `//report`, which would be served as the `/report` that a proxy blocks."""
    if "//" in request.environ.get("PATH_INFO", ""):
        raise UnknownPath("Nothing is served at this path")


@dataclass(frozen=True, slots=True)
class Store:
    """The database, and what writes to it and counts."""

    database: Database
    recorder: Recorder
    repeats: Repeats
    journal: Journal
    metrics: Metrics
    state: Callable[[], health.StoreState]
    needed: bool
    """Whether calls need the database, because used tokens are checked in it."""


def _store(settings: Settings, clock: Callable[[], datetime]) -> Store:
    """Wire up database, outbox, recorder and metrics.

    Raises:
        SettingsError: the database's address is wrong, or this machine's key or outbox can be neither read nor created.
    """
    folder = data_folder(settings.data_folder)
    database = Database(settings.database_address)
    outbox = Outbox(folder)

    def state() -> health.StoreState:
        """Return the state of the store, and have waiting records forwarded."""
        recorder.start()
        reachable = database.reachable()
        remembers = reachable or database.remembers()
        return health.StoreState(reachable, remembers, outbox.waiting(), metrics.lost_records(), not recorder.ended)

    def remove_old() -> None:
        """Delete records older than the site wants to keep, and log how many."""
        try:
            removed = retention.purge(database, clock(), timedelta(days=settings.keep_days))
        except StoreUnavailable:
            metrics.store_failed("purge")
        except RemovalRefused as refusal:
            metrics.store_failed("purge")
            telemetry.log().error("nothing removed", reason=str(refusal), remedy="cds-service purge --even-most")
        else:
            telemetry.log().info("removed", **removed)

    metrics = Metrics()
    recorder = Recorder(
        database, outbox, Watch(metrics.store_failed, metrics.lost), remove_old if settings.keep_days else None
    )
    pseudonyms = Pseudonyms(settings.hash_key or own_key(folder))
    overridden = Repeats(database, settings.repeat_hours, metrics.store_failed)
    journal = Journal(recorder, overridden, pseudonyms, keep_comments=settings.keep_comments)
    return Store(database, recorder, overridden, journal, metrics, state, settings.checks_calls)


def _entrance(settings: Settings, used: UsedTokens | None) -> Entrance:
    """Return the checks that requests must pass, as the settings say.

    Raises:
        SettingsError: the issuers file is wrong.
    """
    seconds = settings.call_milliseconds / 1000
    gatekeeper = None
    if used is not None:
        # Imported here, because it loads cryptography: 9 MB per worker that nothing else needs.
        from cds_service.trust.client_jwt import Gatekeeper  # noqa: PLC0415

        issuers = read_issuers(Path(settings.issuers_file))
        trust = Trust(settings.key_set_minutes * 60, settings.key_set_stale_minutes * 60)
        gatekeeper = Gatekeeper(issuers, KeySets(trust), used.use, listed(settings.jwt_audiences))
    elif settings.exposed:
        telemetry.log().warning("open", reason="CDS_JWT is off and others can reach this service")
    return Entrance(
        base_url=settings.base_url,
        max_body_bytes=settings.max_body_bytes,
        admission=Admission(seconds / 2),
        rate=RateLimit(settings.calls_per_minute),
        feedback_rate=RateLimit(settings.feedback_per_minute),
        feedback_bounds=FeedbackBounds(settings.feedback_entries, settings.feedback_suggestions),
        call_seconds=seconds,
        gatekeeper=gatekeeper,
        everywhere=settings.jwt == "everywhere",
    )


def _keep_private(response: Response) -> Response:
    """Keep answers, which can hold patient data, out of caches, and prevent content sniffing."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def fhir_access(settings: Settings) -> FhirAccess:
    """Return access to the FHIR servers that the settings allow."""
    limits = Limits(settings.fhir_request_milliseconds / 1000, settings.fhir_total_milliseconds / 1000)
    return FhirAccess(AllowList.parse(settings.fhir_servers), limits, settings.max_resources)


def _answer_error(error: CdsError) -> Response:
    """Answer a failure with its status and an OperationOutcome (C1)."""
    telemetry.log().warning(
        "refused",
        status=error.status,
        cause=type(error).__name__,
        fields=[issue.expression for issue in error.issues if issue.expression],
        **({"fetched": dict(error.fetched)} if error.fetched else {}),
    )
    g.fetched = error.fetched  # counted with the call
    response = jsonify(error.operation_outcome())
    response.status_code = error.status
    response.headers.update(error.headers)
    return response


def _answer_http_exception(error: HTTPException) -> Response:
    """Answer errors of the web framework in the same form as our own."""
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
    """Answer a defect of this service with an incident id for the log, never with an empty card list."""
    incident = str(uuid4())
    telemetry.log().error(
        "defect", incident=incident, cause=type(error).__name__, places=telemetry.places(error.__traceback__)
    )
    return _answer_error(InternalError(f"This service failed; incident {incident}"))
