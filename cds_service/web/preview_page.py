"""The preview: order entry in the browser, against the real service, before an EHR does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request

from cds_service.call import Support, answer
from cds_service.errors import UnknownPath
from cds_service.fhir.fetch import FhirAccess
from cds_service.guideline.services import CdsService, Registry
from cds_service.web.entrance import Entrance
from cds_service.web.pages import page

PATH = "/"
PATIENTS = Path(__file__).parent / "patients"
"""Synthetic patients, whose charts the preview offers."""


def blueprint(
    registry: Registry,
    clock: Callable[[], datetime],
    entrance: Entrance,
    access: FhirAccess,
    pages: Iterable[tuple[str, str]],
    patients: Path = PATIENTS,
) -> Blueprint:
    """Return the page and what it asks for.

    Args:
        registry: the services to try.
        clock: tells the time; its date is the evaluation date.
        entrance: what a request must pass; a trace has the same limits as a call.
        access: fetches what was not prefetched.
        pages: names and paths of all pages that are served.
        patients: a folder of chart Bundles.
    """
    views = Blueprint("preview", __name__)
    listed = list(pages)
    charts = {path.stem: path for path in sorted(patients.glob("*.json"))}

    @views.get(PATH)
    def show() -> Response:
        """Show the page."""
        examples = [example for found in registry.guidelines.values() for example in found.preview.get("example", ())]
        return page("preview.html", PATH, listed, {"setup": _setup(registry, charts), "examples": examples})

    @views.get("/preview/patients/<name>")
    def patient(name: str) -> Response:
        """Return the chart of a synthetic patient."""
        if name not in charts:
            raise UnknownPath("There is no such patient")
        return Response(charts[name].read_bytes(), mimetype="application/fhir+json")

    @views.post("/preview/trace")
    def trace() -> Response:
        """Return the trace of a request: run it through the service again without recording it."""
        entrance.count_reader()
        body = entrance.body()
        with entrance.computing() as deadline:
            support = Support(access, deadline, waiting=entrance.admission.released)
            answered = answer(registry, request.args.get("service", ""), body, clock().date(), support)
        return jsonify({"trace": answered.guidance.explain()})

    return views


def _setup(registry: Registry, charts: Iterable[str]) -> dict[str, Any]:
    """Return what the script of the page needs: services, what each guideline offers, and patients.

    A service's key tells those of a shared id apart. `precautions` says which guidelines have any.
    """
    several = len(registry.guidelines) > 1
    return {
        "services": [
            {
                "id": service.id,
                "key": f"{service.knowledge.identity.id}-{service.hook}",
                "hook": service.hook,
                "label": f"{service.knowledge.identity.title}: {_moment(service)}" if several else _moment(service),
                "prefetch": service.queries,
                "guideline": service.knowledge.identity.id,
            }
            for service in registry.services
        ],
        "choices": {name: dict(knowledge.preview) for name, knowledge in registry.guidelines.items()},
        "precautions": {
            name: any(note.part == "precaution" for note in knowledge.table.notes)
            for name, knowledge in registry.guidelines.items()
        },
        "patients": list(charts),
    }


def _moment(service: CdsService) -> str:
    """Return when a service is called, for people and for developers: "When an order is selected (order-select)"."""
    return f"{service.moment[0].upper()}{service.moment[1:]} ({service.hook})"
