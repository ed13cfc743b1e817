"""The closed set of facts that the decision table may test: each an enumeration's value or a boolean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cds_service.guideline.findings import ListSeen


class Modality(StrEnum):
    """What was ordered."""

    DRY_NEEDLING = "dry-needling"
    TRIGGER_POINT_INJECTION = "trigger-point-injection"
    NONE = "none"


class SpinalCause(StrEnum):
    """A specific cause on file, for an order for the spine."""

    SERIOUS = "serious"
    INFLAMMATORY = "inflammatory"
    NONE = "none"


class LowBackPain(StrEnum):
    """Whether the order is for low back pain: by code, by words only, or not."""

    YES = "yes"
    IN_WORDS = "in-words"
    NO = "no"


class Chronicity(StrEnum):
    """How long the low back pain has lasted: under 6 weeks, under 12, 12 or more, or not known."""

    ACUTE = "acute"
    SUBACUTE = "subacute"
    CHRONIC = "chronic"
    UNKNOWN = "unknown"


class Radiculopathy(StrEnum):
    """Whether there is lumbar nerve-root pain: by code, by words only, or none that was recognized."""

    YES = "yes"
    POSSIBLE = "possible"
    NONE = "none"


class Baseline(StrEnum):
    """The latest pain score of the last 90 days: 7 or more, 2 to 3, another, or none recognized."""

    HIGH = "high"
    LOW = "low"
    OTHER = "other"
    NONE = "none"


class Care(StrEnum):
    """Whether conservative care is on file."""

    FOUND = "found"
    NOT_FOUND = "not-found"
    UNAVAILABLE = "unavailable"


class OnFile(StrEnum):
    """What is on the list, for an order that nothing covers: pain that may be meant, problems, or nothing was sent."""

    PAIN = "pain"
    PROBLEMS = "problems"
    NOTHING = "nothing"


class OtherReason(StrEnum):
    """What another stated reason, which has another rule, is for; in the order of the decision table."""

    LOW_BACK = "low-back"
    FACET = "facet"
    HEADACHE = "headache"
    ONSET_UNKNOWN = "onset-unknown"
    PAIN = "pain"
    NOT_COVERED = "not-covered"
    NONE = "none"


class OtherPain(StrEnum):
    """Pain outside the low back that the order may be for."""

    HEAD = "head"
    ELSEWHERE = "elsewhere"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Facts:
    """The closed set of facts that rules and notes may test; facts.toml in the knowledge folder has their words."""

    modality: Modality
    spinal_cause: SpinalCause
    low_back_pain: LowBackPain
    chronicity: Chronicity
    radiculopathy: Radiculopathy
    certain: bool
    facet_pain: bool
    course_past_12_weeks: bool
    headache: bool
    musculoskeletal_pain: bool
    reason_not_covered: bool
    # What makes it uncertain that the patient is in the population.
    other_pain: OtherPain
    site_not_stated: bool
    reason_unread: bool
    reason_elsewhere: bool
    problem_list: ListSeen
    other_lumbar_code: bool
    after_surgery: bool
    # Lines of the card.
    cause_readable: bool
    serious_cause_elsewhere: bool
    bleeding_disorder: bool
    anticoagulant: bool
    pregnancy: bool
    lymphedema: bool
    skin_infection: bool
    immune_deficiency: bool
    needle_fear: bool
    thoracic_site: bool
    child: bool
    chronic_beside_acute: bool
    two_reasons: bool
    other_reason: OtherReason
    degenerative_disease: bool
    read_as_low_back: bool
    active_therapy: bool
    chronic_condition: bool
    facet_on_file: bool
    fibromyalgia: bool
    onset_imprecise: bool
    onset_in_words: bool
    onset_ahead: bool
    conservative_care: Care
    six_weeks: bool
    pain_around_course: bool
    neck_baseline: Baseline
    on_file: OnFile
    other_on_file: bool
    site_named: bool
    reason_is_lumbar_disease: bool
    facet_by_ablation: bool
    # What was not seen.
    reason_in_words: bool
    others_entries: bool
    unreadable: bool
    free_text: bool
    unknown_system: bool
    old_visits: bool
    not_available: bool
