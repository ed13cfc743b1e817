"""A worker process of the web server: gunicorn starts, watches and ends it; waitress receives and answers."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from cds_service import telemetry
from cds_service.fhir import deadline
from cds_service.settings import Settings
from cds_service.web.connection import Connection
from cds_service.web.reception import LONGEST_HEADER, Crowded

MOST_CONNECTIONS = 500
"""Limit of connections per worker; one more closes the connection that has been idle the longest."""

HELD_BODIES = 8
"""How many bodies of the largest size a worker may hold at a time, received or waiting."""

OVERDUE_SECONDS = 2
"""A call that runs for this long after its deadline is stuck, so the worker is replaced."""

STUCK_SECONDS = 60
"""The same for anything else that runs for this long."""

LIVENESS = "/health/live"
"""The path with its own thread, so that it is answered whatever callers do."""

_REST = 0.002
_LONGEST_REST = 0.01
_WAIT = 0.5
_LAST_REQUESTS = 1.0
_END_SECONDS = 5
_READ_BYTES = 65_536
_LARGE_BODY = 262_144


class _Wordless(logging.Handler):
    """Logs that something happened in waitress, and where, but not its text, which can quote a request."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a line without waitress's text."""
        cause = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        telemetry.log().warning("web server", place=f"{record.module}.{record.funcName}", cause=cause)


def log_without_words() -> None:
    """Keep requests out of waitress's log."""
    for name, handler in (("waitress", _Wordless(logging.WARNING)), ("waitress.queue", logging.NullHandler())):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False


class Server(TcpWSGIServer):
    """Accepts connections, enforces their deadlines, and hands whole requests to threads.

    Attributes:
        ending: the worker is about to stop.
        refused: called with the status of each request answered here with an error.
    """

    channel_class = Connection
    ending = False

    def __init__(
        self, application: Any, listener: Any, settings: Settings, threads: int, sockets: dict[int, Any]
    ) -> None:
        """Prepare to serve on a listening socket.

        Args:
            application: the WSGI application.
            listener: the socket.
            settings: the service's settings.
            threads: how many requests are answered at a time, not counting those that need no computing.
            sockets: the map of polled sockets.
        """
        largest = settings.max_body_bytes + 1  # so that the application can report what is too large
        adjustments = Adjustments(
            sockets=[listener],
            recv_bytes=_READ_BYTES,
            inbuf_overflow=2 * largest,  # no body is ever written to disk
            outbuf_overflow=2 * largest,
            connection_limit=2 * MOST_CONNECTIONS,
            cleanup_interval=1,
            max_request_header_size=LONGEST_HEADER,
            max_request_body_size=largest,
            clear_untrusted_proxy_headers=False,  # their presence shows that there is a proxy
            log_socket_errors=False,
            ident="",
        )
        self.receive_seconds = settings.receive_seconds
        self.keep_alive_seconds = settings.keep_alive_seconds
        self._most_held = HELD_BODIES * largest
        self._at_once = ThreadedTaskDispatcher()
        self._at_once.set_thread_count(1)
        computing = ThreadedTaskDispatcher()
        computing.set_thread_count(threads)
        self.rests_until = 0.0
        store = getattr(application, "extensions", {}).get("store")  # what the benchmarks compare with has none
        self.refused: Callable[[int], None] = store.metrics.refused if store else lambda _: None
        address = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(application, sockets, True, listener, computing, adjustments, address, bind_socket=False)

    @property
    def connections(self) -> list[Connection]:
        """Return the open connections."""
        return list(self.active_channels.values())

    @property
    def busy(self) -> bool:
        """Return whether anything is in progress."""
        return not all(connection.idle for connection in self.connections)

    def readable(self) -> bool:
        """Return whether a connection may be accepted; enforce deadlines on the way."""
        return bool(super().readable()) and time.monotonic() >= self.rests_until

    def maintenance(self, now: float) -> None:  # noqa: ARG002 - by another clock
        """Enforce the deadlines of all connections."""
        moment = time.monotonic()
        for connection in self.connections:
            connection.check(moment)

    def handle_accept(self) -> None:
        """Accept a connection that another worker, with fewer, did not want.

        All workers see a waiting connection. A worker with connections lets the others go first, and waits longer the
        more it has. Otherwise the first to wake would take all connections that arrive together, and keep them.
        """
        now = time.monotonic()
        rest = min(_REST * len(self.active_channels), _LONGEST_REST)
        if rest and not 0 <= now - self.rests_until < 5 * _LONGEST_REST:
            self.rests_until = now + rest
            return
        for _ in range(1 + len(self.active_channels) // 8):
            super().handle_accept()
        self.rests_until = 0.0
        if len(self.active_channels) > MOST_CONNECTIONS:
            self._end_oldest()

    def _end_oldest(self) -> None:
        """Close the connection that has been idle, or sending a request, for the longest time."""
        waiting = [connection for connection in self.connections if not connection.requests]
        if waiting:
            oldest = min(waiting, key=lambda one: one.request.began if one.request else one.since)
            oldest.close_now()

    def weigh(self, connection: Connection) -> None:
        """Refuse the largest body being received when all together are too large."""
        if connection.held < _LARGE_BODY or sum(one.held for one in self.connections) <= self._most_held:
            return
        arriving = [one for one in self.connections if one.request]
        if arriving:
            max(arriving, key=lambda one: one.held).refuse(Crowded(""))

    def add_task(self, task: Connection) -> None:
        """Start answering the first request of a connection; one that needs no computing does not wait for others."""
        request = task.requests[0]
        if request.error or request.path == LIVENESS:
            self._at_once.add_task(task)
        else:
            super().add_task(task)

    def give_up(self, now: float) -> bool:
        """Answer requests whose threads are stuck, and return whether there are any: the worker must be replaced."""
        overdue = deadline.overdue(now - OVERDUE_SECONDS)
        stuck = [
            one
            for one in self.connections
            if not one.given_up
            and (one.thread in overdue or any(now > request.arrived + STUCK_SECONDS for request in one.requests[:1]))
        ]
        for connection in stuck:
            telemetry.log().error("stuck", places=connection.give_up())
        return bool(stuck)

    def end_threads(self) -> None:
        """Let the threads that answer requests end; those that are stuck end with the process."""
        stuck = any(connection.given_up for connection in self.connections)
        self.task_dispatcher.shutdown(timeout=0 if stuck else _END_SECONDS)
        self._at_once.shutdown()

    def stop_accepting(self) -> None:
        """Accept no new connections; requests on open ones are still answered."""
        self.ending = True
        self.accepting = False
        self.del_channel()
        self.socket.close()


class WaitressWorker(Worker):
    """The worker that gunicorn runs."""

    _servers: tuple[Server, ...] = ()

    def run(self) -> None:
        """Serve until signaled to stop; then answer what has arrived."""
        settings = Settings.from_environ(os.environ)
        # The receiving thread waits this long for a computing one, several times per large body.
        sys.setswitchinterval(0.001)
        log_without_words()
        sockets: dict[int, Any] = {}
        self._servers = tuple(
            Server(self.wsgi, listener.sock, settings, self.cfg.threads, sockets) for listener in self.sockets
        )
        while self.alive and self.ppid == os.getppid():
            self._step(sockets)
        for server in self._servers:
            server.stop_accepting()
        began = time.monotonic()
        while (waited := time.monotonic() - began) < self.cfg.graceful_timeout:
            if waited > _LAST_REQUESTS and not any(server.busy for server in self._servers):
                break
            self._step(sockets)
            for server in self._servers:
                server.maintenance(0)
        for server in self._servers:
            server.end_threads()
        wasyncore.close_all(sockets, ignore_all=True)

    def _step(self, sockets: dict[int, Any]) -> None:
        """Handle events, or wait a while for them; stop when a request is stuck.

        This notifies gunicorn that the worker is alive. When a guideline never releases the interpreter, that stops,
        and gunicorn kills the worker.
        """
        now = time.monotonic()
        self.notify()
        if any(server.give_up(now) for server in self._servers):
            self.alive = False  # gunicorn starts a new one
        rests = [server.rests_until - now for server in self._servers if server.rests_until > now]
        wasyncore.poll2(min([*rests, _WAIT]) + 0.001, sockets)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop gracefully, and wake the thread that waits for clients."""
        super().handle_exit(sig, frame)
        for server in self._servers:
            server.pull_trigger()
