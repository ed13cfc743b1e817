"""The services of all guidelines, as discovery lists them, and their registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cds_service.errors import KnowledgeError, UnknownService
from cds_service.fhir import value_set_files
from cds_service.fhir.chart import Chart
from cds_service.guideline import drafts
from cds_service.guideline.drafts import Drafts
from cds_service.guideline.guidance import Guidance, advise
from cds_service.guideline.guideline import Guideline
from cds_service.guideline.knowledge import Knowledge, SiteConfiguration, load
from cds_service.protocol.cards import ServiceDescription
from cds_service.protocol.request import HookRequest

SPECIFICATION_VERSION = "2.0.0"

_HOOK_VERSION = "1.0"
"""Version of the hooks' definitions in the hook library (conformance H3)."""

_WHEN = {
    "appointment-book": "when an appointment is booked",
    "encounter-discharge": "at discharge",
    "encounter-start": "when an encounter starts",
    "order-dispatch": "when an order is dispatched",
    "order-select": "when an order is selected",
    "order-sign": "when orders are signed",
    "patient-view": "when a chart is opened",
}
"""A hook in a service's title."""


@dataclass(frozen=True, slots=True)
class CdsService:
    """One service: one guideline at one hook, as an entry of discovery and as what answers calls."""

    id: str
    hook: str
    guideline: Guideline[Any]
    knowledge: Knowledge

    def describe(self) -> ServiceDescription:
        """Return the service as discovery lists it (D2)."""
        identity = self.knowledge.identity
        return ServiceDescription(
            id=self.id,
            hook=self.hook,
            title=f"{identity.title} ({self.moment})",
            description=identity.description,
            usageRequirements=identity.usage,
            prefetch=self.queries,
            version=SPECIFICATION_VERSION,
            hookVersion=_HOOK_VERSION,
        )

    @property
    def moment(self) -> str:
        """Return when its hook is called, such as "when an order is selected"."""
        return _WHEN.get(self.hook, self.hook)

    @property
    def queries(self) -> dict[str, str]:
        """Return the prefetch templates: key to query."""
        return {template.key: template.query for template in self.knowledge.templates}

    def drafts(self, request: HookRequest) -> Drafts:
        """Return the draft orders of a call that are in scope. Needs no chart.

        For a hook or a guideline without orders, the patient takes their place.
        """
        knowledge = self.knowledge
        bundle = request.draft_orders
        if bundle is None or not knowledge.orders:
            return drafts.of_patient(request.context.patient_id)
        return drafts.read(bundle, request.selections, knowledge.orders, knowledge.value_sets)

    def advise(self, request: HookRequest, read: Drafts, chart: Chart, today: date) -> Guidance:
        """Answer one call.

        Raises:
            PrefetchMissing: an order cannot be decided, because what it needs is not available (conformance P2).
            TooManyResources: there are more orders and chart entries than can be evaluated in time.
        """
        return advise(self.guideline, self.knowledge, request, read, chart, today)


def load_services(guidelines: Mapping[str, Guideline[Any]], site: SiteConfiguration) -> tuple[CdsService, ...]:
    """Load the knowledge of guidelines and return their services, one for each hook.

    Args:
        guidelines: by id.
        site: the site's configuration.

    Raises:
        KnowledgeError: a guideline's knowledge is wrong, or a site's value set extends none of any guideline.
    """
    of_site = value_set_files.of_site(site.value_sets)
    found: list[CdsService] = []
    known: set[str] = set()
    for name, guideline in guidelines.items():
        try:
            knowledge = load(guideline.folder, guideline.fact_space, site)
        except KnowledgeError as fault:
            raise KnowledgeError(f"guideline {name}: {fault}") from None
        if knowledge.identity.id != name:
            raise KnowledgeError(f"guideline {name}: rules.toml: guideline: id: must be {name!r}, as it is called")
        found += [CdsService(f"{name}-{hook}", hook, guideline, knowledge) for hook in guideline.hooks]
        known |= knowledge.value_sets.displays.keys()
    value_set_files.check_known(of_site, known)
    return tuple(found)


class Registry:
    """The services a server offers, by id and hook."""

    def __init__(self, services: Iterable[CdsService], shared_id: str = "") -> None:
        """Register services.

        Args:
            services: what the guidelines offer.
            shared_id: one id for all hooks of one guideline; the request's hook distinguishes them (D3). With
                several guidelines, it is the id of the guideline whose hooks are joined.

        Raises:
            KnowledgeError: two services have the same id and hook, or the shared id is not that of a guideline.
        """
        found = tuple(services)
        guidelines = dict.fromkeys(service.knowledge.identity.id for service in found)
        if shared_id and len(guidelines) > 1 and shared_id not in guidelines:
            raise KnowledgeError(
                "CDS_SHARED_SERVICE_ID: with several guidelines it must be the id of one of them: "
                + ", ".join(guidelines)
            )
        joined = shared_id if len(guidelines) > 1 else next(iter(guidelines), "")
        self.services = tuple(
            replace(service, id=shared_id) if shared_id and service.knowledge.identity.id == joined else service
            for service in found
        )
        self.guidelines = {service.knowledge.identity.id: service.knowledge for service in found}
        self._by_id: dict[str, tuple[CdsService, ...]] = {}
        for service in self.services:
            others = self._by_id.get(service.id, ())
            if any(other.hook == service.hook for other in others):
                raise KnowledgeError(f"two services are called {service.id} and answer {service.hook}")
            self._by_id[service.id] = (*others, service)

    def override_codes(self, service_id: str) -> Mapping[str, str]:
        """Return the override reasons on cards of the services with an id: system by code.

        Raises:
            UnknownService: no service has the id.
        """
        reasons = (reason for s in self.named(service_id) for reason in s.knowledge.actions.override_reasons)
        return {reason["code"]: reason["system"] for reason in reasons}

    def named(self, service_id: str) -> tuple[CdsService, ...]:
        """Return the services with an id; all services for "".

        Raises:
            UnknownService: no service has the id.
        """
        if not service_id:
            return self.services
        if service_id not in self._by_id:
            raise UnknownService("No CDS service has this id; GET /cds-services lists those there are")
        return self._by_id[service_id]

    def discovery(self) -> dict[str, Any]:
        """Return the body of discovery (D1)."""
        return {"services": [service.describe() for service in self.services]}
