"""Which FHIR servers we may call: an allow-list of origins and path prefixes, and the addresses they may resolve to.

A caller's URL is otherwise a way to make this service call whatever it likes (conformance F2). With an empty list
nothing is ever fetched.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_FLAGS = ("internal", "open")
# What could make a path mean another one to the server than it does to us.
_UNTRUSTED_PATH = re.compile(r"//|\\|%2e|%2f|%5c|(?:^|/)\.{1,2}(?:/|$)|[\x00-\x20]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FhirServer:
    """An entry of the allow-list.

    Attributes:
        scheme: http or https.
        host: in lower case.
        port: given or the scheme's own.
        path: prefix without a slash at the end; everything below it is allowed.
        internal: it may resolve to loopback, link-local, private and other addresses that are not public.
        open: it needs no token.
    """

    scheme: str
    host: str
    port: int
    path: str
    internal: bool = False
    open: bool = False

    def covers(self, url: str) -> bool:
        """Tell whether a URL lies on this server, below its path."""
        parts = _split(url)
        if parts is None or (parts.scheme, parts.hostname, _port(parts)) != (self.scheme, self.host, self.port):
            return False
        return not _UNTRUSTED_PATH.search(parts.path) and f"{parts.path.rstrip('/')}/".startswith(f"{self.path}/")


class AllowList:
    """The FHIR servers a site allows."""

    def __init__(self, servers: Iterable[FhirServer] = ()) -> None:
        self.servers = tuple(servers)

    @classmethod
    def parse(cls, text: str) -> AllowList:
        """Read a setting: entries separated by commas, each a URL and the words internal and open where they apply.

        Raises:
            ValueError: an entry is wrong; the message says which and why.
        """
        return cls(_entry(entry.split()) for entry in text.split(",") if entry.strip())

    def find(self, url: str) -> FhirServer | None:
        """Return the entry that covers a server's base URL, if any."""
        return next((server for server in self.servers if server.covers(url)), None)


def _entry(words: list[str]) -> FhirServer:
    url, *flags = words
    parts = _split(url)
    if parts is None or parts.hostname is None:
        raise ValueError(f"{url} is no http(s) URL of a server without user, query and fragment")
    if _UNTRUSTED_PATH.search(parts.path):
        raise ValueError(f"{url} has a path that a server may read in another way")
    for flag in flags:
        if flag not in _FLAGS:
            raise ValueError(f"{url} is followed by {flag}; only {' and '.join(_FLAGS)} may follow")
    return FhirServer(
        parts.scheme,
        parts.hostname,
        _port(parts),
        parts.path.rstrip("/"),
        internal="internal" in flags,
        open="open" in flags,
    )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _port(parts)
    except ValueError:  # a port that is no number, an unclosed bracket
        return None
    plain = parts.username is None and parts.password is None and "@" not in parts.netloc
    return parts if plain and parts.scheme in _DEFAULT_PORTS and parts.hostname and not parts.fragment else None


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def is_public(address: str) -> bool:
    """Tell whether an IP address is public: not loopback, link-local, private, shared, multicast or for metadata."""
    try:
        found: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_global and not found.is_multicast
