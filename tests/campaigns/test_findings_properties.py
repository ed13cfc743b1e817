"""Properties of the way from findings to a decision: what may and what may not change an outcome (clinical logic 1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from cds_service.fhir.dates import FhirDate
from cds_service.guideline.facts import mapping
from cds_service.guideline.findings import (
    Concept,
    Entry,
    Findings,
    ListSeen,
    Medication,
    OrderFindings,
    Problem,
    Score,
    Session,
    StatedStatus,
)
from cds_service.guideline.knowledge import SiteConfiguration, load
from cds_service.guideline.table import decide
from hooks.dry_needling import GUIDELINE, regions
from hooks.dry_needling.assess import assess
from hooks.dry_needling.facts import Chronicity, Facts
from hooks.dry_needling.findings import NeedlingFindings

TODAY = date(2026, 11, 25)
KNOWLEDGE = load(GUIDELINE.folder, GUIDELINE.fact_space, SiteConfiguration())
TABLE = KNOWLEDGE.table
SETS = sorted(KNOWLEDGE.value_sets.displays)
LISTS = sorted(KNOWLEDGE.lexicon.names)
DAYS = st.dates(min_value=date(1, 1, 1), max_value=date(9999, 12, 31)) | st.dates(
    min_value=date(2026, 1, 1), max_value=date(2027, 1, 1)
)
ENTRIES = st.builds(Entry, st.sampled_from(["Condition/a", "Condition/b", "Procedure/c"]), st.text(max_size=5))


@st.composite
def moments(draw, days=DAYS):
    first, second = sorted((draw(days), draw(days)))
    return FhirDate(first, second, datetime(first.year, first.month, first.day, tzinfo=UTC), "words")


PAINFUL = st.sampled_from(sorted(regions.PAINFUL))
CONCEPTS = st.builds(
    Concept,
    st.frozensets(PAINFUL | st.sampled_from(SETS), max_size=2),
    coded=st.booleans(),
    coded_elsewhere=st.booleans(),
    texts=st.just(("words",)),
    said=st.frozensets(st.sampled_from(LISTS), max_size=3),
)
WILD = st.builds(
    Problem,
    ENTRIES,
    CONCEPTS,
    onset=st.none() | moments(),
    recorded=st.none() | moments(),
    onset_words=st.sampled_from(["", "for years"]),
    visit=st.booleans(),
    encounter=st.sampled_from(["", "Encounter/1"]),
    status=st.sampled_from(list(StatedStatus)),
    unconfirmed=st.booleans(),
    sites=st.lists(CONCEPTS, max_size=1).map(tuple),
    unread=st.sampled_from([(), ("subject",), ("onsetDateTime",)]),
)
PLAIN = st.builds(
    Problem,
    ENTRIES,
    st.builds(Concept, st.frozensets(PAINFUL, min_size=1, max_size=1), coded=st.just(True)),
    onset=st.none() | moments(st.dates(date(2026, 6, 1), date(2026, 12, 1))),
)
CHRONIC = st.builds(Problem, ENTRIES, st.just(Concept(frozenset({"chronic-low-back-pain"}), coded=True)))
PROBLEMS = CHRONIC | CHRONIC | PLAIN | WILD
SCORES = st.builds(Score, ENTRIES, st.floats(0, 10), DAYS, st.datetimes(timezones=st.just(UTC)))


@st.composite
def sessions(draw):
    first, second = sorted((draw(DAYS), draw(DAYS)))
    return Session(
        draw(ENTRIES), draw(st.sampled_from(["dry-needling", "trigger-point-injection"])), first, second, draw(CONCEPTS)
    )


def some(strategy, most=3):
    return st.lists(strategy, max_size=most).map(tuple)


FINDINGS = st.builds(
    Findings,
    st.builds(
        OrderFindings,
        ENTRIES,
        st.sampled_from(["dry-needling", "dry-needling", "trigger-point-injection"]),
        st.just(Concept()) | CONCEPTS,
        st.just(()) | some(CONCEPTS, 1),
        st.just(()) | some(PROBLEMS, 2),
        st.sampled_from(["", "Encounter/1"]),
    ),
    st.builds(
        NeedlingFindings,
        problems=st.lists(PROBLEMS, min_size=1, max_size=3).map(tuple),
        unrelated=st.integers(0, 3),
        unreadable=some(ENTRIES, 1),
        others=st.integers(0, 2),
        problem_list=st.sampled_from([ListSeen.WHOLE, *ListSeen]),
        not_available=st.just(()) | st.just(("pain scores",)),
        scores=some(SCORES),
        sessions=st.just(()) | some(sessions()),
        ablations=some(ENTRIES, 1),
        care_tried=some(ENTRIES, 1),
        active_therapy=some(ENTRIES, 1),
        procedures_missing=st.booleans(),
        medications=some(st.builds(Medication, ENTRIES, CONCEPTS), 1),
        birth=st.none() | moments(),
    ),
)


def facts(findings: Findings, today: date = TODAY) -> Facts:
    return assess(findings, today).facts


def rule(findings: Findings, today: date = TODAY) -> str:
    return decide(mapping(facts(findings, today)), TABLE).rule.id


def is_warned(findings: Findings) -> bool:
    found = facts(findings)
    return rule(findings) == "R1" or (rule(findings) == "R9" and found.cause_readable)


def with_problems(findings: Findings, *problems: Problem) -> Findings:
    return replace(findings, chart=replace(findings.chart, problems=(*findings.chart.problems, *problems)))


def entry(*kinds: str, said: tuple[str, ...] = (), **elements) -> Problem:
    return Problem(Entry("Condition/z", "z"), Concept(frozenset(kinds), coded=True, said=frozenset(said)), **elements)


@given(FINDINGS, DAYS)
def test_any_findings_on_any_day_get_exactly_one_outcome(findings, today):
    """Total: no findings and no date make it fail, and every text finds its words."""
    assessment = assess(findings, today)
    decision = decide(mapping(assessment.facts), TABLE)
    assert decision.rule in TABLE.rules
    for text in (decision.rule.detail, *(note.text for note in decision.notes)):
        text.format_map(assessment.values)
    for fact, value in mapping(assessment.facts).items():
        assert KNOWLEDGE.fact_words.say(fact, value, assessment.values) or value is not True


@given(FINDINGS)
def test_deciding_twice_gives_the_same(findings):
    assert assess(findings, TODAY) == assess(findings, TODAY)


@given(FINDINGS, moments() | st.none())
def test_an_unrelated_condition_never_changes_the_rule(findings, onset):
    """A code in no set, no words of ours, not lumbar."""
    assert rule(with_problems(findings, entry(onset=onset))) == rule(findings)


@given(FINDINGS, st.sampled_from(["nerve-root-words", "sciatica-words"]), CONCEPTS, st.sampled_from(list(StatedStatus)))
def test_nerve_root_words_on_any_entry_never_leave_r1_standing(findings, words, concept, status):
    root = Problem(Entry("Condition/z", "z"), replace(concept, said=concept.said | {words}), status=status)
    assert rule(with_problems(findings, root)) != "R1"


@given(FINDINGS, moments() | st.none())
def test_radiculopathy_by_code_never_leaves_r1_or_r12_standing(findings, onset):
    assert rule(with_problems(findings, entry("lumbar-radiculopathy", onset=onset))) not in {"R1", "R12"}


@given(
    FINDINGS,
    st.sampled_from(
        [
            "bleeding-disorder",
            "anticoagulation",
            "pregnancy",
            "lymphedema",
            "skin-infection",
            "immune-deficiency",
            "needle-fear",
        ]
    ),
    st.none() | moments(),
)
def test_a_precaution_never_changes_the_rule(findings, precaution, onset):
    assert rule(with_problems(findings, entry(precaution, onset=onset))) == rule(findings)


@given(FINDINGS, CONCEPTS, moments())
def test_neither_medication_nor_age_changes_the_rule(findings, concept, birth):
    medication = Medication(Entry("MedicationRequest/z", "z"), concept)
    chart = replace(findings.chart, medications=(medication,), birth=birth)
    assert rule(replace(findings, chart=chart)) == rule(findings)


RECENT = moments(st.dates(TODAY - timedelta(days=83), TODAY))


@given(FINDINGS, RECENT)
def test_low_back_pain_of_less_than_12_weeks_is_never_warned_of(findings, onset):
    """When every low-back entry has a stated onset under 84 days and no chronic code, never R1."""

    def recent(problem: Problem) -> Problem:
        if problem.kinds.isdisjoint(regions.LOW_BACK_PAIN | regions.LUMBAR_DISEASE):
            return problem
        concept = replace(problem.concept, value_sets=problem.concept.value_sets - regions.CHRONIC_CODES)
        return replace(problem, concept=concept, onset=onset, visit=False)

    order = replace(findings.order, reasons=tuple(map(recent, findings.order.reasons)))
    chart = replace(findings.chart, problems=tuple(map(recent, findings.chart.problems)))
    assert rule(Findings(order, chart)) != "R1"


@given(FINDINGS)
def test_the_date_of_a_visit_never_proves_that_pain_is_chronic(findings):
    def visit(problem: Problem) -> Problem:
        kinds = problem.concept.value_sets - regions.CHRONIC_CODES - regions.MODIFIERS
        return replace(problem, concept=replace(problem.concept, value_sets=kinds), visit=True)

    order = replace(findings.order, reasons=tuple(map(visit, findings.order.reasons)))
    chart = replace(findings.chart, problems=tuple(map(visit, findings.chart.problems)))
    assert facts(Findings(order, chart)).chronicity is not Chronicity.CHRONIC


@given(FINDINGS, PROBLEMS, st.sampled_from(["clinicalStatus", "verificationStatus", "subject"]), st.booleans())
def test_whatever_is_unreadable_never_makes_a_warning(findings, problem, element, stated):
    unreadable = replace(problem, unread=(element,))
    if stated:
        order = replace(findings.order, reasons=(*findings.order.reasons, unreadable))
        after = replace(findings, order=order)
    else:
        after = with_problems(findings, unreadable)
    if not is_warned(findings):
        assert not is_warned(after)


@given(FINDINGS, st.randoms(use_true_random=False))
def test_the_order_of_entries_never_matters(findings, random):
    def shuffled(entries):
        return tuple(random.sample(entries, len(entries)))

    chart = findings.chart
    mixed = replace(
        findings,
        order=replace(findings.order, reasons=shuffled(findings.order.reasons)),
        chart=replace(
            chart,
            problems=shuffled(chart.problems),
            scores=shuffled(chart.scores),
            sessions=shuffled(chart.sessions),
        ),
    )
    assert assess(findings, TODAY).facts == assess(mixed, TODAY).facts


@given(FINDINGS, moments(), st.integers(0, 400))
def test_moving_an_onset_earlier_never_makes_chronic_not_chronic(findings, onset, days):
    problem = entry("low-back-pain", onset=onset)
    every = (*findings.order.reasons, *findings.chart.problems)
    assume(all(p.kinds.isdisjoint(regions.ACUTE_CODES) for p in every))
    back = timedelta(days=min(days, (onset.earliest - date.min).days))
    earlier = replace(problem, onset=replace(onset, earliest=onset.earliest - back, latest=onset.latest - back))
    before = facts(with_problems(findings, problem)).chronicity
    if before is Chronicity.CHRONIC and onset.earliest <= TODAY:
        assert facts(with_problems(findings, earlier)).chronicity is Chronicity.CHRONIC


@given(FINDINGS)
def test_a_body_site_elsewhere_without_a_reason_is_never_warned_of_for_the_low_back(findings):
    elsewhere = Concept(frozenset({"body-site-neck"}), coded=True)
    order = replace(findings.order, reasons=(), sites=(elsewhere,))
    assert rule(replace(findings, order=order)) not in {"R1", "R12"}


@given(FINDINGS)
def test_every_ground_names_entries_of_the_findings(findings):
    """Explainable: nothing is told that was not found."""
    chart, order = findings.chart, findings.order
    known = {p.entry for p in (*order.reasons, *chart.problems)} | {s.entry for s in (*chart.scores, *chart.sessions)}
    known |= {*chart.ablations, *chart.care_tried, *chart.active_therapy, *chart.unreadable, order.entry}
    known |= {m.entry for m in chart.medications}
    for ground in assess(findings, TODAY).grounds:
        assert ground.entries
        for found in ground.entries:
            assert found in known or found.reference == "Patient"


def test_scores_are_compared_by_time_then_by_height():
    morning, evening = datetime(2026, 11, 20, 8, tzinfo=UTC), datetime(2026, 11, 20, 20, tzinfo=UTC)
    scored = Entry("Observation/a", "pain score")
    scores = (Score(scored, 9, date(2026, 11, 20), morning), Score(scored, 2, date(2026, 11, 20), evening))
    chart = NeedlingFindings(scores=scores, problems=(entry("neck-pain"),))
    findings = Findings(OrderFindings(scored, "dry-needling"), chart)
    assert facts(findings).neck_baseline == "low"
