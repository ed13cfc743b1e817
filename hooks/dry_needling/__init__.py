"""Should this patient get dry needling? The guideline is `GUIDELINE`."""

from hooks.dry_needling.guideline import GUIDELINE

__all__ = ["GUIDELINE"]
