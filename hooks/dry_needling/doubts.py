"""What makes it uncertain whether an order is for what the guideline studied (u1 to u7 of the clinical text)."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.guideline.findings import ListSeen, Problem
from hooks.dry_needling import regions
from hooks.dry_needling.indication import Entries, Indication, Site, is_in_scope, named_by_reasons
from hooks.dry_needling.regions import Region, of_problem, recognized


@dataclass(frozen=True, slots=True)
class Doubts:
    """What makes it uncertain that the patient is in the guideline's population; each has a line on the card.

    Attributes:
        elsewhere: painful entries of another region, if no reason says which is meant.
        site_not_stated: no low-back entry states a site, and the order does not say low back.
        reason_unread: a reason is given that cannot be read and names no region.
        reason_elsewhere: a stated reason and the order's site have no region in common.
        list_seen: how much of the problem list was seen.
        other_lumbar: entries with a lumbar code that is in no value set.
        after_surgery: back pain after surgery, which the guideline did not study.
    """

    elsewhere: tuple[Problem, ...]
    site_not_stated: bool
    reason_unread: bool
    reason_elsewhere: bool
    list_seen: ListSeen
    other_lumbar: tuple[Problem, ...]
    after_surgery: tuple[Problem, ...]

    @property
    def any(self) -> bool:
        """Return whether anything is uncertain."""
        return bool(
            self.elsewhere
            or self.site_not_stated
            or self.reason_unread
            or self.reason_elsewhere
            or self.list_seen is not ListSeen.WHOLE
            or self.other_lumbar
            or self.after_surgery
        )


def doubts_of(entries: Entries, site: Site, found: Indication, seen: ListSeen, *, ablated: bool) -> Doubts:
    """Return what makes it uncertain whether the order is for what the guideline studied."""
    elsewhere: list[Problem] = []
    if not entries.reasons:
        in_scope = [*found.pain, *found.in_words]
        in_scope += [p for p in entries.doubtful if is_in_scope(p, site, ablated=ablated)]
        elsewhere = [p for p in dict.fromkeys(in_scope) if _is_elsewhere(p, site)]
    return Doubts(
        elsewhere=tuple(elsewhere),
        site_not_stated=bool(found.low_back)
        and all(recognized(p) & regions.LOW_BACK_PAIN <= regions.SITE_NOT_STATED for p in found.low_back)
        and Region.LOW_BACK not in site.regions,
        reason_unread=bool(entries.unread) and not entries.reasons and not named_by_reasons(entries),
        reason_elsewhere=bool(site.named)
        and any((there := of_problem(p, site.regions)) and there.isdisjoint(site.named) for p in entries.reasons),
        list_seen=seen,
        other_lumbar=tuple(p for p in entries.counted if _is_other_lumbar(p)),
        after_surgery=tuple(p for p in found.low_back if "back-pain-after-surgery" in p.kinds),
    )


def _is_elsewhere(problem: Problem, site: Site) -> bool:
    """Return whether an entry has a region other than the low back: by code, body site or words."""
    there, by_site = of_problem(problem, site.regions), regions.of_sites(problem.sites)
    return any(found and Region.LOW_BACK not in found for found in (there, by_site))


def _is_other_lumbar(problem: Problem) -> bool:
    if recognized(problem) or "earlier-spinal-fracture" in problem.kinds:
        return False
    coded = problem.concept.coded or problem.concept.coded_elsewhere
    return "other-lumbar-disease" in problem.kinds or (coded and "lumbar-display" in problem.concept.said)
