"""The guidelines: medicine that knows no HTTP. A new guideline is a folder here and a line in `GUIDELINES`."""

from hooks import dry_needling

GUIDELINES = (dry_needling.GUIDELINE,)
