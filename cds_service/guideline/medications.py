"""MedicationRequest resources to medications that are active: by code, by the Medication they name, or by words."""

from __future__ import annotations

from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import Chart
from cds_service.fhir.concepts import Concept
from cds_service.fhir.statuses import word
from cds_service.fhir.value_sets import ValueSets
from cds_service.guideline.conditions import entry_of
from cds_service.guideline.findings import Medication


def read(chart: Chart, value_sets: ValueSets) -> tuple[Medication, ...]:
    """Read the patient's active medication requests that mean or say something to the guideline."""
    found = []
    for request in chart.entries("MedicationRequest"):
        if word(request.get("status")) != "active":
            continue
        concept = _concept(request, chart, value_sets)
        if concept.kinds:
            found.append(Medication(entry_of(request, concept), concept))
    return tuple(found)


def _concept(request: Resource, chart: Chart, value_sets: ValueSets) -> Concept:
    """Return what is requested: medicationCodeableConcept, the Medication referred to, or the reference's words."""
    coded = request.get("medicationCodeableConcept")
    if isinstance(coded, dict):
        return value_sets.of_concept(coded)
    reference = request.get("medicationReference")
    if not isinstance(reference, dict):
        return Concept()
    medication = chart.resolve(reference.get("reference"), request)
    if medication is not None and medication["resourceType"] == "Medication" and medication.get("code"):
        return value_sets.of_concept(medication["code"])
    display = reference.get("display")
    return value_sets.of_text(display if isinstance(display, str) else "")
