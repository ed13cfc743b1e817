"""A FHIR server as a process of its own: it holds what is put into it, and misbehaves on request.

python -m tests.system.fhir_server PORT serves /fhir, and /faults/NAME for every fault: the same data, sent wrong.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

STORE: dict[tuple[str, str], dict] = {}


class Handler(BaseHTTPRequestHandler):
    """One request; the first part of the path says how to answer."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        """Put resources in the place of all there were."""
        STORE.clear()
        for number, resource in enumerate(json.loads(self.rfile.read(int(self.headers["Content-Length"])))):
            STORE[resource["resourceType"], resource.get("id", f"without-id-{number}")] = resource
        self.send(200, b"{}")

    def do_GET(self) -> None:
        """Read or search, or misbehave."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts[0] == "faults":
            FAULTS[parts[1]](self, parts[2:])
        else:
            self.answer(parts[1:])

    def answer(self, path: list[str]) -> None:
        """Answer as a FHIR server should."""
        if len(path) > 1:
            found = STORE.get((path[0], path[1]))
            self.send(200 if found else 404, json.dumps(found or {"resourceType": "OperationOutcome"}).encode())
        else:
            self.send(200, json.dumps(self.searched(path[0])).encode())

    def searched(self, kind: str) -> dict:
        """Return the resources of one type whose subject is the patient asked for."""
        patient = parse_qs(urlsplit(self.path).query).get("patient", [""])[0]
        found = [
            {"resource": resource}
            for (held, _), resource in STORE.items()
            if held == kind and resource.get("subject", {}).get("reference") == f"Patient/{patient}"
        ]
        return {"resourceType": "Bundle", "type": "searchset", "entry": found}

    def send(self, status: int, body: bytes, content_type: str = "application/fhir+json", **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Says nothing when a caller gives up on a fault, which is what the faults are for."""

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


def delays(handler: Handler, path: list[str]) -> None:
    """Answers rightly, after half a minute."""
    time.sleep(30)
    handler.answer(path)


def trickles(handler: Handler, _: list[str]) -> None:
    """Sends a byte now and then, so that no single wait is long."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/fhir+json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(600):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def trickles_headers(handler: Handler, _: list[str]) -> None:
    """Sends a header now and then, without end."""
    handler.send_response(200)
    handler.flush_headers()
    for number in range(600):
        handler.wfile.write(f"X-{number}: more\r\n".encode())
        time.sleep(0.05)


def resets(handler: Handler, _: list[str]) -> None:
    """Breaks the connection without an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def truncates(handler: Handler, path: list[str]) -> None:
    """Promises more than it sends."""
    body = json.dumps(handler.searched(path[0])).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/fhir+json")
    handler.send_header("Content-Length", str(len(body) + 100))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def pages_forever(handler: Handler, path: list[str]) -> None:
    """Every page has a next one: itself."""
    if len(path) > 1:
        handler.answer(path)
        return
    bundle = handler.searched(path[0])
    bundle["link"] = [{"relation": "next", "url": f"http://{handler.headers['Host']}{handler.path}"}]
    handler.send(200, json.dumps(bundle).encode())


def ends_with_an_outcome(handler: Handler, path: list[str]) -> None:
    """The second page is an OperationOutcome."""
    if "page" in parse_qs(urlsplit(handler.path).query):
        handler.send(200, b'{"resourceType": "OperationOutcome", "issue": []}')
    else:
        _first_page(handler, path, f"{path[0]}?page=2")


def has_a_malformed_next_link(handler: Handler, path: list[str]) -> None:
    """The next page has no readable address."""
    _first_page(handler, path, "http://[bad")


def begins_with_an_empty_page(handler: Handler, path: list[str]) -> None:
    """The first page is empty, and the next one answers 500."""
    if len(path) > 1:
        handler.answer(path)
    elif "page" in parse_qs(urlsplit(handler.path).query):
        handler.send(500, b"{}")
    else:
        following = [{"relation": "next", "url": f"{path[0]}?page=2"}]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": 40, "entry": [], "link": following}
        handler.send(200, json.dumps(bundle).encode())


def counts_more_than_it_sends(handler: Handler, path: list[str]) -> None:
    """Counts 40 more entries than it sends, without a next page."""
    if len(path) > 1:
        handler.answer(path)
    else:
        bundle = handler.searched(path[0])
        handler.send(200, json.dumps({**bundle, "total": len(bundle["entry"]) + 40}).encode())


def _first_page(handler: Handler, path: list[str], following: str) -> None:
    if len(path) > 1:
        handler.answer(path)
        return
    bundle = handler.searched(path[0])
    bundle["link"] = [{"relation": "next", "url": following}]
    handler.send(200, json.dumps(bundle).encode())


def has_no_list_of_entries(handler: Handler, _: list[str]) -> None:
    """A Bundle whose entries are a number."""
    handler.send(200, b'{"resourceType": "Bundle", "type": "searchset", "entry": 5}')


def redirects(handler: Handler, path: list[str]) -> None:
    """Sends callers to another path of the same machine, which would answer."""
    handler.send(302, b"", Location="/fhir/" + "/".join(path))


def lies_about_its_type(handler: Handler, path: list[str]) -> None:
    """FHIR declared as a page."""
    handler.send(200, json.dumps(handler.searched(path[0])).encode(), "text/html")


def sends_a_page(handler: Handler, _: list[str]) -> None:
    """A page declared as FHIR."""
    handler.send(200, b"<html>Log in, please</html>")


def is_huge(handler: Handler, _: list[str]) -> None:
    """Sends 30 MB."""
    handler.send(200, b"[" + b"1," * 15_000_000 + b"1]")


def status(code: int) -> Callable[[Handler, list[str]], None]:
    """Return a fault that answers with a status."""

    def answers(handler: Handler, _: list[str]) -> None:
        handler.send(code, b'{"resourceType": "OperationOutcome"}')

    answers.__doc__ = f"Answers {code}."
    return answers


FAULTS: dict[str, Callable[[Handler, list[str]], None]] = {
    **{
        fault.__name__: fault
        for fault in (
            delays, trickles, trickles_headers, resets, truncates, pages_forever, ends_with_an_outcome,
            has_a_malformed_next_link, begins_with_an_empty_page, counts_more_than_it_sends, has_no_list_of_entries,
            redirects, lies_about_its_type, sends_a_page, is_huge,
        )
    },
    **{f"status_{code}": status(code) for code in (401, 403, 404, 429, 500, 503)},
}  # fmt: skip


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
