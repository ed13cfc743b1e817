"""GET requests to other servers: each ends at its deadline and sends nothing but what it is given.

The only user of `requests`. Its sessions keep cookies, read .netrc and proxies from the environment, and look at where
a redirect leads, body included. So its adapter is called without a session: there is nothing to turn off, and nothing
that one caller could leave for the next.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

_CHUNK_BYTES = 65_536
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class GetFailed(Exception):
    """Nothing usable was received. The message is the kind of failure, without anything sent or received."""


class TimedOut(GetFailed):
    """One wait, or the whole GET, took too long."""


class Unreachable(GetFailed):
    """No connection, a broken one, a forbidden address, or an answer that is not HTTP."""


class TooLarge(GetFailed):
    """The body is larger than allowed."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The limits of one GET.

    Attributes:
        deadline: when it ends, by time.monotonic(), however slowly data arrives.
        wait_seconds: the longest wait for a connection and for each piece of the answer.
        most_bytes: largest body, decompressed.
    """

    deadline: float
    wait_seconds: float
    most_bytes: int

    def next_wait(self) -> float:
        """Return how many seconds the next step may wait.

        Raises:
            TimeoutError: the deadline has passed.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, self.wait_seconds)


@dataclass(frozen=True, slots=True)
class Received:
    """An answer. The body is read only of those with status 200."""

    status: int
    content_type: str
    body: bytes


class Getter:
    """Makes GET requests for many threads, which share its connections."""

    def __init__(self, *, internal: bool, connections: int = 10) -> None:
        """Prepare the connection pools.

        Args:
            internal: also connect to addresses that are not public.
            connections: how many idle connections to keep per server.
        """
        self._internal = internal
        self._adapter = _Adapter(pool_maxsize=connections)

    def get(self, url: str, headers: Mapping[str, str], allowance: Allowance) -> Received:
        """Return the answer of a URL, without following redirects. A kept connection that broke is replaced once.

        Raises:
            TimedOut, Unreachable, TooLarge: see each class.
        """
        steps = _Steps(allowance, self._internal)
        before = _steps.set(steps)
        try:
            try:
                return self._attempt(url, headers, allowance)
            except requests.ConnectionError:
                if steps.connected:
                    raise
                return self._attempt(url, headers, allowance)
        except (requests.Timeout, TimeoutError):
            raise TimedOut from None
        except requests.RequestException:
            raise Unreachable from None
        finally:
            _steps.reset(before)

    def _attempt(self, url: str, headers: Mapping[str, str], allowance: Allowance) -> Received:
        asked = requests.Request("GET", url, headers).prepare()
        wait = allowance.next_wait()
        with self._adapter.send(asked, stream=True, timeout=(wait, wait)) as answered:
            body = _body(answered, allowance.most_bytes) if answered.status_code == requests.codes.ok else b""
            return Received(answered.status_code, answered.headers.get("Content-Type", ""), body)


def _body(answered: requests.Response, most_bytes: int) -> bytes:
    body = bytearray()
    try:
        for chunk in answered.raw.stream(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > most_bytes:
                raise TooLarge
    except ReadTimeoutError:
        raise TimedOut from None
    except HTTPError:
        raise requests.ConnectionError from None
    return bytes(body)


def is_public(address: str) -> bool:
    """Return whether an IP address is public: not loopback, link-local, private, shared, multicast or for metadata."""
    try:
        found: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (within := _within(found)) is not None:
        found = within
    return found.is_global and not found.is_multicast and not found.is_reserved


def _within(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address embedded in an IPv6 address, to which a translator on the way connects."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


# ---------------------------------------------------------------- connections


@dataclass(slots=True)
class _Steps:
    """The current GET: its limits, the addresses it may use, and whether it opened a connection."""

    allowance: Allowance
    internal: bool
    connected: bool = False


_steps: ContextVar[_Steps] = ContextVar("steps")
"""The current GET of this thread. Connections do not belong to it, because they outlive it."""


class _Socket(socket.socket):
    """Reads no longer than the current GET may wait, because a socket's timeout restarts with each byte."""

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Receive within the limits; called for headers and body."""
        self.settimeout(_steps.get().allowance.next_wait())
        return super().recv_into(*args, **options)


class _TlsSocket(ssl.SSLSocket):
    """The same over TLS."""

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Receive within the limits; called for headers and body."""
        self.settimeout(_steps.get().allowance.next_wait())
        return super().recv_into(*args, **options)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """Connect to one of the addresses that were checked; the name is not resolved a second time."""
        steps = _steps.get()
        steps.connected = True
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as failed:
            raise NewConnectionError(self, "the name does not resolve") from failed
        if not steps.internal and not all(is_public(str(address[0])) for *_, address in found):
            raise NewConnectionError(self, "the name resolves to an address that is not public")
        late = False
        for family, kind, protocol, _, address in found:
            connected = _Socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    connected.setsockopt(*option)
                connected.settimeout(steps.allowance.next_wait())
                connected.connect(address)
                connected.settimeout(steps.allowance.next_wait())  # for the TLS handshake
            except OSError as failed:
                connected.close()
                late = isinstance(failed, TimeoutError)
            else:
                return connected
        if late:
            raise ConnectTimeoutError(self, "the server does not accept a connection")
        raise NewConnectionError(self, "the server cannot be connected to")


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


@cache
def _trust() -> ssl.SSLContext:
    """Return one context for all connections, because the operating system's list takes 2 MB."""
    context = ssl.create_default_context()
    context.sslsocket_class = _TlsSocket
    return context


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make pools of these connections, which trust the operating system's and certifi's authorities."""
        super().init_poolmanager(*args, ssl_context=_trust(), **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
