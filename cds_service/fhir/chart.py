"""One patient's resources for one call, indexed by type and reference, validated only when read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from fhir.resources.R4B.careplan import CarePlan
from fhir.resources.R4B.condition import Condition
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.procedure import Procedure
from fhir.resources.R4B.servicerequest import ServiceRequest
from pydantic import BaseModel, ValidationError

Resource = dict[str, Any]

_MODELS: Final[dict[str, type[BaseModel]]] = {
    "CarePlan": CarePlan,
    "Condition": Condition,
    "Observation": Observation,
    "Procedure": Procedure,
    "ServiceRequest": ServiceRequest,
}


class Availability(StrEnum):
    """What became of a prefetch key."""

    PREFETCHED = "prefetched"
    """Sent, with entries or as an empty result."""
    PARTIAL = "partial"
    """Sent, but only a first page."""
    EMPTY = "empty"
    """Sent as null or as an empty result: looked for, none on file."""
    FAILED = "failed"
    """The client tried and failed, or sent something unreadable."""
    ABSENT = "absent"
    """Not sent."""


OBTAINED = frozenset({Availability.PREFETCHED, Availability.PARTIAL, Availability.EMPTY})


class UnreadableEntry(Exception):
    """A resource does not conform to FHIR R4 in an element that is read; it is skipped, counted and named."""


class Chart:
    """One patient's resources for one call.

    Holds raw JSON. Entries about another patient are never handed out; `foreign` counts them.
    """

    def __init__(
        self,
        patient_id: str,
        resources: Iterable[tuple[Resource, str]],
        availability: Mapping[str, Availability],
        drafts: Iterable[tuple[Resource, str]] = (),
        unreadable: Sequence[str] = (),
    ) -> None:
        """Index the chart.

        Args:
            patient_id: the patient in context.
            resources: each resource of the prefetch with its entry's fullUrl, or "".
            availability: for each prefetch template's key, what became of it.
            drafts: resources of the draft Bundle: they resolve references, but are no entries of the chart.
            unreadable: names of prefetched entries that are no FHIR resources at all.
        """
        self.unreadable = tuple(unreadable)
        self.patient_id = patient_id
        self.availability = MappingProxyType(dict(availability))
        self._by_type: dict[str, list[Resource]] = {}
        self._by_reference: dict[str, Resource] = {}
        self._patient_names = {patient_id, f"Patient/{patient_id}"}
        self._mine: dict[str, tuple[Resource, ...]] = {}
        self.foreign = 0
        seen: set[tuple[str, str]] = set()
        for resource, full_url in resources:
            kind = resource["resourceType"]
            self._register(resource, full_url)
            key = (kind, resource["id"]) if isinstance(resource.get("id"), str) else None
            if key is None or key not in seen:  # one entry may be sent under two keys
                self._by_type.setdefault(kind, []).append(resource)
            if key is not None:
                seen.add(key)
        for resource, full_url in drafts:
            self._register(resource, full_url)

    def _register(self, resource: Resource, full_url: str) -> None:
        kind, identifier = resource["resourceType"], resource.get("id")
        if isinstance(identifier, str):
            self._by_reference.setdefault(f"{kind}/{identifier}", resource)
        if full_url:
            self._by_reference.setdefault(full_url, resource)
            if kind == "Patient" and identifier == self.patient_id:
                self._patient_names.add(full_url)

    @property
    def patient(self) -> Resource | None:
        """Return the patient in context, if sent."""
        found = self._by_reference.get(f"Patient/{self.patient_id}")
        return found if found and found["resourceType"] == "Patient" else None

    def entries(self, kind: str) -> Sequence[Resource]:
        """Return the patient's resources of one type, as raw JSON, in the order sent."""
        if kind not in self._mine:
            mine = tuple(resource for resource in self._by_type.get(kind, ()) if self.is_about_patient(resource))
            self.foreign += len(self._by_type.get(kind, ())) - len(mine)
            self._mine[kind] = mine
        return self._mine[kind]

    def is_about_patient(self, resource: Resource) -> bool:
        """Tell whether a resource may be the patient's: its subject is this patient, or names nobody by reference."""
        subject = resource.get("subject") or resource.get("patient")
        reference = subject.get("reference") if isinstance(subject, dict) else None
        if not isinstance(reference, str) or reference.startswith("#"):
            return True
        if reference in self._patient_names:
            return True
        plain = reference.split("/_history/")[0]
        return plain in self._patient_names or plain.rsplit("/", 1)[-1].removeprefix("urn:uuid:") == self.patient_id

    def resolve(self, reference: object, container: Resource) -> Resource | None:
        """Return what a reference points to: contained in `container`, in the drafts or in the prefetch."""
        if not isinstance(reference, str) or not reference:
            return None
        if reference.startswith("#"):
            contained = container.get("contained")
            for resource in contained if isinstance(contained, list) else ():
                if isinstance(resource, dict) and resource.get("id") in (reference[1:], reference):
                    return resource if isinstance(resource.get("resourceType"), str) else None
            return None
        plain = reference.split("/_history/")[0]
        return self._by_reference.get(plain) or self._by_reference.get("/".join(plain.split("/")[-2:]))

    def obtained(self, key: str) -> bool:
        """Tell whether a prefetch key was answered, if only with nothing."""
        return self.availability.get(key, Availability.ABSENT) in OBTAINED


def reference_to(resource: Resource) -> str:
    """Return `Type/id`, or the type alone when the resource has no id."""
    identifier = resource.get("id")
    kind = resource.get("resourceType")
    return f"{kind}/{identifier}" if isinstance(identifier, str) and identifier else str(kind)


def check(resource: Resource, elements: Sequence[str]) -> None:
    """Validate the elements that will be read against the FHIR R4B model of the resource's type.

    R4B models serve R4 data: the types read here have the same elements. Elements that are not read are not validated,
    so that a fault elsewhere in a resource loses nothing. Dates are then read from the raw text, because the models
    turn a partial date into a full one.

    Raises:
        UnreadableEntry: an element that is read does not conform, or the type is not one we read.
    """
    kept = {name: resource[name] for name in ("resourceType", "id", *elements) if name in resource}
    # Whose entry it is was settled by is_about_patient; the models require a subject all the same.
    kept["subject"] = {"display": "the patient in context"}
    try:
        _MODELS[resource["resourceType"]].model_validate(kept)
    except (KeyError, ValidationError, ValueError, TypeError, OverflowError):
        # The text of the fault quotes the data: it goes nowhere.
        raise UnreadableEntry(reference_to(resource)) from None
