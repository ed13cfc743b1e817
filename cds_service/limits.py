"""Limits on what one call may contain, and how much of it is read, so that the cost of a call stays linear.

Above the limits for bodies, drafts, orders, selections, prefetch and entries a call is refused (413). Above the others,
the rest is not read, and the answer says so. A real session has a few orders with a reason or two each.
"""

from __future__ import annotations

from typing import Final

MOST_CONTAINERS: Final = 500_000
"""Objects and arrays in one body; a real one of 10 MB has 210,000."""

MOST_VALUES: Final = 1_000_000
"""Commas in one body, including those in text; a real one of 10 MB has 210,000."""

MOST_DRAFTS: Final = 1000
"""Entries in the draft Bundle."""

MOST_ORDERS: Final = 100
"""Draft orders that a guideline decides about per call, at 150 us each. More are refused."""

MOST_SELECTIONS: Final = 1000
"""Selected orders."""

MOST_PREFETCHED: Final = 1000
"""Prefetch keys; how many resources they hold together is a setting."""

MOST_READ: Final = 2000
"""Relevant chart entries that are read, at 30 us each; a real chart has a few hundred. More are refused."""

MOST_WEIGHED: Final = 5000
"""Such entries times orders, at 8 us each. A real session has a few hundred; more are refused."""

MOST_CODINGS: Final = 100
"""Codings read per concept."""

MOST_REASONS: Final = 50
"""Reasons read per order, by code and by reference together; and body sites."""

MOST_REASONS_TOGETHER: Final = 300
"""Reasons and body sites of all orders of one call, at 70 us each; more are refused."""

MOST_CONTAINED: Final = 100
"""Contained resources per resource in which a reference is resolved."""

MOST_COMPONENTS: Final = 50
"""Components read per observation, and activities per care plan."""

LONGEST_WORDS: Final = 1000
"""Characters of a text that are searched for words."""

MOST_ISSUES: Final = 20
"""Errors reported per request."""
