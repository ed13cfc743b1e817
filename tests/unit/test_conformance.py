"""Remembering what does not conform changes no answer: what is remembered is validated afresh and compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir import conformance
from cds_service.fhir.conformance import faults, without
from tests.charts import code

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", " ", "M54.50", "http://x.org", "x" * 300]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["coding", "code", "system", "display", "text", "value", "odd"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
ELEMENTS = st.dictionaries(
    st.sampled_from(["code", "bodySite", "onsetAge", "onsetString", "onsetRange", "note", "category"]), JSON, max_size=3
)


@pytest.fixture(autouse=True)
def _nothing_remembered():
    conformance._known.clear()
    yield
    conformance._known.clear()


@given(ELEMENTS)
def test_what_is_left_after_taking_out_the_faults_has_none(elements):
    left = without(elements, faults("Condition", elements))
    assert faults("Condition", left) == ()


@given(ELEMENTS)
def test_what_is_remembered_is_what_is_found_afresh(elements):
    first = faults("Condition", elements)
    assert faults("Condition", elements) == first
    conformance._known.clear()
    assert faults("Condition", elements) == first


@given(ELEMENTS)
def test_taking_out_the_faults_changes_nothing_that_was_given(elements):
    before = repr(elements)
    without(elements, faults("Condition", elements))
    assert repr(elements) == before


@pytest.mark.parametrize(
    ("elements", "paths"),
    [
        ({"code": code("icd", "M54.50")}, ()),
        ({"code": {"coding": [{"code": "x", "display": 5}]}}, (("code", "coding", 0, "display"),)),
        ({"code": {"coding": [{"code": "x"}, 5, {"code": "y"}, 6]}}, (("code", "coding", 3), ("code", "coding", 1))),
        ({"code": 5}, (("code",),)),
        ({"onsetString": "a", "onsetAge": {"value": 4}}, ()),  # two of onset[x] are both read
        ({"unknown": 5, "code": {"unknown": 5}}, ()),
        ({}, ()),
        ({"contained": [{"resourceType": "Basilisk!"}], "code": 5}, (("contained",), ("code",))),
        ({"contained": [{"resourceType": "Basilisk!"}]}, (("contained",),)),
    ],
)
def test_where_faults_are(elements, paths):
    assert set(faults("Condition", elements)) == set(paths)


def test_types_that_fhir_has_are_validated_and_others_have_no_faults():
    assert faults("AllergyIntolerance", {"code": 5}) == (("code",),)
    assert faults("Basilisk", {"code": 5}) == ()


def test_a_form_is_validated_once(monkeypatch):
    elements = {"code": code("icd", "M54.50"), "onsetString": 5}
    assert faults("Condition", elements) == (("onsetString",),)
    monkeypatch.setattr(conformance, "_found", lambda *_: pytest.fail("it was validated again"))
    assert faults("Condition", elements) == (("onsetString",),)


def test_no_words_are_remembered_and_no_more_forms_than_allowed(monkeypatch):
    monkeypatch.setattr(conformance, "MOST_FORMS", 2)
    for number in range(4):
        faults("Condition", {"code": {"text": f"pain {number}"}, "onsetAge": {"value": number}})
    assert len(conformance._known) == 2
    assert {len(form) for form in conformance._known} == {16}


WORDS = (
    st.text()
    | st.text(alphabet=" \t\n\u00a0\u2028\x1c\x85a1", max_size=5)
    | st.sampled_from(["", " ", "a  b", "a\\", '"'])
)


@given(st.sampled_from(["code", "display", "system", "version"]), WORDS, WORDS)
def test_words_change_nothing_about_a_form_unless_models_say_so(name, first, second):
    """Whichever of two entries came first, each is answered as if it were alone."""
    for words in (first, second):
        elements = {"code": {"coding": [{"code": "x", name: words}], "text": words}, "onsetString": words}
        conformance._known.clear()
        faults("Condition", {"code": {"coding": [{"code": "x", name: first}], "text": first}, "onsetString": first})
        found = faults("Condition", elements)
        conformance._known.clear()
        assert found == faults("Condition", elements)


def test_plain_words_make_no_form_of_their_own():
    """A chart of 10,000 different words is validated once."""
    for number in range(50):
        words = {"code": f"c{number}", "display": f"Schmerz im Rücken, Teil {number}"}
        faults(
            "Condition", {"code": {"coding": [words], "text": f"腰痛 {number}"}, "onsetString": f"{number} weeks ago"}
        )
    assert len(conformance._known) == 1


def test_within_one_call_no_more_is_validated_than_allowed(monkeypatch):
    """Numbers make forms of their own, and each costs as much as reading a hundred entries that are known."""
    monkeypatch.setattr(conformance, "MOST_VALIDATED", 200)

    def lost(number: int) -> bool:
        return bool(faults("Condition", {"onsetAge": {"value": number}, "code": 5}))

    with conformance.bounded():
        answers = [lost(number) for number in range(20)]
        assert answers == sorted(answers, reverse=True)
        assert 0 < sum(answers) < 10
        assert lost(0), "what is known costs nothing"
    with conformance.bounded():
        assert lost(19)
    assert all(lost(number) for number in range(20)), "what was not validated was not remembered either"


def test_what_is_large_is_not_validated_and_many_faults_are_not_remembered():
    assert faults("Condition", {"code": {"text": "x" * 100_000}, "onsetString": 5}) == ()
    many = faults("Condition", {"code": {"coding": [5] * 100}})
    assert len(many) == 100
    assert conformance._known == {}


def test_what_is_still_wrong_after_some_rounds_goes_as_a_whole(monkeypatch):
    monkeypatch.setattr(conformance, "_MOST_ROUNDS", 0)
    assert faults("Condition", {"code": {"text": 5}, "onsetString": "x"}) == (("code",),)
