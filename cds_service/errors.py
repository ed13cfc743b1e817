"""Every failure as a class with its HTTP status and OperationOutcome code; this docstring is the tree.

CdsError
├── InvalidRequest (400)            not a CDS Hooks request; one issue per error
│   ├── MalformedJson               not JSON, not UTF-8, or NaN/Infinity
│   ├── NestedTooDeeply             more levels of objects and arrays than allowed
│   ├── InvalidFields               missing or wrong-typed fields, each named by its path
│   └── WrongHook                   the service answers another hook
├── Unauthorized (401)              there is no valid token
├── Forbidden (403)                 the token is valid, its client may not do this
├── UnknownService (404)            no service has this id
├── UnknownPath (404)               nothing is served here
├── MethodNotAllowed (405)          the path exists, the method does not
├── RequestTimeout (408)            the request did not arrive in time
├── PrefetchMissing (412)           required data was neither prefetched nor fetchable
├── TooManyResources (413)          more resources or draft orders than one call may have
├── BodyTooLarge (413)              the body is over the limit
├── UriTooLong (414)                the request line is too long
├── UnsupportedMediaType (415)      the body is not declared as application/json
├── TooManyRequests (429)           this client calls too often
├── HeadersTooLarge (431)           the headers are too large
├── InternalError (500)             a defect of this service; the client gets an incident id only
├── NotImplementedHere (501)        a Transfer-Encoding that nobody uses for requests
└── Unavailable (503)               something that is needed does not answer; try again
    └── TooLate                     the call took longer than allowed

KnowledgeError and SettingsError are raised at start, before anything is served. StoreUnavailable and its kinds
StoreIsNewer and StoreRefused, and RemovalRefused, are handled where something is stored and never reach a client.
BacktestRefused ends a backtest.

`diagnostics` is always our own sentence. It never holds a value from the request or the text of another exception,
because either can hold patient data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

EXIT_REFUSED = 1
"""Exit code of the command line when the service refused the request, or a command failed."""

EXIT_MISCONFIGURED = 3
"""Exit code when settings or knowledge are wrong."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of an OperationOutcome: our own sentence, and the path of the field it is about, if any."""

    diagnostics: str
    expression: str = ""


class CdsError(Exception):
    """A failure that is answered with an OperationOutcome.

    Attributes:
        status: the HTTP status.
        issue_code: a code of http://hl7.org/fhir/ValueSet/issue-type.
        issues: what went wrong, at least one.
        headers: response headers that belong to the status, such as Allow.
        fetched: the outcome of each fetch before the failure, by prefetch key; for log and metrics.
    """

    status: ClassVar[int] = 500
    issue_code: ClassVar[str] = "exception"

    def __init__(self, *issues: Issue | str, headers: dict[str, str] | None = None) -> None:
        self.issues = tuple(issue if isinstance(issue, Issue) else Issue(issue) for issue in issues)
        self.headers = headers or {}
        self.fetched: Mapping[str, str] = {}
        super().__init__("; ".join(issue.diagnostics for issue in self.issues))

    def operation_outcome(self) -> dict[str, Any]:
        """Return the failure as a FHIR OperationOutcome for the client."""
        return {
            "resourceType": "OperationOutcome",
            "issue": [
                {
                    "severity": "error",
                    "code": self.issue_code,
                    "diagnostics": issue.diagnostics,
                    **({"expression": [issue.expression]} if issue.expression else {}),
                }
                for issue in self.issues
            ],
        }


class InvalidRequest(CdsError):
    """The body is not a CDS Hooks request."""

    status = 400
    issue_code = "invalid"


class MalformedJson(InvalidRequest):
    """The body is not JSON in UTF-8, or holds NaN or Infinity."""

    issue_code = "structure"


class NestedTooDeeply(InvalidRequest):
    """The body has more levels of objects and arrays than allowed."""

    issue_code = "too-costly"


class InvalidFields(InvalidRequest):
    """Fields are missing or of the wrong type; each issue names one by its path."""


class WrongHook(InvalidRequest):
    """The request names a different hook than this service answers."""


class Unauthorized(CdsError):
    """There is no valid token (conformance S4)."""

    status = 401
    issue_code = "login"

    def __init__(self, words: str) -> None:
        super().__init__(words, headers={"WWW-Authenticate": 'Bearer realm="cds-services", error="invalid_token"'})


class Forbidden(CdsError):
    """The token is valid, but its client may not do this (conformance S4)."""

    status = 403
    issue_code = "forbidden"


class UnknownService(CdsError):
    """No service has the id in the URL."""

    status = 404
    issue_code = "not-found"


class UnknownPath(CdsError):
    """Nothing is served at this path."""

    status = 404
    issue_code = "not-found"


class MethodNotAllowed(CdsError):
    """The path exists, but not for this method."""

    status = 405
    issue_code = "not-supported"


class RequestTimeout(CdsError):
    """The request did not arrive in time (conformance H2)."""

    status = 408
    issue_code = "timeout"


class PrefetchMissing(CdsError):
    """Required data was neither prefetched nor fetchable (conformance P2).

    Attributes:
        key: the prefetch key, as in discovery.
    """

    status = 412
    issue_code = "required"

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        self._reason = reason
        super().__init__(Issue(f"prefetch.{key} is required for this order and {reason}", f"prefetch.{key}"))

    def because(self, words: str) -> PrefetchMissing:
        """Return the same failure with the outcome of fetching the key."""
        return PrefetchMissing(self.key, f"{self._reason}: {words}")


class BodyTooLarge(CdsError):
    """The body is over the limit."""

    status = 413
    issue_code = "too-long"


class TooManyResources(CdsError):
    """The prefetch, or prefetch and draft orders together, have more resources than one call may have."""

    status = 413
    issue_code = "too-costly"


class UriTooLong(CdsError):
    """The request line is longer than any path of this service."""

    status = 414
    issue_code = "too-long"


class UnsupportedMediaType(CdsError):
    """The body is not declared as application/json, or is compressed."""

    status = 415
    issue_code = "not-supported"


class TooManyRequests(CdsError):
    """This client calls too often."""

    status = 429
    issue_code = "throttled"

    def __init__(self, words: str) -> None:
        super().__init__(words, headers={"Retry-After": "60"})


class HeadersTooLarge(CdsError):
    """The headers are larger than any token needs."""

    status = 431
    issue_code = "too-long"


class InternalError(CdsError):
    """A defect of this service. The client gets the incident id only; the log has the place."""

    status = 500
    issue_code = "exception"


class NotImplementedHere(CdsError):
    """The body is sent in a Transfer-Encoding other than chunked."""

    status = 501
    issue_code = "not-supported"


class Unavailable(CdsError):
    """Something that is needed does not answer."""

    status = 503
    issue_code = "transient"

    def __init__(self, words: str) -> None:
        super().__init__(words, headers={"Retry-After": "1"})


class TooLate(Unavailable):
    """The call took longer than allowed, and was stopped while it computed."""


class BacktestRefused(Exception):
    """An export cannot be backtested, or not with this folder of results; the message says why and what to do."""


class KnowledgeError(Exception):
    """A knowledge file is wrong; the message names file, entry and key. Raised at start only."""


class SettingsError(Exception):
    """Settings are wrong; the message names all errors together. Raised at start only."""


class StoreUnavailable(Exception):
    """The database does not answer; the message is the kind of failure, never its text."""


class StoreIsNewer(StoreUnavailable):
    """A newer version of this service made the database: only what is the same in all versions may be used."""


class RemovalRefused(Exception):
    """Most of what is stored would be deleted; the message says how much, by table."""


class StoreRefused(StoreUnavailable):
    """The database answers, but rejects the data: trying again does not help."""
