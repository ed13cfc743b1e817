"""The issuers' public keys: fetched from configured URLs only, cached, and refreshed within limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from cds_service.errors import Unavailable
from cds_service.outbound import Allowance, GetFailed, Getter

UNKNOWN_SECONDS = 60
"""A key set that answered is not fetched again sooner, whatever unknown key ids tokens name."""

HICCUP_SECONDS = 5
"""A key set that did not answer is fetched again after this time, when a token needs it."""

FETCH_SECONDS = 2.0
"""Time limit for a whole fetch, however slowly it arrives."""

WAIT_SECONDS = 0.5
"""How long a call waits for a fetch that another call began."""

_MOST_BYTES = 256 * 1024
_HEADERS = {"Accept": "application/jwk-set+json, application/json"}

Key = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trust:
    """How long keys are trusted without a refresh; a key that its issuer removed is accepted for as long.

    Attributes:
        refresh_seconds: age at which a key set is fetched again.
        stale_seconds: age up to which it is used while its URL does not answer.
    """

    refresh_seconds: float = 15 * 60
    stale_seconds: float = 4 * 3600


@dataclass(slots=True)
class _Cached:
    keys: Sequence[Key] = ()
    answered: float = float("-inf")
    tried: float = float("-inf")
    failed: bool = True
    asking: threading.Lock = field(default_factory=threading.Lock)


class KeySets:
    """Key sets by URL, shared by the threads of a process."""

    def __init__(self, trust: Trust = Trust(), clock: Callable[[], float] = time.monotonic) -> None:
        self._trust = trust
        self._clock = clock
        self._cached: dict[str, _Cached] = {}
        self._adding = threading.Lock()
        self._getter = Getter(internal=True)  # the site chose these URLs, which may be in its own network

    def keys(self, urls: Iterable[str], key_id: str) -> list[Key]:
        """Return the keys with an id in any of the sets; none when all sets answered, and none has it (S3).

        Raises:
            Unavailable: a set did not answer, and no other has the key, so the token cannot be verified. A failure
                never lets anyone in.
        """
        found: list[Key] = []
        unanswered = False
        for url in urls:
            known = self._known(url, key_id)
            found += known or ()
            unanswered = unanswered or known is None
        if unanswered and not found:
            raise Unavailable("The keys of the token's issuer cannot be read at the moment")
        return found

    def _known(self, url: str, key_id: str) -> list[Key] | None:
        """Return the keys of one set with an id, refreshed if due; None when the set does not answer."""
        with self._adding:
            cached = self._cached.setdefault(url, _Cached())
        known = self._trusted(cached, key_id)
        if self._due(cached, known):
            # A call that has a key uses it; a call without one waits briefly for the fetch of another call.
            if cached.asking.acquire(timeout=0 if known else WAIT_SECONDS):
                try:
                    if self._due(cached, self._trusted(cached, key_id)):
                        self._ask(url, cached)
                finally:
                    cached.asking.release()
            elif not known:
                return None
            known = self._trusted(cached, key_id)
        return known or (None if cached.failed else [])

    def _trusted(self, cached: _Cached, key_id: str) -> list[Key]:
        if self._clock() - cached.answered > self._trust.stale_seconds:
            return []
        return [key for key in cached.keys if key.get("kid") == key_id]

    def _due(self, cached: _Cached, known: Sequence[Key]) -> bool:
        now = self._clock()
        if known and now - cached.answered <= self._trust.refresh_seconds:
            return False
        return now - cached.tried > (HICCUP_SECONDS if cached.failed and not known else UNKNOWN_SECONDS)

    def _ask(self, url: str, cached: _Cached) -> None:
        fetched = self._fetch(url)
        cached.tried = self._clock()  # only now, so that until then calls wait for the key instead of being refused
        cached.failed = fetched is None
        if fetched is not None:
            cached.keys, cached.answered = fetched, self._clock()

    def _fetch(self, url: str) -> list[Key] | None:
        """Fetch a key set without following redirects; None for any failure."""
        allowance = Allowance(time.monotonic() + FETCH_SECONDS, FETCH_SECONDS, _MOST_BYTES)
        try:
            received = self._getter.get(url, _HEADERS, allowance)
            document = orjson.loads(received.body) if received.status == 200 else None
        except (GetFailed, orjson.JSONDecodeError):
            return None
        keys = document.get("keys") if isinstance(document, dict) else None
        return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else None
