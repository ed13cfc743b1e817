"""cds-service request BUNDLE: makes a CDS Hooks request from a chart, for trying the service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO
from uuid import uuid4

import click
import orjson

from cds_service.cli.choice import guideline_option, registry_or_exit, service_for
from cds_service.cli.configuration import settings_or_exit
from cds_service.cli.examples import examples
from cds_service.errors import EXIT_REFUSED, CdsError
from cds_service.fhir.bundles import Resource, opened
from cds_service.fhir.prefetch import query_type
from cds_service.fhir.scan import plain
from cds_service.guideline.services import CdsService
from cds_service.protocol.decoding import decode

_ORDER_ID = "order"
Entries = Iterable[tuple[Resource, str]]


@click.command(
    epilog=examples(
        "cds-service request fixtures/bundles/neck-pain.json",
        "cds-service request --order 20561 --hook order-sign - < fixtures/bundles/neck-pain.json",
    ),
)
@click.argument("bundle", type=click.File("rb"))
@click.option("--order", default="", help="Code of the draft order; by default the guideline's first.")
@click.option("--hook", default="order-select", show_default=True, help="Hook of the request.")
@guideline_option
def request(bundle: BinaryIO, order: str, hook: str, guideline: str) -> None:
    """Make a request from a FHIR Bundle.

    BUNDLE is a FHIR R4 Bundle in JSON with one Patient; - reads standard input. The request has one draft order, and as
    prefetch the resources that the service asks for. Pass it to `cds-service call`, or send it to a running service.
    """
    registry = registry_or_exit(settings_or_exit())
    service = service_for(registry, hook, guideline)
    if service is None:
        offered = ", ".join(sorted({service.hook for service in registry.services}))
        raise click.BadParameter(f"no guideline answers {hook}; choose one of: {offered}", param_hint="--hook")
    try:
        entries = [(plain(resource), full_url) for resource, full_url in opened(decode(bundle.read()))]
    except CdsError as error:
        click.echo(f"Not a FHIR Bundle: {error}", err=True)
        raise SystemExit(EXIT_REFUSED) from None
    patients = [_id(resource, full_url) for resource, full_url in entries if resource["resourceType"] == "Patient"]
    if len(patients) != 1 or not patients[0]:
        click.echo(
            f"The Bundle must have exactly one Patient with an id; this one has {len(patients)}. "
            "Keep the resources of one patient only.",
            err=True,
        )
        raise SystemExit(EXIT_REFUSED)
    made = _made(service, patients[0], entries, _order(service, order))
    click.echo(orjson.dumps(made, option=orjson.OPT_INDENT_2).decode())


def _made(service: CdsService, patient: str, entries: Entries, code: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the request: what every hook needs, the draft order where there is one, and the prefetch."""
    context: dict[str, Any] = {"userId": "Practitioner/example", "patientId": patient}
    if code:
        draft = {"resourceType": "ServiceRequest", "id": _ORDER_ID, "status": "draft", "intent": "order",
                 "code": {"coding": [code]}, "subject": {"reference": f"Patient/{patient}"}}  # fmt: skip
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": draft}]}
        selected = {"selections": [f"ServiceRequest/{_ORDER_ID}"]} if service.hook == "order-select" else {}
        context |= {**selected, "draftOrders": bundle}
    prefetch = {key: _prefetched(query, entries) for key, query in service.queries.items()}
    return {"hook": service.hook, "hookInstance": str(uuid4()), "context": context, "prefetch": prefetch}


def _prefetched(query: str, entries: Entries) -> Resource | None:
    """Return what a server would answer to a prefetch query: a resource for a read, a searchset for a search."""
    kind = query_type(query)
    found = [(resource, full_url) for resource, full_url in entries if resource["resourceType"] == kind]
    if "?" not in query:
        return found[0][0] if found else None
    listed = [{**({"fullUrl": url} if url else {}), "resource": resource} for resource, url in found]
    return {"resourceType": "Bundle", "type": "searchset", "entry": listed}


def _order(service: CdsService, wanted: str) -> Mapping[str, str] | None:
    """Return the coding of the draft order; None where the hook or the guideline has no orders.

    Raises:
        click.BadParameter: the guideline is not about orders with this code.
    """
    knowledge = service.knowledge
    if not service.hook.startswith("order-") or not knowledge.orders:
        return None
    codes = {
        code: {"system": system, "code": code, "display": display}
        for name in sorted(knowledge.orders.value_sets)
        for (system, code), display in knowledge.value_sets.displays[name].items()
    }
    chosen = codes.get(wanted) if wanted else next(iter(codes.values()))
    if chosen is None:
        known = ", ".join(codes)
        raise click.BadParameter(f"no order has the code {wanted}; choose one of: {known}", param_hint="--order")
    return chosen


def _id(resource: Resource, full_url: str) -> str:
    """Return a resource's id; in a Bundle not yet stored it stands in the fullUrl."""
    found = resource.get("id")
    return found if isinstance(found, str) else full_url.removeprefix("urn:uuid:")
