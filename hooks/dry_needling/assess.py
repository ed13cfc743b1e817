"""Findings and a date to facts: each question of the decision table answered, with the chart entries behind it.

Pure and total: no clock, no input or output, no exception for any findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from cds_service.guideline import grounds
from cds_service.guideline.findings import Entry, Findings, Problem, Score, Session, in_order, of_kinds, together
from cds_service.guideline.grounds import STATED_REASON, Assessment, Ground
from hooks.dry_needling import durations
from hooks.dry_needling.facts import Care, Chronicity, Facts, Modality
from hooks.dry_needling.findings import (
    CHRONIC_PAIN,
    LOW_BACK_PAIN,
    RADICULOPATHY,
    NeedlingFindings,
    is_something_else,
    is_unread,
)
from hooks.dry_needling.indication import Indication, indication_of


@dataclass(frozen=True, slots=True)
class _Answers:
    """The entries that answer each question, before they are turned into facts, grounds and words."""

    indication: Indication
    duration: Chronicity
    duration_from: tuple[Problem, ...]
    radiculopathy: tuple[Problem, ...]
    degenerative: tuple[Problem, ...]
    trigger_points: tuple[Problem, ...]
    fibromyalgia: tuple[Problem, ...]
    unconfirmed: tuple[Problem, ...]
    uncoded: tuple[Entry, ...]
    coded_elsewhere: tuple[Entry, ...]
    lost: tuple[Entry, ...]
    sessions: tuple[Session, ...]
    latest_score: Score | None
    scores_around_needling: tuple[Score, Score] | None


def assess(findings: Findings[NeedlingFindings], today: date) -> Assessment:
    """Answer every question of the decision table for one order on one day."""
    order, chart = findings.order, findings.chart
    indication = indication_of(findings)
    everything = together(order.reasons, chart.problems)
    modifiers = of_kinds(everything, CHRONIC_PAIN)
    duration, duration_from = durations.chronicity(indication.low_back, modifiers, today)
    radiculopathy = of_kinds(everything, RADICULOPATHY)
    sessions = tuple(s for s in chart.sessions if s.kind == order.kind and s.last <= today)
    baseline, latest = durations.baseline(chart.scores, today)
    response, around = durations.response(sessions, chart.scores, today)
    deciding = (*indication.low_back, *duration_from, *indication.facet, *indication.headache, *indication.other_pain)
    unread = [problem for problem in chart.problems if is_unread(problem)]
    answers = _Answers(
        indication=indication,
        duration=duration,
        duration_from=duration_from,
        radiculopathy=radiculopathy,
        degenerative=of_kinds(everything, {"degenerative-lumbar-disease"}),
        trigger_points=of_kinds(everything, {"myofascial-pain"}),
        fibromyalgia=of_kinds(everything, {"fibromyalgia"}),
        unconfirmed=in_order(p for p in (*deciding, *(radiculopathy if indication.low_back else ())) if p.unconfirmed),
        uncoded=_entries(p for p in unread if not p.concept.coded_elsewhere),
        coded_elsewhere=_entries(p for p in unread if p.concept.coded_elsewhere),
        lost=tuple(sorted({*chart.lost, *(Entry(p.entry.reference, n) for p in order.reasons for n in p.unread)})),
        sessions=sessions,
        latest_score=latest,
        scores_around_needling=around,
    )
    facts = Facts(
        modality=Modality(order.kind or "none"),
        low_back_pain=bool(indication.low_back),
        chronicity=duration,
        lumbar_radiculopathy=bool(radiculopathy),
        degenerative_lumbar_disease=bool(answers.degenerative),
        facet_pain=bool(indication.facet),
        headache=bool(indication.headache),
        musculoskeletal_pain=bool(indication.low_back or indication.other_pain),
        given_past_12_weeks=durations.past_twelve_weeks(sessions),
        chronic_condition=duration is Chronicity.CHRONIC or _chronic_elsewhere(indication, modifiers, today),
        onset_may_be_chronic=durations.may_be_chronic(indication.low_back, duration, today),
        trigger_points=bool(answers.trigger_points),
        fibromyalgia=bool(answers.fibromyalgia),
        conservative_care=_care(chart),
        active_therapy=bool(chart.active_therapy),
        baseline_pain=baseline,
        earlier_needling=response,
        unconfirmed=bool(answers.unconfirmed),
        reason_unread=any(is_unread(p) for p in order.reasons) and not indication.explicit,
        problem_list=chart.problem_list,
        data_missing=bool(chart.not_available),
        uncoded_entries=bool(answers.uncoded),
        coded_elsewhere=bool(answers.coded_elsewhere),
        elements_lost=bool(answers.lost),
        entries_of_others=bool(chart.others),
        unreadable_entries=bool(chart.unreadable),
    )
    settled = not indication.low_back or duration is Chronicity.CHRONIC
    return Assessment(
        facts,
        tuple(_grounds(findings, answers, past=facts.given_past_12_weeks)),
        decides_alone=indication.explicit and settled and not indication.awaits_chart,
        values=_values(chart, answers),
    )


def _chronic_elsewhere(indication: Indication, modifiers: tuple[Problem, ...], today: date) -> bool:
    """Tell whether pain other than in the low back is chronic: by code, by a modifier beside it, or by its onset."""
    pain = indication.other_pain
    return bool(pain) and (
        bool(modifiers)
        or bool(of_kinds(pain, {"chronic-musculoskeletal-pain"}))
        or durations.longest_days(pain, today) >= durations.CHRONIC_FROM_DAYS
    )


def _entries(problems: Iterable[Problem]) -> tuple[Entry, ...]:
    return tuple(sorted({problem.entry for problem in problems}))


def _care(chart: NeedlingFindings) -> Care:
    if chart.care_tried:
        return Care.FOUND
    return Care.UNAVAILABLE if chart.procedures_missing else Care.NOT_FOUND


def _grounds(findings: Findings[NeedlingFindings], answers: _Answers, *, past: bool) -> Iterable[Ground]:
    """Yield the grounds of every fact that has any, in the order in which a card tells them."""
    chart, reasons, indication = findings.chart, findings.order.reasons, answers.indication
    pain = together(indication.low_back, indication.other_pain)
    stated = frozenset(reasons)
    beside = [p for p in answers.duration_from if LOW_BACK_PAIN.isdisjoint(p.kinds)]
    for fact, role, problems in (
        ("low_back_pain", "low back pain", indication.low_back),
        ("chronicity", "duration", beside),
        ("facet_pain", "facet pain", indication.facet),
        ("headache", "headache", indication.headache),
        ("musculoskeletal_pain", "pain", pain),
        (STATED_REASON, "stated reason", tuple(p for p in reasons if is_something_else(p))),
        ("lumbar_radiculopathy", "nerve-root pain", answers.radiculopathy),
        ("degenerative_lumbar_disease", "degenerative disease", answers.degenerative),
        ("trigger_points", "trigger points", answers.trigger_points),
        ("fibromyalgia", "fibromyalgia", answers.fibromyalgia),
        ("unconfirmed", "unconfirmed", answers.unconfirmed),
    ):
        yield from grounds.of_problems(fact, role, problems, stated)
    if not answers.radiculopathy:
        yield Ground("lumbar_radiculopathy", "", (), "no lumbar radiculopathy on file")
    if indication.facet:
        yield from grounds.of_entries("facet_pain", "earlier radiofrequency ablation", chart.ablations)
    if past:
        yield from grounds.of_sessions("given_past_12_weeks", answers.sessions)
    yield from grounds.of_scores("baseline_pain", "baseline pain", [answers.latest_score])
    yield from grounds.of_scores("earlier_needling", "earlier needling", answers.scores_around_needling or ())
    yield from grounds.of_entries("conservative_care", "conservative care", chart.care_tried)
    yield from grounds.of_entries("active_therapy", "active therapy", chart.active_therapy)
    yield from grounds.of_entries("uncoded_entries", "free text only", answers.uncoded)
    yield from grounds.of_entries("coded_elsewhere", "coded in an unknown system", answers.coded_elsewhere)
    yield from grounds.of_entries("elements_lost", "element that could not be read", answers.lost)
    yield from grounds.of_entries("unreadable_entries", "could not be read", chart.unreadable)


def _values(chart: NeedlingFindings, answers: _Answers) -> dict[str, str]:
    """Return the words that notes may ask for, by placeholder."""
    around = answers.scores_around_needling
    return {
        "baseline": grounds.scored(answers.latest_score),
        "response": f"{around[0].points:g} to {around[1].points:g}" if around else "",
        "care": grounds.listed(chart.care_tried),
        "trigger_points": grounds.listed(grounds.entries_of(answers.trigger_points)),
        "unconfirmed": grounds.listed(grounds.entries_of(answers.unconfirmed)),
        "missing": ", ".join(chart.not_available),
        "uncoded": grounds.counted(answers.uncoded, "problem-list entry", "problem-list entries"),
        "coded_elsewhere": grounds.counted(answers.coded_elsewhere, "problem-list entry", "problem-list entries"),
        "lost": grounds.elements(answers.lost),
        "others": f"{chart.others} {'entry' if chart.others == 1 else 'entries'}",
        "unreadable": grounds.counted(chart.unreadable, "chart entry", "chart entries"),
    }
