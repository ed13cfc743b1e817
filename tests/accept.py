"""make accept: records expected.json of every case anew. What was decided by hand in case.toml must hold first."""

from __future__ import annotations

import sys

from cds_service.main import load_registry
from cds_service.settings import Settings
from tests.cases import all_cases, recorded, respond
from tests.service.test_calls import check_by_hand


def main() -> int:
    """Record the cases whose answer agrees with what was decided by hand; name the others."""
    registry = load_registry(Settings())
    refused = 0
    for case in all_cases():
        status, body = respond(registry, case)
        try:
            check_by_hand(case, status, body)
        except AssertionError as disagreement:
            refused += 1
            sys.stderr.write(f"{case.folder.name}: {disagreement}\n")
            continue
        case.expected_path.write_bytes(recorded(body))
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
