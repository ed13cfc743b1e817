"""What was not prefetched, fetched: each missing key and reference in parallel, within one time budget."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from cds_service.fhir.bundles import Resource
from cds_service.fhir.client import FetchFailed, FetchOutcome, FhirClient, Limits
from cds_service.fhir.servers import AllowList

PAGE_ENTRIES = 500
"""Entries that a search asks for in one page; a server may give fewer."""

KEPT_SECONDS = 0.05
"""Time of a call that is kept for deciding once fetching has ended."""

PARALLEL = 32
"""Fetches under way at once in one worker process, for all calls together."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch brought.

    Attributes:
        values: key to a Bundle, a resource or None (looked for, not there), for the keys that could be had.
        referenced: resources that were asked for by reference.
        outcomes: what became of each key, and of `references` together; for logs.
    """

    values: dict[str, Any] = field(default_factory=dict)
    referenced: list[Resource] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)


class FhirAccess:
    """Fetching for all calls of a process: the allow-list, the limits and the threads."""

    def __init__(self, allowed: AllowList, limits: Limits, max_resources: int = 20_000) -> None:
        self.max_resources = max_resources
        """Resources that one call may bring; see call.py."""
        self._allowed = allowed
        self._limits = limits
        self._threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="fhir")

    def fetch(
        self,
        base_url: str,
        token: str,
        patient_id: str,
        queries: Mapping[str, str],
        references: Sequence[str],
        deadline: float = float("inf"),
    ) -> Fetched:
        """Fetch keys and references from a server, as far as the allow-list, the token and the budget allow.

        Never raises: what could not be had is missing from the result, and `outcomes` says why.

        Args:
            base_url: the server the request names, or "".
            token: the bearer token, or "".
            patient_id: fills the one token that our templates use.
            queries: prefetch templates of the missing keys, by key.
            references: references that could not be resolved otherwise.
            deadline: when the call must be answered, by time.monotonic(); a little is kept for deciding.
        """
        found = Fetched()
        server = self._allowed.find(base_url) if base_url else None
        if server is None or not (token or server.open) or not (queries or references):
            return found
        deadline = min(time.monotonic() + self._limits.total_seconds, deadline - KEPT_SECONDS)
        client = FhirClient(server, base_url, token, self._limits, deadline)
        filled = {key: _filled(query, patient_id) for key, query in queries.items()}
        work: dict[Future[Any], str] = {}
        for key, query in filled.items():
            work[self._threads.submit(client.search if "?" in query else client.read, query)] = key
        for number, reference in enumerate(references):
            work[self._threads.submit(client.read, reference)] = f"reference {number}"
        done, late = wait(work, timeout=max(0, deadline - time.monotonic()))
        for future in late:
            future.cancel()
            found.outcomes[work[future]] = FetchOutcome.TIMEOUT
        for future in done:
            _keep(work[future], future, found)
        return found


def _filled(query: str, patient_id: str) -> str:
    """Return a template as a query; a search asks for many entries, because every page costs time."""
    filled = query.replace("{{context.patientId}}", quote(patient_id, ""))
    return f"{filled}&_count={PAGE_ENTRIES}" if "?" in filled else filled


def _keep(name: str, future: Future[Any], found: Fetched) -> None:
    try:
        value = future.result()
    except FetchFailed as failed:
        found.outcomes[name] = failed.outcome
        return
    found.outcomes[name] = FetchOutcome.OK
    if not name.startswith("reference "):
        found.values[name] = value
    elif value is not None:
        found.referenced.append(value)
