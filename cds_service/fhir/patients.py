"""A patient's ids, including those of merged records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cds_service.fhir import references
from cds_service.fhir.scan import AsSent
from cds_service.fhir.shapes import listed
from cds_service.fhir.statuses import word

_SAME_PERSON: Final = frozenset({"replaces", "replaced-by", "replace"})
"""Types of Patient.link that say that two records were merged (R4 8.1.9); a refer or seealso does not."""

_MOST_LINKS = 100
"""Links of one Patient that are followed."""


def id_of(resource: AsSent) -> str:
    """Return the id of a resource, or "" when it has none."""
    identifier = resource.get("id")
    return identifier.strip() if isinstance(identifier, str) else ""


def ids(patient_id: str, sent: Iterable[tuple[AsSent, str]]) -> frozenset[str]:
    """Return the ids under which a patient is known: that in context, and those of records merged with it.

    Args:
        patient_id: the patient in context.
        sent: Patient resources, each with the fullUrl of its entry, which may be the only name a Bundle uses for it.
    """
    same: dict[str, set[str]] = {}
    for resource, full_url in sent:
        own = {id_of(resource), references.named(full_url)[1]} - {""}
        known = own | _merged_with(resource)
        for identifier in known:
            same.setdefault(identifier, set()).update(known if identifier in own else own)
    found, ahead = {patient_id}, [patient_id]
    while ahead:
        new = same.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return frozenset(found)


def _merged_with(resource: AsSent) -> set[str]:
    links = listed(resource.get("link"))[:_MOST_LINKS]
    others = (references.target(link.get("other")) for link in links if word(link.get("type")) in _SAME_PERSON)
    return {references.named(other)[1] for other in others} - {""}
