"""Fetches what was not prefetched: missing keys and references in parallel, within one time limit."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from cds_service.fhir.bundles import Resource
from cds_service.fhir.client import FhirClient, Limits
from cds_service.fhir.outcomes import FetchFailed, FetchOutcome
from cds_service.fhir.servers import AllowList, FhirServer
from cds_service.fhir.threads import ServerThreads
from cds_service.outbound import Getter

KEPT_SECONDS = 0.05
"""Time reserved for deciding after fetching."""

PARALLEL = 32
"""Parallel fetches from one server in one worker process, for all calls together."""

REFERENCE = "reference "
"""Name of the fetch of a reference; a number follows."""

_TOKEN = re.compile(r"[\x21-\x7e]+")
# Characters with a meaning in a search parameter's value, besides the backslash.
_SEPARATORS = re.compile(r"([\\,|$])")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of fetching.

    Attributes:
        values: key to a Bundle, a resource or None (looked for, not there), for the keys that were available.
        referenced: resources that were asked for by reference.
        outcomes: the outcome of each key, and of each reference as `reference` and its number; for logs and metrics.
    """

    values: dict[str, Any] = field(default_factory=dict)
    referenced: list[Resource] = field(default_factory=list)
    outcomes: dict[str, FetchOutcome] = field(default_factory=dict)


class FhirAccess:
    """Fetching for all calls of a process: the allow-list, the limits and the threads."""

    def __init__(self, allowed: AllowList, limits: Limits, max_resources: int = 20_000) -> None:
        self.max_resources = max_resources
        """Resources that one call may bring; see call.py."""
        self._allowed = allowed
        self._limits = limits
        self._threads = {server: ServerThreads(PARALLEL) for server in allowed.servers}
        kinds = {server.internal for server in allowed.servers}
        self._getters = {internal: Getter(internal=internal, connections=PARALLEL) for internal in kinds}

    def fetch(
        self,
        base_url: str,
        token: str,
        patient_id: str,
        queries: Mapping[str, str],
        references: Sequence[str],
        deadline: float = float("inf"),
    ) -> Fetched:
        """Fetch keys and references from a server, as far as allow-list, token and time allow.

        Never raises: what was not available is missing from the result, and `outcomes` says why.

        Args:
            base_url: the server the request names, or "".
            token: the bearer token, or "".
            patient_id: fills the one token in the templates.
            queries: prefetch templates of the missing keys, by key.
            references: references that could not be resolved otherwise.
            deadline: when the call must be answered, by time.monotonic(); a little is kept for deciding.
        """
        names = [*queries, *(f"{REFERENCE}{number}" for number in range(len(references)))]
        if not base_url or not names:
            return Fetched()
        server = self._allowed.find(base_url)
        refusal = _refusal(server, token)
        if server is None or refusal:
            return Fetched(outcomes=dict.fromkeys(names, refusal or FetchOutcome.NOT_LISTED))
        deadline = min(time.monotonic() + self._limits.total_seconds, deadline - KEPT_SECONDS)
        client = FhirClient(self._getters[server.internal], server, base_url, token, self._limits)
        filled = [_filled(query, patient_id) for query in queries.values()]
        work = [(client.search if "?" in query else client.read, query) for query in filled]
        work += [(client.read, reference) for reference in references]
        threads = self._threads[server]
        futures = {threads.submit(ask, target, deadline): name for name, (ask, target) in zip(names, work, strict=True)}
        done, late = wait(futures, timeout=max(0, deadline - time.monotonic()))
        found = Fetched()
        for future in late:
            future.cancel()
            found.outcomes[futures[future]] = FetchOutcome.TIMEOUT
        for future in done:
            _keep(futures[future], future, found)
        return found


def _refusal(server: FhirServer | None, token: str) -> FetchOutcome | None:
    """Return why nothing is asked of a server, if so."""
    if server is None:
        return FetchOutcome.NOT_LISTED
    if not token:
        return None if server.open else FetchOutcome.NO_TOKEN
    return None if _TOKEN.fullmatch(token) else FetchOutcome.UNUSABLE_TOKEN


def _filled(query: str, patient_id: str) -> str:
    """Return a template as a query for one patient, whatever characters the id has: it is one value, and no more."""
    value = _SEPARATORS.sub(r"\\\1", patient_id) if "?" in query else patient_id
    return query.replace("{{context.patientId}}", quote(value, "", errors="replace"))


def _keep(name: str, future: Future[Any], found: Fetched) -> None:
    try:
        value = future.result()
    except FetchFailed as failed:
        found.outcomes[name] = failed.outcome
        return
    found.outcomes[name] = FetchOutcome.OK
    if not name.startswith(REFERENCE):
        found.values[name] = value
    elif value is None:
        found.outcomes[name] = FetchOutcome.NOT_FOUND
    else:
        found.referenced.append(value)
