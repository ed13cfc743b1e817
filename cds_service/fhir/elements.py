"""Elements of raw FHIR JSON as they are meant: what is empty is absent, and older and newer shapes are R4's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cds_service.fhir.bundles import Resource

_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {
    "Condition": {"assertedDate": "recordedDate", "dateRecorded": "recordedDate"},
    "Procedure": {f"occurrence{kind}": f"performed{kind}" for kind in ("DateTime", "Period", "String", "Age", "Range")},
    "ServiceRequest": {"reasonCodeableConcept": "reasonCode", "reason": "reasonCode"},
    "ProcedureRequest": {"reasonCodeableConcept": "reasonCode", "reason": "reasonCode"},
}
"""Names of DSTU2, STU3 and R5 for elements of R4, by resource type."""


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

    R5's CodeableReference holds it as its concept. A Coding where a CodeableConcept belongs is its only coding, and a
    single coding stands for a list of one.
    """
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


def in_r4(resource: Resource) -> Resource:
    """Return a resource with the names and shapes that R4 has for elements of DSTU2, STU3 and R5.

    R5 gives the reasons of an order as CodeableReferences, which may be concepts, references or both.
    """
    names = _RENAMED.get(resource["resourceType"], {})
    older = [name for name in names if resource.get(name) is not None]
    if not older and not _is_codeable_reference(resource.get("code")):
        return resource
    found = {name: part for name, part in resource.items() if name not in older}
    if _is_codeable_reference(resource.get("code")):
        found["code"] = concept_in(resource["code"])
    for name in older:
        if names[name] == "reasonCode":
            parts = listed(resource[name])
            concepts = [part for part in parts if not part.keys().isdisjoint(("concept", "coding", "text"))]
            found["reasonCode"] = [*listed(found.get("reasonCode")), *map(concept_in, concepts)]
            references = [part["reference"] for part in parts if isinstance(part.get("reference"), dict)]
            found["reasonReference"] = [*listed(found.get("reasonReference")), *references]
        else:
            found.setdefault(names[name], resource[name])
    return found


def listed(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; a single object stands for a list of one."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_codeable_reference(code: object) -> bool:
    return isinstance(code, dict) and "concept" in code
