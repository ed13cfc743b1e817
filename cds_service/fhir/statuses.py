"""Statuses as FHIR codes, whatever their code system or shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cds_service.fhir.shapes import concept_in, listed, present
from cds_service.fhir.systems import SNOMED_CT, canonical, plain, says_absent

_CLINICAL: Final = {
    word: frozenset({word}) for word in ("active", "recurrence", "relapse", "inactive", "remission", "resolved")
}
_VERIFICATION: Final = {
    word: frozenset({word})
    for word in ("unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error")
}
_ABSENT: Final[frozenset[str]] = frozenset()
_NO_STATUS: Final = frozenset({"unknown"})
"""R5's and STU3's word for no status."""

_SNOMED_CT: Final = {
    "55561003": "active",
    "246455001": "recurrence",
    "263855007": "relapse",
    "73425007": "inactive",
    "277022003": "remission",
    "413322009": "resolved",
    "410605003": "confirmed",
    "415684004": "provisional",
    "410516002": "refuted",
}
"""Problem statuses of C-CDA and of European profiles."""


def clinical(status: object) -> frozenset[str] | None:
    """Return what a Condition's clinicalStatus says; empty when it is absent, None when it cannot be read.

    Read are a CodeableConcept in FHIR's words or in SNOMED CT (55561003 is active), its text, and a string as in STU3.
    """
    return _read(status, _CLINICAL)


def verification(status: object) -> frozenset[str] | None:
    """Return what a Condition's verificationStatus says; empty when it is absent, None when it cannot be read."""
    return _read(status, _VERIFICATION)


def word(status: object) -> str:
    """Return a status that is one code, such as a Procedure's; "" if it is not one."""
    return status.strip().lower() if isinstance(status, str) else ""


def is_true(flag: object) -> bool:
    """Return whether a boolean is true, or was sent as the word."""
    return flag is True or word(flag) == "true"


_UNKNOWN: Final = "?"


def _read(status: Any, known: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
    if status is None:
        return _ABSENT
    try:
        (coding,) = status["coding"]
        return known[coding["code"]]  # what almost every status is
    except (KeyError, TypeError, ValueError):
        words = _words(present(status))
        return words & known.keys() or (None if words - _NO_STATUS else frozenset())


def _words(status: object) -> frozenset[str]:
    """Return the words of a status; what is there and cannot be read stands as a question mark."""
    if status is None:
        return frozenset()
    concept = concept_in(status)
    if not concept:
        return frozenset({word(status) or _UNKNOWN})
    codings = [coding for coding in listed(concept.get("coding")) if not says_absent(coding.get("system"))]
    words = {_word_of(coding) for coding in codings} - {""}
    if not words and "text" in concept:
        words = {word(concept["text"]) or _UNKNOWN}
    return frozenset(words)


def _word_of(coding: dict[str, Any]) -> str:
    code = coding.get("code", coding.get("display"))
    if canonical(coding.get("system")) == SNOMED_CT:
        return _SNOMED_CT.get(plain(SNOMED_CT, code), _UNKNOWN)
    return "" if code is None else word(code) or _UNKNOWN
