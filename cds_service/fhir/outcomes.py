"""The outcome of a fetch: its name in logs and metrics, and its words in a 412."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class FetchOutcome(StrEnum):
    """The outcome of a fetch, as logs and metrics name it."""

    OK = "ok"
    NOT_FOUND = "not-found"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED_BY_SERVER = "refused-by-server"
    REDIRECTED = "redirected"
    NOT_JSON = "not-json"
    NOT_FHIR = "not-fhir"
    TOO_LARGE = "too-large"
    NOT_LISTED = "not-listed"
    MALFORMED_URL = "malformed-url"
    NO_TOKEN = "no-token"  # noqa: S105
    UNUSABLE_TOKEN = "unusable-token"  # noqa: S105
    UNUSABLE_AUTHORIZATION = "unusable-authorization"

    @property
    def words(self) -> str:
        """Return what happened, in words for a 412."""
        return f"{_WORDS[self]} ({self})"


_WORDS: Final = {
    FetchOutcome.OK: "the FHIR server answered",
    FetchOutcome.NOT_FOUND: "the FHIR server does not have it",
    FetchOutcome.TIMEOUT: "the FHIR server did not answer in time",
    FetchOutcome.UNREACHABLE: "no answer came from the FHIR server, or none in HTTP",
    FetchOutcome.REFUSED_BY_SERVER: "the FHIR server refused",
    FetchOutcome.REDIRECTED: "the FHIR server redirects, which is not followed",
    FetchOutcome.NOT_JSON: "the FHIR server's answer is not JSON",
    FetchOutcome.NOT_FHIR: "the FHIR server's answer is not the FHIR that was asked for",
    FetchOutcome.TOO_LARGE: "the FHIR server's answer is too large",
    FetchOutcome.NOT_LISTED: "the FHIR server is not on the list of those this service may read",
    FetchOutcome.MALFORMED_URL: "its URL is not one that can be asked for",
    FetchOutcome.NO_TOKEN: "the request has no fhirAuthorization for the FHIR server",
    FetchOutcome.UNUSABLE_TOKEN: "the token has characters that no HTTP header can hold",
    FetchOutcome.UNUSABLE_AUTHORIZATION: "fhirServer or fhirAuthorization of the request cannot be used",
}


class FetchFailed(Exception):
    """A fetch failed. Holds its outcome, never what was answered.

    Attributes:
        outcome: the outcome.
        status: the HTTP status, where the server refused.
    """

    def __init__(self, outcome: FetchOutcome, status: int = 0) -> None:
        self.outcome = outcome
        self.status = status
        super().__init__(str(outcome))
