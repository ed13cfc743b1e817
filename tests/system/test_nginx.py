"""Debian's nginx in front of the service, configured as we print it: what it holds off, and what it lets through."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time

import pytest
import requests

from cds_service.cli.deploy import rendered
from cds_service.settings import Settings
from tests.cases import FIXTURES
from tests.system.conftest import free_port, served
from tests.system.nginx import NGINX, certificate, in_front

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
REQUEST = json.loads((FIXTURES / "calls" / "r1-chronic-code-as-order-reason" / "request.json").read_text())


@pytest.fixture(scope="module", params=["", "/cds"], ids=["at-the-root", "under-a-prefix"])
def proxied(request, tmp_path_factory):
    """The service behind nginx: base URL, the certificate to trust, and nginx' folder."""
    folder = tmp_path_factory.mktemp("nginx")
    trusted = certificate(folder)
    port = free_port()
    public = f"https://127.0.0.1:{port}{request.param}"
    with served(CDS_PUBLIC_URL=public, CDS_MAX_BODY_BYTES="100000") as (inner, _):
        settings = Settings(public_url=public, port=int(inner.rsplit(":", 1)[1]), max_body_bytes=100_000)
        with in_front(rendered("nginx", settings), port, folder) as outer:
            yield outer + request.param, str(trusted), folder


def test_a_call_gets_its_card(proxied):
    url, trusted, _ = proxied
    answered = requests.post(f"{url}/cds-services/dry-needling-order-select", json=REQUEST, verify=trusted, timeout=20)
    assert answered.status_code == 200
    (card,) = answered.json()["cards"]
    assert any(link["url"].startswith(f"{url}/evidence") for link in card["links"])


def test_discovery_the_evidence_page_and_its_style_are_reached(proxied):
    url, trusted, _ = proxied
    assert requests.get(f"{url}/cds-services", verify=trusted, timeout=20).json()["services"]
    page = requests.get(f"{url}/evidence", verify=trusted, timeout=20)
    assert page.status_code == 200
    assert requests.get(f"{url}/health/live", verify=trusted, timeout=20).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/preview", "/report", "//report", "/metrics", "/health/ready", "/cds-services/../report", "/x"]
)
def test_what_is_not_for_ehrs_is_not_exposed(proxied, path):
    """F-C6: nor by two slashes or by a header that names another path."""
    url, trusted, _ = proxied
    for headers in ({}, {"SCRIPT_NAME": "/cds-services"}, {"Script-Name": "/cds-services"}):
        prepared = requests.Request("GET", url, headers=headers).prepare()
        prepared.url = url + path
        answered = requests.Session().send(prepared, verify=trusted, timeout=20)
        assert answered.status_code == 404, path
        assert answered.json()["resourceType"] == "OperationOutcome"


def test_what_nginx_refuses_is_an_operation_outcome(proxied):
    """H1: too large a body, too long a URL, a request that is none; nothing of it comes back."""
    url, trusted, _ = proxied
    call = f"{url}/cds-services/dry-needling-order-select"
    large = requests.post(call, data=b"[" + b"7, " * 40_000 + b"7]", verify=trusted, timeout=20)
    long = requests.get(f"{call}?{'secret' * 3_000}", verify=trusted, timeout=20)
    for answered, status in ((large, 413), (long, 414)):
        assert answered.status_code == status
        assert answered.json()["issue"][0]["severity"] == "error"
        assert "secret" not in answered.text
    with _connection(url) as raw:
        raw.sendall(b"NO HTTP AT ALL secret\r\n\r\n")
        answer = raw.recv(10_000)
    assert b" 400 " in answer
    assert b"OperationOutcome" in answer
    assert b"secret" not in answer


def test_slow_clients_reach_nobody_but_nginx(proxied):
    """H2: forty clients hold half a request each, and every honest call is answered."""
    url, trusted, folder = proxied
    call = f"{url}/cds-services/dry-needling-order-select"
    path = call.split("/", 3)[3]
    half = f"POST /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n"
    held = [_connection(url) for _ in range(40)]
    try:
        for number, raw in enumerate(held):
            raw.sendall(half.encode() + (b"\r\n{" if number % 2 else b""))
        begun = time.monotonic()
        statuses = [requests.post(call, json=REQUEST, verify=trusted, timeout=20).status_code for _ in range(20)]
        assert statuses == [200] * 20
        assert time.monotonic() - begun < 20
        assert requests.get(f"{url}/health/live", verify=trusted, timeout=20).status_code == 200
    finally:
        for raw in held:
            raw.close()
    assert "patient" not in (folder / "cds-service.log").read_text().lower()


def test_a_service_that_is_gone_reads_as_503_with_retry_after(tmp_path):
    """502 and 504 would be pages of nginx: an EHR gets an OperationOutcome, and is told when to try again."""
    trusted = certificate(tmp_path)
    port = free_port()
    settings = Settings(public_url=f"https://127.0.0.1:{port}", port=free_port())
    with in_front(rendered("nginx", settings), port, tmp_path) as url:
        call = f"{url}/cds-services/dry-needling-order-select"
        answered = requests.post(call, json=REQUEST, verify=str(trusted), timeout=20)
    assert answered.status_code == 503
    assert answered.headers["Retry-After"] == "1"
    assert answered.json()["issue"][0]["code"] == "transient"


_COUNTS_AND_HANGS_UP = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    received = b""
    while b"\\r\\n\\r\\n" not in received:
        received += connection.recv(65536)
    print(received.split()[0].decode(), flush=True)
    connection.close()
"""


def test_a_post_that_reached_a_process_is_never_sent_again(tmp_path):
    """A process that dies in the middle of a call: the EHR hears of it, and no second process gets the call."""
    trusted = certificate(tmp_path)
    port, first, second = free_port(), free_port(), free_port()
    processes = [
        subprocess.Popen([sys.executable, "-c", _COUNTS_AND_HANGS_UP, str(inner)], stdout=subprocess.PIPE, text=True)
        for inner in (first, second)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "listening\n"
        configuration = rendered("nginx", Settings(public_url=f"https://127.0.0.1:{port}", port=first))
        both = configuration.replace(
            f"server 127.0.0.1:{first} ", f"server 127.0.0.1:{second}; server 127.0.0.1:{first} "
        )
        with in_front(both, port, tmp_path) as url:
            answered = requests.post(f"{url}/cds-services/x", json={}, verify=str(trusted), timeout=20)
        assert answered.status_code == 503
    finally:
        for process in processes:
            process.terminate()
    assert "".join(process.communicate()[0] for process in processes).split() == ["POST"]


def _connection(url: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    port = int(url.split(":")[2].split("/", maxsplit=1)[0])
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20))
