"""One patient's resources for one call, indexed by type and reference, as raw JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

import msgspec
import orjson

from cds_service.errors import TooManyResources
from cds_service.fhir import patients, references
from cds_service.fhir.bundles import Resource, is_resource, opened
from cds_service.fhir.deadline import step
from cds_service.fhir.scan import AsSent, SentResource, plain
from cds_service.limits import MOST_CONTAINED, MOST_READ


class Availability(StrEnum):
    """The outcome of a prefetch key."""

    PREFETCHED = "prefetched"
    """Sent, with entries or as an empty result."""
    PARTIAL = "partial"
    """Sent, but only a first page."""
    EMPTY = "empty"
    """Sent as null or as an empty result: looked for, and nothing found."""
    FAILED = "failed"
    """The client tried and failed, or sent something unreadable."""
    ABSENT = "absent"
    """Not sent."""
    OF_OTHERS = "of-others"
    """Sent, but every entry is about another patient."""


OBTAINED = frozenset({Availability.PREFETCHED, Availability.PARTIAL, Availability.EMPTY})


_QUOTE = ord('"')

Choice = Callable[[Sequence[AsSent]], Sequence[AsSent]]
"""Selects some of a list of resources."""


class Chart:
    """One patient's resources for one call.

    Holds raw JSON. Entries about another patient are never returned; `foreign` counts the relevant ones.
    """

    def __init__(
        self,
        patient_id: str,
        by_type: Mapping[str, Sequence[AsSent]],
        availability: Mapping[str, Availability],
        sources: Sequence[object] = (),
        unreadable: Sequence[str] = (),
        types: Mapping[str, str] | None = None,
    ) -> None:
        """Take the chart as gathered.

        Args:
            patient_id: the patient in context.
            by_type: the resources of the prefetch, by resource type.
            availability: the outcome of each prefetch key.
            sources: where references are resolved: the prefetched values and the draft Bundle.
            unreadable: names of prefetched entries that are not FHIR resources.
            types: the resource type that each prefetch template's key asks for.
        """
        self.unreadable = tuple(unreadable)
        self.patient_id = patient_id
        self.foreign = 0
        self._chosen = 0
        self._by_type = by_type
        self._sources = sources
        self._by_reference: dict[str, AsSent] | None = None
        self._contained: tuple[Resource, dict[str, Resource]] = ({}, {})
        self._patient_reference = f"Patient/{patient_id}"
        self._subject = msgspec.Raw(orjson.dumps({"reference": self._patient_reference}))
        self._patient_ids: frozenset[str] | None = None
        of_others = {key: Availability.OF_OTHERS for key, kind in (types or {}).items() if self._is_of_others(kind)}
        self.availability = MappingProxyType({**availability, **of_others})

    @property
    def resource_count(self) -> int:
        """Return how many entries were sent, including those that are not resources."""
        return sum(map(len, self._by_type.values())) + len(self.unreadable)

    @property
    def patient(self) -> Resource | None:
        """Return the patient in context, if sent: by the id in context, else the only one there is, if it has no id."""
        sent = self._by_type.get("Patient", ())
        if len(sent) == 1 and patients.id_of(sent[0]) in ("", self.patient_id):
            found: AsSent | None = sent[0]
        else:
            found = next((found for found in sent if patients.id_of(found) in self._ids()), None)
        return None if found is None else plain(found)

    def entries(self, kind: str, chosen: Choice | None = None) -> Sequence[Resource]:
        """Return the patient's resources of one type, as raw JSON, without repeats, even if sent under two keys.

        Args and raises: see `sent`.
        """
        return tuple(map(plain, self.sent(kind, chosen)))

    def sent(self, kind: str, chosen: Choice | None = None) -> Sequence[AsSent]:
        """Return the patient's resources of one type as sent, without repeats.

        Args:
            chosen: selects the needed ones. Called first, for all together, because most of a chart is not relevant,
                and then its patient need not be checked.

        Raises:
            TooManyResources: more entries were chosen, of all types together, than are read for one call.
        """
        found: dict[object, AsSent] = {}
        resources = self._by_type.get(kind, ())
        step()
        if chosen:
            resources = chosen(resources)
            self.count_as_read(len(resources))
        for resource in resources:
            if self.is_about_patient(resource):
                found.setdefault(_identity(resource), resource)
            else:
                self.foreign += 1
        return tuple(found.values())

    def about_patient(self, kind: str) -> Sequence[Resource]:
        """Return the patient's resources of one type for a trace after the call; they are not counted."""
        return tuple(plain(resource) for resource in self._by_type.get(kind, ()) if self.is_about_patient(resource))

    def count_as_read(self, number: int) -> None:
        """Count entries that are read.

        Raises:
            TooManyResources: they are more, of all types together, than are read for one call.
        """
        self._chosen += number
        if self._chosen > MOST_READ:
            raise TooManyResources(f"More than {MOST_READ:,} chart entries matter to the order")

    def is_about_patient(self, resource: AsSent) -> bool:
        """Return whether a resource may be the patient's: its subject is this patient, or has no reference."""
        if isinstance(resource, SentResource) and resource.subject == self._subject:  # the usual case
            return True
        step()
        reference = references.target(resource.get("subject") or resource.get("patient"))
        if reference == self._patient_reference:
            return True
        if not reference or reference.startswith("#"):
            return True
        kind, identifier = references.named(reference)
        if identifier == self.patient_id and kind in ("", "Patient"):
            return True
        if kind in ("", "Patient"):
            return identifier in self._ids()
        # An entry's fullUrl may be the only name that a Bundle uses for the patient.
        who = self._references().get(references.plain(reference))
        return who is not None and who["resourceType"] == "Patient" and patients.id_of(who) in self._ids()

    def _is_of_others(self, kind: str) -> bool:
        """Return whether there are resources of a type, and none is about the patient; the first usually is."""
        resources = self._by_type.get(kind, ())
        return bool(resources) and not any(map(self.is_about_patient, resources))

    def _ids(self) -> frozenset[str]:
        """Return the ids of the patient, computed when first needed, because most charts are of one patient."""
        if self._patient_ids is None:
            sent = ((resource, url) for source in self._sources for resource, url in opened(source))
            same = ((resource, url) for resource, url in sent if resource["resourceType"] == "Patient")
            self._patient_ids = patients.ids(self.patient_id, same)
        return self._patient_ids

    def resolve(self, reference: object, container: Resource) -> Resource | None:
        """Return the target of a reference: contained in `container`, in the drafts or in the prefetch."""
        step()
        if not isinstance(reference, str) or not reference:
            return None
        if reference.startswith("#"):
            found = self._contained_in(container)
            return found.get(reference[1:]) or found.get(reference)
        index = self._references()
        target = index.get(references.plain(reference)) or index.get("/".join(references.named(reference)))
        return None if target is None else plain(target)

    def _contained_in(self, container: Resource) -> Mapping[str, Resource]:
        """Index a resource's contained resources, once for all its references."""
        holder, index = self._contained
        if holder is not container:
            contained = container.get("contained")
            index = {}
            for resource in contained[:MOST_CONTAINED] if isinstance(contained, list) else ():
                if is_resource(resource) and isinstance(resource.get("id"), str):
                    index.setdefault(resource["id"], resource)
            self._contained = (container, index)
        return index

    def _references(self) -> dict[str, AsSent]:
        """Index references when the first is resolved, because most calls resolve none."""
        if self._by_reference is None:
            self._by_reference = {}
            for source in self._sources:
                for resource, full_url in opened(source):
                    for name in references.names(resource, full_url):
                        self._by_reference.setdefault(name, resource)
        return self._by_reference

    def without(self, keys: Iterable[str]) -> Chart:
        """Return the same chart after fetching prefetch keys failed."""
        of_others = {key for key, state in self.availability.items() if state is Availability.OF_OTHERS}
        failed = dict.fromkeys((self.availability.keys() - of_others) & set(keys), Availability.FAILED)
        availability = {**self.availability, **failed}
        return Chart(self.patient_id, self._by_type, availability, self._sources, self.unreadable)

    def obtained(self, key: str) -> bool:
        """Return whether a prefetch key was answered, even with nothing."""
        return self.availability.get(key, Availability.ABSENT) in OBTAINED


def _identity(resource: AsSent) -> object:
    """Return the key of a resource within its type: its id or, without one, the identity of the object."""
    if isinstance(resource, SentResource):
        written = bytes(resource.id)
        if len(written) > 2 and written[0] == _QUOTE and b"\\" not in written:
            return written
    identifier = resource.get("id")
    return orjson.dumps(identifier) if isinstance(identifier, str) and identifier else id(resource)


_SHOWN_ID = re.compile(r"(?=.*\w)[\w.:|+=@~-]{1,64}", re.ASCII)
_FHIR_ID = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9.-]{1,64}", re.ASCII)
_TYPE = re.compile(r"[A-Za-z]{1,64}", re.ASCII)


def is_id(value: object) -> bool:
    """Return whether a value has the form of a FHIR id (R4 2.24.0.1), and more than dots, so that URLs may hold it."""
    return isinstance(value, str) and _FHIR_ID.fullmatch(value) is not None


def reference_to(resource: Resource) -> str:
    """Return `Type/id`, or the type alone when the resource has no id, or one that is a path or hides something."""
    identifier, kind = resource.get("id"), resource.get("resourceType")
    shown = kind if isinstance(kind, str) and _TYPE.fullmatch(kind) else "Resource"
    return f"{shown}/{identifier}" if isinstance(identifier, str) and _SHOWN_ID.fullmatch(identifier) else shown
