"""One call, step by step: bytes to request to chart to guidance to bytes. Knows neither Flask nor the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cds_service.decoding import decode
from cds_service.errors import UnknownService
from cds_service.fhir.prefetch import gather
from cds_service.hook_request import hook_of, read_request
from cds_service.protocol import CardsResponse
from cds_service.services import CdsService, Guidance, Registry


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered with."""

    body: bytes
    guidance: Guidance
    service: CdsService
    hook_instance: str


def answer(registry: Registry, service_id: str, body: bytes, today: date) -> Answer:
    """Answer one call of a service.

    Args:
        service_id: the id in the URL; "" picks the first service that answers the request's hook.
        body: the request as received.
        today: the evaluation date.

    Raises:
        CdsError: the request cannot be answered; the error says which status and why.
    """
    if service_id:
        registry.find(service_id, "")  # an unknown id is told before anything about the body
    document = decode(body)
    hook = hook_of(document)
    service = registry.find(service_id, hook) if service_id else registry.for_hook(hook)
    if service is None:
        raise UnknownService("No CDS service answers the hook of this request")
    request = read_request(document, service.hook)
    chart = gather(
        request.context.patient_id.removeprefix("Patient/"),
        request.prefetch,
        {template.key: template.query for template in service.templates},
        request.context.draft_orders,
    )
    guidance = service.handler(request, chart, today)
    return Answer(CardsResponse(cards=list(guidance.cards)).encode(), guidance, service, request.hook_instance)
