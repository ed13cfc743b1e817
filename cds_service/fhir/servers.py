"""The FHIR servers that may be read: an allow-list of origins and path prefixes, and the addresses they may resolve to.

A caller's URL is otherwise a way to make this service call whatever it likes (conformance F2). With an empty list
nothing is ever fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_FLAGS = ("internal", "open")
# Plain segments only: no escape, parameter or dot segment that could mean another path to the server, or to a proxy
# before it, than it does to us.
_PLAIN_PATH = re.compile(r"(?:/(?!\.(?:\.|/|$))[A-Za-z0-9._~:=-]+)*/?", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]+")


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

    def locate(self, url: str) -> str | None:
        """Return a URL on this server, below its path, rebuilt from its parts; None if it is anywhere else (F2).

        Origin and path prefix are those of this entry, the rest of the path is plain segments: what is asked is what
        was checked, however a library or a proxy reads what was written.
        """
        parts = _split(url)
        if parts is None or (parts.scheme, parts.hostname, _port(parts)) != (self.scheme, self.host, self.port):
            return None
        if not _PLAIN_PATH.fullmatch(parts.path) or not f"{parts.path.rstrip('/')}/".startswith(f"{self.path}/"):
            return None
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{parts.path}" + (f"?{parts.query}" if parts.query else "")


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
        """Return the entry that covers a server's base URL, if any. A base URL has no query."""
        if "?" in url:
            return None
        return next((server for server in self.servers if server.locate(url)), None)


def _entry(words: list[str]) -> FhirServer:
    url, *flags = words
    parts = _split(url)
    if parts is None or parts.hostname is None:
        raise ValueError(f"{url} is no http(s) URL of a server without user, query and fragment")
    if not _PLAIN_PATH.fullmatch(parts.path):
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
    if not _VISIBLE.fullmatch(url):  # urlsplit drops some of what cannot be seen
        return None
    try:
        parts = urlsplit(url)
        _port(parts)
    except ValueError:  # a port that is not numeric, an unclosed bracket
        return None
    plain = "@" not in parts.netloc and "#" not in url
    return parts if plain and parts.scheme in _DEFAULT_PORTS and parts.hostname else None


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
