"""The guidelines: medicine that knows no HTTP. A new guideline is a folder here and a line in `load_services`."""

from cds_service.services import CdsService, SiteConfiguration
from hooks import dry_needling


def load_services(site: SiteConfiguration | None = None) -> tuple[CdsService, ...]:
    """Load every guideline's knowledge and return the services they offer.

    Raises:
        KnowledgeError: a knowledge file is wrong; the message names file, entry and key.
    """
    return dry_needling.services(site or SiteConfiguration())
