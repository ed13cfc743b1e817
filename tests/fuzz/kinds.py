"""The kinds of requests that are mutated, and the applications that answer them: calls, traces, feedback, tokens."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import orjson
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from flask.testing import FlaskClient

from cds_service.main import create
from cds_service.store.database import bring_up_to_date
from tests.bench.bodies import small_request
from tests.cases import TODAY, all_cases, own_settings
from tests.fuzz import mutations
from tests.system.conftest import served
from tests.tokens import ISS, JKU, URL, private_key, public_key

HOOKS = ("order-select", "order-sign")
JSON = {"Content-Type": "application/json"}
ANSWER_SECONDS = 30

_IN_MEMORY = "/dev/shm"
"""Where Linux keeps files in memory: what a record costs on a disk is not what is tried here."""


@dataclass(frozen=True)
class Sent:
    """A request as it is sent."""

    kind: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))


@dataclass
class Chunked:
    """How requests in odd chunks were answered: by status; 0 stands for a connection that was closed."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Kinds:
    """Makes requests of all kinds."""

    def __init__(self, folder: Path) -> None:
        own = {"database_url": f"sqlite:///{folder}/cds.sqlite3", "data_folder": str(folder), "log_level": "error"}
        free = {"feedback_per_minute": 0, "call_milliseconds": 600_000}
        bring_up_to_date(own["database_url"])  # as `cds-service serve` does before anybody calls
        issuers = folder / "issuers.toml"
        keys = ", ".join(f"{name} = {json.dumps(part)}" for name, part in public_key("ES256").items())
        issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n', encoding="utf-8")
        self._open = create(own_settings(**own, **free, preview="on"), clock=lambda: TODAY)
        guarded = own_settings(**own, **free, jwt="services", issuers_file=str(issuers))
        self._guarded = create(guarded, clock=lambda: TODAY)
        self._clients = {"token": self._guarded.test_client()}
        self._other = self._open.test_client()
        self._calls = [case.request for case in all_cases()]
        self._cards = self._known_cards()

    @classmethod
    @contextmanager
    def prepared(cls) -> Iterator[Kinds]:
        """Yield the kinds, with a folder of their own."""
        with tempfile.TemporaryDirectory(
            prefix="cds-fuzz-", dir=_IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
        ) as name:
            kinds = cls(Path(name))
            yield kinds
            for app in (kinds._open, kinds._guarded):
                app.extensions["store"].recorder.close()
                app.extensions["store"].database.close()

    def client(self, kind: str) -> FlaskClient:
        """Return who answers a kind."""
        return self._clients.get(kind, self._other)

    def _known_cards(self) -> list[dict[str, Any]]:
        cards = []
        for call in self._calls[:30]:
            response = self._other.post(f"/cds-services/dry-needling-{call['hook']}", json=call)
            cards += response.get_json().get("cards", [])
        return cards

    def request(self, random: Random) -> Sent:
        """Return a request of some kind."""
        draw = random.random()
        if draw < 0.62:
            call = random.choice(self._calls)
            return Sent("call", _path(random, call), mutations.body_of(random, call))
        if draw < 0.70:
            call = random.choice(self._calls)
            return Sent("bytes", _path(random, call), mutations.bytes_of(random, orjson.dumps(call)))
        if draw < 0.75:
            return Sent("trace", "/preview/trace", mutations.body_of(random, random.choice(self._calls)))
        if draw < 0.88:
            path = f"/cds-services/dry-needling-{random.choice(HOOKS)}/feedback"
            return Sent("feedback", path, mutations.body_of(random, self._feedback(random)))
        header = {
            **JSON,
            "Authorization": f"{random.choice(('Bearer', 'Bearer', 'bearer', 'Basic', ''))} {_token(random)}",
        }
        return Sent("token", "/cds-services/dry-needling-order-select", small_request(random.randrange(40)), header)

    def _feedback(self, random: Random) -> dict[str, Any]:
        entries = []
        for _ in range(random.choice((1, 1, 2, 5))):
            card = random.choice(self._cards)
            entry: dict[str, Any] = {"card": card["uuid"], "outcomeTimestamp": "2026-11-23T17:30:00Z"}
            if random.random() < 0.5:
                offered = card.get("suggestions") or [{"uuid": str(uuid.UUID(int=5))}]
                entry |= {"outcome": "accepted", "acceptedSuggestions": [{"id": offered[0]["uuid"]}]}
            else:
                reason = {"reason": random.choice(card["overrideReasons"]), "userComment": "words"}
                entry |= {"outcome": "overridden", "overrideReason": reason}
            entries.append(entry)
        return {"feedback": entries}

    @staticmethod
    def chunked(random: Random, number: int) -> Chunked:
        """Send requests in odd chunks to a real server."""
        found = Chunked()
        with served(log=Path(os.devnull), CDS_CALL_MILLISECONDS="60000") as (url, process):
            for _ in range(number):
                raw = mutations.chunked_of(random, "/cds-services/dry-needling-order-select", small_request(1))
                status = _status(url, raw)
                found.statuses[status] += 1
                if status < 0 or (status >= 500 and status != 501):
                    found.faults.append(f"{'no answer' if status < 0 else status} for {raw!r}")
            honest = requests.post(
                f"{url}/cds-services/dry-needling-order-select", small_request(2), headers=JSON, timeout=60
            )
            if honest.status_code != 200 or process.poll() is not None:
                found.faults.append(f"an honest call afterwards got {honest.status_code}")
        return found


def _path(random: Random, call: dict[str, Any]) -> str:
    return f"/cds-services/dry-needling-{call['hook'] if random.random() < 0.95 else random.choice(HOOKS)}"


def _token(random: Random) -> str:
    now = int(time.time())
    header = {"alg": "ES256", "kid": "ES256", "typ": "JWT"}
    if random.random() < 0.1:
        header["jku"] = JKU
    claims = {"iss": ISS, "aud": URL, "iat": now, "exp": now + 3600, "jti": str(uuid.UUID(int=random.getrandbits(128)))}
    return mutations.token_of(random, header, claims, _signed)


def _signed(data: bytes) -> bytes:
    r, s = decode_dss_signature(private_key("ES256", "").sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def _status(url: str, raw: bytes) -> int:
    """Return the status a raw request gets; 0 when the connection is closed without one, -1 when nothing comes."""
    host, port = url.removeprefix("http://").split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                line = answer.readline().split()
    except ConnectionError:
        return 0
    except TimeoutError:
        return -1
    return int(line[1]) if len(line) > 1 and line[1].isdigit() else 0
