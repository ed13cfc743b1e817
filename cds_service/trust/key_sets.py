"""The issuers' public keys: fetched from configured URLs only, cached, and asked for again at most once a minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import requests

REFRESH_SECONDS = 3600
"""How old a key set may become before it is fetched again."""

RETRY_SECONDS = 60
"""A key set is not fetched more often than this, whatever unknown key ids tokens name."""

STALE_SECONDS = 24 * 3600
"""How long a key set is used while its URL does not answer."""

_TIMEOUT_SECONDS = 2
_MOST_BYTES = 256 * 1024

Key = Mapping[str, Any]


@dataclass(slots=True)
class _Cached:
    keys: Sequence[Key] = ()
    fetched: float = float("-inf")
    tried: float = float("-inf")


class KeySets:
    """Key sets by URL, shared by the threads of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cached: dict[str, _Cached] = {}
        self._lock = threading.Lock()

    def keys(self, url: str, key_id: str) -> list[Key]:
        """Return the keys with an id; none when the set cannot be had. A failure never opens the door (S3)."""
        now = self._clock()
        with self._lock:
            cached = self._cached.setdefault(url, _Cached())
            known = _with_id(cached.keys, key_id) if now - cached.fetched < STALE_SECONDS else []
            due = not known or now - cached.fetched > REFRESH_SECONDS
            if due and now - cached.tried > RETRY_SECONDS:
                cached.tried = now
            else:
                return known
        fetched = _fetch(url)
        if fetched is None:
            return known
        with self._lock:
            cached.keys, cached.fetched = fetched, now
        return _with_id(fetched, key_id)


def _with_id(keys: Sequence[Key], key_id: str) -> list[Key]:
    return [key for key in keys if key.get("kid") == key_id]


def _fetch(url: str) -> list[Key] | None:
    """Fetch a key set without following redirects; None for any failure."""
    try:
        with requests.get(url, timeout=_TIMEOUT_SECONDS, allow_redirects=False, stream=True) as response:
            if response.status_code != 200:
                return None
            body = bytearray()
            for chunk in response.iter_content(8192):
                body += chunk
                if len(body) > _MOST_BYTES:
                    return None
        document = orjson.loads(bytes(body))
    except (requests.RequestException, orjson.JSONDecodeError):
        return None
    keys = document.get("keys") if isinstance(document, dict) else None
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else None
