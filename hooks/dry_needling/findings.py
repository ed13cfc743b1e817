"""What needling needs from a chart besides problems: earlier sessions, other care, medications and pain scores."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.guideline.findings import ChartFindings, Entry, FhirDate, Medication, Score, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedlingFindings(ChartFindings):
    """What the chart says.

    Attributes:
        scores: pain scores.
        sessions: completed sessions of needling, of every kind.
        ablations: earlier lumbar radiofrequency ablations.
        care_tried: exercise, physical therapy and the like, done or ordered earlier.
        active_therapy: exercise or physical therapy that is active, or ordered in this session.
        procedures_missing: procedures were not available, so that care tried cannot be ruled out.
        medications: active medication requests.
        birth: the patient's date of birth.
    """

    scores: tuple[Score, ...] = ()
    sessions: tuple[Session, ...] = ()
    ablations: tuple[Entry, ...] = ()
    care_tried: tuple[Entry, ...] = ()
    active_therapy: tuple[Entry, ...] = ()
    procedures_missing: bool = False
    medications: tuple[Medication, ...] = ()
    birth: FhirDate | None = None
