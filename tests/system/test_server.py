"""The real server: many callers at once, keep-alive, chunked and oversized bodies, a graceful end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.bench.processes import OURS, workers
from tests.cases import EXTENSION, all_cases, without_fingerprint
from tests.charts import condition, request
from tests.patients import PATIENTS, request_for
from tests.system.conftest import free_port, served, wait_for

URL = "/cds-services/dry-needling-order-select"
EXAMPLE = Path(__file__).parent.parent / "example_guideline"
FIRST_STEP = "    order, chart = findings.order, findings.chart\n"


def test_the_server_gives_what_was_recorded(server):
    """The same cards over HTTP, for the rules that do not depend on today's date."""
    session = requests.Session()
    compared = 0
    for case in all_cases():
        if case.told["status"] != 200 or set(case.told["rules"]) - {"R2", "R5"}:
            continue
        url = f"{server}/cds-services/dry-needling-{case.request['hook']}"
        answered = without_fingerprint(session.post(url, json=case.request, timeout=5).json())
        expected = json.loads(case.expected_path.read_bytes())
        for card in (*answered["cards"], *expected["cards"]):
            del card["extension"][EXTENSION]["evaluationDate"]
        assert answered == expected
        compared += 1
    assert compared > 15


def test_many_callers_at_once_get_their_own_answers(server):
    names = sorted(path.stem for path in PATIENTS.glob("*.json"))
    session = requests.Session()

    def ask(name: str) -> tuple[str, list[str]]:
        cards = session.post(server + URL, json=request_for(name, "20560"), timeout=20).json()["cards"]
        return name, [card["summary"] for card in cards]

    first = dict(map(ask, names))
    with ThreadPoolExecutor(8) as callers:
        for name, summaries in callers.map(ask, names * 3):
            assert summaries == first[name]


def test_a_chunked_body_is_read_and_a_large_one_is_refused():
    """C1."""
    body = json.dumps(request(condition("M54.2"))).encode()
    with served(CDS_MAX_BODY_BYTES="65536") as (url, _):
        headers = {"Content-Type": "application/json"}
        chunked = requests.post(url + URL, data=iter([body[:100], body[100:]]), headers=headers, timeout=5)
        assert chunked.status_code == 200
        for large in (b" " * 70_000, iter([b" " * 40_000] * 2)):
            refused = requests.post(url + URL, data=large, headers=headers, timeout=5)
            assert refused.status_code == 413
            assert refused.json()["resourceType"] == "OperationOutcome"


def test_the_server_ends_gracefully_and_logs_json_without_patient_data(tmp_path):
    secret = "Marigold-Secret-778"
    log = tmp_path / "log"
    with served(log, CDS_WORKERS="1") as (url, process):
        sent = request(condition("M54.2", id=secret, code={"text": secret}))
        assert requests.post(url + URL, json=sent, timeout=5).status_code == 200
        assert requests.post(url + URL, data=secret, timeout=5).status_code == 415
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    lines = log.read_text(encoding="utf-8").splitlines()
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    logged = [line for line in logged if line["event"] not in ("database", "exposed")]  # of a busy machine, of root
    assert [line["event"] for line in logged] == ["call", "refused"]
    assert logged[0]["rules"] == "dry-needling/R8"
    assert secret not in "".join(lines)


def test_a_service_that_cannot_start_says_why_once_and_ends(tmp_path):
    environ = {"CDS_JWT": "services", "CDS_ISSUERS_FILE": str(tmp_path / "none"), "CDS_DATA_FOLDER": str(tmp_path)}
    environ["TMPDIR"] = str(tmp_path)
    command = [sys.executable, "-m", "cds_service", "serve"]
    ended = subprocess.run(
        command,
        check=False,
        env={**os.environ, **environ, "CDS_PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ended.returncode == 3
    assert ended.stderr.count("Cannot start: ") == 1
    assert "Traceback" not in ended.stderr
    assert "Serving on" not in ended.stderr
    assert not list(tmp_path.glob("cds-metrics-*"))


def test_where_the_service_is_is_told_when_it_is_there(tmp_path):
    log = tmp_path / "log"
    with served(log) as (url, _):
        assert f"Serving on {url}" in log.read_text(encoding="utf-8")  # among what the web server says


@pytest.mark.parametrize(("host", "url"), [("::1", "http://[::1]:{}"), ("::", "http://127.0.0.1:{}")])
def test_an_ipv6_address_is_listened_on(host, url, tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = free_port()
    environ = {"CDS_HOST": host, "CDS_PORT": str(port), "CDS_JWT": "off", "CDS_DATA_FOLDER": str(tmp_path)}
    environ |= {"CDS_PUBLIC_URL": "https://cds.example.org", "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite3"}
    command = [sys.executable, "-m", "cds_service", "serve"]
    with (
        (tmp_path / "log").open("w", encoding="utf-8") as log,
        subprocess.Popen(command, env={**os.environ, **environ}, stderr=log) as process,
    ):
        try:
            wait_for(url.format(port), process, log)
            assert f"http://[{host}]:{port}/cds-services" in Path(log.name).read_text(encoding="utf-8")
        finally:
            process.terminate()
            process.wait(20)


def test_nothing_is_written_into_the_home_of_who_runs_it(tmp_path):
    """gunicorn would open a socket in the user's home, by which the server can be reconfigured while it runs."""
    home, log = tmp_path / "home", tmp_path / "log"
    home.mkdir()
    with served(log, CDS_WORKERS="1", HOME=str(home), XDG_RUNTIME_DIR=str(home)) as (url, _):
        assert requests.post(url + URL, json=request(condition("M54.2")), timeout=5).status_code == 200
    assert "Control socket" not in log.read_text(encoding="utf-8")
    assert not list(home.iterdir())


def test_a_worker_that_only_just_began_ends_when_told(tmp_path):
    """A worker hears at first with its parent's ears, and gunicorn would wait half a minute for it, then kill it."""
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\nfrom cds_service.web.web_server import *\ndef post_fork(server, worker): time.sleep(1)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "gunicorn", "--config", str(slow), "--worker-class", OURS, "--threads", "2"]
    command += ["--bind", f"127.0.0.1:{free_port()}", "--preload", "--graceful-timeout", "30", "tests.bench.floor:app"]
    for end in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while "Booting worker" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(end)
            try:
                said = process.communicate(timeout=10)[1]
            finally:
                process.kill()
        assert process.returncode == 0
        assert "Worker exiting" in said


def test_a_guideline_that_computes_for_ever_costs_a_call_and_a_worker_and_no_more(tmp_path):
    """F-A2: it does not look at the chart meanwhile, so that nothing ends the call from inside."""
    folder, log = tmp_path / "example", tmp_path / "log"
    shutil.copytree(EXAMPLE, folder)
    package = folder / "lumbar_imaging" / "__init__.py"
    code = package.read_text(encoding="utf-8")
    package.write_text(
        code.replace(FIRST_STEP, f"{FIRST_STEP}    while order.kind:  # for ever\n        pass\n"), encoding="utf-8"
    )
    environ = {"CDS_GUIDELINES": "dry-needling,lumbar-imaging", "CDS_GUIDELINE_FOLDERS": str(package.parent)}
    endless = json.loads((EXAMPLE / "cases" / "imaging-in-week-three.json").read_bytes())["request"]
    honest = request(condition("M54.2"))
    with served(log, CDS_WORKERS="1", CDS_CALL_MILLISECONDS="3000", **environ) as (url, process):
        first = workers(process.pid)
        live = requests.post(url + URL, json=honest, timeout=60)
        stuck = requests.post(f"{url}/cds-services/lumbar-imaging-order-select", json=endless, timeout=60)
        after = requests.post(url + URL, json=honest, timeout=60)
        second = workers(process.pid)
        metrics = requests.get(f"{url}/metrics", timeout=60).text
    assert (live.status_code, stuck.status_code, after.status_code) == (200, 503, 200)
    assert stuck.json()["issue"][0]["diagnostics"] == "The call took longer than this service gives itself"
    assert stuck.headers["Retry-After"] == "1"
    assert first != second
    assert 'cds_refused_requests_total{status="503"} 1.0' in metrics.splitlines()
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if '"stuck"' in line]
    assert len(lines) == 1
    assert json.loads(lines[0])["places"][-1].endswith(" assess")
