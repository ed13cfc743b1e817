"""What the decision table of lumbar imaging may ask."""

from dataclasses import dataclass
from enum import StrEnum

from cds_service.guideline.findings import ListSeen


class Began(StrEnum):
    """When low back pain began, as stated."""

    WITHIN_SIX_WEEKS = "within-six-weeks"
    EARLIER = "earlier"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Facts:
    """Facts about an imaging order, or about the patient whose chart is opened."""

    imaging_ordered: bool
    low_back_pain: bool
    began: Began
    red_flag: bool
    problem_list: ListSeen
