"""What cards say about a chart: the words behind each fact, and for the placeholders of the knowledge folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cds_service.guideline import courses
from cds_service.guideline.detail import LONG, SHORT, cut
from cds_service.guideline.findings import Problem, Recognition
from cds_service.guideline.grounds import Ground, counted, described, each_once, named, scored
from hooks.dry_needling.answers import Answers
from hooks.dry_needling.facts import Facts
from hooks.dry_needling.regions import Region, of_problem

_REGION_WORDS = {
    Region.THORACIC: "upper back",
    Region.HIP_AND_BUTTOCK: "hip or buttock",
    Region.KNEE_AND_LEG: "knee or leg",
}


def grounds_of(answers: Answers, facts: Facts) -> tuple[Ground, ...]:
    """Return the entries behind each fact, most important first, one ground per entry."""
    found, doubts, chart = answers.found, answers.doubts, answers.findings.chart
    proof = answers.duration.proof
    root = answers.root_entries
    stated = answers.entries.reasons
    low_back = (*proof, *found.low_back)
    cause = answers.serious or answers.inflammatory
    groups: tuple[tuple[str, str, Sequence[Problem]], ...] = (
        ("spinal_cause", "specific cause", cause),
        ("low_back_pain", "low back pain", (*low_back, *answers.in_words)),
        ("radiculopathy", "nerve-root pain", root),
        ("certain", "makes it uncertain", (*doubts.elsewhere, *doubts.other_lumbar)),
        ("facet_pain", "facet pain", found.facet),
        ("headache", "headache", answers.headache),
        ("musculoskeletal_pain", "pain", (*proof, *answers.musculoskeletal)),
        ("reason_not_covered", "stated reason", found.not_covered),
        ("on_file", "on file", (*found.pain, *answers.other_on_file)),
        ("facet_on_file", "facet pain on file", answers.facet),
        ("degenerative_disease", "degenerative disease", _of(answers, "degenerative-lumbar-disease")),
        ("fibromyalgia", "fibromyalgia", _of(answers, "fibromyalgia")),
        ("serious_cause_elsewhere", "specific cause", answers.serious),
    )
    grounds = [
        Ground(
            fact,
            f"{role} (order reason)" if problem in stated else role,
            (problem.entry,),
            described(problem, answers.today),
        )
        for fact, role, problems in groups
        if problems
        for problem in each_once(problems)
    ]
    grounds += [
        Ground(fact, fact.replace("_", " "), entries, named(entries))
        for fact, entries in answers.precautions.items()
        if entries
    ]
    if facts.course_past_12_weeks:
        entries = tuple(session.entry for session in answers.course)
        grounds.append(Ground("course_past_12_weeks", "earlier sessions", entries, _sessions(answers)))
    for fact, scores in (
        ("pain_around_course", answers.scores_around or ()),
        ("neck_baseline", tuple(score for score in answers.baseline[1:] if score)),
    ):
        if scores:
            grounds.append(Ground(fact, "pain score", tuple(s.entry for s in scores), "; ".join(map(scored, scores))))
    for fact, role, listed in (
        ("conservative_care", "conservative care", chart.care_tried),
        ("active_therapy", "active therapy", chart.active_therapy),
        ("facet_pain", "earlier radiofrequency ablation", chart.ablations if found.facet else ()),
    ):
        if listed:
            grounds.append(Ground(fact, role, tuple(sorted(set(listed))), named(listed)))
    for fact, role, told in (
        ("unreadable", "could not be read", (*chart.unreadable, *(p.entry for p in answers.entries.doubtful))),
        ("unreadable", "elements that could not be read", chart.lost),
        ("free_text", "free text only", tuple(p.entry for p in answers.of(Recognition.FREE_TEXT))),
        ("unknown_system", "code of an unknown system", tuple(p.entry for p in answers.of(Recognition.UNKNOWN_SYSTEM))),
        ("old_visits", "diagnosis of an old visit", tuple(p.entry for p in answers.old_pain)),
        ("reason_in_words", "reason that is not read", tuple(p.entry for p in answers.entries.unread)),
    ):
        if told:
            grounds.append(Ground(fact, role, tuple(dict.fromkeys(told)), named(told)))
    return tuple(grounds)


def _of(answers: Answers, kind: str) -> list[Problem]:
    return [p for p in (*answers.entries.reasons, *answers.entries.listed) if kind in p.kinds]


def region_words(found: Iterable[Region]) -> str:
    """Return regions in words, from head to foot."""
    listed = [_REGION_WORDS.get(region, region.replace("-", " ")) for region in sorted(found, key=list(Region).index)]
    return " or ".join(listed)


def _sessions(answers: Answers) -> str:
    first, last = answers.course[0].first, courses.last_day(answers.course)
    return f"{len(answers.course)} completed, {first.isoformat()} to {last.isoformat()}"


class Values(dict[str, str]):
    """The words for placeholders in texts of the knowledge folder, each computed when used."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._answers = answers

    def __missing__(self, name: str) -> str:
        words = _WORDS[name](self._answers) if name in _WORDS else _precaution(self._answers, name)
        self[name] = words
        return words


def _precaution(answers: Answers, name: str) -> str:
    found = answers.precautions[name]
    return cut(found[0].display, SHORT) if found else ""


def _named(problems: Iterable[Problem], longest: int = LONG) -> str:
    return named((problem.entry for problem in problems), longest)


def _region(answers: Answers) -> str:
    """Return the regions other than the low back that an order may be for; the head only if nothing else is."""
    there = frozenset[Region]().union(*map(of_problem, answers.doubts.elsewhere)) - {Region.LOW_BACK}
    return region_words(there - {Region.HEAD} or there)


def _other(answers: Answers) -> str:
    other = answers.other_reason[1]
    return cut(other.entry.display, SHORT) if other else ""


def _onset_words(answers: Answers) -> str:
    return cut(next((p.onset_words for p in answers.musculoskeletal if p.onset_words), ""), SHORT)


def _pain_score(answers: Answers, which: int) -> str:
    return f"{answers.scores_around[which].points:g}" if answers.scores_around else ""


def _place(problem: Problem | None) -> str:
    if problem is None:
        return ""
    there = of_problem(problem)
    return f"the {region_words(there)}" if there else cut(problem.entry.display, SHORT)


def _unread_reason(reasons: tuple[Problem, ...]) -> str:
    """Return the words of the unread reasons; one without words is unreadable."""
    said = tuple(p.entry for p in reasons if p.concept.texts)
    return f"in words only: '{named(said, SHORT)}'" if said else "unreadable"


def _several(words: tuple[str, ...]) -> str:
    return ", ".join(words[:2]) + (f" and {len(words) - 2} more" if len(words) > 2 else "")


def _unread(answers: Answers) -> str:
    """Return what could not be read: the element of the first entry."""
    chart = answers.findings.chart
    doubtful = [f"{(p.unread or ('status',))[0]} of {cut(p.entry.display, SHORT)}" for p in answers.entries.doubtful]
    found = tuple(dict.fromkeys((*doubtful, *(entry.display for entry in (*chart.unreadable, *chart.lost)))))
    if not found:
        return ""
    return f"unreadable: {cut(found[0], LONG)}" + (f" and {len(found) - 1} more" if len(found) > 1 else "")


_WORDS: dict[str, Callable[[Answers], str]] = {
    "cause": lambda found: _named(found.serious or found.inflammatory),
    "problems": lambda found: counted(found.problem_count, "active problem"),
    "elsewhere": lambda found: _named(found.doubts.elsewhere, SHORT),
    "region": _region,
    "other_lumbar": lambda found: _named(found.doubts.other_lumbar, SHORT),
    "radiculopathy": lambda found: _named(found.root_entries, SHORT),
    "diagnosis": lambda found: _named(found.found.not_covered),
    "pain": lambda found: _named(found.found.pain),
    "pain_is": lambda found: "is" if len({p.entry.display for p in found.found.pain}) == 1 else "are",
    "site": lambda found: region_words(found.site.regions),
    "other_on_file": lambda found: _named(found.other_on_file),
    "other_place": lambda found: _place(found.other_reason[1]),
    "other_diagnosis": _other,
    "times": lambda found: counted(len(found.course), "time"),
    "first": lambda found: found.course[0].first.isoformat() if found.course else "",
    "before": lambda found: _pain_score(found, 0),
    "after": lambda found: _pain_score(found, 1),
    "care": lambda found: named(found.findings.chart.care_tried, SHORT),
    "serious": lambda found: _named(found.serious, SHORT),
    "reason_words": lambda found: _unread_reason(found.entries.unread),
    "others": lambda found: counted(found.findings.chart.others, "entry", "entries"),
    "unreadable": _unread,
    "free_text": lambda found: _named(found.of(Recognition.FREE_TEXT)),
    "unknown_system": lambda found: _named(found.of(Recognition.UNKNOWN_SYSTEM), SHORT),
    "onset_words": _onset_words,
    "old_visits": lambda found: "; ".join(described(p, found.today) for p in found.old_pain[:1]),
    "not_available": lambda found: _several(found.findings.chart.not_available),
}
