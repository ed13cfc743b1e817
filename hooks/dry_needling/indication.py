"""What an order is for: its own reasons win, else the active problem list; low back pain is refined by the chart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hooks.dry_needling.findings import LOW_BACK_PAIN, OTHER_PAIN, Findings, Meaning, Problem, Region, meaning, together

_DECISIVE = LOW_BACK_PAIN | OTHER_PAIN | {Meaning.HEADACHE, Meaning.FACET_WORDS, Meaning.SOMETHING_ELSE}
_FACET = frozenset({Meaning.FACET_WORDS})
_FACET_OR_DISEASE = _FACET | {Meaning.LUMBAR_FACET_DISEASE}
LUMBAR_DISEASE = frozenset({Meaning.DEGENERATIVE_LUMBAR_DISEASE, Meaning.LUMBAR_RADICULOPATHY})


@dataclass(frozen=True, slots=True)
class Indication:
    """The diagnoses an order is for, by kind.

    Attributes:
        explicit: the order's own reasons say so, not the problem list.
        awaits_chart: the reason is lumbar disease: an indication only together with low back pain in the chart.
    """

    explicit: bool
    low_back: tuple[Problem, ...] = ()
    facet: tuple[Problem, ...] = ()
    headache: tuple[Problem, ...] = ()
    other_pain: tuple[Problem, ...] = ()
    awaits_chart: bool = False


def indication_of(findings: Findings) -> Indication:
    """Return what an order is for."""
    # A chronic-pain modifier alone names no site, so it leaves the question to the problem list.
    explicit = bool(meaning(findings.order.reasons, _DECISIVE | LUMBAR_DISEASE))
    return _from_reasons(findings) if explicit else _from_problem_list(findings)


def _from_reasons(findings: Findings) -> Indication:
    reasons, problems = findings.order.reasons, findings.chart.problems
    low_back = meaning(reasons, LOW_BACK_PAIN)
    lumbar = bool(meaning(reasons, LUMBAR_DISEASE))
    if not low_back and lumbar:  # degenerative disease or radiculopathy, with low back pain in the chart
        low_back = meaning(problems, LOW_BACK_PAIN)
    return Indication(
        explicit=True,
        low_back=together(low_back, meaning(problems, LOW_BACK_PAIN)) if low_back else (),
        facet=together(_facet(reasons, findings), _facet(problems, findings) if low_back else ()),
        headache=meaning(reasons, {Meaning.HEADACHE}),
        other_pain=meaning(reasons, OTHER_PAIN),
        awaits_chart=lumbar and not low_back,
    )


def _from_problem_list(findings: Findings) -> Indication:
    problems = findings.chart.problems
    elsewhere = findings.order.region is Region.ELSEWHERE
    low_back, facet = meaning(problems, LOW_BACK_PAIN), _facet(problems, findings)
    other_pain = meaning(problems, OTHER_PAIN)
    only_headache = not (low_back or facet or other_pain)
    return Indication(
        explicit=False,
        low_back=() if elsewhere else low_back,
        facet=() if elsewhere else facet,
        headache=meaning(problems, {Meaning.HEADACHE}) if only_headache else (),
        other_pain=other_pain,
    )


def _facet(problems: Iterable[Problem], findings: Findings) -> tuple[Problem, ...]:
    """Return facet-mediated pain: facet words, or facet disease with an earlier lumbar radiofrequency ablation."""
    return meaning(problems, _FACET_OR_DISEASE if findings.chart.ablations else _FACET)
