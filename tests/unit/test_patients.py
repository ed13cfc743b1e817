"""Whose an entry is (C8): the patient in context and subjects in every spelling, and records that were merged."""

from __future__ import annotations

import doctest

import pytest

from cds_service.fhir import references
from cds_service.fhir.chart import Availability
from cds_service.fhir.prefetch import gather
from cds_service.main import create
from tests.cases import TODAY, own_settings
from tests.charts import QUERIES, bundle, cards, chart, condition, request

DAY = TODAY.date()
UUID = "8c5f7fc6-3cb9-4b45-9d4c-21a2a8f1a3d2"
BASE = "https://ehr.example.org/fhir/Patient"
SPELLINGS = [
    *("{0}", "Patient/{0}", f"{BASE}/{{0}}", "urn:uuid:{0}", "URN:UUID:{0}", "Patient/{0}/_history/4", " {0} "),
    *("Patient/{0}/", f"{BASE}/{{0}}/_history/4/"),
]


@pytest.mark.parametrize("subject", SPELLINGS)
@pytest.mark.parametrize("spelled", SPELLINGS)
def test_patient_and_subject_are_the_same_in_any_two_spellings(spelled, subject, registry):
    def asked(patient, reference):
        sent = request(condition("278860009", "sct", subject={"reference": reference}))
        sent["context"]["patientId"] = patient
        return cards(registry, sent, DAY)

    assert asked(spelled.format(UUID), subject.format(UUID)) == asked(UUID, f"Patient/{UUID}") != []


@pytest.mark.parametrize("nobody", ["Patient/", "/", " ", "urn:uuid:", "/_history/4"])
def test_a_patient_id_that_names_nobody_is_refused(nobody):
    sent = request(condition("M54.2"))
    sent["context"]["patientId"] = nobody
    response = (
        create(own_settings(), clock=lambda: TODAY)
        .test_client()
        .post("/cds-services/dry-needling-order-select", json=sent)
    )
    assert response.status_code == 400
    assert response.json["issue"][0]["diagnostics"] == "context.patientId must name a patient"


@pytest.mark.parametrize(
    ("subject", "mine"),
    [
        ("Patient/p1", True),
        ([{"reference": "Patient/p1"}], True),
        ([None, "Patient/p1"], True),
        ("05/28/2010", True),  # no reference at all: nobody is named
        ({"reference": None}, True),
        ({"reference": "#p2"}, True),
        ([], True),
        ("Patient/p2", False),
        ({"reference": "Group/p1"}, False),
        ({"reference": "https://ehr.example.org/fhir/Group/p1"}, False),
        ({"reference": "urn:uuid:p2"}, False),
        ({"reference": "p2"}, False),
    ],
)
def test_subjects_in_other_shapes(subject, mine):
    assert bool(chart(condition("M54.2", subject=subject)).entries("Condition")) is mine


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(references).failed == 0


def merged(*links, identifier="p1", **elements):
    return {"resourceType": "Patient", "id": identifier, "link": list(links), **elements}


def link(other, kind="replaces"):
    return {"other": {"reference": other}, "type": kind}


OLD = condition("M54.2", subject={"reference": "Patient/old"})


@pytest.mark.parametrize(
    "patients",
    [
        [merged(link("Patient/old"))],
        [merged(link("https://ehr.example.org/fhir/Patient/old/_history/2"))],
        [merged(link("Patient/old", "replaced-by"))],
        [merged(link("Patient/p1", "replaced-by"), identifier="old")],
        [merged(link("Patient/between")), merged(link("Patient/old"), identifier="between")],
        [{**merged(), "link": link("Patient/old")}],
    ],
)
def test_a_merged_patient_is_this_patient(patients):
    read = chart(OLD, *patients)
    assert read.entries("Condition") == (OLD,)
    assert (read.foreign, read.availability["conditions"]) == (0, Availability.PREFETCHED)


@pytest.mark.parametrize(
    "patients",
    [
        [],
        [merged(link("Patient/old", "seealso"))],
        [merged(link("Patient/old"), identifier="p2")],
        [merged(5, {"type": []})],
    ],
)
def test_a_patient_that_is_only_mentioned_is_another(patients):
    read = chart(OLD, *patients)
    assert read.entries("Condition") == ()
    assert (read.foreign, read.availability["conditions"]) == (1, Availability.OF_OTHERS)
    assert read.without(["conditions"]).availability["conditions"] is Availability.OF_OTHERS


def test_a_patient_may_be_known_by_the_full_url_of_its_entry():
    entries = [{"fullUrl": "https://x.example.org/records/7", "resource": merged()},
               {"resource": condition("M54.2", subject={"reference": "https://x.example.org/records/7"})}]  # fmt: skip
    read = gather("p1", {"all": {"resourceType": "Bundle", "entry": entries}}, QUERIES, {})
    assert len(read.entries("Condition")) == 1


def test_the_patient_sent_is_found_by_any_of_its_ids_or_because_there_is_one_only():
    assert chart(merged(link("Patient/p1"), identifier="old", birthDate="1970")).patient["birthDate"] == "1970"
    assert chart({"resourceType": "Patient", "birthDate": "1970"}).patient["birthDate"] == "1970"
    assert chart(merged(identifier="p2")).patient is None


def test_entries_of_others_beside_those_of_the_patient_are_said_on_the_card(registry):
    other = condition("M54.6", subject={"reference": "Patient/p2"})
    (card,) = cards(registry, request(condition("M54.2"), other), DAY)
    assert "1 entry, another patient's" in card["detail"]


def test_entries_with_an_empty_id_are_all_kept():
    assert len(chart(condition("M54.2", id=""), condition("M54.6", id="")).entries("Condition")) == 2


def test_a_chart_of_many_merged_patients_is_read_once_through():
    chain = [merged(link(f"Patient/p{number + 1}"), identifier=f"p{number}") for number in range(1, 3000)]
    last = condition("M54.2", subject={"reference": "Patient/p3000"})
    assert len(gather("p1", {"all": bundle(*chain, last)}, QUERIES, {}).entries("Condition")) == 1
