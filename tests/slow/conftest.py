"""Only `make test-slow` collects this folder."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("CDS_SLOW_TESTS") else ["test_*.py"]
