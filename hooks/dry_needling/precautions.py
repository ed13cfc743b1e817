"""Reasons against needling whatever the pain is: specific causes, and the precautions on every card."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from cds_service.guideline.findings import Entry, Findings, Problem
from hooks.dry_needling import durations, indication, regions
from hooks.dry_needling.facts import SpinalCause
from hooks.dry_needling.findings import NeedlingFindings
from hooks.dry_needling.indication import Entries, Indication, Site
from hooks.dry_needling.regions import Region, of_problem

FRACTURE_DAYS = 365
PREGNANCY_DAYS = 304
SKIN_INFECTION_DAYS = 60
ADULT_FROM_YEARS = 18
_SPINE_WORDS = "spine-words"
_ANTICOAGULANT = frozenset({"anticoagulation", "anticoagulant-words"})
_PRECAUTIONS = regions.PRECAUTIONS | {"hemophilia-words"}


def serious_causes(entries: Entries, today: date) -> tuple[Problem, ...]:
    """Return the entries of a serious spinal condition, from reasons and list, including doubtful ones."""
    return tuple(dict.fromkeys(p for p in entries.counted if _is_serious(p, today)))


def inflammatory_causes(entries: Entries) -> tuple[Problem, ...]:
    """Return the entries of inflammatory spinal disease."""
    return tuple(dict.fromkeys(p for p in entries.counted if "inflammatory-spinal-disease" in p.kinds))


def _is_serious(problem: Problem, today: date) -> bool:
    """Return whether an entry is a serious spinal condition; a fracture only within a year, or without a date."""
    kinds = problem.kinds
    if "serious-spinal-conditions" in kinds:
        return True
    spine = _SPINE_WORDS in kinds
    if "tumor-of-other-nervous-system" in kinds:
        return spine
    fracture = "spinal-fracture" in kinds or ("fracture-of-other-site" in kinds and spine)
    return fracture and durations.days_since(problem, today) < FRACTURE_DAYS


def is_spinal(entries: Entries, site: Site, found: Indication, causes: Iterable[Problem]) -> bool:
    """Return whether an order is for the spine, so that a specific cause decides.

    It is if spinal pain is in its scope, if the cause is its reason, or if nothing says where it is for and no pain
    elsewhere counts.
    """
    if found.low_back or found.facet:
        return True
    if any(not of_problem(p, site.regions).isdisjoint(regions.SPINAL) for p in found.musculoskeletal):
        return True
    stated = {*entries.reasons, *entries.unread}
    if any(cause in stated for cause in causes):
        return True
    return not stated and not site.regions and not any(_is_pain_elsewhere(p) for p in entries.counted)


def _is_pain_elsewhere(problem: Problem) -> bool:
    """Return whether an entry is painful and not of the spine; pain without site or cause names no place."""
    painful = indication.is_painful(problem, ablated=False)
    general = regions.recognized(problem) & regions.PAINFUL <= regions.GENERAL_PAIN
    return painful and not general and of_problem(problem).isdisjoint(regions.SPINAL)


def spinal_cause(serious: Iterable[Problem], inflammatory: Iterable[Problem], *, spinal: bool) -> SpinalCause:
    """Return the specific cause that decides."""
    if spinal and any(True for _ in serious):
        return SpinalCause.SERIOUS
    if spinal and any(True for _ in inflammatory):
        return SpinalCause.INFLAMMATORY
    return SpinalCause.NONE


def precautions(
    findings: Findings[NeedlingFindings], entries: Entries, site: Site, today: date
) -> dict[str, tuple[Entry, ...]]:
    """Return the chart entries behind each precaution, by the precaution's fact; none for one that does not hold."""
    undated = [p for p in entries.old_visits if durations.days_since(p, today) < 0]
    counted = [p for p in (*entries.counted, *undated) if not p.kinds.isdisjoint(_PRECAUTIONS)]

    def _of(*kinds: str, dated: Callable[[int], bool] = lambda _: True) -> tuple[Entry, ...]:
        if not counted:
            return ()
        found = [p.entry for p in counted if not p.kinds.isdisjoint(kinds) and dated(durations.days_since(p, today))]
        return tuple(dict.fromkeys(found))

    chart = findings.chart
    medications = (m.entry for m in chart.medications if not m.concept.kinds.isdisjoint(_ANTICOAGULANT))
    return {
        "bleeding_disorder": _of("bleeding-disorder", "hemophilia-words"),
        "anticoagulant": tuple(dict.fromkeys((*_of("anticoagulation"), *medications))),
        "pregnancy": tuple(
            dict.fromkeys(
                p.entry
                for p in counted
                if "pregnancy" in p.kinds and not p.abated and durations.days_since(p, today) < PREGNANCY_DAYS
            )
        ),
        "lymphedema": _of("lymphedema"),
        "skin_infection": _of("skin-infection", dated=lambda days: 0 <= days < SKIN_INFECTION_DAYS),
        "immune_deficiency": _of("immune-deficiency"),
        "needle_fear": _of("needle-fear"),
        "thoracic_site": (findings.order.entry,) if _is_thoracic(findings, site) else (),
        "child": _child(chart, today),
    }


def _is_thoracic(findings: Findings[NeedlingFindings], site: Site) -> bool:
    """Return whether the needle may come near the lung."""
    order = findings.order
    concepts = (order.concept, *order.sites, *(reason.concept for reason in order.reasons))
    return (
        Region.THORACIC in site.regions
        or any("lung-words" in concept.said for concept in concepts)
        or any("thoracic-pain" in reason.kinds for reason in order.reasons)
    )


def _child(chart: NeedlingFindings, today: date) -> tuple[Entry, ...]:
    """Return the patient's entry when they are certainly under 18."""
    birth = chart.birth
    if birth is None:
        return ()
    day = birth.earliest
    years = today.year - day.year - ((today.month, today.day) < (day.month, day.day))
    return (Entry("Patient", f"born {birth.words}"),) if 0 <= years < ADULT_FROM_YEARS else ()
