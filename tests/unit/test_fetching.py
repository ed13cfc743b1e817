"""Fetching for many calls at once: a slow server holds its own threads, for no longer than the deadline."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cds_service.fhir.client import Limits
from cds_service.fhir.fetch import PARALLEL, FhirAccess
from cds_service.fhir.servers import AllowList
from cds_service.fhir.threads import ServerThreads
from tests.answering import answering, drip, json_answer
from tests.charts import bundle

QUERIES = {f"key{number}": f"Condition?number={number}" for number in range(6)}
CALLS = PARALLEL // len(QUERIES) + 2
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"


def access(*servers, seconds=30.0):
    allowed = AllowList.parse(",".join(f"{server.url} internal open" for server in servers))
    return FhirAccess(allowed, Limits(request_seconds=30, total_seconds=seconds))


def fetch(fhir, url, deadline=float("inf")):
    return set(fhir.fetch(url, "", "p1", QUERIES, (), deadline).outcomes.values())


def slow_or_healthy(connection, head, server):
    if "/slow" in head:
        drip(server, connection, HEAD, b"X-A: b\r\n")
    else:
        connection.sendall(json_answer(bundle()))


def test_a_slow_server_keeps_no_healthy_one_waiting():
    """F3: threads by server."""
    with (
        answering(lambda c, head: slow_or_healthy(c, head, slow)) as slow,
        answering(lambda c, head: slow_or_healthy(c, head, healthy)) as healthy,
        ThreadPoolExecutor(CALLS) as callers,
    ):
        fhir = access(slow, healthy)
        ends = time.monotonic() + 20
        waiting = [callers.submit(fetch, fhir, f"{slow.url}/slow", ends) for _ in range(CALLS)]
        while len(slow.heads) < PARALLEL:
            time.sleep(0.01)
        assert fetch(fhir, f"{healthy.url}/fhir") == {"ok"}
        assert not any(call.done() for call in waiting)
        assert len(slow.heads) == PARALLEL
        slow.ended.set()
        for call in waiting:
            call.result()


def test_threads_are_free_for_the_next_call_once_the_deadline_has_passed():
    """F3: whatever a server sends, and however slowly, it holds no thread for longer than a call waits."""
    with (
        answering(lambda c, head: slow_or_healthy(c, head, server)) as server,
        ThreadPoolExecutor(CALLS) as callers,
    ):
        patient, hasty = access(server), access(server, seconds=0.5)
        hasty._threads = patient._threads
        for outcomes in [callers.submit(fetch, hasty, f"{server.url}/slow") for _ in range(CALLS)]:
            assert outcomes.result() == {"timeout"}
        assert fetch(patient, f"{server.url}/fhir") == {"ok"}


def test_what_waits_for_a_thread_until_the_deadline_is_never_asked():
    with answering(lambda c, head: slow_or_healthy(c, head, server)) as server:
        fhir = access(server, seconds=0.5)
        queries = {f"key{number}": f"Condition?number={number}" for number in range(PARALLEL + 8)}
        found = fhir.fetch(f"{server.url}/slow", "", "p1", queries, ())
        assert set(found.outcomes.values()) == {"timeout"}
        assert fetch(fhir, f"{server.url}/fhir") == {"ok"}
        assert len([path for path in server.paths() if "/slow" in path]) <= PARALLEL


def test_a_thread_is_started_only_when_none_is_idle():
    threads = ServerThreads(3)
    gate = threading.Event()
    assert threads.submit(len, "ab").result(10) == 2
    for _ in range(100):  # the thread says that it is idle just after its result is there
        if threads._idle.acquire(blocking=False):
            threads._idle.release()
            break
        time.sleep(0.01)
    assert threads.submit(len, "ab").result(10) == 2
    assert threads._started == 1
    held = [threads.submit(gate.wait, 10) for _ in range(5)]
    assert threads._started == 3
    gate.set()
    assert all(future.result(10) for future in held)


def test_what_a_fetch_raises_is_raised_to_whoever_waits():
    with pytest.raises(ZeroDivisionError):
        ServerThreads(1).submit(divmod, 1, 0).result(10)


def test_a_fetch_that_was_given_up_is_not_begun():
    threads = ServerThreads(1)
    gate = threading.Event()
    first = threads.submit(gate.wait, 10)
    begun = []
    second = threads.submit(begun.append, 1)
    assert second.cancel()
    gate.set()
    assert first.result(10)
    threads.submit(len, "").result(10)
    assert begun == []


def test_the_end_of_the_process_waits_for_no_fetch():
    """Looking up a name takes as long as the resolver likes."""
    program = (
        "import threading, time\n"
        "from cds_service.fhir.threads import ServerThreads\n"
        "ServerThreads(1).submit(time.sleep, 300)\n"
        "time.sleep(0.1)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
