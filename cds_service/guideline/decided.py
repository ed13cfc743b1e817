"""One order with everything decided about it, from the draft to the rule that fired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.guideline.drafts import Draft
from cds_service.guideline.findings import Findings
from cds_service.guideline.grounds import STATED_REASON, Assessment, Ground
from cds_service.guideline.table import Decision, FactValue


@dataclass(frozen=True, slots=True)
class Decided:
    """One order with its findings, assessment (`facts` holds its facts by name) and decision."""

    draft: Draft
    findings: Findings[Any]
    assessment: Assessment
    facts: Mapping[str, FactValue]
    decision: Decision

    @property
    def deciding_grounds(self) -> list[Ground]:
        """Return the grounds of the facts that the rule tested, and the order's own reason."""
        tested = {*self.decision.because, STATED_REASON}
        return [ground for ground in self.assessment.grounds if ground.fact in tested]
