"""Decisions to suggestions: remove the order, refer for exercise, record a review. One action each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID, uuid5

from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import is_id
from cds_service.fhir.chart_text import hides_characters
from cds_service.fhir.shapes import present
from cds_service.protocol import Action, Suggestion
from hooks.dry_needling.decision import Decided
from hooks.dry_needling.guideline import Guideline

REVIEW_AFTER = timedelta(weeks=12)


@dataclass(frozen=True, slots=True)
class Card:
    """What suggestions need to know of the card they belong to."""

    uuid: UUID
    patient_id: str
    decided: Sequence[Decided]
    today: date


def compose(card: Card, loaded: Guideline) -> list[tuple[str, Suggestion]]:
    """Return the suggestions of one card with their names; none for an order without an id of FHIR's form (H4)."""
    known = [item for item in card.decided if is_id(item.order.id)]
    if not known:
        return []
    names = dict.fromkeys(
        name
        for item in known
        for name in (*item.decision.rule.suggestions, *(note.suggestion for note in item.decision.notes))
        if name
    )
    return [(name, suggestion) for name in names for suggestion in _named(name, card, known, loaded)]


def _named(name: str, card: Card, known: Sequence[Decided], loaded: Guideline) -> Iterable[Suggestion]:
    words = loaded.actions.suggestions[name]
    due = (card.today + REVIEW_AFTER).isoformat()
    for item in known:
        order = loaded.words.summary_names[item.order.findings.modality].lower()
        told = {"order": order, "item": item.order.findings.entry.display, "date": due}
        description = words["description"].format(**told)
        label = words["label"].format(**told)
        if len(known) > 1 and name in ("remove-order", "review-12-weeks"):
            label = f"{label}: {item.order.findings.entry.display}"
        uuid = str(uuid5(card.uuid, f"{name} {item.order.findings.entry.reference}"))
        if name == "remove-order":
            reference = f"{item.order.resource['resourceType']}/{item.order.id}"
            delete = Action(type="delete", description=description, resourceId=reference)
            yield Suggestion(label=label, uuid=uuid, isRecommended=True, actions=[delete])
        elif not _can_be_built_upon(item):
            continue
        elif name == "review-12-weeks":
            resource = _with_note(item.order.resource, words["note"].format(**told))
            update = Action(type="update", description=description, resource=resource)
            yield Suggestion(label=label, uuid=uuid, actions=[update])
        elif not item.assessment.facts.active_therapy:
            resource = _therapy_order(item.order.resource, card.patient_id, loaded)
            create = Action(type="create", description=description, resource=resource)
            yield Suggestion(label=label, uuid=uuid, actions=[create])
            return  # one referral is enough, however many orders share the card


def _can_be_built_upon(item: Decided) -> bool:
    """Return whether an order was read whole, and holds nothing that a clinician would not see on the card."""
    resource = item.order.resource
    return item.order.conforms and resource["resourceType"] == "ServiceRequest" and not hides_characters(resource)


def _with_note(order: Resource, text: str) -> Resource:
    """Return the whole order with one more note; an element that is null is no element and is left out."""
    kept = {name: element for name, element in order.items() if element is not None}
    return {**kept, "note": [*(present(order.get("note")) or ()), {"text": text}]}


def _therapy_order(order: Resource, patient_id: str, loaded: Guideline) -> Resource:
    """Return a new order for the same patient, encounter and requester as the draft."""
    therapy = loaded.actions.therapy_order
    draft = {name: present(order.get(name)) for name in ("intent", "subject", "encounter", "requester")}
    code = {"coding": [{key: therapy[key] for key in ("system", "code", "display")}], "text": therapy["text"]}
    return {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": draft["intent"] or "order",
        "code": {"concept": code} if "concept" in (order.get("code") or {}) else code,  # as in the order's FHIR release
        "subject": draft["subject"] or {"reference": f"Patient/{patient_id}"},
        **{name: draft[name] for name in ("encounter", "requester") if draft[name]},
    }
