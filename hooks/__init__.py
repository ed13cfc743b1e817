"""The guidelines: medicine that knows no HTTP. A new guideline is a folder here and a line in `load_services`."""

from pathlib import Path

from cds_service.services import CdsService
from hooks import dry_needling


def load_services(site_value_sets: Path | None = None) -> tuple[CdsService, ...]:
    """Load every guideline's knowledge and return the services they offer.

    Args:
        site_value_sets: a folder of ValueSet files whose codes extend the guidelines' own.

    Raises:
        KnowledgeError: a knowledge file is wrong; the message names file, entry and key.
    """
    return dry_needling.services(site_value_sets)
