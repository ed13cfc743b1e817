"""Reads and searches on one FHIR server: one deadline, one origin, no redirects."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin

from cds_service import telemetry
from cds_service.errors import CdsError
from cds_service.fhir.bundles import Resource, is_resource, links_of
from cds_service.fhir.outcomes import FetchFailed, FetchOutcome
from cds_service.fhir.servers import FhirServer
from cds_service.outbound import Allowance, GetFailed, Getter, TimedOut, TooLarge
from cds_service.protocol.decoding import decode

PAGE_ENTRIES = 500
"""Entries requested per page of a search; a server may return fewer."""

_JSON_TYPES = ("application/fhir+json", "application/json", "application/json+fhir", "text/json")
_GONE = (404, 410)
_BAD_REQUEST = 400
_VISIBLE = string.digits + string.ascii_letters + string.punctuation
# An instance or a version of one, never a search or an operation. Ids are FHIR's, and what real servers make of them.
_INSTANCE = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9._~:=-]{1,128}(?:/_history/[A-Za-z0-9.-]{1,64})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on fetching for one call.

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

    def __init__(self, getter: Getter, server: FhirServer, base_url: str, token: str, limits: Limits) -> None:
        """Prepare a client.

        Args:
            getter: makes the requests; its connections are shared by all calls.
            server: the entry of the allow-list that covers the base URL.
            base_url: the server's base URL, as the caller gave it.
            token: the bearer token, or "" for an open server.
            limits: the limits on fetching.
        """
        self._getter = getter
        self._server = server
        self._base_url = (server.locate(base_url) or "").rstrip("/")
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        self._headers = {"Accept": "application/fhir+json", **bearer, **telemetry.outgoing_trace()}
        self._limits = limits

    def read(self, reference: str, deadline: float) -> Resource | None:
        """Read one resource by `Type/id` or by an absolute URL below the base; None if it does not exist.

        Args:
            reference: as in a Reference; may be malformed.
            deadline: when it ends, by time.monotonic().

        Raises:
            FetchFailed: it could not be read.
        """
        try:
            resource = self._get(self._instance(reference), deadline)
        except FetchFailed as failed:
            if failed.outcome is FetchOutcome.NOT_FOUND:
                return None
            raise
        if not is_resource(resource):
            raise FetchFailed(FetchOutcome.NOT_FHIR)
        return resource

    def search(self, query: str, deadline: float) -> Resource:
        """Return a search as one Bundle with the entries of all pages that limits and deadline allow.

        A `next` link stays in the Bundle when there is more, so that the result is known to be partial (P6). Once a
        first page is there, a failure of a later one leaves the search partial rather than failed.

        Args:
            query: `Type?parameters`, in characters that a URL may have.
            deadline: when it ends, by time.monotonic().

        Raises:
            FetchFailed: not even the first page could be read.
        """
        bundle = self._first_page(f"{self._base_url}/{query}", deadline)
        entries = _entries(bundle)
        following = _next_of(bundle)
        for _ in range(self._limits.pages - 1):
            url = self._page(following)
            if url is None or len(entries) >= self._limits.resources:
                break
            try:
                page = self._get(url, deadline)
                entries += _entries(page)
            except FetchFailed:
                break
            following = _next_of(page)
        links = [{"relation": "self", "url": url} for url in links_of(bundle, "self")]
        if following:
            links.append({"relation": "next", "url": following})
        whole: Resource = {"resourceType": "Bundle", "type": "searchset", "entry": entries, "link": links}
        return {**whole, "total": bundle["total"]} if "total" in bundle else whole

    def _first_page(self, url: str, deadline: float) -> Resource:
        """Request large pages, because every page costs time; without a page size if the server refuses one (P7)."""
        try:
            return self._get(f"{url}&_count={PAGE_ENTRIES}", deadline)
        except FetchFailed as failed:
            if failed.status != _BAD_REQUEST:
                raise
            return self._get(url, deadline)

    def _instance(self, reference: str) -> str:
        """Return the URL of an instance below the base, whatever else a reference may name (F1)."""
        relative = reference
        if "://" in reference:
            located, below = self._server.locate(reference), f"{self._base_url}/"
            if located is None or not located.startswith(below):
                raise FetchFailed(FetchOutcome.NOT_LISTED)
            relative = located.removeprefix(below)
        if not _INSTANCE.fullmatch(relative) or self._server.locate(f"{self._base_url}/{relative}") is None:
            raise FetchFailed(FetchOutcome.MALFORMED_URL)
        return f"{self._base_url}/{relative}"

    def _page(self, following: str) -> str | None:
        """Return the URL of a next page: absolute, or relative to the base (P7); None when it is not on this server."""
        if not following:
            return None
        try:
            absolute = urljoin(f"{self._base_url}/", quote(following, safe=_VISIBLE, errors="replace"))
        except ValueError:  # such as an unclosed bracket where the host should be
            return None
        return self._server.locate(absolute)

    def _get(self, url: str, deadline: float) -> dict[str, Any]:
        """Get one JSON object."""
        limits = self._limits
        allowance = Allowance(deadline, limits.request_seconds, limits.response_bytes)
        try:
            received = self._getter.get(url, self._headers, allowance)
        except TimedOut:
            raise FetchFailed(FetchOutcome.TIMEOUT) from None
        except TooLarge:
            raise FetchFailed(FetchOutcome.TOO_LARGE) from None
        except GetFailed:
            raise FetchFailed(FetchOutcome.UNREACHABLE) from None
        _check_status(received.status)
        if received.content_type.split(";")[0].strip().lower() not in _JSON_TYPES:
            raise FetchFailed(FetchOutcome.NOT_JSON)
        try:
            return decode(received.body)
        except CdsError:  # anything that decoding refuses
            raise FetchFailed(FetchOutcome.NOT_JSON) from None


def _check_status(status: int) -> None:
    if status in _GONE:
        raise FetchFailed(FetchOutcome.NOT_FOUND, status)
    if 300 <= status < 400:
        raise FetchFailed(FetchOutcome.REDIRECTED, status)
    if status != 200:
        raise FetchFailed(FetchOutcome.REFUSED_BY_SERVER, status)


def _entries(page: Resource) -> list[Any]:
    """Return the entries of a page of a search.

    Raises:
        FetchFailed: it is not a Bundle but, for example, an OperationOutcome, or its entries are not a list.
    """
    if page.get("resourceType") == "OperationOutcome":
        raise FetchFailed(FetchOutcome.REFUSED_BY_SERVER)
    entries = page.get("entry")
    if page.get("resourceType") != "Bundle" or not (entries is None or isinstance(entries, list)):
        raise FetchFailed(FetchOutcome.NOT_FHIR)
    return list(entries or ())


def _next_of(page: Resource) -> str:
    return next(iter(links_of(page, "next")), "")
