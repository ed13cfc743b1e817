"""What goes out (F1-F3): no cookie, nothing from the environment, no redirect, public addresses, and an end in time."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3.connection import HTTPConnection, HTTPSConnection

from cds_service import outbound
from cds_service.outbound import Allowance, GetFailed, Getter, TimedOut, TooLarge, Unreachable, is_public
from tests.answering import always, answering, drip, json_answer, raw_answer

OK = json_answer({"ok": True})


def allowance(seconds=5.0, wait=5.0, most_bytes=10**6):
    return Allowance(time.monotonic() + seconds, wait, most_bytes)


def get(url, getter=None, headers=None, **spent):
    return (getter or Getter(internal=True)).get(url, headers or {}, allowance(**spent))


# ---------------------------------------------------------------- nothing is kept, nothing is taken along


def test_no_cookie_of_one_caller_goes_out_with_the_token_of_another():
    """F1: a server's session is the caller's."""
    cookies = ("Set-Cookie: JSESSIONID=of-a; Path=/", "Set-Cookie: also=this; Domain=127.0.0.1; Max-Age=1000")
    with answering(always(json_answer({}, "200 OK", *cookies))) as server:
        getter = Getter(internal=True)
        for caller in "ab":
            get(f"{server.url}/fhir", getter, {"Authorization": f"Bearer {caller}"})
    assert ["Bearer a" in head for head in server.heads] == [True, False]
    assert not any("cookie" in head.lower() for head in server.heads)


def test_neither_netrc_nor_a_proxy_of_the_environment_is_used(monkeypatch, tmp_path):
    """The allow-list alone says who is called, and the caller's token alone says who calls."""
    (tmp_path / ".netrc").write_text("default login somebody password secret\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with answering(always(OK)) as proxy, answering(always(OK)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert get(f"{server.url}/fhir").status == 200
    assert proxy.heads == []
    assert len(server.heads) == 1
    assert "authorization" not in server.heads[0].lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/elsewhere", "http://[x", "//evil.example.org", "\x80\xff"])
def test_a_redirect_is_an_answer_and_not_followed(status, location):
    """F1: not even looked at."""
    redirect = raw_answer(b"", f"{status} Moved", f"Location: {location}")
    with answering(always(redirect)) as server:
        received = get(f"{server.url}/fhir")
    assert (received.status, received.body) == (status, b"")
    assert server.paths() == ["/fhir"]


def test_the_body_of_a_redirect_is_not_waited_for():
    head = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 1000\r\n\r\n"
    with answering(lambda connection, _: connection.sendall(head)) as server:
        assert get(f"{server.url}/fhir").status == 302


def test_a_connection_is_used_again():
    """F3."""
    getter = Getter(internal=True)
    with answering(always(OK)) as server:
        for _ in range(3):
            assert get(f"{server.url}/fhir", getter).body == b'{"ok": true}'
    assert (len(server.heads), server.connections) == (3, 1)


def test_a_connection_that_broke_is_made_anew_once():
    """A server may close what was kept open."""
    calls = []

    def answer(connection, _):
        calls.append(1)
        if len(calls) != 2:
            connection.sendall(OK)
        else:
            connection.shutdown(socket.SHUT_RDWR)

    getter = Getter(internal=True)
    with answering(answer) as server:
        assert get(server.url, getter).status == 200
        assert get(server.url, getter).status == 200
    assert (len(calls), server.connections) == (3, 2)


# ---------------------------------------------------------------- an end in time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIPS = {
    "silence": (b"", b""),
    "a status line": (b"HTTP/1.1 2", b"0"),
    "headers": (HEAD + b"X-More: ", b"x"),
    "many headers": (HEAD, b"X-A: b\r\n"),
    "a body": (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "a body without length": (HEAD + b"Connection: close\r\n\r\n", b" "),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "the size of a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "informational answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A certificate for 127.0.0.1, and the file of the authority that signed it: itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path


@pytest.fixture
def trusted(tls, monkeypatch):
    """The test's own authority, as a site with one of its own would name it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[1]))
    outbound._trust.cache_clear()
    yield tls[0]
    outbound._trust.cache_clear()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("slow", DRIPS)
def test_what_comes_a_byte_at_a_time_ends_at_the_deadline(slow, secure, trusted):
    """F3: no single wait is long, and the whole is not either. A wait alone would last for as long as bytes come."""
    with answering(lambda c, _: drip(server, c, *DRIPS[slow]), trusted if secure else None) as server:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            get(server.url, seconds=0.3, wait=10)
        assert 0.2 < time.monotonic() - started < 5


def test_a_single_wait_ends_before_the_deadline_does():
    started = time.monotonic()
    with answering(lambda *_: time.sleep(3)) as server, pytest.raises(TimedOut):
        get(server.url, seconds=60, wait=0.2)
    assert time.monotonic() - started < 30


def test_a_handshake_that_never_ends_ends_at_the_deadline(trusted):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            get(f"https://127.0.0.1:{silent.getsockname()[1]}", seconds=0.3, wait=10)
        assert time.monotonic() - started < 5


def test_a_connection_that_is_never_accepted_ends_at_the_deadline(monkeypatch):
    monkeypatch.setattr(outbound._Socket, "connect", lambda self, _: _late(self))
    with pytest.raises(TimedOut):
        get("http://127.0.0.1:1", seconds=0.3, wait=10)


def _late(connecting):
    assert 0 < connecting.gettimeout() <= 0.3
    raise TimeoutError


def test_nothing_begins_after_the_deadline():
    with answering(always(OK)) as server, pytest.raises(TimedOut):
        get(server.url, seconds=-1)
    assert server.connections == 0


def test_a_server_over_tls_is_known_by_the_authorities_of_the_operating_system(trusted):
    with answering(always(OK), trusted) as server:
        getter = Getter(internal=True)
        assert [get(server.url, getter).status for _ in range(2)] == [200, 200]
        assert server.connections == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(tls):
    with answering(always(OK), tls[0]) as server, pytest.raises(Unreachable):
        get(server.url)
    assert server.heads == []


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_body_over_the_limit_is_not_read_to_its_end(coding):
    body = b" " * 10**7 if coding == "identity" else gzip.compress(b" " * 10**8)
    answer = raw_answer(body, "200 OK", f"Content-Encoding: {coding}")

    def send(connection, _):
        connection.sendall(answer)

    with answering(send) as server, pytest.raises(TooLarge):
        get(server.url, most_bytes=1000)


# ---------------------------------------------------------------- whatever a server sends


def failure(send):
    with answering(send) as server:
        try:
            get(server.url, seconds=2)
        except GetFailed as failed:
            return type(failed)
    return None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff\n\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_unreachable(answer):
    def send(connection, _):
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    assert failure(send) is Unreachable


@settings(max_examples=50)
@given(
    st.binary(max_size=60), st.sampled_from([b"", HEAD, HEAD + b"\r\n", HEAD + b"Set-Cookie: ", HEAD + b"Location: "])
)
def test_any_bytes_end_in_an_answer_or_in_a_failure_with_a_name(tail, head):
    """B3: never an exception that nobody names."""

    def send(connection, _):
        connection.sendall(head + tail)
        connection.shutdown(socket.SHUT_RDWR)

    failure(send)


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("::127.0.0.1", False),
        ("64:ff9b::10.1.2.3", False),
        ("64:ff9b::93.184.216.34", True),
        ("2002:a01:203::1", False),
        ("2002:5db8:d822::1", True),
        ("2001:0:4136:e378:8000:63bf:f5fe:fdfc", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("not an address", False),
    ],
)
def test_internal_addresses_are_not_public(address, public):
    """F2."""
    assert is_public(address) == public


PUBLIC, ANOTHER, PRIVATE, LOOPBACK = "93.184.216.34", "93.184.216.35", "10.1.2.3", "127.0.0.1"


@pytest.mark.parametrize(
    ("answers", "internal", "tried"),
    [
        ([PUBLIC], False, [PUBLIC]),
        ([PUBLIC, ANOTHER], False, [PUBLIC, ANOTHER]),
        ([PRIVATE], False, []),
        ([PUBLIC, PRIVATE], False, []),
        ([PRIVATE, PUBLIC], False, []),
        ([PUBLIC, ANOTHER, LOOPBACK], False, []),
        ([PUBLIC, PRIVATE], True, [PUBLIC, PRIVATE]),
        ([], False, []),
    ],
)
def test_a_name_with_one_private_address_is_not_connected_to_at_any(answers, internal, tried, monkeypatch):
    """F2: whoever owns a name chooses its addresses; the second look-up of a rebinding never happens."""
    connected, looked_up = [], []

    def look_up(name, port, **_):
        looked_up.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers]

    def refuse(_, address):
        connected.append(address[0])
        raise OSError("no route")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(outbound._Socket, "connect", refuse)
    with pytest.raises(Unreachable):
        Getter(internal=internal).get("http://ehr.example.org/", {}, allowance())
    assert connected == tried
    assert looked_up == ["ehr.example.org"]


@pytest.mark.parametrize("failed", [socket.gaierror("no such name"), UnicodeError("label too long")])
def test_a_name_that_does_not_resolve_is_unreachable(failed, monkeypatch):
    def look_up(*_, **__):
        raise failed

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(Unreachable):
        get("http://ehr.example.org")


# ---------------------------------------------------------------- what is not ours


@pytest.mark.parametrize("connection", [HTTPConnection, HTTPSConnection])
def test_urllib3_still_connects_by_the_one_private_name_that_is_overridden(connection, monkeypatch):
    """Canary: were `_new_conn` renamed, addresses would no longer be checked and deadlines no longer held."""

    class Connected(Exception):
        pass

    def reached(_):
        raise Connected

    assert callable(connection._new_conn)
    monkeypatch.setattr(connection, "_new_conn", reached)
    with pytest.raises(Connected):
        connection("127.0.0.1", 1).connect()


def test_the_pools_of_an_adapter_make_our_connections():
    """Canary: the classes of pools and connections are chosen by attributes that urllib3 documents."""
    adapter = Getter(internal=False)._adapter
    for scheme in ("http", "https"):
        pool = adapter.poolmanager.connection_from_url(f"{scheme}://127.0.0.1:1/")
        assert isinstance(pool._new_conn(), outbound._Connection)
    assert adapter.poolmanager.connection_pool_kw["ssl_context"].sslsocket_class is outbound._TlsSocket


def test_the_standard_library_still_reads_answers_by_recv_into():
    """Canary: deadlines are held where a socket receives."""

    class Received(Exception):
        pass

    class Probe(socket.socket):
        def recv_into(self, *_):
            raise Received

    with socket.create_server(("127.0.0.1", 0)) as listener, Probe() as probe:
        probe.connect(listener.getsockname())
        with pytest.raises(Received):
            http.client.HTTPResponse(probe).begin()
