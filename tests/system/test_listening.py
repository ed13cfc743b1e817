"""The receiving side: deadlines, what is held, errors of the web server itself, and liveness (H1, H2)."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from wsgiref.types import WSGIApplication

import pytest
from structlog.testing import capture_logs

from cds_service import telemetry
from cds_service.fhir.deadline import until
from cds_service.settings import Settings
from cds_service.web.connection import Connection
from cds_service.web.worker import MOST_CONNECTIONS, OVERDUE_SECONDS, WaitressWorker, log_without_words
from tests.cases import own_settings
from tests.charts import condition, request
from tests.listening import exchange, is_outcome, listening
from tests.system.hostile_clients import HEAD

whole = Connection.write_soon

MARK = b"Zyx-Marked-91"


def call(body: bytes = b"", *headers: str) -> bytes:
    """Return a call as bytes."""
    sent = body or json.dumps(request(condition("M54.2"))).encode()
    lines = [f"Content-Length: {len(sent)}", *headers]
    return HEAD + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + sent


@pytest.fixture(scope="module")
def served(request):
    """A port on which our application is served with deadlines of a second, and its server."""
    settings = own_settings(receive_seconds=1, keep_alive_seconds=2, call_milliseconds=20_000)
    with listening(request.getfixturevalue("app"), settings) as (port, server):
        yield port, server


@pytest.fixture
def port(served):
    return served[0]


def test_calls_on_one_connection_are_answered_in_turn(port):
    found = exchange(port, call() + call() + call(b"{}", "Connection: close"))
    assert [status for status, _, _ in found] == [200, 200, 400]
    assert "R" in found[0][2].decode()


def test_an_answer_leaves_in_one_piece(app, monkeypatch):
    """A worker that is killed between two pieces would leave half an answer, which a proxy can only pass on."""
    sent: list[bytes] = []
    monkeypatch.setattr(Connection, "write_soon", lambda self, data: sent.append(data) or whole(self, data))
    with listening(app, own_settings()) as (port, _):
        (answered,) = exchange(port, b"GET /cds-services HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert answered[0] == 200
    assert len(sent) == 1
    assert sent[0].endswith(answered[2])


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + MARK, 400),
        (b"POST " + MARK + b"\r\n\r\n", 400),
        (HEAD + MARK + b"\r\n\r\n", 400),
        (HEAD + b"Content-Length: 100000000\r\n\r\n" + MARK, 413),
        (b"GET /" + MARK * 1000 + b" HTTP/1.1\r\n\r\n", 414),
        (HEAD + b"A: " + MARK * 5000, 431),
        (HEAD + b"Transfer-Encoding: " + MARK + b"\r\n\r\n", 501),
    ],
)
def test_errors_of_the_web_server_itself_are_outcomes_and_repeat_nothing(port, sent, status, capfd):
    """H1, F-C4."""
    [(told, headers, body)] = exchange(port, sent)
    assert told == status
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert is_outcome(body)
    assert MARK not in body + str(headers).encode()
    assert MARK.decode() not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://127.0.0.1/report", "elsewhere.example.org", 200),
        ("http://elsewhere.example.org/report", "127.0.0.1", 403),
    ],
)
def test_the_host_of_a_whole_address_is_what_counts(port, target, host, status):
    """RFC 9112, 3.2.2: a page for this machine is not served under another name."""
    sent = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert exchange(port, sent.encode())[0][0] == status


def test_what_follows_too_short_a_body_is_not_repeated(port, capfd):
    """F-C4: Content-Length says less than was sent."""
    body = json.dumps(request(condition("M54.2"))).encode()
    sent = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body + MARK + b" is what I have\r\n\r\n"
    found = exchange(port, sent)
    assert [status for status, _, _ in found] == [200, 400]
    assert is_outcome(found[1][2])
    assert MARK not in found[1][2]
    assert MARK.decode() not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "begun",
    [
        HEAD,
        HEAD + b"Content-Length: 500\r\n\r\n",
        HEAD + b"Content-Length: 500\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
        call() + HEAD,
    ],
)
def test_what_does_not_arrive_in_time_is_answered_with_408(port, begun):
    """H2."""
    [*_, (status, headers, body)] = exchange(port, begun)
    assert status == 408
    assert is_outcome(body)
    assert json.loads(body)["issue"][0]["code"] == "timeout"
    assert headers["connection"] == "close"


def test_a_byte_now_and_then_does_not_put_the_deadline_off(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(HEAD + b"Content-Length: 500\r\n\r\n")
        answer = b""
        for _ in range(100):
            try:
                client.sendall(b" ")
                client.settimeout(0.2)
                answer += client.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if answer:
                break
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_ends_early_is_told_so(port):
    """B4's shorter body, where the client still reads."""
    for sent in (HEAD + b"Content-Length: 500\r\n\r\n{", HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"):
        [(status, _, body)] = exchange(port, sent, half_close=True)
        assert status == 400
        assert is_outcome(body)


def test_silent_and_idle_connections_end_without_a_word(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as silent:
        assert silent.recv(100) == b""
    assert [status for status, _, _ in exchange(port, call())] == [200]  # until the idle connection is closed


def test_an_answer_that_is_not_read_holds_nothing_for_long():
    """Not a thread meanwhile, however many are asked for, and not the connection after the deadline."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "200000")])
        return [b" " * 200_000]

    settings = own_settings(receive_seconds=1, keep_alive_seconds=1)
    with listening(app, settings, threads=1) as (port, server), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200)
        end = time.monotonic() + 60
        while not any(one.total_outbufs_len for one in server.connections):
            assert time.monotonic() < end
        assert exchange(port, call(b"", "Connection: close"))[0][0] == 200
        while server.connections:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_large_body_that_is_refused_does_not_lose_the_answer(port):
    """The client still sends while it is told; a reset would take the answer from it."""
    length = 30_000_000
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % length)
        try:
            for _ in range(length // 100_000):
                client.sendall(b" " * 100_000)
        except (BrokenPipeError, ConnectionResetError):
            pytest.fail("the connection was reset")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_liveness_is_answered_while_every_thread_computes():
    """H2."""
    go_on = threading.Event()

    def app(environ, start_response):
        if environ["PATH_INFO"] != "/health/live":
            go_on.wait(20)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    with listening(app, own_settings(keep_alive_seconds=1), threads=2) as (port, _):
        held = [threading.Thread(target=exchange, args=(port, call())) for _ in range(4)]
        for one in held:
            one.start()
        try:
            for _ in range(5):
                live = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                assert exchange(port, live)[0][0] == 200
        finally:
            go_on.set()
            for one in held:
                one.join(20)


def test_a_client_that_asks_first_is_told_to_go_on_and_answered(port):
    """Expect: 100-continue, as curl sends it with large bodies."""
    body = json.dumps(request(condition("M54.2"))).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client, client.makefile("rb") as answers:
        for chunked in (False, True):
            length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
            client.sendall(HEAD + length + b"\r\nExpect: 100-continue\r\n\r\n")
            assert answers.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert answers.readline() == b"\r\n"
            client.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            length = 0
            while line := answers.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split()[1])
            assert json.loads(answers.read(length))["cards"]


def worker_of(app, listener, settings, monkeypatch):
    """Return a worker as gunicorn makes it, but for the process."""
    monkeypatch.setattr(Settings, "from_environ", lambda _: settings)
    worker = WaitressWorker.__new__(WaitressWorker)
    worker.cfg = SimpleNamespace(threads=1, graceful_timeout=20)
    worker.sockets = [SimpleNamespace(sock=listener)]
    worker.wsgi, worker.alive, worker.ppid, worker.notified = app, True, os.getppid(), 0

    def notify():
        worker.notified += 1

    worker.notify = notify
    return worker


@contextmanager
def holding() -> Iterator[tuple[WSGIApplication, threading.Event, threading.Event]]:
    """Yield an application that answers once it may, what tells that it was called, and what lets it answer."""
    go_on, began = threading.Event(), threading.Event()

    def app(environ, start_response):
        began.set()
        go_on.wait(60)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    try:
        yield app, began, go_on
    finally:
        go_on.set()


@contextmanager
def running(app, monkeypatch) -> Iterator[tuple[int, WaitressWorker, threading.Thread]]:
    """Run a worker in a thread; yield the port, the worker and the thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        worker = worker_of(app, listener, own_settings(), monkeypatch)
        thread = threading.Thread(target=worker.run)
        thread.start()
        yield listener.getsockname()[1], worker, thread
        thread.join(60)
    assert not thread.is_alive()


@contextmanager
def calling(port: int) -> Iterator[list[tuple[int, dict[str, str], bytes]]]:
    """Call from a thread; yield where the answer is put, which has come after the block."""
    answers: list[tuple[int, dict[str, str], bytes]] = []
    caller = threading.Thread(target=lambda: answers.extend(exchange(port, call())))
    caller.start()
    yield answers
    caller.join(60)


def test_a_worker_that_is_told_to_end_answers_what_has_arrived_and_ends(monkeypatch):
    with holding() as (app, began, go_on), running(app, monkeypatch) as (port, worker, _), calling(port) as answers:
        assert began.wait(60)
        worker.handle_exit(15, None)
        time.sleep(0.1)
        go_on.set()
    assert [status for status, _, _ in answers] == [200]
    assert answers[0][1]["connection"] == "close"
    assert worker.notified
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.parametrize("endless", ["a call past its deadline", "whatever takes a minute"])
def test_a_worker_in_which_something_does_not_end_answers_503_says_where_and_ends(endless, monkeypatch):
    """F-A2: so that a new one takes its place; gunicorn ends it only when it cannot do so itself."""
    with holding() as (app, _, go_on):

        def held(environ, start_response):
            with until(time.monotonic() - OVERDUE_SECONDS if endless.startswith("a call") else float("inf")):
                return app(environ, start_response)

        monkeypatch.setattr("cds_service.web.worker.STUCK_SECONDS", 600 if endless.startswith("a call") else 0.2)
        with capture_logs() as lines, running(held, monkeypatch) as (port, worker, thread), calling(port) as answers:
            thread.join(60)  # while the application still waits
            assert not thread.is_alive()
            assert not go_on.is_set()
    [(status, headers, body)] = answers
    assert (status, headers["connection"], headers["retry-after"]) == (503, "close", "1")
    assert json.loads(body)["issue"][0]["diagnostics"] == "The call took longer than this service gives itself"
    (stuck,) = (line for line in lines if line["event"] == "stuck")
    assert any(place.endswith(" held") for place in stuck["places"])
    assert not worker.alive


def test_a_call_that_waits_for_its_turn_behind_another_is_not_stuck(monkeypatch):
    settings = own_settings(keep_alive_seconds=1)
    with (
        holding() as (app, began, go_on),
        listening(app, settings, threads=1) as (port, server),
        calling(port) as answers,
        calling(port) as others,
    ):
        assert began.wait(60)
        assert not server.give_up(time.monotonic())
        go_on.set()
    assert [status for status, _, _ in (*answers, *others)] == [200, 200]


def test_the_largest_of_too_many_bodies_gives_way():
    """Half bodies of the largest size would otherwise fill the memory."""
    settings = own_settings(max_body_bytes=1_000_000, keep_alive_seconds=1, receive_seconds=20)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with listening(app, settings) as (port, server):
        held = []
        for number in range(10):
            client = socket.create_connection(("127.0.0.1", port), timeout=20)
            client.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n" + b" " * (900_000 + number))
            held.append(client)
        refused = select.select(held, [], [], 15)[0]
        assert refused
        assert all(client.recv(20).startswith(b"HTTP/1.1 503 ") for client in refused)
        assert sum(one.held for one in server.connections) <= 8 * 1_000_001
        assert exchange(port, call())[0][0] == 200
        for client in held:
            client.close()


def test_the_longest_silent_connection_gives_way_to_a_new_one(monkeypatch, app):
    monkeypatch.setattr("cds_service.web.worker.MOST_CONNECTIONS", 5)
    assert MOST_CONNECTIONS > 100
    with listening(app, own_settings(receive_seconds=60, keep_alive_seconds=1)) as (port, server):
        silent = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(9)]
        end = time.monotonic() + 20
        while not 0 < len(server.connections) <= 5:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert exchange(port, call())[0][0] == 200
        assert silent[0].recv(10) == b""
        for client in silent:
            client.close()


def test_the_log_of_the_web_server_says_where_and_not_what(capfd):
    """F-C4."""
    log_without_words()
    log = logging.getLogger("waitress")
    telemetry.configure("warning")
    with capture_logs() as lines:
        try:
            raise ValueError(MARK.decode())  # noqa: TRY301
        except ValueError:
            log.exception("Exception while serving %s", MARK.decode())
        log.warning(MARK.decode())
        logging.getLogger("waitress.queue").warning(MARK.decode())
    telemetry.configure("error")
    assert [(line["event"], line["cause"]) for line in lines] == [("web server", "ValueError"), ("web server", "")]
    assert MARK.decode() not in str(lines) + "".join(capfd.readouterr())
