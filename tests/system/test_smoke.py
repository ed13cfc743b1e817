"""The go-live check from outside: a sound service passes, and each fault that is put into one is found."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from werkzeug.serving import WSGIRequestHandler, make_server

from cds_service.cli import main
from cds_service.guideline.examples import read
from cds_service.main import create, load_registry
from cds_service.settings import Settings
from tests.cases import own_settings
from tests.system.nginx import certificate
from tests.tokens import ISS, private_key, public_key

CALLS = "3"
Fault = Callable[[dict, Callable, Callable], Iterable[bytes]]


@contextmanager
def listening(fault: Fault | None = None, tls: tuple[str, str] | None = None, **settings: object) -> Iterator[str]:
    """Serve our own application in this process, with a fault put in front of it; yield its base URL."""
    server = make_server("127.0.0.1", 0, lambda *_: iter(()), threaded=True, ssl_context=tls)
    url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    app = create(own_settings(public_url=url, call_milliseconds=60_000, **settings))
    server.app = app if fault is None else lambda environ, start: fault(environ, start, app)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join(timeout=20)
        app.extensions["store"].recorder.close()


def smoke(url: str, *options: str, **environ: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Run the command; return its exit code and, by check, whether it passed and the words."""
    done = CliRunner(env=environ).invoke(main, ["smoke", url, "--calls", CALLS, *options])
    rows = {line[8:22].strip(): (line[:6], line[22:]) for line in done.output.splitlines()}
    return done.exit_code, rows


def failed(rows: dict[str, tuple[str, str]]) -> set[str]:
    return {name for name, (verdict, _) in rows.items() if verdict == "FAILED"}


def test_a_sound_service_passes_every_check():
    with listening() as url:
        code, rows = smoke(url, "--inside")
    assert failed(rows) == set()
    assert code == 0
    assert set(rows) >= {"discovery", "rule R1", "errors", "tokens", "browsers", "time", "clock", "pages", "TLS"}


def test_there_is_an_example_for_each_rule_that_has_a_card():
    service = load_registry(Settings()).services[0]
    rules = {rule.id for rule in service.knowledge.table.rules if not rule.silent}
    assert {example.rule for example in read(service.guideline.folder.parent / "examples.toml")} == rules


def _without_cards(environ: dict, start: Callable, app: Callable) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].startswith("/cds-services/dry"):
        start("200 OK", [("Content-Type", "application/json")])
        return [b'{"cards": []}']
    return app(environ, start)


def _with_error_pages(environ: dict, start: Callable, app: Callable) -> Iterable[bytes]:
    def started(status: str, headers: list, *rest: object) -> object:
        page[:] = [status] if status[0] == "4" else []
        return start(status, [item for item in headers if item[0] != "Content-Length"], *rest)

    page: list[str] = []
    body = b"".join(app(environ, started))
    return [b"<html>smoke-marked-value</html>"] if page else [body]


def _open_to_all_pages(environ: dict, start: Callable, app: Callable) -> Iterable[bytes]:
    return app(environ, lambda s, h, *r: start(s, [*h, ("Access-Control-Allow-Origin", "*")], *r))


def _slow(environ: dict, start: Callable, app: Callable) -> Iterable[bytes]:
    time.sleep(0.6)
    return app(environ, start)


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        (_without_cards, "rule R1", "answered with no card"),
        (_with_error_pages, "errors", "without an OperationOutcome"),
        (_open_to_all_pages, "browsers", "pages of any origin may call"),
        (_slow, "time", "95 % within"),
    ],
)
def test_a_fault_that_is_put_into_the_service_is_found(fault, check, words):
    with listening(fault) as url:
        code, rows = smoke(url, "--inside")
    assert code == 1
    assert rows[check][0] == "FAILED"
    assert words in rows[check][1]


def test_a_clock_that_is_an_hour_late_is_found(monkeypatch):
    late = "Wed, 25 Nov 2026 00:00:00 GMT"
    monkeypatch.setattr(WSGIRequestHandler, "date_time_string", lambda *_: late)
    with listening() as url:
        _, rows = smoke(url, "--inside")
    assert rows["clock"][0] == "FAILED"


def test_what_repeats_a_request_is_found():
    with listening(_with_error_pages) as url:
        _, rows = smoke(url, "--inside")
    assert "is repeated in the answer" in rows["errors"][1]


def test_pages_that_anybody_can_read_are_found():
    with listening(report="on", metrics="on", preview="on") as url:
        _, rows = smoke(url)
    assert rows["pages"][0] == "FAILED"
    assert "/report" in rows["pages"][1]


def test_an_origin_that_should_be_allowed_and_is_not_is_found():
    sandbox = "https://sandbox.cds-hooks.org"
    with listening() as url:
        _, rows = smoke(url, "--inside", "--origin", sandbox)
        assert rows["browsers"] == ("FAILED", f"pages of {sandbox} may not call")
    with listening(cors_origins=sandbox) as url:
        _, rows = smoke(url, "--inside", "--origin", sandbox)
        assert rows["browsers"][0] == "passed"


def test_nothing_that_answers_is_one_line_and_no_traceback():
    code, rows = smoke("http://127.0.0.1:9")
    assert code == 1
    assert rows == {"reached": ("FAILED", "no connection")}


@pytest.fixture
def minting(tmp_path: Path) -> tuple[str, dict[str, object]]:
    """A program that prints fresh tokens, and the settings of a service that trusts them."""
    key = private_key("ES256", "").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "mint.py").write_text(
        "import sys, time, uuid, jwt\n"
        "now = int(time.time())\n"
        f"claims = {{'iss': {ISS!r}, 'aud': sys.argv[1], 'iat': now, 'exp': now + 300, 'jti': str(uuid.uuid4())}}\n"
        f"key = open({str(tmp_path / 'key.pem')!r}).read()\n"
        "print(jwt.encode(claims, key, algorithm='ES256', headers={'kid': 'ES256'}))\n"
    )
    keys = ", ".join(f"{name} = {json.dumps(value)}" for name, value in public_key("ES256").items())
    issuers = tmp_path / "issuers.toml"
    issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n', encoding="utf-8")
    trust = {"jwt": "services", "issuers_file": str(issuers), "database_url": f"sqlite:///{tmp_path}/cds.sqlite3"}
    return f"{sys.executable} {tmp_path / 'mint.py'} {{url}}", trust


def test_tokens_are_tried_good_used_forged_and_none(minting):
    command, trust = minting
    with listening(**trust) as url:
        code, rows = smoke(url, "--inside", "--token-command", command)
        assert failed(rows) == set()
        assert code == 0
        _, without = smoke(url, "--inside")
        assert without["tokens"] == ("FAILED", "a call without a token is answered with 401; give a token")
        assert without["rule R1"] == ("FAILED", "answered 401")


def test_a_service_that_answers_without_tokens_where_they_are_wanted_is_found(minting):
    command, _ = minting
    with listening() as url:
        _, rows = smoke(url, "--inside", "--token-command", command)
    assert rows["tokens"][0] == "FAILED"
    assert "a call without a token is answered with 200" in rows["tokens"][1]


def test_tokens_come_from_a_file_too_and_are_used_once_each(minting, tmp_path):
    command, trust = minting
    with listening(**trust) as url:
        asked = [*command.split()[:2], f"{url}/cds-services/dry-needling-order-select"]
        tokens = [
            subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout for _ in range(2)
        ]
        (tmp_path / "tokens").write_text("".join(tokens))
        code, rows = smoke(url, "--inside", "--token-file", str(tmp_path / "tokens"))
    assert code == 1
    assert "too few tokens" in rows["reached"][1]


def test_a_certificate_that_soon_ends_is_found_and_one_that_is_not_trusted(tmp_path):
    path = certificate(tmp_path, days=3)
    with listening(tls=(str(path), str(tmp_path / "cds-service.key"))) as url:
        _, rows = smoke(url, "--inside", REQUESTS_CA_BUNDLE=str(path))
        assert rows["TLS"][0] == "FAILED"
        assert "certificate valid for 2 more days" in rows["TLS"][1]
        _, untrusted = smoke(url, "--inside")
    assert untrusted == {"reached": ("FAILED", "the certificate is not trusted, or is not of this name")}
