"""Properties of the way from findings to a decision: what may and what may not change an outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cds_service.guideline import facts, table
from cds_service.guideline.findings import (
    Concept,
    Entry,
    FhirDate,
    Findings,
    ListSeen,
    OrderFindings,
    Problem,
    Score,
    Session,
)
from hooks.dry_needling.assess import assess
from hooks.dry_needling.facts import Chronicity
from hooks.dry_needling.findings import DIAGNOSES, LOW_BACK_PAIN, NeedlingFindings
from tests.cases import KNOWLEDGE

TODAY = date(2026, 11, 23)
TABLE = KNOWLEDGE.table
PLACES = ["body-site-lumbar", "body-site-elsewhere"]
DAYS = st.dates(min_value=date(1, 1, 1), max_value=date(9999, 12, 31)) | st.dates(
    min_value=date(2026, 1, 1), max_value=date(2027, 1, 1)
)
ENTRIES = st.builds(Entry, st.sampled_from(["Condition/a", "Condition/b", "Procedure/c"]), st.text(max_size=5))


@st.composite
def onsets(draw):
    first, second = sorted((draw(DAYS), draw(DAYS)))
    return FhirDate(first, second, datetime(first.year, first.month, first.day, tzinfo=UTC), "words")


def problems(kinds, onset):
    """Problems of some kinds, in a coded entry: of no kind, they are something else."""
    concepts = st.builds(Concept, kinds, st.just(True))
    return st.builds(Problem, ENTRIES, concepts, onset=onset, recorded=st.none() | onsets(), unconfirmed=st.booleans())


KINDS = st.frozensets(st.sampled_from(sorted(DIAGNOSES)), max_size=2)
PROBLEMS = st.lists(problems(KINDS, st.none() | onsets()), max_size=4).map(tuple)
SCORES = st.lists(
    st.builds(Score, ENTRIES, st.floats(0, 10), DAYS, st.datetimes(timezones=st.just(UTC))),
    max_size=4,
).map(tuple)


@st.composite
def sessions(draw):
    first, second = sorted((draw(DAYS), draw(DAYS)))
    return Session(draw(ENTRIES), draw(st.sampled_from(["dry-needling", "trigger-point-injection"])), first, second)


TUPLES = st.lists(ENTRIES, max_size=2).map(tuple)
SITES = st.lists(st.builds(Concept, st.frozensets(st.sampled_from(PLACES), max_size=1)), max_size=2).map(tuple)
FINDINGS = st.builds(
    Findings,
    st.builds(
        OrderFindings,
        ENTRIES,
        st.sampled_from(["dry-needling", "trigger-point-injection"]),
        sites=SITES,
        reasons=PROBLEMS,
    ),
    st.builds(
        NeedlingFindings,
        problems=PROBLEMS,
        unreadable=TUPLES,
        lost=TUPLES,
        others=st.integers(0, 3),
        problem_list=st.sampled_from(list(ListSeen)),
        not_available=st.just(()) | st.just(("pain scores",)),
        scores=SCORES,
        sessions=st.lists(sessions(), max_size=3).map(tuple),
        ablations=TUPLES,
        care_tried=TUPLES,
        active_therapy=TUPLES,
        procedures_missing=st.booleans(),
    ),
)


def decide(findings, today, rules):
    """Return an assessment and the decision that follows."""
    assessment = assess(findings, today)
    return assessment, table.decide(facts.mapping(assessment.facts), rules)


def rule(findings: Findings, today: date = TODAY) -> str:
    return decide(findings, today, TABLE)[1].rule.id


def with_problems(findings: Findings, *problems: Problem) -> Findings:
    return replace(findings, chart=replace(findings.chart, problems=(*findings.chart.problems, *problems)))


@given(FINDINGS, DAYS)
def test_any_findings_on_any_day_get_exactly_one_outcome(findings, today):
    """Total: no findings and no date make it fail."""
    assessment, decision = decide(findings, today, TABLE)
    assert decision.rule in TABLE.rules
    for note in decision.notes:
        note.text.format(**assessment.values)


@given(FINDINGS)
def test_deciding_twice_gives_the_same(findings):
    assert decide(findings, TODAY, TABLE) == decide(findings, TODAY, TABLE)


@given(FINDINGS, onsets() | st.none())
def test_an_unrelated_condition_never_changes_the_outcome(findings, onset):
    unrelated = Problem(Entry("Condition/z", "Hay fever"), Concept(coded=True), onset)
    assert rule(with_problems(findings, unrelated)) == rule(findings)


@given(FINDINGS, onsets() | st.none())
def test_adding_radiculopathy_never_leaves_r1_standing(findings, onset):
    root = Problem(
        Entry("Condition/z", "Radiculopathy"), Concept(frozenset({"lumbar-radiculopathy"}), coded=True), onset
    )
    assert rule(with_problems(findings, root)) != "R1"


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
    before, after = decide(findings, TODAY, TABLE), decide(mixed, TODAY, TABLE)
    assert before[0].facts == after[0].facts
    assert before[1] == after[1]


LOW_BACK = problems(st.frozensets(st.sampled_from(sorted(LOW_BACK_PAIN)), min_size=1), onsets())


@given(FINDINGS, LOW_BACK, st.integers(0, 400))
def test_moving_an_onset_earlier_never_makes_chronic_not_chronic(findings, problem, days):
    onset = problem.onset
    back = timedelta(days=min(days, (onset.earliest - date.min).days))
    earlier = replace(problem, onset=replace(onset, earliest=onset.earliest - back, latest=onset.latest - back))
    before = decide(with_problems(findings, problem), TODAY, TABLE)[0].facts.chronicity
    after = decide(with_problems(findings, earlier), TODAY, TABLE)[0].facts.chronicity
    if before is Chronicity.CHRONIC:
        assert after is Chronicity.CHRONIC


@given(FINDINGS)
def test_a_body_site_elsewhere_without_a_reason_is_never_a_low_back_order(findings):
    order = replace(findings.order, reasons=(), sites=(Concept(frozenset({"body-site-elsewhere"})),))
    assert not decide(replace(findings, order=order), TODAY, TABLE)[0].facts.low_back_pain


@given(FINDINGS)
def test_every_ground_names_entries_of_the_findings(findings):
    """Explainable: nothing is told that was not found."""
    chart = findings.chart
    known = {p.entry for p in (*findings.order.reasons, *chart.problems)} | {s.entry for s in chart.scores}
    known |= {s.entry for s in chart.sessions} | {*chart.ablations, *chart.care_tried, *chart.active_therapy}
    known |= {*chart.unreadable, *chart.lost}
    for ground in decide(findings, TODAY, TABLE)[0].grounds:
        assert ground.entries or ground.words == "no lumbar radiculopathy on file"
        assert set(ground.entries) <= known


def test_scores_are_compared_by_time_then_by_height():
    morning, evening = datetime(2026, 11, 20, 8, tzinfo=UTC), datetime(2026, 11, 20, 20, tzinfo=UTC)
    entry = Entry("Observation/a", "pain score")
    scores = (
        Score(entry, 9, date(2026, 11, 20), morning),
        Score(entry, 2, date(2026, 11, 20), evening),
    )
    order = OrderFindings(entry, "dry-needling")
    findings = Findings(order, NeedlingFindings(scores=scores))
    assert decide(findings, TODAY, TABLE)[0].values["baseline"] == "2/10 on 2026-11-20"
