"""Whether a resource conforms to FHIR R4 in the elements that are read; each form is validated once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import orjson
from fhir.resources.R4B.careplan import CarePlan
from fhir.resources.R4B.condition import Condition
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.procedure import Procedure
from fhir.resources.R4B.reference import Reference
from fhir.resources.R4B.servicerequest import ServiceRequest
from pydantic import BaseModel, ValidationError

from cds_service.fhir import dates
from cds_service.fhir.bundles import Resource
from cds_service.fhir.chart import reference_to
from cds_service.fhir.elements import present

_MODELS: Final[dict[str, type[BaseModel]]] = {
    "CarePlan": CarePlan,
    "Condition": Condition,
    "Observation": Observation,
    "Procedure": Procedure,
    "ServiceRequest": ServiceRequest,
}
_PATIENT_IN_CONTEXT = Reference(display="the patient in context")

MOST_FORMS = 20_000
"""Forms that are remembered; what comes after them is validated each time."""

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_MOMENT = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2}(?:T\d{2}:\d{2}:\d{2})?)?)?", re.ASCII)
_DIGITS = str.maketrans("123456789", "000000000")
_conforms: dict[bytes, bool] = {}


class UnreadableEntry(Exception):
    """A resource does not conform to FHIR R4 in an element that is read; it is skipped, counted and named."""


def check(resource: Resource, elements: Sequence[str]) -> None:
    """Validate the elements that will be read against the FHIR R4B model of the resource's type.

    R4B models serve R4 data: the types read here have the same elements. Elements that are not read are not validated,
    so that a fault elsewhere in a resource loses nothing. Dates are then read from the raw text, because the models
    turn a partial date into a full one.

    Raises:
        UnreadableEntry: an element that is read does not conform, or the type is not one we read.
    """
    kept = {name: resource[name] for name in ("resourceType", "id", *elements) if name in resource}
    form = _form(kept)
    conforms = _conforms.get(form)
    if conforms is None:
        conforms = _is_valid(kept)
        if len(_conforms) < MOST_FORMS:
            _conforms[form] = conforms
    if not conforms:
        raise UnreadableEntry(reference_to(resource))


def _is_valid(kept: Resource) -> bool:
    # Whose entry it is was settled by is_about_patient; the models require a subject all the same.
    try:
        _MODELS[kept["resourceType"]].model_validate({**present(kept), "subject": _PATIENT_IN_CONTEXT})
    except (KeyError, ValidationError, ValueError, TypeError, OverflowError):
        return False  # the text of the fault quotes the data: it goes nowhere
    return True


def _form(kept: Resource) -> bytes:
    """Return a digest of what decides whether these elements conform.

    Which condition it is and when it began differ from patient to patient, and change nothing about conformance as
    long as the id is a valid one and the day is in the calendar. What is left is the same in chart after chart:
    statuses, codes and their words. Only a digest is kept, never what it was made from.
    """
    general: dict[str, Any] = {}
    for name, value in kept.items():
        if isinstance(value, str):
            if name == "id" and _ID.fullmatch(value):
                continue
            written = _MOMENT.match(value)
            if written and dates.parse(value):
                # Fractions of a second and the time zone stay: not every zone that can be computed with conforms.
                end = written.end()
                general[f"layout of {name}"] = value[:end].translate(_DIGITS) + value[end:]
                continue
        general[name] = value
    return blake2b(orjson.dumps(general), digest_size=16).digest()
