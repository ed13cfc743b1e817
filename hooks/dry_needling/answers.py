"""From findings and a date to answers: the entries behind each question, before they become facts and words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

from cds_service.guideline import courses
from cds_service.guideline.findings import Entry, Findings, Problem, Recognition, Score, Session
from hooks.dry_needling import doubts, durations, indication, precautions, regions
from hooks.dry_needling.doubts import Doubts
from hooks.dry_needling.durations import Course
from hooks.dry_needling.facts import Baseline, Chronicity, Modality, OtherReason, Radiculopathy
from hooks.dry_needling.findings import NeedlingFindings
from hooks.dry_needling.indication import Entries, Indication, Site
from hooks.dry_needling.regions import Region, Regions, of_problem, recognized

_ROOT_CODES = frozenset({"lumbar-radiculopathy"})
_ROOT_WORDS = frozenset({"nerve-root-words", "sciatica-words"})


@dataclass(frozen=True)
class Answers:
    """The entries that answer each question, before they become facts, grounds and words."""

    findings: Findings[NeedlingFindings]
    entries: Entries
    site: Site
    found: Indication
    doubts: Doubts
    in_words: tuple[Problem, ...]
    duration: Course
    root: Radiculopathy
    root_entries: tuple[Problem, ...]
    serious: tuple[Problem, ...]
    inflammatory: tuple[Problem, ...]
    facet: tuple[Problem, ...]
    painful: tuple[Problem, ...]
    painful_regions: Regions
    general: tuple[Problem, ...]
    course: tuple[Session, ...]
    scores_around: tuple[Score, Score] | None
    baseline: tuple[Baseline, Score | None]
    precautions: dict[str, tuple[Entry, ...]]
    today: date

    @cached_property
    def headache(self) -> tuple[Problem, ...]:
        """Return headache as the order's reason, or as the only pain on the list."""
        alone = bool(self.entries.reasons) or all(_is_headache(p) for p in self.painful)
        return self.found.headache if alone else ()

    @cached_property
    def other_reason(self) -> tuple[OtherReason, Problem | None]:
        """Return what another stated reason is for, if its rule is not the first in the table's order."""
        kinds = [(self._kind_of(reason), reason) for reason in self.entries.reasons]
        if len(kinds) < 2:
            return OtherReason.NONE, None
        order = tuple(OtherReason)
        kinds.sort(key=lambda found: order.index(found[0]))
        first = kinds[0][0]
        return next(((kind, reason) for kind, reason in kinds if kind is not first), (OtherReason.NONE, None))

    def _kind_of(self, reason: Problem) -> OtherReason:
        if reason in self.found.low_back:
            acute = self.duration.chronicity in (Chronicity.ACUTE, Chronicity.SUBACUTE)
            if self.duration.chronicity is Chronicity.CHRONIC or self.root is not Radiculopathy.NONE:
                return OtherReason.PAIN if acute else OtherReason.LOW_BACK
            return OtherReason.PAIN if acute else OtherReason.ONSET_UNKNOWN
        if reason in self.found.facet:
            return OtherReason.FACET
        if reason in self.found.headache:
            return OtherReason.HEADACHE
        return OtherReason.PAIN if reason in self.found.musculoskeletal else OtherReason.NOT_COVERED

    @cached_property
    def musculoskeletal(self) -> tuple[Problem, ...]:
        """Return the musculoskeletal pain by code in scope, including low back pain."""
        return (*self.found.low_back, *self.found.musculoskeletal)

    @cached_property
    def other_on_file(self) -> tuple[Problem, ...]:
        """Return pain that is out of scope or in words only, and degenerative disease."""
        in_scope = set(map(id, self.found.pain))
        disease = (p for p in self.entries.listed if recognized(p) & regions.LUMBAR_DISEASE)
        return tuple(p for p in dict.fromkeys((*self.painful, *disease)) if id(p) not in in_scope)

    def modifiers(self, only: Regions) -> tuple[Problem, ...]:
        """Return chronic pain without a site, if all pain with a region has one of these."""
        return self.general if self.painful_regions <= only else ()

    @cached_property
    def old_pain(self) -> tuple[Problem, ...]:
        """Return the old visits' diagnoses of pain."""
        return tuple(p for p in self.entries.old_visits if indication.is_painful(p, ablated=False))

    def of(self, recognition: Recognition) -> tuple[Problem, ...]:
        """Return the entries of the list that were, or were not, recognized."""
        return tuple(p for p in self.entries.listed if p.concept.recognition is recognition)

    @cached_property
    def problem_count(self) -> int:
        """Return how many entries of the list count."""
        return len(self.entries.listed) + self.findings.chart.unrelated

    @cached_property
    def spinal(self) -> bool:
        """Return whether the order is for the spine."""
        causes = (*self.serious, *self.inflammatory)
        return precautions.is_spinal(self.entries, self.site, self.found, causes)


def answer(findings: Findings[NeedlingFindings], today: date) -> Answers:
    """Answer every question about one order on one day."""
    order, chart = findings.order, findings.chart
    ablated = bool(chart.ablations)
    entries = indication.entries_of(findings, today)
    site = indication.site_of(order, entries)
    found = indication.indication_of(entries, site, ablated=ablated)
    root, root_entries = _radiculopathy(entries)
    course = _course(findings, site, today)
    here = site.regions or frozenset[Region]().union(*(of_problem(p) for p in found.pain))
    scores = [s for s in chart.scores if s.day <= today and _meets(regions.of_sites(s.sites), here)]
    painful = [
        p
        for p in dict.fromkeys((*entries.reasons, *entries.listed, *entries.doubtful))
        if indication.is_painful(p, ablated=ablated) or indication.is_painful_in_words(p)
    ]
    painful_regions = frozenset[Region]().union(*map(of_problem, painful))
    certain = (*entries.reasons, *entries.listed)
    general = tuple(p for p in certain if regions.MODIFIERS & p.kinds and durations.code_proves(p))
    return Answers(
        findings=findings,
        entries=entries,
        site=site,
        found=found,
        doubts=doubts.doubts_of(entries, site, found, chart.problem_list, ablated=ablated),
        in_words=indication.low_back_pain_in_words(entries, found, site),
        duration=durations.of_low_back_pain(
            found.low_back,
            frozenset(entries.reasons),
            general if painful_regions <= {Region.LOW_BACK} else (),
            today,
        ),
        root=root,
        root_entries=root_entries,
        serious=precautions.serious_causes(entries, today),
        inflammatory=precautions.inflammatory_causes(entries),
        facet=tuple(p for p in (*entries.reasons, *entries.listed) if indication.is_facet(p, ablated=ablated)),
        painful=tuple(painful),
        painful_regions=painful_regions,
        general=general,
        course=course,
        scores_around=courses.scores_around(course, scores, durations.BEFORE_FIRST_SESSION, durations.TWELVE_WEEKS),
        baseline=durations.baseline(scores, today),
        precautions=precautions.precautions(findings, entries, site, today),
        today=today,
    )


def _radiculopathy(entries: Entries) -> tuple[Radiculopathy, tuple[Problem, ...]]:
    """Return whether there is nerve-root pain: by the code of an entry that counts, or by the words of any."""
    certain = (*entries.reasons, *entries.listed)
    if by_code := tuple(p for p in certain if _ROOT_CODES & p.kinds):
        return Radiculopathy.YES, by_code
    possible = tuple(p for p in entries.counted if (_ROOT_CODES | _ROOT_WORDS) & p.kinds)
    return (Radiculopathy.POSSIBLE if possible else Radiculopathy.NONE), possible


def _is_headache(problem: Problem) -> bool:
    return "headache" in problem.kinds or (not recognized(problem) and of_problem(problem) == {Region.HEAD})


def _course(findings: Findings[NeedlingFindings], site: Site, today: date) -> tuple[Session, ...]:
    """Return the latest course of dry needling where the order is for."""
    sessions = [
        session
        for session in findings.chart.sessions
        if session.kind == Modality.DRY_NEEDLING
        and _meets(regions.of_sites(session.sites) or regions.named((session.concept,)), site.regions)
    ]
    return courses.latest(sessions, durations.TWELVE_WEEKS, today)


def _meets(there: Regions, here: Regions) -> bool:
    """Return whether two places may be the same: they share a region, or one is unknown."""
    return not there or not here or not there.isdisjoint(here)
