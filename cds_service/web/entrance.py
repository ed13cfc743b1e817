"""Checks before a request is answered: caller, rate, size, and the deadline of the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import g, request

from cds_service.errors import BodyTooLarge, Forbidden, InvalidRequest, UnsupportedMediaType
from cds_service.fhir import deadline
from cds_service.protocol.decoding import decode
from cds_service.protocol.feedback import FeedbackBounds, FeedbackEntry, read_feedback
from cds_service.web.admission import RECEIVED, Admission, RateLimit

if TYPE_CHECKING:  # imported only where tokens are checked
    from cds_service.trust.client_jwt import Gatekeeper


@dataclass(frozen=True, slots=True)
class Entrance:
    """The checks that a request must pass before it is answered.

    Attributes:
        base_url: where clients reach this server; a token's audience begins with it.
        max_body_bytes: larger bodies are refused, with or without a Content-Length.
        gatekeeper: verifies tokens; None accepts every caller.
        everywhere: discovery needs a token too.
        admission: lets one call compute at a time.
        rate: limit of calls per client.
        feedback_rate: limit of feedback entries per client.
        feedback_bounds: limits of entries and suggestions in one request.
        call_seconds: time limit of a whole call.
    """

    base_url: str
    max_body_bytes: int
    admission: Admission
    rate: RateLimit
    feedback_rate: RateLimit
    feedback_bounds: FeedbackBounds
    call_seconds: float
    gatekeeper: Gatekeeper | None = None
    everywhere: bool = False

    def admit(self, service_id: str = "") -> str:
        """Check who is calling, and that it does not call too often (S1-S4).

        Returns:
            The issuer of the caller's token, or "" when none is required.

        Raises:
            Unauthorized, Forbidden, Unavailable: as the gatekeeper says.
            TooManyRequests: the client made too many calls.
        """
        client = ""
        if self.gatekeeper is not None and (service_id or self.everywhere):
            url = f"{self.base_url}{request.path}"
            client = self.gatekeeper.identify(request.headers.get("Authorization", ""), url, service_id).issuer
        self.rate.count(client or _address())
        return client

    def feedback(self, client: str) -> list[FeedbackEntry]:
        """Return the entries of a feedback request (B1-B4).

        Raises:
            CdsError: as `body`, `decode` and `read_feedback` say.
            TooManyRequests: the client sent too many entries.
        """
        entries = read_feedback(decode(self.body()), self.feedback_bounds)
        self.feedback_rate.count(client or _address(), len(entries))
        return entries

    def admit_reader(self) -> None:
        """Check the reader of a page that is not public: by token, where calls need one.

        Raises:
            Unauthorized, Forbidden, Unavailable: as the gatekeeper says.
            Forbidden: the client may use some services only, and the page is about all.
        """
        if self.gatekeeper is not None:
            url = f"{self.base_url}{request.path}"
            reader = self.gatekeeper.identify(request.headers.get("Authorization", ""), url)
            g.reader = reader.issuer
            if reader.services:
                raise Forbidden("This client may call some services only, and this page tells of all")

    def count_reader(self) -> None:
        """Count a call of a reader that `admit_reader` accepted.

        Raises:
            TooManyRequests: the client made too many calls.
        """
        self.rate.count(g.get("reader") or _address())

    @contextmanager
    def computing(self) -> Iterator[float]:
        """Compute a call when it is its turn; yield its deadline, by time.monotonic().

        Raises:
            Unavailable: other calls computed for too long.
            TooLate: the block took longer than the limit of a call.
        """
        arrived = received()
        moment = arrived + self.call_seconds
        with self.admission.turn(arrived), deadline.until(moment):
            yield moment

    def body(self) -> bytes:
        """Return the body of a request for JSON (C1).

        Raises:
            UnsupportedMediaType: it is declared as something else, or compressed.
            BodyTooLarge: it is over the limit.
            InvalidRequest: the client disconnected before all of it was sent.
        """
        if request.mimetype != "application/json":
            raise UnsupportedMediaType("Content-Type must be application/json")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("Content-Encoding, such as gzip, is not supported")
        length = request.content_length
        body = b""
        if length is None:  # streamed: its size is known only after reading
            body = request.get_data(cache=False)
        elif length <= self.max_body_bytes:  # in one read, instead of joining pieces
            body = request.environ["wsgi.input"].read(length)
        if max(length or 0, len(body)) > self.max_body_bytes:
            raise BodyTooLarge("The body is larger than this service accepts")
        if len(body) < (length or 0):
            raise InvalidRequest("The body is shorter than Content-Length says")
        return body


def _address() -> str:
    """Return a request's address, which distinguishes clients without tokens."""
    return request.remote_addr or ""


def received() -> float:
    """Return when the whole request had arrived, by time.monotonic(); now if the web server did not note it."""
    return float(request.environ.setdefault(RECEIVED, time.monotonic()))
