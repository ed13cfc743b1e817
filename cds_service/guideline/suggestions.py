"""From decisions to suggestions (actions.toml): delete an order, place another, add a note. One action each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha1
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import is_id
from cds_service.fhir.chart_text import hides_characters
from cds_service.fhir.shapes import present
from cds_service.guideline.decided import Decided
from cds_service.guideline.orders import OrderKinds
from cds_service.guideline.rules import conditions
from cds_service.guideline.table import Condition, FactSpace, holds
from cds_service.guideline.toml_files import check_keys, unknown
from cds_service.protocol.cards import Action, Coding, Suggestion

_TYPES = ("create", "update", "delete")


@dataclass(frozen=True, slots=True)
class SuggestionText:
    """One kind of suggestion, as actions.toml words it.

    Attributes:
        type: what it does: delete the order, update it with a note, or create another order.
        creates: name of the order to create.
        note: text of the note to add.
        due: time until the date of the note; zero if it has none.
        recommended: facts for which it is recommended; None if it never is.
        when: facts that must hold for an order; otherwise there is no suggestion for it.
    """

    type: str
    label: str
    description: str
    creates: str = ""
    note: str = ""
    due: timedelta = timedelta()
    recommended: tuple[Condition, ...] | None = None
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Actions:
    """Suggestions by name, the orders that they create, and override reasons."""

    suggestions: Mapping[str, SuggestionText]
    orders: Mapping[str, Mapping[str, str]]
    override_reasons: tuple[Coding, ...]


def read(document: Mapping[str, Any], space: FactSpace) -> Actions:
    """Read actions.toml.

    Args:
        document: the file.
        space: every fact and the values it can have.

    Raises:
        KnowledgeError: an entry is wrong; the message names file, entry and key.
    """
    check_keys("actions.toml", document, {}, ("suggestion", "order", "override_reasons"))
    orders = document.get("order", {})
    for name, entry in orders.items():
        check_keys(f"actions.toml: order {name}", entry, dict.fromkeys(("system", "code", "display", "text"), str))
    texts = {name: _text(name, entry, orders, space) for name, entry in document.get("suggestion", {}).items()}
    reasons = document.get("override_reasons", {"system": "-", "codes": {}})
    check_keys("actions.toml: override_reasons", reasons, {"system": str, "codes": dict})
    codes = tuple(Coding(system=reasons["system"], code=code, display=d) for code, d in reasons["codes"].items())
    return Actions(texts, orders, codes)


def _text(name: str, entry: dict[str, Any], orders: Mapping[str, Any], space: FactSpace) -> SuggestionText:
    where = f"actions.toml: suggestion {name}"
    required = {"type": str, "label": str, "description": str}
    check_keys(where, entry, required, ("creates", "note", "due_weeks", "recommended", "when"))
    needed = {"create": "creates", "update": "note"}.get(entry["type"])
    if entry["type"] not in _TYPES:
        raise KnowledgeError(f"{where}: type: {unknown('type', entry['type'], _TYPES)}")
    if needed and needed not in entry:
        raise KnowledgeError(f"{where}: {needed}: is missing")
    if "creates" in entry and entry["creates"] not in orders:
        raise KnowledgeError(f"{where}: creates: {unknown('order', entry['creates'], tuple(orders))}")
    return SuggestionText(
        type=entry["type"],
        label=entry["label"],
        description=entry["description"],
        creates=entry.get("creates", ""),
        note=entry.get("note", ""),
        due=timedelta(weeks=entry.get("due_weeks", 0)),
        recommended=_recommended(where, entry.get("recommended", False), space),
        when=conditions(where, entry.get("when", {}), space),
    )


def _recommended(where: str, value: object, space: FactSpace) -> tuple[Condition, ...] | None:
    """Read `recommended`: true, false, or facts."""
    if isinstance(value, dict):
        return conditions(f"{where}: recommended", value, space)
    return () if value is True else None


@dataclass(frozen=True, slots=True)
class Occasion:
    """What suggestions need to know about their card: uuid, patient and date."""

    card: str
    patient_id: str
    today: date


def compose(
    occasion: Occasion, decided: Sequence[Decided], actions: Actions, kinds: OrderKinds
) -> list[tuple[str, Suggestion]]:
    """Return the suggestions of one card with their names; none for an order without a valid FHIR id (H4).

    Without an order, the only possible suggestion is to create one.
    """
    known = [item for item in decided if is_id(item.draft.id) or not item.draft.kind]
    names = dict.fromkeys(
        name
        for item in known
        for name in (*item.decision.rule.suggestions, *(note.suggestion for note in item.decision.notes))
        if name
    )
    composed = _Composer(occasion, known, actions, kinds)
    return [(name, suggestion) for name in names for suggestion in composed.named(name)]


def named_uuid(space: str, name: str) -> str:
    """Return the version 5 UUID (RFC 9562) of a name in a namespace, three times as fast as uuid5.

    >>> named_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com")
    '2ed6657d-e927-568b-95e1-2665a8aea6a2'
    """
    made = bytearray(sha1(bytes.fromhex(space.replace("-", "")) + name.encode(), usedforsecurity=False).digest()[:16])
    made[6] = made[6] & 0x0F | 0x50
    made[8] = made[8] & 0x3F | 0x80
    digits = made.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class _Composer:
    """Makes the suggestions of one card."""

    def __init__(self, occasion: Occasion, known: Sequence[Decided], actions: Actions, kinds: OrderKinds) -> None:
        self._occasion = occasion
        self._known = known
        self._actions = actions
        self._kinds = kinds

    def named(self, name: str) -> Iterable[Suggestion]:
        """Yield the suggestions of one name: one per order, but at most one that creates an order."""
        text = self._actions.suggestions[name]
        due = (self._occasion.today + text.due).isoformat()
        for item in self._known:
            if not holds(text.when, item.facts):
                continue
            words = {
                "order": self._kinds.name(item.draft.kind).lower(),
                "item": item.draft.entry.display,
                "date": due,
            }
            label = text.label.format(**words)
            if len(self._known) > 1 and text.type != "create":
                label = f"{label}: {words['item']}"
            action = self._action(text, item, words)
            if action is None:
                continue
            uuid = named_uuid(self._occasion.card, f"{name} {item.draft.entry.reference}")
            if text.recommended is not None and holds(text.recommended, item.facts):
                yield Suggestion(label=label, uuid=uuid, isRecommended=True, actions=[action])
            else:
                yield Suggestion(label=label, uuid=uuid, actions=[action])
            if text.type == "create":
                return

    def _action(self, text: SuggestionText, item: Decided, words: Mapping[str, str]) -> Action | None:
        """Return the action of a suggestion; None if the order cannot be used for it."""
        order = item.draft.resource
        description = text.description.format(**words)
        if not item.draft.kind:
            resource = self._new_order(text.creates, {}) if text.type == "create" else None
            return Action(type="create", description=description, resource=resource) if resource else None
        if text.type == "delete":
            return Action(type="delete", description=description, resourceId=f"{order['resourceType']}/{item.draft.id}")
        if not _can_be_built_upon(item):
            return None
        if text.type == "update":
            resource = _with_note(order, text.note.format(**words))
            return Action(type="update", description=description, resource=resource)
        return Action(type="create", description=description, resource=self._new_order(text.creates, order))

    def _new_order(self, name: str, draft: Resource) -> Resource:
        """Return a new order for the same patient, encounter and requester as the draft."""
        wanted = self._actions.orders[name]
        kept = {name: present(draft.get(name)) for name in ("intent", "subject", "encounter", "requester")}
        code = {"coding": [{key: wanted[key] for key in ("system", "code", "display")}], "text": wanted["text"]}
        as_in_r5 = "concept" in (draft.get("code") or {})  # as in the order's FHIR version
        return {
            "resourceType": "ServiceRequest",
            "status": "draft",
            "intent": kept["intent"] or "order",
            "code": {"concept": code} if as_in_r5 else code,
            "subject": kept["subject"] or {"reference": f"Patient/{self._occasion.patient_id}"},
            **{name: kept[name] for name in ("encounter", "requester") if kept[name]},
        }


def _can_be_built_upon(item: Decided) -> bool:
    """Return whether an order was read completely, and has nothing that a clinician would not see on the card."""
    resource = item.draft.resource
    return item.draft.conforms and resource["resourceType"] == "ServiceRequest" and not hides_characters(resource)


def _with_note(order: Resource, text: str) -> Resource:
    """Return the whole order with one more note; null elements are left out."""
    kept = {name: element for name, element in order.items() if element is not None}
    return {**kept, "note": [*(present(order.get("note")) or ()), {"text": text}]}
