"""References in one spelling, whatever their form; the only module that parses them."""

from __future__ import annotations

import re

from cds_service.fhir.scan import AsSent

_BARE = re.compile(r"(?:\S+/)?[A-Z][A-Za-z]+/[^/\s]+(?:/_history/\S+)?|urn:uuid:\S+")
_URN = "urn:uuid:"


def target(value: object) -> str:
    """Return what an element refers to as written; "" when it names nothing by reference.

    A Reference is met as a list of one, and as the bare text of its reference.
    """
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict | str)), None)
    if isinstance(value, str):
        return value.strip() if _BARE.fullmatch(value.strip()) else ""
    written = value.get("reference") if isinstance(value, dict) else None
    return written.strip() if isinstance(written, str) else ""


def plain(reference: str) -> str:
    """Return a reference without its version, and without blanks and slashes around it.

    >>> plain(" https://ehr.example.org/fhir/Patient/p1/_history/4/ ")
    'https://ehr.example.org/fhir/Patient/p1'
    """
    return reference.split("/_history", 1)[0].strip().rstrip("/")


def named(reference: str) -> tuple[str, str]:
    """Return type and id of what a reference names; the type is "" where only an id is given.

    >>> named("https://ehr.example.org/fhir/Patient/p1/")
    ('Patient', 'p1')
    >>> named("URN:UUID:8c5f7fc6-3cb9-4b45-9d4c-21a2a8f1a3d2")
    ('', '8c5f7fc6-3cb9-4b45-9d4c-21a2a8f1a3d2')
    """
    text = plain(reference)
    if text[: len(_URN)].lower() == _URN:
        return "", text[len(_URN) :]
    path, _, identifier = text.rpartition("/")
    return path.rpartition("/")[2], identifier


def names(resource: AsSent, full_url: str) -> tuple[str, ...]:
    """Return the references by which a resource of a Bundle is found: `Type/id`, and the full URL of its entry."""
    identifier = resource.get("id")
    own = (
        (f"{resource['resourceType']}/{identifier.strip()}",)
        if isinstance(identifier, str) and identifier.strip()
        else ()
    )
    return (*own, plain(full_url)) if full_url else own
