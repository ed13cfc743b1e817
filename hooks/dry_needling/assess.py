"""From findings and a date to facts: the answer to each question of the decision table, with the entries behind it.

Pure and total: no clock, no input or output, no exception for any findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from cds_service.guideline.findings import Findings, Problem, Recognition
from cds_service.guideline.grounds import Assessment
from hooks.dry_needling import durations, indication, precautions, regions
from hooks.dry_needling.answers import Answers, answer
from hooks.dry_needling.facts import Baseline, Care, Chronicity, Facts, LowBackPain, Modality, OnFile, OtherPain
from hooks.dry_needling.findings import NeedlingFindings
from hooks.dry_needling.regions import Region, of_problem, recognized
from hooks.dry_needling.words import Values, grounds_of


def assess(findings: Findings[NeedlingFindings], today: date) -> Assessment:
    """Answer every question of the decision table for one order on one day."""
    answers = answer(findings, today)
    facts = _facts(answers)
    return Assessment(
        facts,
        grounds_of(answers, facts),
        decides_alone=bool(answers.entries.reasons),
        values=Values(answers),
    )


def _facts(answers: Answers) -> Facts:
    found, doubts, entries, chart = answers.found, answers.doubts, answers.entries, answers.findings.chart
    duration, cautions = answers.duration, answers.precautions
    low_back = LowBackPain.YES if found.low_back else LowBackPain.IN_WORDS if answers.in_words else LowBackPain.NO
    cause = precautions.spinal_cause(answers.serious, answers.inflammatory, spinal=answers.spinal)
    return Facts(
        modality=Modality(answers.findings.order.kind or "none"),
        spinal_cause=cause,
        low_back_pain=low_back,
        chronicity=duration.chronicity,
        radiculopathy=answers.root,
        certain=not doubts.any,
        facet_pain=bool(found.facet),
        course_past_12_weeks=durations.past_twelve_weeks(answers.course, answers.today),
        headache=bool(answers.headache),
        musculoskeletal_pain=bool(answers.musculoskeletal),
        reason_not_covered=bool(found.not_covered),
        other_pain=_elsewhere(doubts.elsewhere),
        site_not_stated=doubts.site_not_stated,
        reason_unread=doubts.reason_unread,
        reason_elsewhere=doubts.reason_elsewhere,
        problem_list=doubts.list_seen,
        other_lumbar_code=bool(doubts.other_lumbar),
        after_surgery=bool(doubts.after_surgery),
        cause_readable=not answers.serious or any(not indication.is_doubtful(p) for p in answers.serious),
        serious_cause_elsewhere=bool(answers.serious) and not answers.spinal,
        **{name: bool(entries_) for name, entries_ in cautions.items()},
        chronic_beside_acute=duration.by_acute_code and _chronic_is_beside(answers),
        two_reasons=len(answers.findings.order.reasons) > 1,
        other_reason=answers.other_reason[0],
        degenerative_disease=any("degenerative-lumbar-disease" in p.kinds for p in (*entries.reasons, *entries.listed)),
        read_as_low_back=bool(found.low_back) and doubts.site_not_stated,
        active_therapy=bool(chart.active_therapy),
        chronic_condition=_is_chronic(answers),
        facet_on_file=bool(answers.facet),
        fibromyalgia=any("fibromyalgia" in p.kinds for p in found.musculoskeletal),
        onset_imprecise=duration.may_be_chronic,
        onset_in_words=any(p.onset_words for p in answers.musculoskeletal),
        onset_ahead=any(durations.onset_ahead(p, answers.today) for p in answers.musculoskeletal),
        conservative_care=_care(chart),
        six_weeks=_lasts_six_weeks(answers),
        pain_around_course=answers.scores_around is not None,
        neck_baseline=answers.baseline[0] if _is_neck_pain(answers) else Baseline.NONE,
        on_file=OnFile.PAIN if found.pain else OnFile.PROBLEMS if answers.problem_count else OnFile.NOTHING,
        other_on_file=bool(answers.other_on_file),
        site_named=bool(answers.site.regions),
        reason_is_lumbar_disease=bool(found.not_covered)
        and all(recognized(p) & regions.LUMBAR_DISEASE for p in found.not_covered),
        facet_by_ablation=bool(answers.facet) and not any(indication.is_facet(p, ablated=False) for p in answers.facet),
        reason_in_words=bool(entries.unread),
        others_entries=chart.others > 0,
        unreadable=bool(chart.unreadable or chart.lost or entries.doubtful),
        free_text=bool(answers.of(Recognition.FREE_TEXT)),
        unknown_system=bool(answers.of(Recognition.UNKNOWN_SYSTEM)),
        old_visits=bool(answers.old_pain),
        not_available=bool(chart.not_available),
    )


def _chronic_is_beside(answers: Answers) -> bool:
    """Return whether low back pain on the list is chronic by code or onset, beside the acute episode."""
    return any(
        indication.is_low_back_pain(p, answers.site)
        and not regions.ACUTE_CODES & p.kinds
        and durations.is_chronic_alone(p, answers.today)
        for p in answers.entries.listed
    )


def _elsewhere(problems: Iterable[Problem]) -> OtherPain:
    there = [of_problem(p) for p in problems]
    if not there:
        return OtherPain.NONE
    return OtherPain.HEAD if all(found == {Region.HEAD} for found in there) else OtherPain.ELSEWHERE


def _is_chronic(answers: Answers) -> bool:
    """Return whether a condition that made it R7 is chronic; chronic low back pain has a rule of its own."""
    return any(
        durations.of_pain((problem,), answers.modifiers(of_problem(problem)), answers.today).chronicity
        is Chronicity.CHRONIC
        for problem in answers.found.musculoskeletal
    )


def _lasts_six_weeks(answers: Answers) -> bool:
    lasting = (*answers.duration.proof, *answers.found.musculoskeletal)
    return any(durations.days_since(p, answers.today) >= durations.SUBACUTE_FROM_DAYS for p in lasting)


def _is_neck_pain(answers: Answers) -> bool:
    pain = answers.musculoskeletal
    return bool(pain) and all(of_problem(p) == {Region.NECK} for p in pain)


def _care(chart: NeedlingFindings) -> Care:
    if chart.care_tried:
        return Care.FOUND
    return Care.UNAVAILABLE if chart.procedures_missing else Care.NOT_FOUND
