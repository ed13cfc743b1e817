"""One connection to a client: it uses no thread until a whole request has arrived, and has a deadline at each stage."""

from __future__ import annotations

import socket
import threading
import time
from http import HTTPStatus
from typing import Any

import orjson
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, Error

from cds_service import telemetry
from cds_service.web.admission import RECEIVED
from cds_service.web.reception import Late, Reception, Stuck, refusal

LINGERING_SECONDS = 2.0
"""How long to keep reading from a refused client, so that it receives the reason."""


class Answering(WSGITask):
    """Lets the application answer a request."""

    wrote_header: bool

    def build_response_header(self) -> bytes:
        """Return the header; it announces the end of the connection when the service is stopping."""
        if self.channel.server.ending:
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header

    def write(self, data: bytes) -> None:
        """Send a whole answer at once, header and body.

        A killed worker has then sent all of it or nothing, for which a proxy can send its own error; and one packet
        costs less than two.
        """
        if self.wrote_header or not self.complete or not self.has_body or self.content_length != len(data):
            super().write(data)
            return
        header: bytes = self.build_response_header()
        self.wrote_header = True
        self.content_bytes_written = len(data)
        self.channel.write_soon(header + data)

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment, with the path as sent, and the host from an absolute URL."""
        environ: dict[str, Any] = super().get_environment()
        if self.request.proxy_netloc:
            environ["HTTP_HOST"] = self.request.proxy_netloc
        environ["PATH_INFO"] = self.request.path
        environ[RECEIVED] = self.request.arrived
        return environ


class Refusing(ErrorTask):
    """Answers a request that cannot be received with an OperationOutcome (H1)."""

    def execute(self) -> None:
        """Answer and close the connection, because it is unknown where the next request begins."""
        error = refusal(self.request.error)
        self.channel.server.refused(error.status)
        telemetry.log().warning("refused", status=error.status, cause=type(error).__name__, fields=[])
        body = orjson.dumps(error.operation_outcome())
        self.version = "1.1"
        self.status = f"{error.status} {HTTPStatus(error.status).phrase}"
        self.response_headers += [
            ("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
            *error.headers.items(),
        ]  # fmt: skip
        self.content_length = len(body)
        self.channel.refused = True
        self.set_close_on_finish()
        self.write(body)


class Connection(HTTPChannel):
    """A connection.

    Attributes:
        since: when its present state began, by time.monotonic(): receiving, idle or sending.
        fresh: no request has arrived yet.
        refused: a request was refused before all of it arrived.
        thread: id of the thread that answers a request; 0 if none.
        given_up: the request was answered in place of that thread, which is stuck.
        ends: when to stop reading from a refused client.
    """

    request: Any
    parser_class = Reception
    task_class = Answering
    error_task_class = Refusing

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.since = time.monotonic()
        self.fresh = True
        self.refused = False
        self.thread = 0
        self.given_up = False
        self.ends: float | None = None
        self._ahead = b""
        super().__init__(*arguments, **named)

    @property
    def idle(self) -> bool:
        """Return whether nothing is in progress: no request arrives or is answered, and no answer is being sent."""
        answering = self.requests and not self.given_up
        return not (answering or self.request or self.total_outbufs_len or self.ends)

    @property
    def held(self) -> int:
        """Return how many bytes of request bodies it holds."""
        waiting = sum(request.body_bytes_received for request in self.requests)
        return int(waiting + (self.request.body_bytes_received if self.request else 0))

    def check(self, now: float) -> None:
        """Apply the deadlines: refuse a request that arrives too slowly, close a connection that waits too long."""
        server = self.server
        if self.ends is not None:
            if now > self.ends:
                self.close_now()
        elif self.requests:
            return  # being answered, which has its own deadline
        elif self.request:
            if now > self.request.began + server.receive_seconds:
                self.refuse(Late(""))
        elif now > self.since + (
            server.receive_seconds if self.total_outbufs_len or self.fresh else server.keep_alive_seconds
        ):
            self.close_now()

    def refuse(self, fault: Error) -> None:
        """Answer the request that is being received with an error."""
        with self.requests_lock:
            request = self.request
            if request is None:
                return
            self.request = None
            request.refuse(fault)
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)

    def give_up(self) -> list[str]:
        """Answer a request in place of a thread that is stuck, and close the connection.

        Returns:
            Where the thread is.
        """
        self.given_up = True
        task = Refusing(self, self.requests[0])
        task.request.error = Stuck("")
        task.service()
        self.close_when_flushed = True
        return telemetry.places_of(self.thread)

    def readable(self) -> bool:
        """Return whether more may be received."""
        if self._ahead:
            self.received(b"")
        return self.ends is not None or bool(super().readable())

    def received(self, data: bytes) -> bool:
        """Accept data up to the end of a request; the next request waits until this answer was sent.

        Otherwise a client that sends many requests and reads no answer would hold a thread.
        """
        with self.requests_lock:
            if self.refused or self.will_close or self.close_when_flushed:
                return False
            self._ahead += data
            if self.request is None:
                self._ahead = self._ahead.lstrip(b"\r\n")  # which old clients send after a request
            while self._ahead and not self.requests and not self.total_outbufs_len:
                if self.request is None:
                    self.request = self.parser_class(self.adj)
                self._ahead = self._ahead[self.request.received(self._ahead) :]
                if self.request.completed:
                    self.requests.append(self.request)
                    self.request, self.sent_continue = None, False
                    self.server.add_task(self)
                elif self.request.expect_continue and not self.sent_continue:
                    self.send_continue()
        return True

    def handle_read(self) -> None:
        """Receive available data."""
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return
        except OSError:
            self.ends = None
            self.close_now()
            return
        if data:
            if self.ends is None:
                self.received(data)
                self.server.weigh(self)
        elif self.ends is None and self.request is not None and not self.requests:
            self.refuse(BadRequest(""))  # it closed its side, and can still read the error
        else:
            self.close_now()

    def handle_close(self) -> None:
        """Close; keep reading from a refused client for a while, or it gets a reset instead of the answer."""
        if self.refused and self.ends is None and self.connected:
            self.ends = time.monotonic() + LINGERING_SECONDS
            self.will_close = self.close_when_flushed = False
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.close_now()
            return
        self.close_now()

    def close_now(self) -> None:
        """Close immediately."""
        super().handle_close()

    def service(self) -> None:
        """Start answering the first request."""
        self.thread = threading.get_ident()
        super().service()
        self.thread, self.since, self.fresh = 0, time.monotonic(), False
