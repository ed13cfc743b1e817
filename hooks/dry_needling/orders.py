"""Draft orders to needling orders: which are meant, which count, and what each is for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cds_service.bounds import MOST_CONTAINED, MOST_REASONS
from cds_service.fhir import elements
from cds_service.fhir.bundles import Resource, entries_of, is_resource
from cds_service.fhir.chart import Chart
from cds_service.fhir.shapes import concept_in, in_r4, listed, present
from cds_service.fhir.statuses import is_true, word
from cds_service.fhir.systems import canonical, plain
from hooks.dry_needling.diagnoses import UnreadableEntry, counts, entry_of, lost_elements, meanings_of, problem
from hooks.dry_needling.findings import Entry, Modality, OrderFindings, Problem, Region
from hooks.dry_needling.guideline import Guideline

_NO_ORDER = ("revoked", "completed", "entered-in-error", "cancelled")  # cancelled is ProcedureRequest's word in STU3
_TYPES = ("ServiceRequest", "ProcedureRequest")
ORDER_VALUE_SETS = frozenset({"dry-needling-orders", "trigger-point-injection-orders"})
_CONDITION = re.compile(r"(?:https?://[^\s?#]+/)?Condition/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?")
_READ = (
    "status", "intent", "code", "doNotPerform", "encounter", "requester", "bodySite", "reasonCode", "reasonReference",
    "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NeedlingOrder:
    """A draft order for needling.

    Attributes:
        findings: what the order says, as the decision takes it.
        id: the order's id, or "" when it has none: then nothing can be suggested for it.
        codes: its procedure codes, as far as they are in a value set.
        identity: what tells orders of the same thing: its codes, or its words where it has none.
        resource: the order as sent.
        lost: elements of it, and of conditions it refers to, that could not be read.
        conforms: nothing of it was lost and it holds nothing beyond what is read, so that it can be built upon.
    """

    findings: OrderFindings
    id: str
    codes: tuple[str, ...]
    identity: str
    resource: Resource
    lost: tuple[Entry, ...]
    conforms: bool


@dataclass(frozen=True, slots=True)
class DraftOrder:
    """A draft order as the trace lists it: what became of it and why."""

    entry: Entry
    outcome: str


@dataclass(frozen=True, slots=True)
class OrdersRead:
    """What became of the draft orders.

    Attributes:
        needling: the needling orders that are meant.
        active: every draft that counts as an order and has a procedure code, selected or not.
        seen: all drafts with what became of each, for the trace.
        unreadable: entries that are no resources, or needling orders that hold more than is read.
        unmatched_selections: how many selections name no draft order.
        without_code: how many draft orders have neither a code nor words that can be read.
    """

    needling: tuple[NeedlingOrder, ...]
    active: tuple[Resource, ...]
    seen: tuple[DraftOrder, ...]
    unreadable: tuple[Entry, ...]
    unmatched_selections: int
    without_code: int


def read(
    drafts: Mapping[str, Any], selections: tuple[str, ...] | None, chart: Chart, guideline: Guideline, today: date
) -> OrdersRead:
    """Read the draft orders.

    Args:
        drafts: the draft Bundle, whatever it holds.
        selections: the selected orders of order-select; None means every order (order-sign).
    """
    needling: list[NeedlingOrder] = []
    active: list[Resource] = []
    seen: list[DraftOrder] = []
    unreadable: list[Entry] = []
    without_code = 0
    named: set[_Name] = set()
    selected = frozenset(name for selection in selections or () for name in _names_in(selection))
    for number, sent, full_url in entries_of(drafts):
        if not is_resource(sent):
            unreadable.append(Entry(f"draftOrders entry {number}", "draft order"))
            continue
        resource = in_r4(sent)
        concept = guideline.value_sets.of_concept(resource.get("code"))
        entry = entry_of(resource, concept)
        names = _names_of(resource, full_url)
        named |= names
        if resource["resourceType"] not in _TYPES:
            seen.append(DraftOrder(entry, "not a request for a procedure"))
            continue
        if is_true(resource.get("doNotPerform")) or word(resource.get("status")) in _NO_ORDER:
            seen.append(DraftOrder(entry, "no order: not to be performed, or already over"))
            continue
        active.append(resource)
        without_code += concept.empty
        modality = guideline.modality(concept)
        if modality is Modality.NONE:
            seen.append(DraftOrder(entry, "not needling"))
        elif selections is not None and selected.isdisjoint(names):
            seen.append(DraftOrder(entry, "not selected"))
        else:
            order = _needling_order(sent, entry, modality, chart, guideline, today)
            seen.append(DraftOrder(entry, f"considered as {modality}"))
            needling.append(order)
            if _holds_more_than_is_read(resource):
                unreadable.append(entry)
    unmatched = sum(named.isdisjoint(_names_in(selection)) for selection in set(selections or ()))
    return OrdersRead(tuple(needling), tuple(active), tuple(seen), tuple(unreadable), unmatched, without_code)


_Name = str | tuple[str, str]
"""What a draft order goes by: a full URL, or resource type and id; the type is "" where only the id is given."""


def _names_in(selection: str) -> tuple[_Name, _Name]:
    """Return what a selection may mean: `Type/id`, a bare id, or a URL, whatever version it names."""
    plain = selection.split("/_history/", 1)[0]
    kind, _, identifier = plain.rpartition("/")
    return plain, (kind.rpartition("/")[-1], identifier)


def _names_of(resource: Resource, full_url: str) -> set[_Name]:
    """Return the names under which a draft may be selected."""
    names: set[_Name] = {full_url} if full_url else set()
    identifier = resource.get("id")
    if isinstance(identifier, str) and identifier:
        names |= {(resource["resourceType"], identifier), ("", identifier), f"urn:uuid:{identifier}"}
    return names


def _holds_more_than_is_read(order: Resource) -> bool:
    """Return whether reasons, body sites or contained resources of an order stay unread, because there are too many."""
    return (
        len(listed(order.get("reasonCode"))) + len(listed(order.get("reasonReference"))) > MOST_REASONS
        or len(listed(order.get("bodySite"))) > MOST_REASONS
        or len(listed(order.get("contained"))) > MOST_CONTAINED
    )


def _needling_order(
    sent: Resource,
    entry: Entry,
    modality: Modality,
    chart: Chart,
    guideline: Guideline,
    today: date,
) -> NeedlingOrder:
    resource = in_r4(sent)
    identifier = resource.get("id")
    words = guideline.value_sets.of_concept(resource.get("code")).words
    codes = [
        (system, code)
        for system, code in _codes(resource)
        if ORDER_VALUE_SETS & (guideline.value_sets.of_code(system, code) or frozenset())
    ]
    own_lost = lost_elements(resource, elements.read(resource, _READ).lost)
    read_reasons = _reasons(resource, entry, chart, guideline, today)
    findings = OrderFindings(
        entry=entry,
        modality=modality,
        region=_region(resource, read_reasons.texts, guideline),
        reasons=tuple(read_reasons.problems),
        reason_unread=read_reasons.unread,
    )
    return NeedlingOrder(
        findings=findings,
        id=identifier if isinstance(identifier, str) else "",
        codes=tuple(dict.fromkeys(code for _, code in codes)),
        identity=" ".join(sorted(f"{system}|{code}" for system, code in codes)) or words.lower(),
        resource=sent,
        lost=(*own_lost, *read_reasons.lost),
        conforms=not (own_lost or _holds_more_than_is_read(resource)),
    )


def _codes(order: Resource) -> Iterator[tuple[str, str]]:
    for coding in listed(concept_in(order.get("code")).get("coding")):
        system = canonical(coding.get("system"))
        if system and (code := plain(system, coding.get("code"))):
            yield system, code


@dataclass(slots=True)
class _Reasons:
    """An order's reasons that could be read, the free texts of those that could not, and whether any was unread."""

    problems: list[Problem] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)
    unread: bool = False


def _reasons(order: Resource, entry: Entry, chart: Chart, guideline: Guideline, today: date) -> _Reasons:
    reasons = _Reasons()
    for code in listed(order.get("reasonCode"))[:MOST_REASONS]:
        concept = guideline.value_sets.of_concept(code)
        meanings = meanings_of(concept)
        if meanings:
            told = entry_of({"code": code}, concept)
            reasons.problems.append(Problem(Entry(entry.reference, told.display), meanings))
        elif not concept.empty or present(code):
            reasons.texts.extend(concept.texts)
            reasons.unread = True
    for reference in _referenced(order):
        found = _referenced_problem(reference, order, chart, guideline, today)
        if found is None:
            reasons.unread = True
            display = reference.get("display")
            reasons.texts.extend([display] if isinstance(display, str) else [])
        elif found:
            reasons.problems.append(found[0])
            reasons.lost += found[1]
    return reasons


def _referenced(order: Resource) -> list[dict[str, Any]]:
    """Return the references of an order's reason; supportingInfo counts only where nothing else gives a reason."""
    coded = len(listed(order.get("reasonCode")))
    references = listed(order.get("reasonReference"))
    if not references and not coded:
        references = [item for item in listed(order.get("supportingInfo")) if _may_be_condition(item.get("reference"))]
    return references[: max(0, MOST_REASONS - coded)]


def _may_be_condition(reference: object) -> bool:
    return isinstance(reference, str) and ("Condition/" in reference or reference.startswith("#"))


def references(order: NeedlingOrder) -> tuple[str, ...]:
    """Return the conditions outside of itself that an order's reason refers to."""
    found = (reference.get("reference") for reference in _referenced(in_r4(order.resource)))
    return tuple(target for target in found if isinstance(target, str) and _CONDITION.fullmatch(target))


def _referenced_problem(
    reference: dict[str, Any], order: Resource, chart: Chart, guideline: Guideline, today: date
) -> tuple[Problem, list[Entry]] | tuple[()] | None:
    """Return the condition a reference points to and its lost elements; empty if it does not count, None if unread."""
    resource = chart.resolve(reference.get("reference"), order)
    if resource is None or resource["resourceType"] != "Condition" or not chart.is_about_patient(resource):
        return None
    concept = guideline.value_sets.of_concept(resource.get("code"))
    meanings = meanings_of(concept)
    try:
        if not counts(resource, today):
            return ()
        return problem(resource, concept, meanings, chart) if meanings else None
    except UnreadableEntry:
        return None


def _region(order: Resource, texts: list[str], guideline: Guideline) -> Region:
    """Return where the order is for: by its body site's codes, else by the words of body site or free-text reason."""
    sites = [guideline.value_sets.of_concept(site) for site in listed(order.get("bodySite"))[:MOST_REASONS]]
    by_code = {name for site in sites for name in site.value_sets}
    words = [text for site in sites for text in site.texts]
    if "body-site-lumbar" in by_code:
        return Region.LOW_BACK
    if sites and all("body-site-elsewhere" in site.value_sets for site in sites):
        return Region.ELSEWHERE
    return guideline.words.region(words or texts)
