"""What became of a fetch: its name in logs and metrics, and its words in a 412."""

from __future__ import annotations

from enum import StrEnum


class FetchOutcome(StrEnum):
    """What became of a fetch, as logs and metrics name it."""

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
    """The URL is on no server of the allow-list, or on another one than the call names."""
    MALFORMED_URL = "malformed-url"
    """A reference or an id that cannot be asked for."""
    NO_TOKEN = "no-token"  # noqa: S105
    UNUSABLE_TOKEN = "unusable-token"  # noqa: S105
    """The token has characters that no HTTP header can hold."""


class FetchFailed(Exception):
    """A fetch failed. Holds its outcome, never what was answered.

    Attributes:
        outcome: what became of it.
        status: the HTTP status, where the server refused.
    """

    def __init__(self, outcome: FetchOutcome, status: int = 0) -> None:
        self.outcome = outcome
        self.status = status
        super().__init__(str(outcome))
