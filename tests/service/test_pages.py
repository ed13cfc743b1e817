"""Pages: who may read them, through which proxies, and under which path (F-C6, F-C7, F-E6)."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from werkzeug.test import Client

from cds_service.main import create
from tests.cases import TODAY, own_settings
from tests.charts import condition, request
from tests.listening import exchange, is_outcome, listening
from tests.tokens import ISS, public_key, token

STATIC = Path(__file__).parent.parent.parent / "cds_service" / "web" / "static"
PAGES = ("/", "/report", "/metrics", "/preview/patients/Enoch")
KEPT_INSIDE = ("/report", "/metrics", "/preview/trace")
PROXIED = {
    "Forwarded": "for=192.0.2.1",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": "cds.example.org",
    "X-Forwarded-Proto": "https",
    "X-Real-IP": "192.0.2.1",
    "Via": "1.1 proxy",
}


def client(**changes: object) -> Client:
    return create(own_settings(**changes), clock=lambda: TODAY).test_client()


@pytest.mark.parametrize("header", PROXIED)
@pytest.mark.parametrize("path", PAGES)
def test_pages_are_not_served_through_a_proxy_nobody_told_us_of(header, path):
    """F-C6: on the same machine as a proxy, every reader comes from loopback."""
    reader = client()
    assert reader.get(path).status_code == 200
    refused = reader.get(path, headers={header: PROXIED[header]})
    assert refused.status_code == 403
    assert refused.json["resourceType"] == "OperationOutcome"
    assert "CDS_PUBLIC_URL" in refused.json["issue"][0]["diagnostics"]
    assert reader.get("/evidence", headers={header: PROXIED[header]}).status_code == 200


def test_pages_that_a_site_serves_pass_its_proxy():
    reader = client(public_url="https://cds.example.org", jwt="off", report="on", preview="on", metrics="on")
    for path in PAGES:
        assert reader.get(path, headers={**PROXIED, "Host": "cds.example.org"}).status_code == 200


@pytest.mark.parametrize("sent", ["//report", "///report", "/%2Freport", "//metrics", "/report//", "//cds-services"])
def test_a_path_with_two_slashes_is_not_served(sent):
    """F-C6: a rule of a proxy for /report does not know //report. Raw, because clients tidy paths up."""
    app = create(own_settings(), clock=lambda: TODAY)
    with listening(app, own_settings(keep_alive_seconds=1)) as (port, _):
        asked = f"GET {sent} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        [(status, _, body)] = exchange(port, asked)
    assert status == 404
    assert is_outcome(body)


@pytest.mark.parametrize("header", ["SCRIPT_NAME", "Script-Name", "SCRIPT-NAME"])
def test_no_header_moves_a_path(header):
    """F-C6: /x/report with SCRIPT_NAME /x was served as /report."""
    app = create(own_settings(), clock=lambda: TODAY)
    with listening(app, own_settings(keep_alive_seconds=1)) as (port, _):
        for path, expected in (("/x/report", 404), ("/report", 200)):
            asked = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}: /x\r\nConnection: close\r\n\r\n".encode()
            [(status, _, _)] = exchange(port, asked)
            assert status == expected


@pytest.mark.parametrize(("services", "status"), [("", 200), ('services = ["dry-needling-order-sign"]\n', 403)])
@pytest.mark.parametrize("path", KEPT_INSIDE)
def test_a_client_of_some_services_reads_no_page_of_all(path, services, status, tmp_path):
    """F-C7."""
    keys = ", ".join(f'{name} = "{value}"' for name, value in public_key("ES384").items())
    issuers = tmp_path / "issuers.toml"
    issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n{services}', encoding="utf-8")
    reader = client(
        jwt="services", issuers_file=str(issuers), database_url=f"sqlite:///{tmp_path}/cds.sqlite3",
        public_url="https://cds.example.org", report="on", metrics="on", preview="on",
    )  # fmt: skip
    now = int(time.time())
    said = {"Authorization": f"Bearer {token(aud=f'https://cds.example.org{path}', iat=now, exp=now + 60)}"}
    if path == "/preview/trace":
        answered = reader.post(path, json=request(condition("M54.2")), headers=said)
    else:
        answered = reader.get(path, headers=said)
    assert answered.status_code == status


def test_a_trace_has_the_limits_of_a_call():
    """F-C7."""
    sent = request(condition("M54.2"), condition("M54.50"))
    assert client(max_resources=1).post("/preview/trace", json=sent).status_code == 413
    assert client(max_body_bytes=1024).post("/preview/trace", json=sent).status_code == 413
    often = client(calls_per_minute=2)
    assert [often.post("/preview/trace", json=sent).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("path", ["/", "/evidence", "/report"])
def test_links_of_a_page_are_relative(path):
    """F-E6: under a path prefix, a link to the root leads out of the service."""
    text = client().get(path).text
    links = re.findall(r'(?:href|src|action)="([^"]*)"', text)
    assert "static/style.css" in links
    assert not [link for link in links if link.startswith("/")]
    for name in (path.name for path in STATIC.glob("*.js")):
        with client().get(f"/static/{name}") as script:
            assert not re.search(r"""["'`]/(?:cds-services|preview|evidence|report|static)""", script.text)


def test_prometheus_reads_metrics_with_a_secret_of_its_own_where_calls_need_tokens(tmp_path):
    """Prometheus cannot make a token for each reading, and a token is accepted once."""
    secret = "a-secret-for-prometheus-alone-0123456789"
    issuers = tmp_path / "issuers.toml"
    keys = ", ".join(f"{name} = {json.dumps(value)}" for name, value in public_key("ES384").items())
    issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n', encoding="utf-8")
    trust = {"jwt": "services", "issuers_file": str(issuers)}
    reader = client(metrics_token=secret, **trust)
    for _ in range(2):
        assert reader.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    for wrong in (
        "",
        f"Bearer {secret}0",
        secret,
        f"Bearer {token(aud='http://127.0.0.1:8080/metrics')}",
        "Bearer \xe4",
    ):
        assert reader.get("/metrics", headers={"Authorization": wrong}).status_code == 401
    assert reader.get("/report", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    assert client(metrics_token=secret).get("/metrics").status_code == 401
