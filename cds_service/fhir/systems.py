"""Code systems and codes in one spelling, whatever a chart writes: the only place that compares them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

ICD_10_CM: Final = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED_CT: Final = "http://snomed.info/sct"
LOINC: Final = "http://loinc.org"
CPT: Final = "http://www.ama-assn.org/go/cpt"

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    ICD_10_CM: ("http://hl7.org/fhir/sid/icd-10-us", "2.16.840.1.113883.6.90"),
    SNOMED_CT: ("2.16.840.1.113883.6.96",),
    LOINC: ("2.16.840.1.113883.6.1",),
    CPT: ("2.16.840.1.113883.6.12", "http://ama-assn.org/go/cpt"),
}
"""The systems that value sets are written in, with the other names each is met under. Others: see code_tables.py."""

_ABSENCE: Final = frozenset(
    {
        "http://terminology.hl7.org/codesystem/data-absent-reason",
        "http://hl7.org/fhir/data-absent-reason",
        "http://terminology.hl7.org/codesystem/v3-nullflavor",
        "http://hl7.org/fhir/v3/nullflavor",
        "urn:oid:2.16.840.1.113883.5.1008",
    }
)
"""Systems whose codes say why there is none."""

_WITH_MODIFIERS: Final = frozenset({CPT})
_CODE: Final = re.compile(r"[A-Z0-9][A-Z0-9.-]{2,}", re.ASCII)
_OID: Final = re.compile(r"[0-2](?:\.\d+)+", re.ASCII)
_MODIFIED: Final = re.compile(r"([A-Z0-9]\d{3}[A-Z0-9])(?:[\s,:-]+[A-Z0-9]{2})+", re.ASCII)
_BLOCK: Final = re.compile(r"([A-Z])(\d[0-9A-Z])-\1(\d[0-9A-Z])", re.ASCII)
_LONGEST_NAME = 200
_MOST_SPELLINGS = 1000
LONGEST_CODE = 40
"""Characters of a code that are looked at."""

_UNDERSTOOD: Final = (
    "http://hl7.org/fhir/sid/icd-10", "2.16.840.1.113883.6.3",  # WHO's
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm", "http://fhir.de/CodeSystem/dimdi/icd-10-gm",
    "http://hl7.org/fhir/sid/icd-10-gm", "http://hl7.org/fhir/sid/icd-10-de", "http://hl7.org/fhir/sid/icd-10-am",
    "http://hl7.org/fhir/sid/icd-10-ca", "http://hl7.org/fhir/sid/icd-10-nl",
    "http://www.cms.gov/Medicare/Coding/ICD10", "http://hl7.org/fhir/sid/icd-10-pcs", "2.16.840.1.113883.6.4",
    "http://hl7.org/fhir/sid/icd-9-cm", "2.16.840.1.113883.6.103",
    "http://www.nlm.nih.gov/research/umls/rxnorm", "2.16.840.1.113883.6.88",
    "http://hl7.org/fhir/sid/ndc", "2.16.840.1.113883.6.69",
    "http://www.whocc.no/atc", "2.16.840.1.113883.6.73",
    "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "http://terminology.hl7.org/CodeSystem/HCPCS-all-codes",
    "http://www.nlm.nih.gov/research/umls/hcpcs", "2.16.840.1.113883.6.285",
    "http://hl7.org/fhir/sid/cvx", "2.16.840.1.113883.12.292",
)  # fmt: skip
"""Systems whose codes are of a known system whether or not a guideline's files name it, under each of their names."""


def canonical(system: object) -> str | None:
    """Return the normalized name of a code system; None if it is not a name.

    Equal are: http and https, any case, with and without a slash at the end or a `|version`, an OID with and without
    `urn:oid:`, and the editions of SNOMED CT.
    """
    if not isinstance(system, str):
        return None
    found = _spellings.get(system)
    if found is None:
        folded = _folded(system)
        found = _CANONICAL.get(folded, folded)
        if len(_spellings) < _MOST_SPELLINGS and len(system) <= _LONGEST_NAME:
            _spellings[system] = found
    return found or None


def says_absent(system: object) -> bool:
    """Return whether codes of a system mean an absent value: data-absent-reason, and the null flavors of v3."""
    return canonical(system) in _ABSENCE


def plain(system: str | None, code: object) -> str:
    """Return a normalized code; "" if it cannot be a code.

    A number is read as its digits. What cannot be a code of any known system, such as a date, is not a code. ICD-10
    codes are accepted with and without the dot, all codes in either case, and CPT codes with modifiers (20560-59),
    which do not change what was ordered.
    """
    if isinstance(code, int) and not isinstance(code, bool):
        code = str(code) if -(10**LONGEST_CODE) < code < 10**LONGEST_CODE else ""
    if not isinstance(code, str):
        return ""
    text = code[:LONGEST_CODE].strip().upper()
    if system in _WITH_MODIFIERS and (modified := _MODIFIED.fullmatch(text)):
        return modified[1]
    if len(code) > LONGEST_CODE or (system in KNOWN and not _CODE.fullmatch(text)):
        return ""
    return text.replace(".", "")


def categories(entry: str) -> Iterator[str]:
    """Yield the plain categories that an entry of a list of codes stands for: itself, or all of an ICD-10 block.

    >>> list(categories("D80-D82"))
    ['D80', 'D81', 'D82']
    """
    block = _BLOCK.fullmatch(entry.strip().upper())
    if block is None:
        yield plain(None, entry)
        return
    letter, first, last = block.groups()
    for digit, other in product("0123456789", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        if first <= digit + other <= last:
            yield letter + digit + other


def _folded(system: str) -> str:
    text = system[:_LONGEST_NAME].split("|", maxsplit=1)[0].strip().rstrip("/").lower()
    if text.startswith("https://"):
        text = "http://" + text.removeprefix("https://")
    if text.startswith(f"{SNOMED_CT}/"):
        return SNOMED_CT
    return f"urn:oid:{text}" if _OID.fullmatch(text) else text


_CANONICAL: Final = {_folded(other): name for name, others in _NAMES.items() for other in (name, *others)}

KNOWN: Final = frozenset(_NAMES) | frozenset(map(_folded, _UNDERSTOOD))
"""The systems that every guideline knows: a code of one of them is understood, if only as something else."""

_spellings: dict[str, str] = {}
"""Spellings met so far: the same few come again and again."""
