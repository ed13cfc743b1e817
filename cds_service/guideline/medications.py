"""From MedicationRequest resources to active medications: by code, by the Medication they name, or by words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cds_service.fhir import elements
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart
from cds_service.fhir.concepts import Concept
from cds_service.fhir.scan import AsSent
from cds_service.fhir.shapes import in_r4
from cds_service.fhir.statuses import word
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline.conditions import entry_of, lost_elements, unread_status
from cds_service.guideline.findings import Entry, Medication

_READ = ("status", "medicationCodeableConcept", "medicationReference")


@dataclass(slots=True)
class MedicationsRead:
    """What was read from medication requests: the related ones, and unreadable elements."""

    medications: list[Medication] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)


def read(chart: Chart, value_sets: ValueSets) -> MedicationsRead:
    """Read the patient's active medication requests that are related to the guideline."""
    found = MedicationsRead()
    for sent in chart.entries("MedicationRequest", _perhaps_active):
        request = in_r4(sent)
        concept = concept_of(request, chart, value_sets)
        if not concept.kinds:
            continue
        if not word(request.get("status")):
            found.lost += unread_status(request)
            continue
        found.lost += lost_elements(request, elements.read(request, _READ).lost)
        found.medications.append(Medication(entry_of(request, concept), concept))
    return found


def _perhaps_active(requests: Sequence[AsSent]) -> Sequence[AsSent]:
    """Leave out requests that are over; one without a readable status is kept, and named."""
    return [request for request in requests if word(request.get("status")) in ("", "active")]


def concept_of(request: Resource, chart: Chart, value_sets: ValueSets) -> Concept:
    """Return the medication: medicationCodeableConcept, the Medication referred to, or the reference's words."""
    coded = value_sets.of_concept(request.get("medicationCodeableConcept"))
    if not coded.empty:
        return coded
    reference = request.get("medicationReference")
    if not isinstance(reference, dict):
        return Concept()
    medication = chart.resolve(reference.get("reference"), request)
    if medication is not None and medication["resourceType"] == "Medication" and medication.get("code"):
        return value_sets.of_concept(medication["code"])
    display = reference.get("display")
    return value_sets.of_text(display if isinstance(display, str) else "")
