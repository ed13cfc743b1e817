"""What an order is for: which entries count, its own reasons before the problem list, and what makes that uncertain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from cds_service.guideline.findings import Findings, OrderFindings, Problem, StatedStatus
from hooks.dry_needling import durations, regions
from hooks.dry_needling.findings import NeedlingFindings
from hooks.dry_needling.regions import NONE, Region, Regions, of_problem, recognized

_DECIDING = frozenset({"clinicalStatus", "verificationStatus", "subject"})
_FACET_WORDS = "facet-words"
_LOW_BACK_PAIN_WORDS = "low-back-pain-words"
_PAIN_WORDS = "pain-words"


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries by which one order is decided.

    Attributes:
        reasons: the order's reasons that can be read and count for a warning.
        unread: the reasons that cannot be read.
        listed: the entries of the list that count.
        doubtful: entries and reasons that count only against a warning: subject, status or verification is unreadable.
        old_visits: diagnoses of visits that no longer count.
    """

    reasons: tuple[Problem, ...] = ()
    unread: tuple[Problem, ...] = ()
    listed: tuple[Problem, ...] = ()
    doubtful: tuple[Problem, ...] = ()
    old_visits: tuple[Problem, ...] = ()

    @property
    def counted(self) -> tuple[Problem, ...]:
        """Return every entry that counts, for or only against a warning, in the order of reasons and list."""
        return (*self.reasons, *self.unread, *self.listed, *self.doubtful)


@dataclass(frozen=True, slots=True)
class Site:
    """The place that an order is for.

    Attributes:
        regions: from the first that names any: body site, stated reason, free-text reason, the order's own words.
        named: regions that the body site and the order's own words name, whatever its reasons.
    """

    regions: Regions = NONE
    named: Regions = NONE


@dataclass(frozen=True, slots=True)
class Indication:
    """The entries an order is about, by kind.

    Attributes:
        low_back: low back pain by code, refined by the list where a stated reason is low back pain.
        facet: facet pain.
        headache: headaches.
        musculoskeletal: other musculoskeletal pain by code.
        general: pain that names neither site nor cause.
        in_words: pain by words only.
        not_covered: coded reasons that no evidence statement covers.
    """

    low_back: tuple[Problem, ...] = ()
    facet: tuple[Problem, ...] = ()
    headache: tuple[Problem, ...] = ()
    musculoskeletal: tuple[Problem, ...] = ()
    general: tuple[Problem, ...] = ()
    in_words: tuple[Problem, ...] = ()
    not_covered: tuple[Problem, ...] = ()

    @property
    def pain(self) -> tuple[Problem, ...]:
        """Return everything that is painful by code."""
        return (*self.low_back, *self.facet, *self.headache, *self.musculoskeletal, *self.general)


def entries_of(findings: Findings[NeedlingFindings], today: date) -> Entries:
    """Return the reasons and entries that count, and for what."""
    order, chart = findings.order, findings.chart
    listed, doubtful, old = [], [], []
    for problem in chart.problems:
        if not _counts(problem, order, today):
            old.append(problem)
        elif is_doubtful(problem):
            doubtful.append(problem)
        else:
            listed.append(problem)
    readable, unread = [], []
    for reason in order.reasons:
        if is_doubtful(reason):
            doubtful.append(reason)
        if not is_doubtful(reason) and _counts(reason, order, today) and _is_readable(reason, order):
            readable.append(reason)
        else:
            unread.append(reason)
    return Entries(tuple(readable), tuple(unread), tuple(listed), tuple(doubtful), tuple(old))


def _counts(problem: Problem, order: OrderFindings, today: date) -> bool:
    """Return whether an entry is not an old visit: it says that it is active, is of the order's visit, or is recent."""
    if not problem.visit or problem.status is StatedStatus.ACTIVE:
        return True
    if problem.encounter and problem.encounter == order.encounter:
        return True
    return 0 <= durations.days_since(problem, today) < durations.CHRONIC_FROM_DAYS


def is_doubtful(problem: Problem) -> bool:
    """Return whether the status, subject or verification of an entry could not be read."""
    return problem.status is StatedStatus.UNREADABLE or not _DECIDING.isdisjoint(problem.unread)


def _is_readable(reason: Problem, order: OrderFindings) -> bool:
    """Return whether a reason is read: by a code of a known system, exact display words, facet words or a reference."""
    concept = reason.concept
    resolved = reason.entry.reference != order.entry.reference
    return concept.coded or bool(concept.value_sets) or resolved or is_facet(reason, ablated=False)


def site_of(order: OrderFindings, entries: Entries) -> Site:
    """Return the place that an order is for."""
    by_site = regions.of_sites(order.sites, unclear=True)
    words = regions.named((order.concept,), unclear=True)
    by_reason = NONE
    for reason in entries.reasons:
        if not (recognized(reason) & regions.LOW_BACK_PAIN <= regions.SITE_NOT_STATED and _is_back_pain(reason)):
            by_reason |= of_problem(reason)
    in_words = named_by_reasons(entries)
    return Site(by_site or by_reason or in_words or words, by_site | words)


def named_by_reasons(entries: Entries) -> Regions:
    """Return the regions that the words of unread reasons name; doubtful ones never say low back."""
    found = NONE
    for reason in entries.unread:
        there = regions.named((reason.concept,), unclear=True)
        if not (is_doubtful(reason) and Region.LOW_BACK in there):
            found |= there
    return found


def _is_back_pain(problem: Problem) -> bool:
    return not regions.SITE_NOT_STATED.isdisjoint(problem.kinds)


def is_facet(problem: Problem, *, ablated: bool) -> bool:
    """Return whether an entry is facet pain: by code, by word on a lumbar entry, or disease with an ablation.

    Args:
        problem: the entry.
        ablated: an earlier lumbar radiofrequency ablation is on file.
    """
    ours = recognized(problem)
    if ours & regions.FACET_PAIN:
        return Region.LOW_BACK in of_problem(problem)
    if _FACET_WORDS in problem.concept.said:
        return Region.LOW_BACK in of_problem(problem) or Region.LOW_BACK in regions.named((problem.concept,))
    return ablated and bool(ours & regions.FACET_DISEASE)


def is_low_back_pain(problem: Problem, site: Site) -> bool:
    """Return whether an entry is low back pain by code: back pain without a site unless it is placed elsewhere."""
    found = recognized(problem) & regions.LOW_BACK_PAIN
    if found and found <= regions.SITE_NOT_STATED:
        return Region.LOW_BACK in of_problem(problem, site.regions)
    return bool(found)


def is_painful(problem: Problem, *, ablated: bool) -> bool:
    """Return whether an entry is painful by a code, or facet pain."""
    return bool(recognized(problem) & regions.PAINFUL) or is_facet(problem, ablated=ablated)


def is_painful_in_words(problem: Problem) -> bool:
    """Return whether an entry without a recognized code is painful by its words."""
    return not recognized(problem) and _PAIN_WORDS in problem.concept.said


def indication_of(entries: Entries, site: Site, *, ablated: bool) -> Indication:
    """Return what an order is for: its readable reasons; else the list, by the order's region where it has one."""
    if entries.reasons:
        return _stated(entries, site, ablated=ablated)
    in_scope = [p for p in entries.listed if is_in_scope(p, site, ablated=ablated)]
    in_words = [p for p in in_scope if is_painful_in_words(p)]
    return _sorted(in_scope, in_words, site, ablated=ablated)


def is_in_scope(problem: Problem, site: Site, *, ablated: bool) -> bool:
    """Return whether an order without a readable reason may be about an entry: painful, and at the order's place."""
    if is_painful(problem, ablated=ablated):
        if not site.regions:
            return True
        there = of_problem(problem, site.regions)
        return not there or not there.isdisjoint(site.regions)
    return not site.regions and is_painful_in_words(problem)


def _stated(entries: Entries, site: Site, *, ablated: bool) -> Indication:
    """Return what the reasons say; the list refines low back pain, and makes lumbar disease low back pain."""
    listed = [p for p in entries.listed if is_low_back_pain(p, site)]
    low_back, rest, not_covered = [], [], []
    for reason in entries.reasons:
        if is_low_back_pain(reason, site):
            low_back.append(reason)
        elif is_painful(reason, ablated=ablated):
            rest.append(reason)
        elif recognized(reason) & regions.LUMBAR_DISEASE and listed:
            low_back += listed
        elif reason.concept.coded or recognized(reason):
            not_covered.append(reason)
        else:
            rest.append(reason)
    if low_back:
        low_back += listed
    in_words = [p for p in rest if not is_painful(p, ablated=ablated)]
    found = _sorted([*dict.fromkeys(low_back), *rest], in_words, site, ablated=ablated)
    return Indication(
        found.low_back,
        found.facet,
        found.headache,
        found.musculoskeletal,
        found.general,
        found.in_words,
        tuple(not_covered),
    )


def _sorted(painful: Iterable[Problem], in_words: Sequence[Problem], site: Site, *, ablated: bool) -> Indication:
    low_back, facet, headache, musculoskeletal, general = [], [], [], [], []
    for problem in painful:
        ours = recognized(problem)
        if is_low_back_pain(problem, site):
            low_back.append(problem)
        if is_facet(problem, ablated=ablated):
            facet.append(problem)
        elif ours & (regions.MUSCULOSKELETAL_PAIN | regions.FACET_PAIN | regions.SITE_NOT_STATED) and not (
            low_back and low_back[-1] is problem
        ):
            musculoskeletal.append(problem)
        if ours & regions.HEADACHE:
            headache.append(problem)
        if ours & regions.GENERAL_PAIN:
            general.append(problem)
    return Indication(
        tuple(low_back), tuple(facet), tuple(headache), tuple(musculoskeletal), tuple(general), tuple(in_words)
    )


def low_back_pain_in_words(entries: Entries, found: Indication, site: Site) -> tuple[Problem, ...]:
    """Return entries without a recognized code whose words name low back pain, if nothing else is in scope."""
    if found.pain or found.not_covered or (site.regions and Region.LOW_BACK not in site.regions):
        return ()
    candidates = entries.reasons or (*entries.unread, *entries.listed)
    named = tuple(p for p in candidates if not recognized(p) and _LOW_BACK_PAIN_WORDS in p.concept.said)
    others = [p for p in found.in_words if p not in named and is_painful_in_words(p)]
    return () if others else named
