"""The door between the server and the guidelines: what a CDS service is, and the registry of those we offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from cds_service.errors import PrefetchMissing, UnknownService
from cds_service.fhir.chart import Chart
from cds_service.hook_request import HookRequest
from cds_service.knowledge import Knowledge
from cds_service.protocol import Card, ServiceDescription

__all__ = [
    "CdsService",
    "Content",
    "Guidance",
    "PrefetchMissing",
    "PrefetchTemplate",
    "Registry",
    "Review",
    "SiteConfiguration",
    "Subject",
]

SPECIFICATION_VERSION = "2.0.0"


@dataclass(frozen=True, slots=True)
class PrefetchTemplate:
    """A query we publish (D4). `required` keys are answered with 412 when an order cannot be decided without them."""

    key: str
    query: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What a card is about, for whoever counts cards or tells repeats. Stored as names, codes and keyed hashes only.

    Attributes:
        rule: id of the rule that fired.
        codes: codes of the orders, as far as the guideline knows them.
        orders: for each order what tells orders of the same thing: its codes, or its words where it has none.
        grounds: the chart entries that decided, each with the part it played.
        suggestions: the name of each suggestion, by its uuid.
    """

    rule: str
    codes: tuple[str, ...]
    orders: tuple[str, ...]
    grounds: tuple[str, ...]
    suggestions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Guidance:
    """What a guideline answers to one call.

    Attributes:
        cards: one for each rule that fired.
        subjects: what each card is about, by its uuid.
        orders: how many orders the guideline has something to say about.
        explain: builds the trace on demand: orders seen, findings with their sources, every rule with why and why not.
        log: facts for the log that hold no patient data, such as counts and rule ids.
    """

    cards: tuple[Card, ...]
    subjects: Mapping[str, Subject]
    orders: int
    explain: Callable[[], dict[str, Any]]
    log: Mapping[str, int | str | bool]


@dataclass(frozen=True, slots=True)
class Review:
    """Who answers for a guideline's content, and when somebody looks at it again."""

    version: str
    owner: str
    reviewed: date
    next_review: date
    statements: Mapping[str, date]
    """Next review of each citable statement, by its id."""

    def overdue(self, today: date) -> tuple[str, ...]:
        """Return what is past its review date: `guideline` for the whole, or ids of statements."""
        late = [name for name, due in self.statements.items() if due < today]
        return (("guideline",) if self.next_review < today else ()) + tuple(late)


@dataclass(frozen=True, slots=True)
class Content:
    """What a guideline's evidence page shows: the same data that decides.

    Attributes:
        knowledge: statements, rules and notes.
        value_sets: id of each value set to its codes: (system, code) to display; a code that ends in - is a category.
        preview: what the preview offers: `order` and `problem` with label and code, `site` with label and text.
    """

    knowledge: Knowledge
    value_sets: Mapping[str, Mapping[tuple[str, str], str]]
    preview: Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class SiteConfiguration:
    """What a site tells a guideline.

    Attributes:
        value_sets: a folder of ValueSet files whose codes extend the guideline's.
        public_url: where clients and clinicians reach this server, without a slash at the end; cards link to it.
    """

    value_sets: Path | None = None
    public_url: str = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class CdsService:
    """One entry of discovery and what answers its calls."""

    id: str
    hook: str
    hook_version: str
    title: str
    description: str
    usage_requirements: str
    templates: tuple[PrefetchTemplate, ...]
    review: Review
    content: Content
    wanted: Callable[[HookRequest], tuple[str, ...] | None]
    """Tells from the drafts alone what a decision needs beside the prefetch: the references that an order's reason is
    given by, or None when the guideline has nothing to say, so that nothing is fetched in vain."""
    handler: Callable[[HookRequest, Chart, date], Guidance]
    override_codes: Mapping[str, str] = field(default_factory=dict)
    """System by code of the reasons for an override that its cards offer."""

    def describe(self) -> ServiceDescription:
        """Return the service as discovery lists it (D2)."""
        return ServiceDescription(
            id=self.id,
            hook=self.hook,
            title=self.title,
            description=self.description,
            usageRequirements=self.usage_requirements,
            prefetch={template.key: template.query for template in self.templates},
            version=SPECIFICATION_VERSION,
            hookVersion=self.hook_version,
        )


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

    def override_codes(self, service_id: str) -> Mapping[str, str]:
        """Return system by code of the reasons for an override that cards of the services with an id offer.

        Raises:
            UnknownService: no service has the id.
        """
        self.find(service_id, "")
        return dict(item for service in self._by_id[service_id] for item in service.override_codes.items())

    def for_hook(self, hook: str) -> CdsService | None:
        """Return the first service that answers a hook."""
        return next((service for service in self.services if service.hook == hook), None)

    def discovery(self) -> dict[str, Any]:
        """Return the body of discovery (D1)."""
        return {"services": [service.describe() for service in self.services]}
