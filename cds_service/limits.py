"""How many of each thing one call may hold, or how many of each are read: what keeps the cost of a call linear.

Beyond the bounds of bodies, drafts, orders, selections, prefetch and entries a call is refused (413); of the others,
what comes after the bound is not read, and the answer says so. A real session has a few orders with a reason or two
each.
"""

from __future__ import annotations

from typing import Final

MOST_CONTAINERS: Final = 500_000
"""Objects and arrays of one body; a real one of 10 MB has 210,000."""

MOST_VALUES: Final = 1_000_000
"""Commas of one body, those of texts included; a real one of 10 MB has 210,000."""

MOST_DRAFTS: Final = 1000
"""Entries of the draft Bundle."""

MOST_ORDERS: Final = 100
"""Draft orders of one call that a guideline decides about, for 150 us each. More are refused."""

MOST_SELECTIONS: Final = 1000
"""Selected orders."""

MOST_PREFETCHED: Final = 1000
"""Values of the prefetch; what they hold together is a setting."""

MOST_READ: Final = 2000
"""Entries of a chart that may matter and are read, for 30 us each; a real chart has a few hundred. More are refused."""

MOST_WEIGHED: Final = 5000
"""Such entries times orders, for 8 us each. A real session has a few hundred; more are refused."""

MOST_CODINGS: Final = 100
"""Codings that are read of one concept."""

MOST_REASONS: Final = 50
"""Reasons that are read of one order, by code and by reference together; and body sites of one order."""

MOST_REASONS_TOGETHER: Final = 300
"""Reasons and body sites of all orders of one call, for 70 us each; more are refused."""

MOST_CONTAINED: Final = 100
"""Contained resources of one resource in which a reference is looked up."""

MOST_COMPONENTS: Final = 50
"""Components that are read of one observation; and activities of one care plan."""

LONGEST_WORDS: Final = 1000
"""Characters of a text in which words are looked for."""

MOST_ISSUES: Final = 20
"""Faults of one request that are named."""
