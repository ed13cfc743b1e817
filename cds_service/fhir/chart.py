"""One patient's resources for one call, indexed by type and reference, validated only when read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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

    Holds raw JSON. Entries about another patient are never handed out; `foreign` counts those that mattered.
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
        self._prefetched, self._drafts = tuple(resources), tuple(drafts)
        self._by_type: dict[str, list[Resource]] = {}
        self._by_reference: dict[str, Resource] | None = None
        self._patient_names = {patient_id, f"Patient/{patient_id}"}
        self.foreign = 0
        for resource, full_url in self._prefetched:
            kind = resource["resourceType"]
            if kind in self._by_type:
                self._by_type[kind].append(resource)
            else:
                self._by_type[kind] = [resource]
            if kind == "Patient" and full_url and resource.get("id") == patient_id:
                self._patient_names.add(full_url)

    @property
    def patient(self) -> Resource | None:
        """Return the patient in context, if sent."""
        return next((found for found in self._by_type.get("Patient", ()) if found.get("id") == self.patient_id), None)

    def entries(self, kind: str, passed_over: Callable[[Resource], bool] = lambda _: False) -> Sequence[Resource]:
        """Return the patient's resources of one type, as raw JSON, each once, though it may be sent under two keys.

        Args:
            passed_over: tells which entries nobody needs. Asked first: most of a chart is of no interest, and whose it
                is need not be looked at.
        """
        found: dict[object, Resource] = {}
        for resource in self._by_type.get(kind, ()):
            if passed_over(resource):
                continue
            if self.is_about_patient(resource):
                identifier = resource.get("id")
                found.setdefault(identifier if isinstance(identifier, str) else id(resource), resource)
            else:
                self.foreign += 1
        return tuple(found.values())

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
        index = self._references()
        return index.get(plain) or index.get("/".join(plain.split("/")[-2:]))

    def _references(self) -> dict[str, Resource]:
        """Index references when the first is resolved: most calls resolve none."""
        if self._by_reference is None:
            self._by_reference = {}
            for resource, full_url in (*self._prefetched, *self._drafts):
                if isinstance(resource.get("id"), str):
                    self._by_reference.setdefault(f"{resource['resourceType']}/{resource['id']}", resource)
                if full_url:
                    self._by_reference.setdefault(full_url, resource)
        return self._by_reference

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
