"""Code systems and codes in every spelling that is met (F-D3): each is one system and one code."""

from __future__ import annotations

import pytest

from cds_service.fhir import systems
from cds_service.fhir.systems import CPT, ICD_10_CM, LOINC, SNOMED_CT, canonical, plain, says_absent

OIDS = {CPT: "12", LOINC: "1", SNOMED_CT: "96", ICD_10_CM: "90"}


def spellings(system):
    bare = f"2.16.840.1.113883.6.{OIDS[system]}"
    secure = system.replace("http://", "https://")
    for name in (system, secure, bare, f"urn:oid:{bare}"):
        yield from (name, name.upper(), f"{name}/", f"{name}|2026-09", f" {name} ")


@pytest.mark.parametrize("system", OIDS)
def test_a_system_is_known_in_every_spelling(system):
    assert {canonical(spelled) for spelled in spellings(system)} == {system}


@pytest.mark.parametrize("system", OIDS)
def test_membership_does_not_depend_on_the_spelling(system, knowledge):
    for code in {CPT: ["20560"], LOINC: ["72514-3"], SNOMED_CT: ["278860009"], ICD_10_CM: ["M54.50"]}[system]:
        found = {knowledge.value_sets.of_code(spelled, code) for spelled in spellings(system)}
        assert found == {knowledge.value_sets.of_code(system, code)} != {frozenset()}


def test_an_edition_of_snomed_ct_is_snomed_ct():
    assert canonical("http://snomed.info/sct/731000124108/version/20260301") == SNOMED_CT


@pytest.mark.parametrize("nothing", ["", " ", "/", None, 5, [], {}])
def test_what_is_no_system(nothing):
    assert canonical(nothing) is None


def test_a_system_of_a_site_keeps_its_name_apart_from_the_spelling():
    assert canonical("HTTPS://Clinic.example.org/Codes/") == canonical("http://clinic.example.org/codes")


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("20560", "20560"),
        ("20560-59", "20560"),
        ("20560 59", "20560"),
        ("20560-59-LT", "20560"),
        (" 20560-gp ", "20560"),
        ("20560:59", "20560"),
        ("0552T-59", "0552T"),
        (20560, "20560"),
        ("205601", "205601"),
        ("20560-590", "20560-590"),
        (True, ""),
        (20560.0, ""),
        (10**60, ""),
        (None, ""),
        ([], ""),
    ],
)
def test_procedure_codes_are_met_with_modifiers_and_as_numbers(code, read):
    assert plain(CPT, code) == read


def test_modifiers_are_of_procedure_codes_only():
    assert plain(LOINC, "72514-38") == "72514-38"


def test_systems_that_say_why_there_is_no_code():
    assert says_absent("http://terminology.hl7.org/CodeSystem/data-absent-reason")
    assert says_absent("http://hl7.org/fhir/v3/NullFlavor")
    assert not says_absent(SNOMED_CT)


def test_the_memory_of_spellings_is_bounded():
    for number in range(systems._MOST_SPELLINGS + 100):
        canonical(f"https://clinic.example.org/{number}")
    canonical("x" * 1_000_000)
    assert len(systems._spellings) <= systems._MOST_SPELLINGS
    assert max(map(len, systems._spellings)) <= systems._LONGEST_NAME
