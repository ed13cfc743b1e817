"""order-select and order-sign: request and chart to cards. The only file of the guideline that others call."""

from __future__ import annotations

from datetime import date
from functools import partial

from cds_service.errors import TooManyResources
from cds_service.fhir.chart import Availability, Chart
from cds_service.hook_request import HookRequest
from cds_service.services import CdsService, Content, Guidance, PrefetchMissing, PrefetchTemplate, SiteConfiguration
from hooks.dry_needling import cards, care, diagnoses, guideline, orders, scores
from hooks.dry_needling.decision import Decided, decide
from hooks.dry_needling.explanation import explain
from hooks.dry_needling.findings import ChartFindings, Entry, Findings, ProblemList
from hooks.dry_needling.guideline import Guideline
from hooks.dry_needling.orders import OrdersRead

_PATIENT = "patient={{context.patientId}}"

_HOOK_VERSION = "1.0"
"""Of both hooks' definitions, as the hook library publishes them (conformance H3)."""

_MISSING_WORDS = {
    "painScores": "pain scores",
    "procedures": "earlier procedures",
    "serviceRequests": "other orders",
    "carePlans": "care plans",
}

_MOST_WEIGHED = 25_000
"""Chart entries that matter, times needling orders: a fifth of a second. A real session has a few hundred."""

_DESCRIPTION = (
    "When dry needling or trigger-point injection is ordered: warns where the evidence is against it (chronic low back "
    "pain without radiculopathy, facet-mediated pain, more than 12 weeks of treatment), says that relief is short-term "
    "only, and what else the evidence says. Silent for every other order."
)
_USAGE = (
    "Reads Condition (needed unless the order's own reason decides), Observation, Procedure, ServiceRequest, CarePlan. "
    "Supports a clinician's judgement and does not replace it."
)


def services(site: SiteConfiguration) -> tuple[CdsService, ...]:
    """Load the knowledge and return the guideline's services, one for each hook.

    Raises:
        KnowledgeError: a knowledge file is wrong.
    """
    loaded = guideline.load(site)
    return tuple(
        CdsService(
            id=f"dry-needling-{hook}",
            hook=hook,
            hook_version=_HOOK_VERSION,
            title=f"{loaded.knowledge.identity.title} ({words})",
            description=_DESCRIPTION,
            usage_requirements=_USAGE,
            templates=_templates(loaded),
            review=loaded.review,
            content=Content(loaded.knowledge, loaded.value_sets.displays, loaded.preview),
            wanted=partial(wanted, loaded),
            handler=partial(answer, loaded),
            override_codes={reason["code"]: reason["system"] for reason in loaded.actions.override_reasons},
        )
        for hook, words in (("order-select", "when an order is selected"), ("order-sign", "when orders are signed"))
    )


def _templates(loaded: Guideline) -> tuple[PrefetchTemplate, ...]:
    """Return the queries we publish: instance read, type searches, token equality, and only 2.0 tokens (D4)."""
    asked = (*loaded.value_sets.displays["pain-score"], *loaded.value_sets.displays["pain-score-panels"])
    scores_by_code = ",".join(f"{system}|{code}" for system, code in asked)
    return (
        PrefetchTemplate("patient", "Patient/{{context.patientId}}"),
        PrefetchTemplate("conditions", f"Condition?{_PATIENT}", required=True),
        PrefetchTemplate("painScores", f"Observation?{_PATIENT}&code={scores_by_code}"),
        PrefetchTemplate("procedures", f"Procedure?{_PATIENT}"),
        PrefetchTemplate("serviceRequests", f"ServiceRequest?{_PATIENT}&status=active,completed"),
        PrefetchTemplate("carePlans", f"CarePlan?{_PATIENT}&status=active"),
    )


def wanted(loaded: Guideline, request: HookRequest) -> tuple[str, ...] | None:
    """Return the references that the reasons of needling orders are given by; None when no order is for needling."""
    nothing = Chart(request.context.patient_id, {}, {})
    needling = orders.read(request.context.draft_orders, request.selections, nothing, loaded, date.min).needling
    return tuple(reference for order in needling for reference in orders.references(order)) if needling else None


def answer(loaded: Guideline, request: HookRequest, chart: Chart, today: date) -> Guidance:
    """Answer one call.

    Raises:
        PrefetchMissing: a needling order cannot be decided, because conditions could not be had (conformance P2).
        TooManyResources: there are more orders and chart entries than can be weighed in time.
    """
    read = orders.read(request.context.draft_orders, request.selections, chart, loaded, today)
    decided = tuple(_decided(read, chart, loaded, today)) if read.needling else ()
    composed = cards.compose(request, decided, loaded, today)
    log: dict[str, int | str | bool] = {
        "drafts": len(read.seen),
        "needling_orders": len(read.needling),
        "unmatched_selections": read.unmatched_selections,
        "drafts_without_code": read.without_code,
        "foreign_entries": chart.foreign,
        "rules": ",".join(item.decision.rule.id for item in decided) or "R0",
        "knowledge": loaded.knowledge.version,
    }
    return Guidance(
        cards=tuple(card for card, _ in composed),
        subjects={card["uuid"]: subject for card, subject in composed},
        orders=len(read.needling),
        explain=partial(explain, read, decided, chart, loaded, today),
        log=log,
    )


def _decided(read: OrdersRead, chart: Chart, loaded: Guideline, today: date) -> list[Decided]:
    in_chart = _chart_findings(read, chart, loaded, today)
    if in_chart.entry_count * len(read.needling) > _MOST_WEIGHED:
        raise TooManyResources("There are too many needling orders for so many chart entries that matter to them")
    decided = []
    for order in read.needling:
        findings = Findings(order.findings, in_chart)
        assessment, decision = decide(findings, today, loaded.knowledge.table)
        if in_chart.problem_list is ProblemList.UNAVAILABLE and not assessment.decides_alone:
            failed = chart.availability.get("conditions") is Availability.FAILED
            raise PrefetchMissing("conditions", "could not be read" if failed else "was not sent")
        decided.append(Decided(order, findings, assessment, decision))
    return decided


def _chart_findings(read: OrdersRead, chart: Chart, loaded: Guideline, today: date) -> ChartFindings:
    conditions = diagnoses.read(chart, loaded, today)
    given = care.read(chart, loaded, read.active, today)
    pain = scores.read(chart, loaded, scores.windows(given.sessions, today))
    lost = (*(name for order in read.needling for name in order.lost), *conditions.lost, *given.lost, *pain.lost)
    unreadable = (
        *read.unreadable,
        *conditions.unreadable,
        *given.unreadable,
        *pain.unreadable,
        *(Entry(name, "prefetched entry") for name in chart.unreadable),
    )
    return ChartFindings(
        problems=tuple(conditions.problems),
        scores=tuple(pain.scores),
        sessions=tuple(given.sessions),
        ablations=tuple(given.ablations),
        care_tried=tuple(given.care_tried),
        active_therapy=tuple(given.active_therapy),
        uncoded=tuple(sorted(set(conditions.uncoded))),
        coded_elsewhere=tuple(sorted(set(conditions.coded_elsewhere))),
        lost=tuple(sorted(set(lost))),
        others=chart.foreign,
        unreadable=tuple(sorted(set(unreadable))),
        problem_list=_problem_list(chart),
        missing=tuple(words for key, words in _MISSING_WORDS.items() if not chart.obtained(key)),
        procedures_missing=not chart.obtained("procedures"),
    )


def _problem_list(chart: Chart) -> ProblemList:
    if not chart.obtained("conditions"):
        return ProblemList.UNAVAILABLE
    partial_list = chart.availability["conditions"] is Availability.PARTIAL
    return ProblemList.PARTIAL if partial_list else ProblemList.COMPLETE
