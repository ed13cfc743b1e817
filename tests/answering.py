"""A server in this process that answers each request with whatever bytes a test wants, as slowly as it wants."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

Answer = Callable[[socket.socket, str], None]
"""Answers the head of a request on a connection."""


@dataclass
class Answering:
    """A running server: where it is, the heads of the requests it got, and how many connections there were."""

    url: str
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> list[str]:
        return [head.split(" ")[1] for head in self.heads]


def json_answer(document: object, status: str = "200 OK", *headers: str) -> bytes:
    """Return the bytes of an answer in FHIR's JSON."""
    return raw_answer(json.dumps(document).encode(), status, *headers)


def raw_answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/fhir+json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def always(answer: bytes) -> Answer:
    return lambda connection, _: connection.sendall(answer)


def drip(server: Answering, connection: socket.socket, *parts: bytes, seconds: float = 0.02) -> None:
    """Send parts, the last one a byte at a time without end, until the server ends or the other side goes away."""
    connection.sendall(b"".join(parts[:-1]))
    with suppress(OSError):
        while not server.ended.wait(seconds):
            connection.sendall(parts[-1])
        connection.shutdown(socket.SHUT_RDWR)


def _head(received: BinaryIO) -> str:
    lines = iter(lambda: received.readline().decode("latin-1").rstrip("\r\n"), "")
    return "\n".join(lines)


@contextmanager
def answering(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Answering]:
    """Start a server on a free port of the loopback interface.

    Args:
        answer: called with a connection and the head of each request that comes on it.
        tls: its certificate; None speaks plain HTTP.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = Answering(f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}")

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            wrapped = tls.wrap_socket(connection, server_side=True) if tls else connection
            with wrapped, wrapped.makefile("rb") as received:
                while head := _head(received):
                    server.heads.append(head)
                    answer(wrapped, head)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                server.connections += 1
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        server.ended.set()
        listener.shutdown(socket.SHUT_RDWR)  # a thread that still accepts could otherwise serve what the next one opens
        accepting.join()
        listener.close()
