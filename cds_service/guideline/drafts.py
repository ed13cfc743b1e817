"""Draft orders: which ones are selected and in scope. Read once without a chart; their reasons later, with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cds_service.errors import TooManyResources
from cds_service.fhir import elements, references
from cds_service.fhir.bundles import Resource, entries_of, is_resource
from cds_service.fhir.chart import Chart
from cds_service.fhir.concepts import Concept
from cds_service.fhir.patients import id_of
from cds_service.fhir.shapes import concept_in, in_r4, listed, present
from cds_service.fhir.statuses import is_true, word
from cds_service.fhir.systems import canonical, plain
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline.conditions import counts, entry_of, lost_elements, problem, reference_in
from cds_service.guideline.findings import Entry, OrderFindings, Problem
from cds_service.guideline.orders import OrderKinds
from cds_service.limits import MOST_CODINGS, MOST_CONTAINED, MOST_ORDERS, MOST_REASONS, MOST_REASONS_TOGETHER

_NO_ORDER = ("revoked", "completed", "entered-in-error", "cancelled")  # cancelled is a code of STU3
_TYPES = ("ServiceRequest", "ProcedureRequest")
_CONDITION = re.compile(r"(?:https?://[^\s?#]+/)?Condition/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?")
_OUT_OF_SCOPE = "not what this guideline is about"
_READ = (
    "status", "intent", "code", "doNotPerform", "encounter", "requester", "bodySite", "reasonCode", "reasonReference",
    "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft order in the guideline's scope; for a hook without orders, the patient takes its place.

    Attributes:
        kind: id of its kind, as in orders.toml.
        concept: what is ordered.
        id: the order's id, or "" when it has none; then nothing can be suggested for it.
        codes: those of its codes that are in a value set of the guideline's orders.
        identity: equal for orders of the same thing: its codes, or its words if it has none.
        resource: the order as sent.
        lost: its unreadable elements.
        conforms: everything in it was read, so that a suggestion can be based on it.
    """

    entry: Entry
    kind: str = ""
    concept: Concept = field(default_factory=Concept)
    id: str = ""
    codes: tuple[str, ...] = ()
    identity: str = ""
    resource: Resource = field(default_factory=dict)
    lost: tuple[Entry, ...] = ()
    conforms: bool = False

    @property
    def references(self) -> tuple[str, ...]:
        """Return the conditions outside the order that its reason refers to."""
        found = (reference.get("reference") for reference in _referenced(in_r4(self.resource)))
        return tuple(target for target in found if isinstance(target, str) and _CONDITION.fullmatch(target))


@dataclass(frozen=True, slots=True)
class SeenDraft:
    """A draft order as the trace lists it, with its outcome and why."""

    entry: Entry
    outcome: str


@dataclass(frozen=True, slots=True)
class Drafts:
    """What was read from the draft orders.

    Attributes:
        orders: the orders that are selected and in scope.
        active: every draft that counts as an order, selected or not.
        seen: all drafts with their outcomes, for the trace.
        unreadable: entries that are not resources, and orders with more content than is read.
        unmatched_selections: how many selections match no draft order.
        without_code: how many draft orders have no code or words that can be read, or more codes than are read.
    """

    orders: tuple[Draft, ...] = ()
    active: tuple[Resource, ...] = ()
    seen: tuple[SeenDraft, ...] = ()
    unreadable: tuple[Entry, ...] = ()
    unmatched_selections: int = 0
    without_code: int = 0


def of_patient(patient_id: str) -> Drafts:
    """Return the patient in place of orders."""
    patient = {"resourceType": "Patient", "id": patient_id}
    return Drafts((Draft(Entry(f"Patient/{patient_id}", "this patient"), resource=patient),))


def read(
    bundle: Mapping[str, Any], selections: tuple[str, ...] | None, kinds: OrderKinds, value_sets: ValueSets
) -> Drafts:
    """Read the draft orders.

    Args:
        bundle: the draft Bundle, which may be malformed.
        selections: the selected orders of order-select; None means every order (order-sign).
        kinds: the kinds of orders in scope.
        value_sets: the guideline's.

    Raises:
        TooManyResources: there are more orders in scope, or together more reasons and body sites, than one call may
            have.
    """
    orders: list[Draft] = []
    active: list[Resource] = []
    seen: list[SeenDraft] = []
    unreadable: list[Entry] = []
    without_code = reasons = 0
    named: set[_Name] = set()
    selected = frozenset(name for selection in selections or () for name in _names_in(selection))
    for number, sent, full_url in entries_of(bundle):
        if not is_resource(sent):
            unreadable.append(Entry(f"draftOrders entry {number}", "draft order"))
            continue
        resource = in_r4(sent)
        concept = value_sets.of_concept(resource.get("code"))
        entry = entry_of(resource, concept)
        names = _names_of(resource, full_url)
        named |= names
        if resource["resourceType"] not in _TYPES:
            seen.append(SeenDraft(entry, "not a request for a procedure"))
            continue
        if is_true(resource.get("doNotPerform")) or word(resource.get("status")) in _NO_ORDER:
            seen.append(SeenDraft(entry, "no order: not to be performed, or already over"))
            continue
        active.append(resource)
        kind = kinds.kind_of(concept)
        cut_short = not kind and elements.has_too_many_codings(resource.get("code"))
        without_code += concept.empty or cut_short
        if not kind:
            seen.append(SeenDraft(entry, _OUT_OF_SCOPE + cut_short * f", by the first {MOST_CODINGS} codings"))
        elif selections is not None and selected.isdisjoint(names):
            seen.append(SeenDraft(entry, "not selected"))
        elif len(orders) == MOST_ORDERS:
            raise TooManyResources(f"More than {MOST_ORDERS} draft orders are to be decided")
        else:
            reasons += _reasons_and_sites(sent)
            if reasons > MOST_REASONS_TOGETHER:
                raise TooManyResources(f"The orders give more than {MOST_REASONS_TOGETHER} reasons and sites together")
            order = _order(sent, entry, kind, concept, kinds, value_sets)
            seen.append(SeenDraft(entry, f"considered as {kinds.name(kind).lower()}"))
            orders.append(order)
            if _holds_more_than_is_read(resource):
                unreadable.append(entry)
    unmatched = sum(named.isdisjoint(_names_in(selection)) for selection in set(selections or ()))
    return Drafts(tuple(orders), tuple(active), tuple(seen), tuple(unreadable), unmatched, without_code)


_Name = str | tuple[str, str]
"""A name of a draft order: a full URL, or resource type and id; the type is "" if only the id is given."""


def _names_in(selection: str) -> tuple[_Name, _Name]:
    """Return the possible names in a selection: `Type/id`, a bare id, or a URL, with any version."""
    return references.plain(selection), references.named(selection)


def _names_of(resource: Resource, full_url: str) -> set[_Name]:
    """Return the names under which a draft may be selected."""
    names: set[_Name] = {references.plain(full_url), references.named(full_url)} if full_url else set()
    identifier = id_of(resource)
    if identifier:
        names |= {(resource["resourceType"], identifier), ("", identifier), f"urn:uuid:{identifier}"}
    return names


def _holds_more_than_is_read(order: Resource) -> bool:
    """Return whether an order has more reasons, body sites or contained resources than are read."""
    return (
        len(listed(order.get("reasonCode"))) + len(listed(order.get("reasonReference"))) > MOST_REASONS
        or len(listed(order.get("bodySite"))) > MOST_REASONS
        or len(listed(order.get("contained"))) > MOST_CONTAINED
    )


def _reasons_and_sites(order: Resource) -> int:
    """Return how many reasons and body sites of an order will be read."""
    shaped = in_r4(order)
    coded, sites = listed(shaped.get("reasonCode")), listed(shaped.get("bodySite"))
    return min(len(coded), MOST_REASONS) + len(_referenced(shaped)) + min(len(sites), MOST_REASONS)


def _order(
    sent: Resource, entry: Entry, kind: str, concept: Concept, kinds: OrderKinds, value_sets: ValueSets
) -> Draft:
    resource = in_r4(sent)
    identifier = resource.get("id")
    codes = [
        (system, code)
        for system, code in _codes(resource)
        if kinds.value_sets & (value_sets.of_code(system, code) or frozenset())
    ]
    lost = lost_elements(resource, elements.read(resource, _READ).lost)
    return Draft(
        entry=entry,
        kind=kind,
        concept=concept,
        id=identifier if isinstance(identifier, str) else "",
        codes=tuple(dict.fromkeys(code for _, code in codes)),
        identity=" ".join(sorted(f"{system}|{code}" for system, code in codes)) or concept.words.lower(),
        resource=sent,
        lost=tuple(lost),
        conforms=not (lost or _holds_more_than_is_read(resource)),
    )


def _codes(order: Resource) -> Iterator[tuple[str, str]]:
    for coding in listed(concept_in(order.get("code")).get("coding"))[:MOST_CODINGS]:
        system = canonical(coding.get("system"))
        if system and (code := plain(system, coding.get("code"))):
            yield system, code


def encounter_of(context: str) -> str:
    """Return the encounter named by a call's context, as `Type/id` like those of resources, or ""."""
    kind, identifier = references.named(context)
    return f"{kind or 'Encounter'}/{identifier}" if identifier else ""


def findings(draft: Draft, chart: Chart, value_sets: ValueSets, today: date, encounter: str = "") -> OrderFindings:
    """Return the findings of an order, with its reasons resolved in the chart.

    Args:
        draft: the order.
        chart: where its reasons are looked up.
        value_sets: the guideline's.
        today: the evaluation date.
        encounter: the visit of an order that names none.
    """
    order = in_r4(draft.resource)
    sites = tuple(value_sets.of_concept(site) for site in listed(order.get("bodySite"))[:MOST_REASONS])
    reasons = tuple(_reasons(draft.entry, order, chart, value_sets, today))
    visit = reference_in(order.get("encounter")) or encounter
    return OrderFindings(draft.entry, draft.kind, draft.concept, sites, reasons, visit)


def _reasons(entry: Entry, order: Resource, chart: Chart, value_sets: ValueSets, today: date) -> Iterator[Problem]:
    """Yield an order's reasons; one that does not resolve is read from its display, as words only."""
    for code in listed(order.get("reasonCode"))[:MOST_REASONS]:
        concept = value_sets.of_concept(code)
        if concept.empty and not present(code):
            continue
        yield Problem(Entry(entry.reference, entry_of({"code": code}, concept).display), concept)
    for reference in filter(present, _referenced(order)):
        resource = chart.resolve(reference.get("reference"), order)
        if resource is not None and resource["resourceType"] == "Condition" and chart.is_about_patient(resource):
            concept = value_sets.of_concept(resource.get("code"))
            if counts(resource, today):
                yield problem(resource, concept, chart, value_sets, today)
            else:  # a reason that is over: its words are shown but not used
                named = entry_of(resource, concept)
                yield Problem(Entry(entry.reference, named.display), Concept(texts=concept.texts))
            continue
        display = reference.get("display")
        words = value_sets.of_text(display if isinstance(display, str) else "")
        yield Problem(Entry(entry.reference, words.words or "no words given"), words)


def _referenced(order: Resource) -> list[dict[str, Any]]:
    """Return the references of an order's reason; supportingInfo counts only if nothing else gives a reason."""
    coded = len(listed(order.get("reasonCode")))
    references = listed(order.get("reasonReference"))
    if not references and not coded:
        references = [item for item in listed(order.get("supportingInfo")) if _may_be_condition(item.get("reference"))]
    return references[: max(0, MOST_REASONS - coded)]


def _may_be_condition(reference: object) -> bool:
    return isinstance(reference, str) and ("Condition/" in reference or reference.startswith("#"))
