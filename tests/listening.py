"""The receiving side of the web server within the test's own process, and raw bytes sent to it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from waitress import wasyncore

from cds_service.settings import Settings
from cds_service.web.worker import Server

Listening = Callable[[bytes], list[tuple[int, dict[str, str], bytes]]]


@contextmanager
def listening(app: Any, settings: Settings, threads: int = 2) -> Iterator[tuple[int, Server]]:
    """Serve an application in a thread; yield port and server."""
    sockets: dict[int, Any] = {}
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        server = Server(app, listener, settings, threads, sockets)

        def run() -> None:
            while not ended.is_set():
                wasyncore.poll2(0.05, sockets)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield port, server
        finally:
            ended.set()
            thread.join(10)
            server.end_threads()
            wasyncore.close_all(sockets, ignore_all=True)


def exchange(port: int, sent: bytes, *, half_close: bool = False) -> list[tuple[int, dict[str, str], bytes]]:
    """Send bytes as they are; return status, headers and body of every answer until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(sent)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answers:
            return list(_answers(answers))


def _answers(stream: Any) -> Iterator[tuple[int, dict[str, str], bytes]]:
    while line := stream.readline():
        status = int(line.split()[1])
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        yield status, headers, stream.read(int(headers.get("content-length", "0")))


def is_outcome(body: bytes) -> bool:
    """Return whether a body is an OperationOutcome."""
    return json.loads(body)["resourceType"] == "OperationOutcome"
