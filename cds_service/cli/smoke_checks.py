"""Checks of a running service from outside: discovery, cards, errors, tokens, browsers, time, pages, TLS."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import requests

SECONDS = 10
"""Longest wait for one answer."""

EXPECTED_SECONDS = 0.5
"""Within which an EHR wants 95 of 100 calls answered (conformance R9)."""

CLOCK_SECONDS = 30
"""How far the clocks may be apart; tokens are refused beyond the leeway."""

CERTIFICATE_DAYS = 14
"""How long a certificate must still be valid."""

PAGES = ("/", "/report", "//report", "/metrics", "/preview/trace", "/health/ready")
"""What operators read; an EHR's network has no need of it."""

_MARK = "smoke-marked-value"
"""Stands where patient data would; no answer may repeat it."""


class Unreachable(Exception):
    """There is no answer to examine; the message says why in our own words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    name: str
    failed: bool
    words: str


@dataclass(frozen=True, slots=True)
class Target:
    """What is examined, and how.

    Attributes:
        url: base URL, without a slash at the end.
        token: gives a fresh token for an endpoint's URL; None calls without.
        origin: of a browser client that must be allowed; "" checks only that strangers are not.
        calls: how many calls are timed.
        inside: pages for operators may be there.
    """

    url: str
    token: Callable[[str], str] | None = None
    origin: str = ""
    calls: int = 50
    inside: bool = False
    session: requests.Session = field(default_factory=requests.Session)

    def ask(self, method: str, path: str, *, token: str | None = None, **options: Any) -> requests.Response:
        """Send one request; with a fresh token when the target has any, unless one is given ("" sends none).

        Raises:
            Unreachable: no answer came.
        """
        url = f"{self.url}{path}"
        if token is None:
            token = self.token(url) if self.token else ""
        headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            return self.session.request(
                method, url, headers=headers, timeout=SECONDS, allow_redirects=False, **options
            )  # fmt: skip
        except requests.exceptions.SSLError:
            raise Unreachable("the certificate is not trusted, or is not of this name") from None
        except requests.exceptions.Timeout:
            raise Unreachable(f"no answer within {SECONDS} seconds") from None
        except requests.exceptions.RequestException:
            raise Unreachable("no connection") from None


@dataclass(frozen=True, slots=True)
class Canned:
    """A call of a made-up patient and the rule that must answer it."""

    rule: str
    service: str
    request: dict[str, Any]


def examine(target: Target, canned: tuple[Canned, ...]) -> Iterator[Finding]:
    """Yield the findings, one for each check, in the order of the table.

    Args:
        target: what is examined.
        canned: a call for each rule.

    Raises:
        Unreachable: discovery does not answer; nothing else is asked then.
    """
    services, discovery = _discovery(target)
    yield discovery
    ids = {service.get("id") for service in services}
    for call in canned:
        yield _card(target, call) if call.service in ids else Finding(f"rule {call.rule}", True, "service not offered")
    if not canned or canned[0].service not in ids:
        return
    path = f"/cds-services/{canned[0].service}"
    for look in (_errors, _tokens, _browsers, _times, _clock, _pages, _transport):
        yield look(target, path, canned[0].request)


def _finding(name: str, faults: list[str], words: str) -> Finding:
    return Finding(name, bool(faults), "; ".join(faults) or words)


def _discovery(target: Target) -> tuple[list[dict[str, Any]], Finding]:
    """Ask for the services (D1, D2)."""
    answered = target.ask("GET", "/cds-services")
    if answered.status_code != 200:
        raise Unreachable(f"discovery answers {answered.status_code}")
    services = _json(answered).get("services")
    if not isinstance(services, list):
        raise Unreachable("discovery does not list services")
    faults = [
        f"service {number} lacks {name}"
        for number, service in enumerate(services)
        for name in ("id", "hook", "description")
        if not service.get(name)
    ]
    faults += [] if services else ["no services"]
    return services, _finding("discovery", faults, f"{len(services)} services")


def _card(target: Target, call: Canned) -> Finding:
    """Make one canned call and look for its rule."""
    answered = target.ask("POST", f"/cds-services/{call.service}", json=_fresh(call.request))
    name = f"rule {call.rule}"
    if answered.status_code != 200:
        return Finding(name, True, f"answered {answered.status_code}")
    cards = _json(answered).get("cards", [])
    rules = {
        str(value.get("rule"))
        for card in cards
        for value in (card.get("extension") or {}).values()
        if isinstance(value, dict)
    }
    if call.rule not in rules:
        return Finding(name, True, f"answered with {', '.join(sorted(rules)) or 'no card'}")
    return Finding(name, False, next(card["summary"] for card in cards))


def _errors(target: Target, path: str, request: dict[str, Any]) -> Finding:
    """Ask for what is wrong: each error is an OperationOutcome that repeats nothing (C1)."""
    json_type = {"Content-Type": "application/json"}
    wrong = {**request, "hook": _MARK}
    asked = (
        ("a body that is not JSON", 400, target.ask("POST", path, data=f'{{"{_MARK}', headers=json_type)),
        ("another hook", 400, target.ask("POST", path, json=wrong)),
        ("another content type", 415, target.ask("POST", path, data=_MARK, headers={"Content-Type": "text/plain"})),
        ("an unknown service", 404, target.ask("POST", f"/cds-services/{_MARK}", json=request)),
        ("another method", 405, target.ask("DELETE", path)),
    )
    faults = []
    for words, status, answered in asked:
        if answered.status_code != status:
            faults.append(f"{words} is answered with {answered.status_code} instead of {status}")
        elif _json(answered).get("resourceType") != "OperationOutcome":
            faults.append(f"{words} is answered without an OperationOutcome")
        if _MARK in answered.text:
            faults.append(f"{words} is repeated in the answer")
    return _finding("errors", faults, f"{len(asked)} of {len(asked)} are OperationOutcomes")


def _tokens(target: Target, path: str, request: dict[str, Any]) -> Finding:
    """Call without a token, with a good one, with the same again, and with a broken one (S1 to S4)."""
    without = target.ask("POST", path, token="", json=_fresh(request)).status_code
    if target.token is None:
        faults = [] if without == 200 else [f"a call without a token is answered with {without}; give a token"]
        return _finding("tokens", faults, "not asked for: anybody who reaches the service is answered")
    token = target.token(f"{target.url}{path}")
    head, _, rest = token.partition(".")
    broken = f"{head}.{rest[:-8]}{'A' * 8}"
    asked = (
        ("without a token", 401, without),
        ("with a good token", 200, target.ask("POST", path, token=token, json=_fresh(request)).status_code),
        ("with a used token", 401, target.ask("POST", path, token=token, json=_fresh(request)).status_code),
        ("with a forged token", 401, target.ask("POST", path, token=broken, json=_fresh(request)).status_code),
    )
    faults = [f"a call {words} is answered with {found}" for words, status, found in asked if found != status]
    return _finding("tokens", faults, "refused without, used twice and forged; accepted once")


def _browsers(target: Target, path: str, _: dict[str, Any]) -> Finding:
    """Ask as browsers do before a call from another page (S5)."""

    def allowed(origin: str) -> bool:
        """Return whether pages of an origin may call."""
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST",
                     "Access-Control-Request-Headers": "authorization, content-type"}  # fmt: skip
        answered = target.ask("OPTIONS", path, token="", headers=preflight)
        return answered.headers.get("Access-Control-Allow-Origin") in (origin, "*")

    faults = ["pages of any origin may call"] if allowed("https://stranger.example.net") else []
    if target.origin and not allowed(target.origin):
        faults.append(f"pages of {target.origin} may not call")
    return _finding("browsers", faults, f"{target.origin or 'no page'} may call, strangers may not")


def _times(target: Target, path: str, request: dict[str, Any]) -> Finding:
    """Take the time of calls, the network included (R9)."""
    taken = []
    for _ in range(target.calls):
        token = target.token(f"{target.url}{path}") if target.token else ""
        begun = time.perf_counter()
        answered = target.ask("POST", path, token=token, json=_fresh(request))
        taken.append(time.perf_counter() - begun)
        if answered.status_code != 200:
            return Finding("time", True, f"call {len(taken)} of {target.calls} is answered with {answered.status_code}")
    taken.sort()
    half, most = taken[len(taken) // 2], taken[min(len(taken) - 1, len(taken) * 95 // 100)]
    words = f"of {len(taken)} calls half within {half * 1000:.0f} ms, 95 % within {most * 1000:.0f} ms"
    return Finding("time", most > EXPECTED_SECONDS, words)


def _clock(target: Target, _path: str, _request: dict[str, Any]) -> Finding:
    """Compare the clock of what answers with this machine's."""
    answered = target.ask("GET", "/cds-services")
    try:
        theirs = parsedate_to_datetime(answered.headers["Date"])
    except (KeyError, ValueError):
        return Finding("clock", True, "no readable Date header")
    apart = abs((datetime.now(UTC) - theirs).total_seconds())
    return Finding("clock", apart > CLOCK_SECONDS, f"{apart:.0f} s apart")


def _pages(target: Target, _path: str, _request: dict[str, Any]) -> Finding:
    """Ask for pages that only operators may read."""
    if target.inside:
        return Finding("pages", False, "not asked for from inside")
    served = [page for page in PAGES if target.ask("GET", page, token="").status_code == 200]
    return _finding("pages", [f"{', '.join(served)} can be read by anybody"] if served else [], "not exposed")


def _transport(target: Target, _path: str, _request: dict[str, Any]) -> Finding:
    """Look at the certificate: its name is checked by every request, its end here."""
    parts = urlsplit(target.url)
    if parts.scheme != "https":
        near = parts.hostname in ("127.0.0.1", "::1", "localhost")
        return Finding("TLS", not near, "none" + ("; on this machine only" if near else ": charts travel in the clear"))
    context = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))
    with (
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=parts.hostname) as connection,
    ):
        ends = ssl.cert_time_to_seconds(str((connection.getpeercert() or {})["notAfter"]))
        version = connection.version()
    days = int((ends - time.time()) // 86400)
    return Finding("TLS", days < CERTIFICATE_DAYS, f"{version}, certificate valid for {days} more days")


def _fresh(request: dict[str, Any]) -> dict[str, Any]:
    """Return a call as a new one: a client never uses a hookInstance twice."""
    return {**request, "hookInstance": str(uuid4())}


def _json(answered: requests.Response) -> dict[str, Any]:
    try:
        found = answered.json()
    except requests.exceptions.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
