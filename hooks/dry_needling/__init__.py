"""Should this patient get dry needling? The guideline's public face is `services`."""

from hooks.dry_needling.service import services

__all__ = ["services"]
