"""What needling asks of a chart beside its problems, and the kinds of diagnoses it tells apart."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.guideline.findings import ChartFindings, Entry, Problem, Score, Session

LOW_BACK_PAIN = frozenset({"low-back-pain", "low-back-pain-within-another-code", "chronic-low-back-pain"})
OTHER_PAIN = frozenset(
    {"myofascial-pain", "fibromyalgia", "other-musculoskeletal-pain", "chronic-musculoskeletal-pain"}
)
CHRONIC_PAIN = frozenset({"chronic-pain"})
HEADACHE = frozenset({"headache"})
FACET = frozenset({"facet-words"})
FACET_DISEASE = frozenset({"lumbar-facet-disease"})
RADICULOPATHY = frozenset({"lumbar-radiculopathy"})
LUMBAR_DISEASE = frozenset({"degenerative-lumbar-disease"}) | RADICULOPATHY
DIAGNOSES = LOW_BACK_PAIN | OTHER_PAIN | CHRONIC_PAIN | HEADACHE | FACET | FACET_DISEASE | LUMBAR_DISEASE
"""Every kind of diagnosis that means something to the decision."""


def is_something_else(problem: Problem) -> bool:
    """Return whether a diagnosis has a code of a system we know and is none of ours."""
    return problem.concept.coded and DIAGNOSES.isdisjoint(problem.kinds)


def is_unread(problem: Problem) -> bool:
    """Return whether a diagnosis has neither a code of a system we know nor words of ours."""
    return not problem.concept.coded and DIAGNOSES.isdisjoint(problem.kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedlingFindings(ChartFindings):
    """What the chart says about needling.

    Attributes:
        ablations: earlier lumbar radiofrequency ablations.
        care_tried: exercise, physical therapy and the like that was given or ordered earlier.
        active_therapy: the same, ordered in this session or active now.
        procedures_missing: procedures were not available, so that care tried cannot be ruled out.
    """

    scores: tuple[Score, ...] = ()
    sessions: tuple[Session, ...] = ()
    ablations: tuple[Entry, ...] = ()
    care_tried: tuple[Entry, ...] = ()
    active_therapy: tuple[Entry, ...] = ()
    procedures_missing: bool = False
