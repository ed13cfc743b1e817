"""Normalizes raw FHIR JSON: empty elements are absent, and shapes of other releases become R4's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cds_service.fhir.bundles import Resource
from cds_service.limits import MOST_CODINGS

_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {
    "Condition": {"assertedDate": "recordedDate", "dateRecorded": "recordedDate"},
    "MedicationRequest": {"medication": "medicationCodeableConcept"},
    "Procedure": {f"occurrence{kind}": f"performed{kind}" for kind in ("DateTime", "Period", "String", "Age", "Range")},
    "ServiceRequest": {"reasonCodeableConcept": "reasonCode", "reason": "reasonCode"},
    "ProcedureRequest": {"reasonCodeableConcept": "reasonCode", "reason": "reasonCode"},
}
"""Names of DSTU2, STU3 and R5 for elements of R4, by resource type."""

_LISTS: Final = frozenset(
    {"activity", "category", "coding", "component", "note", "reasonCode", "reasonReference", "referenceRange"}
)
"""Elements that are lists in every type that is read and has them."""

_SINGLE: Final = frozenset({"code", "detail", "onsetAge", "valueCodeableConcept", "valueQuantity"})
"""Elements that are never lists."""

_CODES: Final = frozenset({"code", "system"})


def present(value: Any) -> Any:
    """Return JSON without nulls, blank strings and empty lists and objects, at any depth; None when nothing is left.

    FHIR's JSON knows no empty property (R4 2.6.2), yet real charts hold them; each means that the element is absent.
    """
    if isinstance(value, dict):
        kept = {name: found for name, part in value.items() if (found := present(part)) is not None}
        return kept or None
    if isinstance(value, list):
        return [found for part in value if (found := present(part)) is not None] or None
    if isinstance(value, str) and not value.strip():
        return None
    return value


def concept_in(value: object) -> dict[str, Any]:
    """Return the CodeableConcept in an element; empty when there is none.

    R5's CodeableReference holds it as its concept. A Coding where a CodeableConcept belongs is its only coding, a
    single coding stands for a list of one, and a list of one concept for the concept.
    """
    if isinstance(value, list) and len(value) == 1:
        return {} if isinstance(value[0], list) else concept_in(value[0])
    if not isinstance(value, dict):
        return {}
    inner = value.get("concept")
    if isinstance(inner, dict) and "coding" not in value and "text" not in value:
        return concept_in(inner)
    coding = value.get("coding")
    if isinstance(coding, dict):
        return {**value, "coding": [coding]}
    if coding is None and "code" in value:
        return {"coding": [value]}
    return value


def tidied(kind: str, elements: Mapping[str, Any]) -> dict[str, Any]:
    """Return elements of a resource with what can be mended without a guess.

    What is empty is left out, blanks around texts are too, numbers where codes belong are text, a single object where a
    list belongs is a list of one, and a list of one where an object belongs is that object.
    """
    tidy = _tidied(elements) or {}
    if kind != "Observation" and isinstance(tidy.get("bodySite"), dict):
        tidy["bodySite"] = [tidy["bodySite"]]
    return tidy


def _tidied(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: found for name, part in value.items() if (found := _tidied(part)) is not None}
        for name in kept.keys() & _LISTS:
            if isinstance(kept[name], dict):
                kept[name] = [kept[name]]
        for name in kept.keys() & _SINGLE:
            if isinstance(kept[name], list) and len(kept[name]) == 1 and isinstance(kept[name][0], dict):
                (kept[name],) = kept[name]
        for name in kept.keys() & _CODES:
            if type(kept[name]) is int:
                kept[name] = str(kept[name])
            elif isinstance(kept[name], str):
                kept[name] = " ".join(kept[name].split())
        return kept or None
    if isinstance(value, list):
        return [found for part in value if (found := _tidied(part)) is not None] or None
    return value.strip() or None if isinstance(value, str) else value


Codings = tuple[tuple[object, object, object], ...]
"""System, code and display of each coding of a concept."""


def coded_parts(concept: object) -> tuple[object, Codings]:
    """Return the text of a concept, and its codings as far as they are read; a code that is a number is text."""
    try:
        (coding,) = concept["coding"]  # type: ignore[index]  # what almost every concept is
        system, code, display = coding["system"], coding["code"], coding.get("display")
        if type(code) is str:
            return concept.get("text"), ((system, code, display),)  # type: ignore[attr-defined]
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    plainly = concept_in(concept)
    codings = plainly.get("coding")
    dicts = [item for item in codings[:MOST_CODINGS] if isinstance(item, dict)] if isinstance(codings, list) else []
    return plainly.get("text"), tuple([(c.get("system"), _code(c.get("code")), c.get("display")) for c in dicts])


def _code(value: object) -> object:
    return str(value) if type(value) is int else value


def in_r4(resource: Resource) -> Resource:
    """Return a resource with the names and shapes that R4 has for elements of DSTU2, STU3 and R5.

    R5 gives the reasons of an order and its medication as CodeableReferences: concepts, references or both.
    """
    names = _RENAMED.get(resource["resourceType"], {})
    if names.keys().isdisjoint(resource) and not _is_codeable_reference(resource.get("code")):
        return resource
    older = [name for name in names if resource.get(name) is not None]
    found = {name: part for name, part in resource.items() if name not in older}
    if _is_codeable_reference(resource.get("code")):
        found["code"] = concept_in(resource["code"])
    for name in older:
        if names[name] == "reasonCode":
            concepts, references = _split(resource[name])
            found["reasonCode"] = [*listed(found.get("reasonCode")), *concepts]
            found["reasonReference"] = [*listed(found.get("reasonReference")), *references]
        elif name == "medication":
            concepts, references = _split(resource[name])
            found |= dict(zip(("medicationCodeableConcept",), concepts, strict=False))
            found |= dict(zip(("medicationReference",), references, strict=False))
        else:
            found.setdefault(names[name], resource[name])
    return found


def _split(value: object) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the concepts and the references of CodeableReferences, or of what is one of both."""
    parts = listed(value)
    concepts = [concept_in(part) for part in parts if not part.keys().isdisjoint(("concept", "coding", "text"))]
    return concepts, [part["reference"] for part in parts if isinstance(part.get("reference"), dict)]


def listed(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; a single object stands for a list of one."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_codeable_reference(code: object) -> bool:
    return isinstance(code, dict) and "concept" in code
