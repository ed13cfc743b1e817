"""The services that guidelines offer, as discovery lists them, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cds_service.errors import UnknownService
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
"""Of the hooks' definitions, as the hook library publishes them (conformance H3)."""

_WHEN = {"order-select": "when an order is selected", "order-sign": "when orders are signed"}
"""What a service's title says of its hook."""


@dataclass(frozen=True, slots=True)
class CdsService:
    """One entry of discovery and what answers its calls: one guideline at one hook."""

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
            title=f"{identity.title} ({_WHEN.get(self.hook, self.hook)})",
            description=identity.description,
            usageRequirements=identity.usage,
            prefetch=self.queries,
            version=SPECIFICATION_VERSION,
            hookVersion=_HOOK_VERSION,
        )

    @property
    def queries(self) -> dict[str, str]:
        """Return the prefetch templates: key to query."""
        return {template.key: template.query for template in self.knowledge.templates}

    def drafts(self, request: HookRequest) -> Drafts:
        """Return the draft orders of a call that the guideline is about. Needs no chart."""
        knowledge = self.knowledge
        return drafts.read(request.context.draft_orders, request.selections, knowledge.orders, knowledge.value_sets)

    def advise(self, request: HookRequest, read: Drafts, chart: Chart, today: date) -> Guidance:
        """Answer one call.

        Raises:
            PrefetchMissing: an order cannot be decided, because what it needs is not available (conformance P2).
            TooManyResources: there are more orders and chart entries than can be weighed in time.
        """
        return advise(self.guideline, self.knowledge, request, read, chart, today)


def services(guideline: Guideline[Any], site: SiteConfiguration) -> tuple[CdsService, ...]:
    """Load a guideline's knowledge and return its services, one for each hook.

    Raises:
        KnowledgeError: a knowledge file is wrong.
    """
    knowledge = load(guideline.folder, guideline.fact_space, site)
    return tuple(CdsService(f"{knowledge.identity.id}-{hook}", hook, guideline, knowledge) for hook in guideline.hooks)


class Registry:
    """The services a server offers, by id and hook."""

    def __init__(self, services: Iterable[CdsService], shared_id: str = "") -> None:
        """Register services.

        Args:
            services: what the guidelines offer.
            shared_id: give all of them this id; the request's hook then tells them apart (D3).
        """
        self.services = tuple(replace(service, id=shared_id) if shared_id else service for service in services)
        self._by_id: dict[str, tuple[CdsService, ...]] = {}
        for service in self.services:
            self._by_id[service.id] = (*self._by_id.get(service.id, ()), service)

    def override_codes(self, service_id: str) -> Mapping[str, str]:
        """Return system by code of the reasons for an override that cards of the services with an id offer.

        Raises:
            UnknownService: no service has the id.
        """
        self.find(service_id, "")
        reasons = (reason for s in self._by_id[service_id] for reason in s.knowledge.actions.override_reasons)
        return {reason["code"]: reason["system"] for reason in reasons}

    def find(self, service_id: str, hook: str) -> CdsService:
        """Return the service for an id, and for the hook where several share the id.

        When the id is known and no service of it answers the hook, the first is returned, which then refuses the hook.

        Raises:
            UnknownService: no service has the id.
        """
        candidates = self._by_id.get(service_id)
        if not candidates:
            raise UnknownService("No CDS service has this id; GET /cds-services lists those there are")
        return next((service for service in candidates if service.hook == hook), candidates[0])

    def for_hook(self, hook: str) -> CdsService | None:
        """Return the first service that answers a hook."""
        return next((service for service in self.services if service.hook == hook), None)

    def discovery(self) -> dict[str, Any]:
        """Return the body of discovery (D1)."""
        return {"services": [service.describe() for service in self.services]}
