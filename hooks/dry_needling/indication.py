"""What an order is for: its own reasons win, else the active problem list; low back pain is refined by the chart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cds_service.guideline.findings import Findings, OrderFindings, Problem, of_kinds, together
from hooks.dry_needling.findings import (
    FACET,
    FACET_DISEASE,
    HEADACHE,
    LOW_BACK_PAIN,
    LUMBAR_DISEASE,
    OTHER_PAIN,
    NeedlingFindings,
    is_something_else,
    is_unread,
)

_DECISIVE = LOW_BACK_PAIN | OTHER_PAIN | HEADACHE | FACET | LUMBAR_DISEASE
_LUMBAR_SITE = frozenset({"body-site-lumbar"})
_SITE_ELSEWHERE = frozenset({"body-site-elsewhere"})
_LUMBAR_WORDS = frozenset({"low-back-words"})
_WORDS_ELSEWHERE = frozenset({"elsewhere-words"})


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


def indication_of(findings: Findings[NeedlingFindings]) -> Indication:
    """Return what an order is for."""
    # A chronic-pain modifier alone names no site, so it leaves the question to the problem list.
    explicit = any(not _DECISIVE.isdisjoint(p.kinds) or is_something_else(p) for p in findings.order.reasons)
    return _from_reasons(findings) if explicit else _from_problem_list(findings)


def _from_reasons(findings: Findings[NeedlingFindings]) -> Indication:
    reasons, problems = findings.order.reasons, findings.chart.problems
    low_back = of_kinds(reasons, LOW_BACK_PAIN)
    lumbar = bool(of_kinds(reasons, LUMBAR_DISEASE))
    if not low_back and lumbar:  # degenerative disease or radiculopathy, with low back pain in the chart
        low_back = of_kinds(problems, LOW_BACK_PAIN)
    return Indication(
        explicit=True,
        low_back=together(low_back, of_kinds(problems, LOW_BACK_PAIN)) if low_back else (),
        facet=together(_facet(reasons, findings), _facet(problems, findings) if low_back else ()),
        headache=of_kinds(reasons, HEADACHE),
        other_pain=of_kinds(reasons, OTHER_PAIN),
        awaits_chart=lumbar and not low_back,
    )


def _from_problem_list(findings: Findings[NeedlingFindings]) -> Indication:
    problems = findings.chart.problems
    elsewhere = is_elsewhere(findings.order)
    low_back, facet = of_kinds(problems, LOW_BACK_PAIN), _facet(problems, findings)
    other_pain = of_kinds(problems, OTHER_PAIN)
    only_headache = not (low_back or facet or other_pain)
    return Indication(
        explicit=False,
        low_back=() if elsewhere else low_back,
        facet=() if elsewhere else facet,
        headache=of_kinds(problems, HEADACHE) if only_headache else (),
        other_pain=other_pain,
    )


def _facet(problems: Iterable[Problem], findings: Findings[NeedlingFindings]) -> tuple[Problem, ...]:
    """Return facet-mediated pain: facet words, or facet disease with an earlier lumbar radiofrequency ablation."""
    return of_kinds(problems, FACET | FACET_DISEASE if findings.chart.ablations else FACET)


def is_elsewhere(order: OrderFindings) -> bool:
    """Return whether an order is clearly not for the low back: by its body site's codes, else by words.

    The words are those of its body site, or else of reasons in free text; any word for the low back wins.
    """
    if any(not _LUMBAR_SITE.isdisjoint(site.value_sets) for site in order.sites):
        return False
    if order.sites and all(not _SITE_ELSEWHERE.isdisjoint(site.value_sets) for site in order.sites):
        return True
    in_words = [site for site in order.sites if site.texts] or [p.concept for p in order.reasons if is_unread(p)]
    if any(not _LUMBAR_WORDS.isdisjoint(concept.said) for concept in in_words):
        return False
    return bool(in_words) and all(not _WORDS_ELSEWHERE.isdisjoint(concept.said) for concept in in_words)
