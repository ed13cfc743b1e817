"""Should this patient get dry needling? The guideline's public face is `GUIDELINE`."""

from hooks.dry_needling.guideline import GUIDELINE

__all__ = ["GUIDELINE"]
