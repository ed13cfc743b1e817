"""Clients that hold what they can: half requests, a byte a second, silence, answers never read, many at once."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests

from tests.charts import condition, request

CALL = "/cds-services/dry-needling-order-select"
HEAD = f"POST {CALL} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n".encode()
BODY_BYTES = 50_000
UNREAD_REQUESTS = 300
LONGEST = 10.0
"""Seconds an honest client waits for an answer."""


async def half_headers() -> AsyncIterator[bytes]:
    """Send a header that never ends."""
    yield HEAD
    await asyncio.sleep(3600)


async def half_bodies() -> AsyncIterator[bytes]:
    """Send half of the body that was announced."""
    yield HEAD + b"Content-Length: %d\r\n\r\n" % BODY_BYTES + b" " * (BODY_BYTES // 2)
    await asyncio.sleep(3600)


async def half_chunks() -> AsyncIterator[bytes]:
    """Send a chunked body that never ends."""
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + b" " * 1000
    await asyncio.sleep(3600)


async def header_drip() -> AsyncIterator[bytes]:
    """Send a header, a byte a second."""
    yield b"P"
    for byte in HEAD[1:]:
        await asyncio.sleep(1)
        yield bytes([byte])


async def body_drip() -> AsyncIterator[bytes]:
    """Send a body, a byte a second."""
    yield HEAD + b"Content-Length: %d\r\n\r\n" % BODY_BYTES
    for _ in range(BODY_BYTES):
        await asyncio.sleep(1)
        yield b" "


async def silence() -> AsyncIterator[bytes]:
    """Send nothing."""
    yield b""
    await asyncio.sleep(3600)


async def never_read() -> AsyncIterator[bytes]:
    """Ask for large answers, one behind the other, and read none."""
    for _ in range(UNREAD_REQUESTS):
        yield b"GET /evidence HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    await asyncio.sleep(3600)


KINDS = (half_headers, half_bodies, half_chunks, header_drip, body_drip, silence, never_read)


@contextmanager
def attacked(url: str, kind: Callable[[], AsyncIterator[bytes]], connections: int) -> Iterator[None]:
    """Hold so many connections in one way for as long as the block runs; whoever is closed comes back."""
    parts = urlsplit(url)
    loop = asyncio.new_event_loop()

    async def one() -> None:
        while True:
            with socket.socket() as held:
                held.setblocking(False)
                held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                try:
                    await loop.sock_connect(held, (parts.hostname, parts.port))
                    async for piece in kind():
                        await loop.sock_sendall(held, piece)
                except OSError:
                    pass
            await asyncio.sleep(0.2)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(connections)))

    attack = loop.create_task(all_of_them())

    def run() -> None:
        try:
            loop.run_until_complete(attack)
        except asyncio.CancelledError:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(attack.cancel)
        thread.join(10)


def honest(url: str, seconds: float) -> tuple[list[float], list[float]]:
    """Call in turn on a connection that is kept and on a new one, and ask for liveness.

    Returns:
        Seconds that each call took, and each question for liveness; `LONGEST` where no answer came.
    """
    calls: list[float] = []
    lives: list[float] = []
    sent = request(condition("M54.2"))
    kept = requests.Session()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for client in (kept, requests):
            calls.append(_seconds(lambda by=client: by.post(url + CALL, json=sent, timeout=LONGEST)))
            lives.append(_seconds(lambda: requests.get(f"{url}/health/live", timeout=LONGEST)))
        time.sleep(0.02)
    return calls, lives


def _seconds(ask: Callable[[], requests.Response]) -> float:
    began = time.monotonic()
    try:
        answered = ask().status_code == 200
    except requests.RequestException:
        answered = False
    return time.monotonic() - began if answered else LONGEST


def p99(times: list[float]) -> float:
    """Return what 99 of 100 did not exceed."""
    return sorted(times)[round(0.99 * (len(times) - 1))]
