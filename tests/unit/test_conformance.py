"""Remembering which forms conform changes no answer: what is remembered is validated afresh and compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir import conformance
from cds_service.fhir.conformance import UnreadableEntry, check
from tests.charts import condition

CONDITION = ("code", "onsetDateTime", "onsetString", "onsetPeriod", "recordedDate")
OBSERVATION = ("status", "code", "effectiveDateTime", "effectiveInstant", "issued", "valueString", "valueInteger")

DIGIT = st.integers(0, 99).map("{:02}".format)
MOMENTS = st.one_of(
    st.dates().map(str),
    st.dates().map(lambda day: f"{day:%Y-%m}"),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M}Z"),
    st.tuples(*[DIGIT] * 9).map(lambda p: "{}{}-{}-{}T{}:{}:{}+{}:{}".format(*p)),
    st.tuples(*[DIGIT] * 4).map(lambda p: "{}{}-{}-{}".format(*p)),
    st.text(max_size=12),
)
IDS = st.text(alphabet="aZ9.-_/ é\n", max_size=70)
FHIR_DATES = ["2024", "2024-02", "2024-02-29", "2024-02-29T10:11:12Z", "2024-02-29T10:11:12.5+02:00"]


@pytest.fixture(autouse=True)
def _nothing_remembered():
    conformance._conforms.clear()
    yield
    conformance._conforms.clear()


def conforms(resource, elements) -> bool:
    try:
        check(resource, elements)
    except UnreadableEntry:
        return False
    return True


def afresh(resource, elements) -> bool:
    remembered = dict(conformance._conforms)
    conformance._conforms.clear()
    try:
        return conforms(resource, elements)
    finally:
        conformance._conforms.update(remembered)


def observation(**elements):
    return {"resourceType": "Observation", "status": "final", "code": {"text": "pain"}, **elements}


def warm_up():
    for when in FHIR_DATES:
        conforms(condition("M54.50", onsetDateTime=when, recordedDate=when), CONDITION)
        conforms(observation(id="o", effectiveDateTime=when), OBSERVATION)
        conforms(observation(id="o", effectiveInstant=when, issued=when), OBSERVATION)


@given(onset=MOMENTS, recorded=MOMENTS, name=IDS)
def test_a_condition_is_answered_as_if_it_were_the_first(onset, recorded, name):
    warm_up()
    for elements in ({"onsetDateTime": onset}, {"onsetString": onset}, {"recordedDate": recorded}):
        resource = condition("M54.50", **elements) | {"id": name}
        assert conforms(resource, CONDITION) == afresh(resource, CONDITION)


@given(taken=MOMENTS, value=st.one_of(MOMENTS, st.integers(-(2**53), 2**53), st.none()))
def test_an_observation_is_answered_as_if_it_were_the_first(taken, value):
    warm_up()
    for name in ("effectiveDateTime", "effectiveInstant", "issued", "valueString", "valueInteger"):
        resource = observation(**{name: value if name.startswith("value") else taken})
        assert conforms(resource, OBSERVATION) == afresh(resource, OBSERVATION)


@pytest.mark.parametrize("zone", ["Z", "+14:00", "+15:00", "-23:59"])
def test_a_time_zone_is_part_of_what_conforms(zone):
    conforms(condition("M54.50", onsetDateTime="2024-02-29T10:11:12+02:00"), CONDITION)
    resource = condition("M54.50", onsetDateTime=f"2024-02-28T10:11:12{zone}")
    assert conforms(resource, CONDITION) == afresh(resource, CONDITION)


def test_the_same_code_on_another_day_is_not_validated_again(monkeypatch):
    check(condition("M54.50", onsetDateTime="2020-01-01"), CONDITION)
    monkeypatch.setattr(conformance, "_MODELS", {})  # validating anything would fail
    check(condition("M54.50", onsetDateTime="2021-12-31") | {"id": "another"}, CONDITION)
    with pytest.raises(UnreadableEntry):
        check(condition("M54.50", onsetDateTime="2021-12"), CONDITION)


def test_what_does_not_conform_is_refused_each_time_and_validated_once(monkeypatch):
    wrong = condition("M54.50", onsetDateTime="2020-02-30")
    with pytest.raises(UnreadableEntry, match=r"Condition/c-M54\.50"):
        check(wrong, CONDITION)
    monkeypatch.setattr(conformance, "_is_valid", lambda _: pytest.fail("it was validated again"))
    with pytest.raises(UnreadableEntry, match="Condition/another"):
        check(wrong | {"id": "another"}, CONDITION)


def test_no_words_are_remembered_and_no_more_forms_than_allowed(monkeypatch):
    monkeypatch.setattr(conformance, "MOST_FORMS", 2)
    for number in range(4):
        check(condition("M54.50", code={"text": f"pain {number}"}), CONDITION)
    assert len(conformance._conforms) == 2
    assert {len(form) for form in conformance._conforms} == {16}
