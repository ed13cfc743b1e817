"""One request as it arrives: time limits, well-formedness, and the error for each fault.

waitress's parser, made stricter where two servers in a row could read the same bytes differently.
"""

from __future__ import annotations

import re
import time
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.rfc7230 import CHUNK_EXT_RE, HEADER_FIELD_RE, ONLY_HEXDIG_RE
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from cds_service.errors import (
    BodyTooLarge,
    CdsError,
    HeadersTooLarge,
    InternalError,
    InvalidRequest,
    NotImplementedHere,
    RequestTimeout,
    TooLate,
    Unavailable,
    UriTooLong,
)

LONGEST_HEADER = 32_768
"""Limit for request line and headers together, in bytes."""

LONGEST_LINE = 8_190
"""Limit for a request line, for the line with a chunk's size, and for the trailer, in bytes."""


_TARGET = re.compile(r"/[^#]*|(?i:https?)://[^/?#]+(?:[/?][^#]*)?|\*")
"""A valid request target: a path, an absolute URL, or *. No fragment."""

_HOST = re.compile(rb"^host:", re.IGNORECASE | re.MULTILINE)
_ENCODED = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
_IN_DOUBT = re.compile(rb"^[ \t]", re.MULTILINE)
"""A continuation line, which some servers read as a separate header."""


class LineTooLong(Error):
    """The request line is too long."""

    code = 414


class Late(Error):
    """The request did not arrive in time."""

    code = 408


class Crowded(Error):
    """Other large bodies are being received, so there is no memory for this one."""

    code = 503


class Stuck(Error):
    """Answering the request takes far too long."""

    code = 503


def refusal(fault: Error) -> CdsError:
    """Return the error for a fault found outside the application.

    It repeats nothing of the request (H1).
    """
    if isinstance(fault, Stuck):
        return TooLate("The call took longer than this service gives itself")
    causes: dict[int, CdsError] = {
        408: RequestTimeout("The request did not arrive in time"),
        413: BodyTooLarge("The body is larger than this service accepts"),
        414: UriTooLong("The address is longer than this service accepts"),
        431: HeadersTooLarge("The headers are larger than this service accepts"),
        500: InternalError("This service failed"),
        501: NotImplementedHere("This Transfer-Encoding is not supported"),
        503: Unavailable("Too much is being received"),
    }
    return causes.get(fault.code, InvalidRequest("The request is not valid HTTP"))


class Chunks(ChunkedReceiver):
    """A chunked body. It is refused unless every line ends in CRLF and follows the specification."""

    def __init__(self, buffer: Any, most_bytes: int) -> None:
        super().__init__(buffer)
        self._most_bytes = most_bytes
        self._unread = b""
        self._left = 0
        self._trailer_bytes = 0
        self._take = self._size

    def received(self, data: bytes) -> int:
        """Consume data of this body; return how many bytes."""
        came = self._unread + data
        at = 0
        while at < len(came) and not self.completed and self.error is None:
            taken = self._take(came, at)
            if not taken:
                break
            at += taken
        self._unread = came[at:] if not self.completed and self.error is None else b""
        return len(data) - (len(came) - at) if self.completed else len(data)

    def _data(self, came: bytes, at: int) -> int:
        piece = came[at : at + self._left]
        self.buf.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._take = self._end
        return len(piece)

    def _end(self, came: bytes, at: int) -> int:
        """Consume the line end after a chunk."""
        if not b"\r\n".startswith(came[at : at + 2]):
            return self._refuse()
        if len(came) - at < 2:
            return 0
        self._take = self._size
        return 2

    def _size(self, came: bytes, at: int) -> int:
        """Consume the line with the size of the next chunk."""
        line = self._line(came, at)
        if line is None:
            return 0
        digits, semicolon, extension = line.partition(b";")
        digits = digits.rstrip(b" \t") if semicolon else digits
        if not ONLY_HEXDIG_RE.fullmatch(digits) or not CHUNK_EXT_RE.fullmatch(semicolon + extension):
            return self._refuse()
        self._left = int(digits, 16)
        if self._left > self._most_bytes:
            self.error = RequestEntityTooLarge("")
        self._take = self._data if self._left else self._trailer
        return len(line) + 2

    def _trailer(self, came: bytes, at: int) -> int:
        """Consume a line after the last chunk; an empty line ends the body."""
        line = self._line(came, at)
        if line is None:
            return 0
        self._trailer_bytes += len(line)
        if not line:
            self.completed = True
        elif not HEADER_FIELD_RE.fullmatch(line) or self._trailer_bytes > LONGEST_LINE:
            return self._refuse()
        return len(line) + 2

    def _line(self, came: bytes, at: int) -> bytes | None:
        """Return the line that begins here; None if its end has not arrived, or it is not a line."""
        end = came.find(b"\r\n", at, at + LONGEST_LINE + 2)
        line = came[at : end if end >= 0 else at + LONGEST_LINE + 1]
        if len(line) > LONGEST_LINE or b"\n" in line or b"\r" in line.removesuffix(b"\r" if end < 0 else b""):
            self._refuse()
            return None
        return line if end >= 0 else None

    def _refuse(self) -> int:
        self.error = BadRequest("")
        return 0


class Reception(HTTPRequestParser):
    """A request that is being received.

    Attributes:
        began: when its first byte arrived, by time.monotonic().
        arrived: when all of it had arrived.
    """

    body_rcv: Any  # None until the header was read, and without a body

    def __init__(self, adjustments: Any) -> None:
        super().__init__(adjustments)
        self.began = self.arrived = time.monotonic()

    def received(self, data: bytes) -> int:
        """Consume data of this request; return how many bytes."""
        taken: int = super().received(data)
        start = self.first_line if self.headers_finished and hasattr(self, "first_line") else self.header_plus
        if len(start.partition(b"\n")[0]) > LONGEST_LINE and self.body_bytes_received == 0:
            self.refuse(LineTooLong(""))
        self.arrived = time.monotonic()
        return taken

    def refuse(self, fault: Error) -> None:
        """Stop receiving, for a reason."""
        self.error = fault
        self.completed = True
        self.close()
        self.body_rcv, self.body_bytes_received = None, 0

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header.

        Raises:
            ParsingError: it is malformed, or ambiguous about where the request ends or what its target is.
        """
        try:
            super().parse_header(header_plus)
        except ValueError:  # a length of thousands of digits, a target with half an IPv6 address
            raise ParsingError("") from None
        if self.version not in ("1.0", "1.1") or not _TARGET.fullmatch(self.request_uri):
            raise ParsingError("")
        if _IN_DOUBT.search(header_plus) or len(_HOST.findall(header_plus)) > 1:
            raise ParsingError("")
        if _ENCODED.search(header_plus) and (not self.chunked or "CONTENT_LENGTH" in self.headers):
            raise ParsingError("")
        if "close" in re.split(r"[ \t]*,[ \t]*", self.headers.get("CONNECTION", "").lower()):
            self.headers["CONNECTION"] = "close"
            self.connection_close = True
        if self.chunked:
            self.body_rcv = Chunks(self.body_rcv.getbuf(), self.adj.max_request_body_size)
