"""Reads and searches on one FHIR server: one time budget, one origin, no redirects. The only caller of `requests`."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from cds_service.decoding import decode
from cds_service.errors import MalformedJson, NestedTooDeeply
from cds_service.fhir.bundles import Resource, entries_of, is_resource, links_of
from cds_service.fhir.servers import FhirServer, is_public

_JSON_TYPES = ("application/fhir+json", "application/json", "application/json+fhir", "text/json")
_CHUNK_BYTES = 65_536
_GONE = (404, 410)


class FetchOutcome(StrEnum):
    """What became of a fetch, as logs and metrics name it."""

    OK = "ok"
    NOT_FOUND = "not-found"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED_BY_SERVER = "refused-by-server"
    REDIRECTED = "redirected"
    NOT_JSON = "not-json"
    TOO_LARGE = "too-large"


class FetchFailed(Exception):
    """A fetch failed; only its outcome is told, never what was answered."""

    def __init__(self, outcome: FetchOutcome) -> None:
        self.outcome = outcome
        super().__init__(str(outcome))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call may spend on fetching.

    Attributes:
        request_seconds: connecting, and each wait for data.
        total_seconds: everything together.
        pages: pages of one search.
        resources: entries of one search.
        response_bytes: one response.
    """

    request_seconds: float = 0.3
    total_seconds: float = 0.4
    pages: int = 5
    resources: int = 5000
    response_bytes: int = 10 * 1024 * 1024


class FhirClient:
    """Fetches for one call from one allowed server. The token goes to that server only (F1)."""

    def __init__(self, server: FhirServer, base_url: str, token: str, limits: Limits, deadline: float) -> None:
        """Prepare a client.

        Args:
            server: the entry of the allow-list that covers the base URL.
            base_url: the server's base URL, as the caller gave it.
            token: the bearer token, or "" for an open server.
            limits: what may be spent.
            deadline: when everything must be done, by time.monotonic().
        """
        self._server = server
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept": "application/fhir+json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self._limits = limits
        self._deadline = deadline

    def read(self, reference: str) -> Resource | None:
        """Read one resource by `Type/id` or by an absolute URL on the same server; None when it is not there.

        Raises:
            FetchFailed: it could not be read.
        """
        try:
            resource = self._get(self._absolute(reference))
        except FetchFailed as failed:
            if failed.outcome is FetchOutcome.NOT_FOUND:
                return None
            raise
        return resource if is_resource(resource) else None

    def search(self, query: str) -> Resource:
        """Return a search as one Bundle with the entries of all pages that limits and budget allow.

        A `next` link stays in the Bundle when there is more, so that the result is known to be partial. Once a first
        page is there, a failure of a later one leaves the search partial rather than failed.

        Raises:
            FetchFailed: not even the first page could be had.
        """
        bundle = self._get(self._absolute(query))
        if bundle.get("resourceType") != "Bundle":
            raise FetchFailed(FetchOutcome.REFUSED_BY_SERVER)
        entries = list(bundle.get("entry") or [])
        following = next(iter(links_of(bundle, "next")), "")
        for _ in range(self._limits.pages - 1):
            if not following or len(entries) >= self._limits.resources:
                break
            try:
                page = self._get(urljoin(f"{self._base_url}/", following))
            except FetchFailed:
                break
            entries += [{"resource": resource, "fullUrl": url} for _, resource, url in entries_of(page)]
            following = next(iter(links_of(page, "next")), "")
        partial = [{"relation": "next", "url": following}] if following else []
        own = [{"relation": "self", "url": url} for url in links_of(bundle, "self")]
        return {"resourceType": "Bundle", "type": "searchset", "entry": entries, "link": [*own, *partial]}

    def _absolute(self, target: str) -> str:
        return target if urlsplit(target).scheme else f"{self._base_url}/{target}"

    def _get(self, url: str) -> dict[str, Any]:
        """Get one JSON object; a connection that breaks is tried once more."""
        if not self._server.covers(url.split("?", maxsplit=1)[0]):
            raise FetchFailed(FetchOutcome.REDIRECTED)
        try:
            return self._attempt(url)
        except requests.ConnectTimeout:
            raise FetchFailed(FetchOutcome.TIMEOUT) from None
        except requests.ConnectionError:
            try:
                return self._attempt(url)
            except requests.Timeout:
                raise FetchFailed(FetchOutcome.TIMEOUT) from None
            except requests.RequestException:
                raise FetchFailed(FetchOutcome.UNREACHABLE) from None
        except requests.Timeout:
            raise FetchFailed(FetchOutcome.TIMEOUT) from None
        except requests.RequestException:
            raise FetchFailed(FetchOutcome.UNREACHABLE) from None

    def _attempt(self, url: str) -> dict[str, Any]:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise FetchFailed(FetchOutcome.TIMEOUT)
        wait = min(left, self._limits.request_seconds)
        session = _session(internal=self._server.internal)
        with session.get(
            url, headers=self._headers, timeout=(wait, wait), allow_redirects=False, stream=True
        ) as response:
            _check_status(response.status_code)
            if response.headers.get("Content-Type", "").split(";")[0].strip().lower() not in _JSON_TYPES:
                raise FetchFailed(FetchOutcome.NOT_JSON)
            return _decoded(self._body(response))

    def _body(self, response: requests.Response) -> bytes:
        """Read a body within its size and the budget, however slowly it comes."""
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._limits.response_bytes:
                raise FetchFailed(FetchOutcome.TOO_LARGE)
            if time.monotonic() > self._deadline:
                raise FetchFailed(FetchOutcome.TIMEOUT)
        return bytes(body)


def _check_status(status: int) -> None:
    if status in _GONE:
        raise FetchFailed(FetchOutcome.NOT_FOUND)
    if 300 <= status < 400:
        raise FetchFailed(FetchOutcome.REDIRECTED)
    if status != 200:
        raise FetchFailed(FetchOutcome.REFUSED_BY_SERVER)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return decode(body)
    except (MalformedJson, NestedTooDeeply):
        raise FetchFailed(FetchOutcome.NOT_JSON) from None


# ---------------------------------------------------------------- connections


class _Guard(HTTPConnection):
    """A connection that is only made to public addresses, checked on the very address that is connected to."""

    def _new_conn(self) -> socket.socket:
        named = self._dns_host
        try:
            answers = socket.getaddrinfo(named, self.port, type=socket.SOCK_STREAM)
        except OSError as failed:
            raise NewConnectionError(self, "the name does not resolve") from failed
        addresses = [str(answer[4][0]) for answer in answers]
        if not all(is_public(address) for address in addresses):
            raise NewConnectionError(self, "the name resolves to an address that is not public")
        self._dns_host = addresses[0]
        try:
            return super()._new_conn()
        finally:
            self._dns_host = named


class _GuardedHttps(_Guard, HTTPSConnection):
    pass


class _GuardedHttpPool(HTTPConnectionPool):
    ConnectionCls = _Guard


class _GuardedHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHttps


class _GuardedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make pools of guarded connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedHttpPool, "https": _GuardedHttpsPool}


_sessions = threading.local()


def _session(*, internal: bool) -> requests.Session:
    """Return this thread's session, whose connections are used again by later calls."""
    name = "internal" if internal else "public"
    session: requests.Session | None = getattr(_sessions, name, None)
    if session is None:
        session = requests.Session()
        session.trust_env = False  # no proxy, no .netrc: the allow-list alone says who is called
        adapter = HTTPAdapter() if internal else _GuardedAdapter()
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        setattr(_sessions, name, session)
    return session
