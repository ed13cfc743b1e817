"""The closed set of facts that the decision table may test: each an enumeration's value or a boolean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cds_service.guideline.findings import ListSeen


class Modality(StrEnum):
    """The technique that is ordered: the kinds of orders.toml, or none."""

    DRY_NEEDLING = "dry-needling"
    TRIGGER_POINT_INJECTION = "trigger-point-injection"
    NONE = "none"


class Chronicity(StrEnum):
    """How long the low back pain has lasted: under 6 weeks, under 12, 12 or more, or not known."""

    ACUTE = "acute"
    SUBACUTE = "subacute"
    CHRONIC = "chronic"
    UNKNOWN = "unknown"


class Baseline(StrEnum):
    """The latest pain score of the last 90 days: 7 or more, 3 or less, between, or none on file."""

    HIGH = "high"
    MIDDLE = "middle"
    LOW = "low"
    NONE = "none"


class EarlierNeedling(StrEnum):
    """Whether pain fell by more than 1 point from before the first to after the last session (E4)."""

    IMPROVED = "improved"
    NOT_IMPROVED = "not-improved"
    UNKNOWN = "unknown"


class Care(StrEnum):
    """Whether conservative care is on file."""

    FOUND = "found"
    NOT_FOUND = "not-found"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Facts:
    """The closed set of facts that rules and notes may test."""

    modality: Modality
    low_back_pain: bool
    chronicity: Chronicity
    lumbar_radiculopathy: bool
    degenerative_lumbar_disease: bool
    facet_pain: bool
    headache: bool
    musculoskeletal_pain: bool
    given_past_12_weeks: bool
    chronic_condition: bool
    onset_may_be_chronic: bool
    trigger_points: bool
    fibromyalgia: bool
    conservative_care: Care
    active_therapy: bool
    baseline_pain: Baseline
    earlier_needling: EarlierNeedling
    unconfirmed: bool
    reason_unread: bool
    problem_list: ListSeen
    data_missing: bool
    uncoded_entries: bool
    coded_elsewhere: bool
    elements_lost: bool
    entries_of_others: bool
    unreadable_entries: bool
