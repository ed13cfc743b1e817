"""A chart as it was (issue 16, 2): what had been recorded, what had ended, and what cannot be told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.backtest.history import Known, as_of, moment_of, recorded

MOMENT = moment_of("2026-03-02T10:00:00-05:00")
ACTIVE = {"coding": [{"code": "active"}]}


def statuses_of(entry):
    """Return the entry's status in both readings, and why it is uncertain."""
    past = as_of([entry], MOMENT)
    return [read.get("status") for read in (*past.counted, *past.certain)], sorted(past.causes)


def test_a_care_plan_that_ended_later_was_active():
    plan = {"resourceType": "CarePlan", "id": "c", "status": "completed", "created": "2026-01-01"}
    assert statuses_of({**plan, "period": {"end": "2026-04-01"}}) == (["active", "active"], [])
    assert statuses_of({**plan, "period": {"end": "2026-02-01"}}) == (["completed", "completed"], [])


@pytest.mark.parametrize(
    ("kind", "status"),
    [("ServiceRequest", "completed"), ("MedicationRequest", "completed"), ("MedicationRequest", "stopped")],
)
def test_a_young_order_that_came_to_an_end_nobody_knows_when_is_read_both_ways(kind, status):
    order = {"resourceType": kind, "id": "o", "status": status, "authoredOn": "2026-02-20"}
    assert statuses_of(order) == ([status, "active"], [f"{kind}: ended, not said when"])
    assert statuses_of({**order, "authoredOn": "2025-02-20"}) == ([status, status], [])
    assert statuses_of({**order, "authoredOn": "2026-03-20"}) == ([], [])
    assert statuses_of({**order, "status": "revoked"}) == (["revoked", "revoked"], [])


def test_what_was_entered_in_error_is_counted_and_left_to_the_reader_of_the_chart():
    refuted = {"coding": [{"code": "entered-in-error"}]}
    entries = [
        {"resourceType": "Condition", "id": "1", "recordedDate": "2020", "verificationStatus": refuted},
        {"resourceType": "Observation", "id": "2", "issued": "2020-01-01T00:00:00Z", "status": "entered-in-error"},
        {"resourceType": "Observation", "id": "3", "issued": "2020-01-01T00:00:00Z", "status": "final"},
    ]
    past = as_of(entries, MOMENT)
    assert (past.in_error, past.counted, past.certain) == (2, entries, entries)


def test_what_begins_after_the_order_is_left_out_whenever_it_was_recorded():
    condition = {"resourceType": "Condition", "recordedDate": "2026-01-01", "onsetDateTime": "2026-05-01"}
    assert as_of([condition], MOMENT).later == {"Condition": 1}


@pytest.mark.parametrize(
    ("resource", "when"),
    [
        ({"resourceType": "Condition", "recordedDate": "2021", "onsetDateTime": "2020"}, "2021"),
        ({"resourceType": "Condition", "dateRecorded": "2021", "onsetDateTime": "2020"}, "2021"),
        ({"resourceType": "Condition", "recordedDate": "soon", "onsetPeriod": {"start": "2020"}}, "2020"),
        ({"resourceType": "Observation", "issued": "2021", "effectiveDateTime": "2020"}, "2021"),
        ({"resourceType": "Observation", "effectivePeriod": {"start": "2019", "end": "2020"}}, "2020"),
        ({"resourceType": "Procedure", "performedPeriod": {"start": "2019", "end": "2020"}}, "2020"),
        ({"resourceType": "Procedure", "occurrenceDateTime": "2019"}, "2019"),
        ({"resourceType": "CarePlan", "created": "2018", "period": {"start": "2017"}}, "2018"),
        ({"resourceType": "ServiceRequest", "authoredOn": "2018", "occurrenceDateTime": "2019"}, "2018"),
        ({"resourceType": "MedicationRequest", "authoredOn": "2018"}, "2018"),
        ({"resourceType": "MedicationStatement", "dateAsserted": "2018", "effectivePeriod": {"start": "2017"}}, "2018"),
        ({"resourceType": "MedicationStatement", "effectivePeriod": {"start": "2017", "end": "2019"}}, "2017"),
        ({"resourceType": "MedicationAdministration", "effectiveDateTime": "2017"}, "2017"),
        ({"resourceType": "MedicationDispense", "whenHandedOver": "2017", "whenPrepared": "2016"}, "2017"),
        ({"resourceType": "Condition", "meta": {"lastUpdated": "2020-01-01T00:00:00Z"}}, None),
    ],
)
def test_each_type_says_in_its_own_way_when_it_was_recorded(resource, when):
    assert recorded(resource) == when


DATES = st.one_of(
    st.dates().map(str),
    st.dates().map(lambda day: str(day)[:7]),
    st.datetimes().map(lambda at: f"{at.isoformat()}+02:00"),
    st.sampled_from(["2026-03-02", "2026-03", "2026", "2026-03-02T15:00:00Z", "2026-03-02T15:00:01Z", "", "x"]),
    st.none(),
)


@given(DATES)
def test_an_entry_counts_for_certain_only_if_all_of_its_date_lies_before(text):
    """Whatever a date is, none that may lie after the order is certain."""
    condition = {"resourceType": "Condition", "recordedDate": text}
    past, known = as_of([condition], MOMENT), MOMENT.knew(text)
    assert (past.certain == [condition]) == (known is Known.BEFORE)
    assert (past.counted == []) == (known is Known.AFTER)
    if known is Known.BEFORE:
        assert MOMENT.knew(str(text)) is Known.BEFORE
        assert str(text)[:10] <= "2026-03-03"
