"""Value sets: FHIR resources that validate, official codes and displays, membership, and what a site adds."""

from __future__ import annotations

import json

import orjson
import pytest
import simple_icd_10_cm
from fhir.resources.R4B.valueset import ValueSet

from cds_service.errors import KnowledgeError
from cds_service.fhir import scan, value_set_files, value_sets
from cds_service.fhir.systems import CPT, ICD_10_CM, LOINC, SNOMED_CT
from hooks.dry_needling import GUIDELINE, regions

FOLDER = GUIDELINE.folder / "value_sets"
FILES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_is_a_valid_value_set_named_like_its_file(path):
    resource = ValueSet.model_validate(orjson.loads(path.read_bytes()))
    assert resource.id == path.stem
    assert resource.status == "active"
    assert resource.description


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_icd_10_cm_code_and_display_is_official(path, knowledge):
    for (system, code), display in knowledge.value_sets.displays[path.stem].items():
        assert display != code
        if system == ICD_10_CM:
            assert simple_icd_10_cm.get_description(code.rstrip("-").rstrip(".")) == display


def test_every_set_that_regions_name_is_a_value_set():
    names = {path.stem for path in FILES}
    named = regions.PAINFUL | regions.LUMBAR_DISEASE | regions.NO_MEANING | regions.ACUTE_CODES | regions.CHRONIC_CODES
    assert named <= names


@pytest.mark.parametrize(
    ("system", "code", "expected"),
    [
        (ICD_10_CM, "M54.50", {"low-back-pain"}),
        ("http://hl7.org/fhir/sid/icd-10", "m545", {"low-back-pain"}),
        ("urn:oid:2.16.840.1.113883.6.96", "278860009", {"chronic-low-back-pain"}),
        ("urn:oid:2.16.840.1.113883.6.1", "72514-3", {"pain-score"}),
        ("urn:oid:2.16.840.1.113883.6.12", "20560", {"dry-needling-orders"}),
        ("http://snomed.info/sct/", "23056005", {"lumbar-radiculopathy"}),
        (ICD_10_CM, "M51.361", {"degenerative-lumbar-disease", "lumbar-radiculopathy"}),
        (ICD_10_CM, "M51.36", {"degenerative-lumbar-disease"}),
        (ICD_10_CM, "G43.909", {"headache"}),
        (ICD_10_CM, "M62.830", {"myofascial-pain"}),
        ("HTTPS://www.ama-assn.org/go/cpt/|2026", "20560-59", {"dry-needling-orders"}),
        ("2.16.840.1.113883.6.12", "20560 59", {"dry-needling-orders"}),
        (CPT, 20561, {"dry-needling-orders"}),
        ("http://snomed.info/sct/731000124108/version/20250901", "23056005", {"lumbar-radiculopathy"}),
        (" http://fhir.de/CodeSystem/bfarm/ICD-10-GM|2026 ", "M54.5", {"low-back-pain"}),
        ("http://hl7.org/fhir/sid/icd-10-nl", "m54.4", {"low-back-pain-within-another-code", "lumbar-radiculopathy"}),
        (ICD_10_CM, "M54.1", set()),
        (ICD_10_CM, "J30.2", set()),
        (SNOMED_CT, "20560", set()),
        (CPT, " 97110 ", {"active-therapy", "conservative-care"}),
        (LOINC, "LA10139-6", {"pain-score-answers"}),
    ],
)
def test_membership(system, code, expected, knowledge):
    assert knowledge.value_sets.of_code(system, code) == expected


@pytest.mark.parametrize(
    ("system", "code"),
    [("https://clinic.example.org", "M54.50"), (None, "M54.50"), (ICD_10_CM, None), (ICD_10_CM, ""), ([], {}), (1, 2)],
)
def test_an_unknown_system_or_no_code_says_nothing(system, code, knowledge):
    assert knowledge.value_sets.of_code(system, code) is None


def remembered(knowledge):
    return len(knowledge.value_sets._remembered)


@pytest.mark.parametrize(
    "concept",
    [
        {"coding": [{"system": ICD_10_CM, "code": "M54.50" + "9" * 1_000_000}]},
        {"coding": [{"system": "x" * 1000, "code": "a"}]},
        {"text": "x" * 1000},
        {"coding": [{"system": ICD_10_CM, "code": str(number)} for number in range(100)]},
        {"coding": [{"system": [], "code": {}}]},
    ],
)
def test_odd_concepts_cost_no_memory_and_match_nothing(concept, knowledge):
    before = remembered(knowledge)
    assert knowledge.value_sets.of_concept(concept).value_sets == set()
    assert remembered(knowledge) == before


def test_a_concept_is_read_once(knowledge):
    concept = {"coding": [{"system": ICD_10_CM, "code": "M54.59", "display": "once"}]}
    assert knowledge.value_sets.of_concept(concept) is knowledge.value_sets.of_concept(dict(concept))


def test_a_text_matches_by_its_exact_words_only_when_no_known_code_is_there(knowledge):
    words = knowledge.value_sets
    assert words.of_concept({"text": " low  back PAIN "}).value_sets == {"low-back-pain"}
    assert words.of_concept({"text": "Low back pain (finding)"}).value_sets == {"low-back-pain"}
    assert words.of_concept({"text": "low back pain after lifting"}).value_sets == set()
    coded = {"text": "Low back pain", "coding": [{"system": ICD_10_CM, "code": "J30.2"}]}
    assert words.of_concept(coded).value_sets == set()
    assert words.of_concept(coded).coded


GM, READ = "http://fhir.de/CodeSystem/bfarm/icd-10-gm", "http://read.info/ctv3"


@pytest.mark.parametrize(
    ("concept", "recognition"),
    [
        ({"coding": [{"system": ICD_10_CM, "code": "M54.50"}]}, "code"),
        ({"coding": [{"system": GM, "code": "M54.5"}]}, "code"),
        ({"coding": [{"system": GM, "code": "J30.2", "display": "Heuschnupfen"}]}, "not-recognized"),
        ({"coding": [{"system": GM, "code": "J30.2"}, {"system": READ, "code": "X"}]}, "not-recognized"),
        ({"coding": [{"system": READ, "code": "16C5."}], "text": "Low back pain"}, "words"),
        ({"text": "Low back pain"}, "words"),
        ({"coding": [{"system": READ, "code": "16C5.", "display": "C/O - low back pain"}]}, "unknown-system"),
        ({"coding": [{"system": READ, "code": "16C5."}]}, "unknown-system"),
        ({"coding": [{"code": "M54.5"}]}, "unknown-system"),
        ({"coding": [{"display": "Back trouble"}]}, "free-text"),
        ({"coding": [{"system": GM}], "text": "Back trouble"}, "free-text"),
        ({"coding": [{"system": GM, "code": " "}]}, "empty"),
        ({"coding": [{"system": READ, "code": True}]}, "empty"),
        ({}, "empty"),
    ],
)
def test_a_code_we_do_not_know_is_told_from_a_system_we_do_not_know_and_from_free_text(concept, recognition, knowledge):
    """F-D6: "not recognized", "coded in a system this service does not know" and "free text" are three things."""
    assert knowledge.value_sets.of_concept(concept).recognition == recognition


def test_the_standard_words_of_an_entrys_own_code_are_not_read_for_nerve_roots(knowledge):
    coded = {"coding": [{"system": SNOMED_CT, "code": "23056005", "display": "Sciatica"}]}
    read = knowledge.value_sets.of_concept
    assert "sciatica-words" not in read({**coded, "text": "Sciatica (disorder)"}).said
    assert "sciatica-words" in read({**coded, "text": "Sciatica, worse on the left"}).said
    assert (
        "sciatica-words"
        in read({**coded, "coding": [{"system": ICD_10_CM, "code": "M54.50", "display": "Sciatica"}]}).said
    )
    assert "sciatica-words" in read({"text": "Sciatica"}).said


@pytest.mark.parametrize("odd", [None, [], "text", 7, {"coding": {}}, {"coding": [None, 5, {}]}, {"text": 5}])
def test_what_is_no_concept_is_empty(odd, knowledge):
    assert knowledge.value_sets.of_concept(odd).empty


def site_file(folder, **changes):
    resource = {
        "resourceType": "ValueSet",
        "id": "dry-needling-orders",
        "compose": {
            "include": [{"system": "https://clinic.example.org", "concept": [{"code": "DN1", "display": "DN"}]}]
        },
    }
    resource.update(changes)
    (folder / "local.json").write_text(json.dumps(resource), encoding="utf-8")


def test_a_site_adds_codes_without_touching_the_package(tmp_path):
    site_file(tmp_path)
    loaded = value_set_files.load(FOLDER, tmp_path)
    assert loaded.of_code("https://clinic.example.org", "dn1") == {"dry-needling-orders"}
    assert loaded.of_code(CPT, "20560") == {"dry-needling-orders"}
    assert loaded.of_code("https://clinic.example.org", "other") is None


@pytest.mark.parametrize(
    ("changes", "must_say"),
    [
        ({"id": "nobody"}, "local.json: id: 'nobody' is not the id of a guideline's value set"),
        ({"id": 5}, "local.json: id: is missing"),
        ({"resourceType": "CodeSystem"}, "local.json: resourceType: must be ValueSet"),
        ({"compose": {}}, "local.json: compose.include: must list a system with concepts or filters"),
        ({"compose": {"include": [{"system": 5}]}}, "local.json: compose.include.system: must be text"),
        (
            {"compose": {"include": [{"system": "s"}]}},
            "local.json: compose.include.concept: must list at least one code",
        ),
        (
            {"compose": {"include": [{"system": "s", "concept": [{"code": " "}]}]}},
            "local.json: compose.include.concept.code: must be text",
        ),
        *(
            (
                {"compose": {"include": [{"system": "s", "concept": [{"code": "1"}]}], "exclude": [{"filter": wrong}]}},
                "local.json: compose.exclude.filter: only seventh-character in a list such as D,S is supported",
            )
            for wrong in (
                [],
                [{"property": "seventh-character", "op": "=", "value": "D"}],
                [{"property": "seventh-character", "op": "in", "value": 5}],
            )
        ),
        (
            {"compose": {"include": [{"system": "s", "filter": [{"op": "regex", "value": "M.*"}]}]}},
            "local.json: compose.include.filter.op: only is-a is supported",
        ),
    ],
)
def test_a_wrong_site_file_is_refused_by_name(changes, must_say, tmp_path):
    site_file(tmp_path, **changes)
    with pytest.raises(KnowledgeError) as refused:
        value_set_files.check_known(value_set_files.of_site(tmp_path), {"dry-needling-orders"})
    assert str(refused.value) == must_say


def test_a_site_file_that_is_no_json_and_a_folder_that_is_not_there(tmp_path):
    (tmp_path / "x.json").write_text("{", encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"x\.json: is not JSON"):
        value_set_files.load(FOLDER, tmp_path)
    with pytest.raises(KnowledgeError, match="does not exist"):
        value_set_files.load(FOLDER, tmp_path / "nowhere")


def test_a_filter_without_a_display_stands_for_itself(tmp_path):
    category = {"property": "concept", "op": "is-a", "value": "LOC"}
    site_file(tmp_path, compose={"include": [{"system": "https://clinic.example.org", "filter": [category]}]})
    loaded = value_set_files.load(FOLDER, tmp_path)
    assert loaded.of_code("https://clinic.example.org", "LOC.12") == {"dry-needling-orders"}


@pytest.mark.parametrize(
    ("concept", "nothing"),
    [
        ({"coding": [{"system": ICD_10_CM, "code": "J30.2"}]}, True),
        ({"coding": [{"system": ICD_10_CM, "code": "J30.2"}, {"system": SNOMED_CT, "code": "38341003"}]}, True),
        ({"coding": [{"system": ICD_10_CM, "code": "J30.2"}, {"system": "https://x.org", "code": "1"}]}, False),
        ({"coding": [{"system": ICD_10_CM, "code": "M54.2"}]}, False),
        ({"coding": [{"system": "https://x.org", "code": "J30.2"}]}, False),
        ({"coding": [{"system": [], "code": {}}]}, False),
        ({"coding": [None]}, False),
        ({"coding": []}, False),
        ({"coding": {}}, False),
        ({"text": "Dry needling"}, False),
        (None, False),
    ],
)
def test_what_means_nothing_is_known_without_reading_its_words(concept, nothing):
    loaded = value_set_files.load(FOLDER)
    resources = [{"code": concept}, {"code": concept, "id": "again"}]
    looked_at = looked_at_in_place({"resourceType": "Procedure", "code": concept})
    for _ in range(2):  # the second time from memory
        assert loaded.of_concept(concept).meaningless is nothing
        assert loaded.meaningful(resources) == ([] if nothing else resources)
        assert loaded.meaningful([looked_at]) == ([] if nothing else [looked_at])
    assert loaded.meaningful([{}]) == [{}]  # without a code, whoever reads it decides


def looked_at_in_place(resource):
    """Return a resource of a request that is large enough to be looked at only."""
    unread = [{}] * scan.SMALL
    sent = {"prefetch": {"x": {"resourceType": "Bundle", "entry": [{"resource": resource}, *unread]}}}
    return scan.read(orjson.dumps(sent))["prefetch"]["x"]["entry"][0]["resource"]


def test_the_memory_of_codes_is_bounded(monkeypatch):
    loaded = value_set_files.load(FOLDER)
    codes = [{"coding": [{"system": ICD_10_CM, "code": f"J{number:02}"}]} for number in range(100)]
    codes += [{"coding": [{"system": ICD_10_CM, "code": "J30.2"}], "text": "x" * 1000}]
    monkeypatch.setattr(value_sets, "_REMEMBERED", 50)
    for code in codes * 2:
        assert loaded.meaningful([looked_at_in_place({"resourceType": "Procedure", "code": code})]) == []
    assert len(loaded._by_form) == 50
    assert all(len(form) < 500 for form in loaded._by_form)


@pytest.mark.parametrize(
    ("concept", "silent"),
    [
        ({"coding": [{"system": ICD_10_CM, "code": "J30.2", "display": "Hay fever"}]}, True),
        ({"coding": [{"system": ICD_10_CM, "code": "J30.2", "display": "Lumbar facet pain"}]}, False),
        ({"coding": [{"system": ICD_10_CM, "code": "J30.2"}], "text": "Lumbar facet pain"}, False),
        ({"coding": [{"system": ICD_10_CM, "code": "J30.2"}, {"system": SNOMED_CT, "code": "38341003"}]}, True),
        ({"coding": [{"system": ICD_10_CM, "code": "J30.2"}, None]}, True),
        ({"coding": [{"system": ICD_10_CM, "code": "J30.2", "display": "x" * 1000}]}, True),
        ({"coding": [{"system": ICD_10_CM, "code": "M54.2"}]}, False),
        ({"coding": [{"system": "https://x.org", "code": "1"}]}, False),
        ({"coding": [5]}, False),
        ({"text": "Hay fever"}, False),
        (None, False),
    ],
)
def test_what_says_nothing_is_known_by_its_code_and_its_words(concept, silent, knowledge):
    quiet = {"coding": [{"system": ICD_10_CM, "code": "J30.2", "display": "Hay fever"}]}
    for _ in range(2):  # the second time from memory, and after the same code with other words
        assert knowledge.value_sets.says_nothing(knowledge.value_sets.of_concept(concept)) is silent
        assert knowledge.value_sets.says_nothing(knowledge.value_sets.of_concept(quiet))
        asked = [{"code": quiet}, {"code": concept}, {}]
        assert knowledge.value_sets.telling(asked) == ([{}] if silent else [{"code": concept}, {}])


def test_a_site_can_leave_out_more_seventh_characters_but_none_less(tmp_path):
    only = {"property": "seventh-character", "op": "in", "value": "A"}
    include = [{"system": "https://clinic.example.org", "concept": [{"code": "FX"}]}]
    site_file(tmp_path, id="spinal-fracture", compose={"include": include, "exclude": [{"filter": [only]}]})
    loaded = value_set_files.load(FOLDER, tmp_path)
    assert loaded.of_code(ICD_10_CM, "S32.010A") == {"earlier-spinal-fracture"}
    assert loaded.of_code(ICD_10_CM, "S32.010D") == {"earlier-spinal-fracture"}
    assert loaded.of_code(ICD_10_CM, "S32.010B") == {"earlier-spinal-fracture", "spinal-fracture"}


def test_a_folder_without_codes_of_other_systems_knows_none(tmp_path):
    site_file(tmp_path)
    assert value_set_files.load(tmp_path).of_code("http://hl7.org/fhir/sid/icpc-2", "L03") is None


RXNORM, PCS = "http://www.nlm.nih.gov/research/umls/rxnorm", "urn:oid:2.16.840.1.113883.6.4"


@pytest.mark.parametrize("system", [RXNORM, PCS, GM, "http://hl7.org/fhir/sid/ndc", "http://hl7.org/fhir/sid/cvx"])
def test_code_systems_that_no_guideline_needs_to_name_are_known(system, tmp_path):
    """A code of theirs is something else, not "coded in a system this service does not know"."""
    site_file(tmp_path)
    assert value_set_files.load(tmp_path).of_code(system, "1049221") == frozenset()


def test_a_guidelines_own_files_make_a_system_known_and_a_sites_few_local_codes_do_not(tmp_path):
    """The words of a local code that a site did not add still count."""
    site_file(tmp_path)
    local = {"coding": [{"system": "https://clinic.example.org", "code": "X", "display": "Low back pain"}]}
    assert value_set_files.load(tmp_path).of_concept(local).coded
    with_site = value_set_files.load(FOLDER, tmp_path).of_concept(local)
    assert not with_site.coded
    assert with_site.value_sets
