"""One call, step by step: bytes to request to chart to guidance to bytes. Knows neither Flask nor the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date

from cds_service import telemetry
from cds_service.errors import CdsError, PrefetchMissing, TooManyResources, UnknownService
from cds_service.fhir import conformance, scan
from cds_service.fhir.chart import Chart
from cds_service.fhir.deadline import step
from cds_service.fhir.fetch import FhirAccess
from cds_service.fhir.outcomes import FetchOutcome
from cds_service.fhir.prefetch import gather
from cds_service.guideline.cards import Advice
from cds_service.guideline.drafts import Drafts
from cds_service.guideline.guidance import Guidance
from cds_service.guideline.services import CdsService, Registry
from cds_service.protocol.cards import encode
from cds_service.protocol.request import HookRequest, hook_of, read_request

Repeats = Callable[[HookRequest, CdsService, Sequence[Advice]], frozenset[str]]
"""Returns the uuids of a call's cards that would repeat a recently overridden one."""

Waiting = Callable[[], AbstractContextManager[None]]

MOST_REFERENCES = 10
"""Limit of references fetched per call."""


@dataclass(frozen=True, slots=True)
class Support:
    """What a call may use besides its request.

    Attributes:
        access: fetches what was not prefetched; None fetches nothing.
        deadline: when the call must be answered, by time.monotonic(); fetching ends earlier.
        repeats: returns the cards to withhold; None withholds none.
        waiting: entered while the call waits for a FHIR server, so that others may compute.
    """

    access: FhirAccess | None = None
    deadline: float = float("inf")
    repeats: Repeats | None = None
    waiting: Waiting = nullcontext


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call.

    Attributes:
        fetched: the outcome of each fetch, by prefetch key.
        missing: prefetch keys that were not available.
        withheld: uuids of cards left out of the body because they would repeat an overridden one.
    """

    body: bytes
    request: HookRequest
    guidance: Guidance
    service: CdsService
    fetched: Mapping[str, str]
    missing: tuple[str, ...]
    withheld: frozenset[str]


def answer(
    registry: Registry,
    service_id: str,
    body: bytes,
    today: date,
    support: Support = Support(),
) -> Answer:
    """Answer one call of a service.

    Args:
        registry: all services.
        service_id: the id in the URL; "" picks the first service that answers the request's hook.
        body: the request as received.
        today: the evaluation date.
        support: what the call may use besides its request; nothing by default.

    Raises:
        CdsError: the request cannot be answered; the error says which status and why. TooLate, when a deadline is
            set (`deadline.until`) and has passed.
    """
    services = registry.named(service_id)  # an unknown id is reported before anything about the body
    document = scan.read(body)
    step()
    hook = hook_of(document)
    service = next((service for service in services if service.hook == hook), services[0] if service_id else None)
    if service is None:
        raise UnknownService("No CDS service answers the hook of this request")
    request = read_request(document, service.hook)
    with conformance.bounded():
        drafts = service.drafts(request)
        chart, outcomes = _chart(service, request, drafts, support)
        try:
            step()
            guidance = service.advise(request, drafts, chart, today)
            step()
        except CdsError as refused:
            raise _with_outcomes(refused, outcomes) from None
    withheld: frozenset[str] = frozenset()
    if support.repeats and guidance.advice:
        withheld = support.repeats(request, service, guidance.advice)
    shown = [advice.card for advice in guidance.advice if advice.card["uuid"] not in withheld]
    missing = tuple(template.key for template in service.knowledge.templates if not chart.obtained(template.key))
    return Answer(encode(shown), request, guidance, service, outcomes, missing, withheld)


def _with_outcomes(refused: CdsError, outcomes: Mapping[str, FetchOutcome]) -> CdsError:
    """Return an error with the outcome of each fetch, which a 412 names in words (P2)."""
    error = refused
    if isinstance(refused, PrefetchMissing) and refused.key in outcomes:
        error = refused.because(outcomes[refused.key].words)
    error.fetched = outcomes
    return error


def _chart(
    service: CdsService, request: HookRequest, drafts: Drafts, support: Support
) -> tuple[Chart, Mapping[str, FetchOutcome]]:
    """Gather the chart: what was prefetched, then what is missing and may be fetched (P1, F1-F3)."""
    patient_id = request.context.patient_id
    queries = service.queries
    bundle = request.draft_orders or {}
    access = support.access
    chart = gather(patient_id, request.prefetch, queries, bundle)
    if access is not None and chart.resource_count > access.max_resources:
        raise TooManyResources(f"The prefetch holds more than {access.max_resources} resources")
    if access is None or request.fhir_server is None or not drafts.orders:
        return chart, {}
    missing = {key: query for key, query in queries.items() if not chart.obtained(key)}
    references = dict.fromkeys(reference for order in drafts.orders for reference in order.references)
    unresolved = [reference for reference in references if chart.resolve(reference, {}) is None]
    token = request.fhir_authorization.access_token if request.fhir_authorization else ""
    wanted = unresolved[:MOST_REFERENCES]
    if request.unusable:
        call = telemetry.call_id(request.hook_instance)
        telemetry.log().info("nothing fetched", call=call, unusable=request.unusable)
        return chart.without(missing), dict.fromkeys(missing, FetchOutcome.UNUSABLE_AUTHORIZATION)
    with support.waiting():
        fetched = access.fetch(request.fhir_server, token, patient_id, missing, wanted, support.deadline)
    if not (fetched.values or fetched.referenced):
        return chart.without(fetched.outcomes), fetched.outcomes
    return gather(patient_id, request.prefetch, queries, bundle, fetched), fetched.outcomes
