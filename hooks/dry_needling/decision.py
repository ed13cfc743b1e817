"""Findings and a date to a decision: what is asked of the chart, then the first row of the table that holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cds_service import decision
from cds_service.decision import Decision, Table
from hooks.dry_needling.assessment import Assessment, assess
from hooks.dry_needling.findings import Findings
from hooks.dry_needling.orders import NeedlingOrder


@dataclass(frozen=True, slots=True)
class Decided:
    """One needling order with what was found, how it was assessed and what was decided."""

    order: NeedlingOrder
    findings: Findings
    assessment: Assessment
    decision: Decision


def decide(findings: Findings, today: date, table: Table) -> tuple[Assessment, Decision]:
    """Decide one order on one day. Pure and total: any findings get exactly one decision.

    Args:
        today: the evaluation date; every duration is counted up to it.
    """
    assessment = assess(findings, today)
    return assessment, decision.decide(assessment.facts.mapping(), table)
