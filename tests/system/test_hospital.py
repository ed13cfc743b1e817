"""A hospital's set-up whole: nginx, two services on one PostgreSQL, Prometheus; a service dies, the database restarts.

2,000 calls, each with a token of its own, go through nginx meanwhile: each gets its card, or a 503 that says when to
try again; nothing is recorded twice, and nothing that was answered is lost once the killed service is started again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import requests
from click.testing import CliRunner

from cds_service.cli import main
from cds_service.cli.deploy import rendered
from cds_service.settings import Settings
from tests.cases import FIXTURES
from tests.postgres import BINARIES, PostgresServer
from tests.system.conftest import free_port, served
from tests.system.nginx import NGINX, certificate, in_front
from tests.tokens import ISS, public_key, token

PROMETHEUS = shutil.which("prometheus")
CALLS = 2_000
CLIENTS = 8
PATH = "/cds-services/dry-needling-order-select"
REQUEST = json.loads((FIXTURES / "calls" / "r1-chronic-code-as-order-reason" / "request.json").read_text())
METRICS_TOKEN = "a-secret-for-prometheus-alone-0123456789"

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed"),
    pytest.mark.skipif(not BINARIES.exists(), reason="PostgreSQL is not installed"),
]


@dataclass
class Answers:
    """What the clients got: the ids of cards that were answered, and every answer that should not be."""

    cards: list[str] = field(default_factory=list)
    unavailable: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, answered: requests.Response) -> None:
        if answered.status_code == 200:
            self.cards += [card["uuid"] for card in answered.json()["cards"]]
        elif answered.status_code == 503 and answered.headers.get("Retry-After"):
            self.unavailable += 1
        else:
            self.wrong.append(f"{answered.status_code} {answered.text[:200]}")


@contextmanager
def prometheus(folder: Path, services: list[str]) -> Iterator[str]:
    """Run Prometheus with the alert rules that we print, evaluated every second; yield its base URL."""
    rules = CliRunner().invoke(main, ["deploy", "alerts"]).output
    (folder / "alerts.yaml").write_text(rules.replace("for: 1m\n", "for: 2s\n"))
    targets = json.dumps([url.removeprefix("http://") for url in services])
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yaml]\nscrape_configs:\n"
        f"  - job_name: cds-service\n    authorization: {{credentials: {METRICS_TOKEN}}}\n"
        f"    static_configs: [{{targets: {targets}}}]\n"
    )
    port = free_port()
    command = [PROMETHEUS, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/measured",
               f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), "Prometheus starts")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def until(holds, what: str, seconds: float = 90) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


def alerts(url: str) -> set[str]:
    """Return the names of the alerts that fire."""
    found = requests.get(f"{url}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}


def kill_group(process: subprocess.Popen) -> None:
    """End a service and its workers as a power failure would."""
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False, timeout=20)
    for pid in [process.pid, *map(int, workers.stdout.split())]:
        os.kill(pid, signal.SIGKILL)


class Hospital:
    """Clients that call through nginx, each call with a token of its own, and what they got."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.certificate = str(certificate(folder))
        self.issuers = folder / "issuers.toml"
        keys = ", ".join(f"{name} = {json.dumps(value)}" for name, value in public_key("ES256").items())
        self.issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n', encoding="utf-8")
        self.got = Answers()

    def settings(self, database: str, folder: Path) -> dict[str, str]:
        """Return the settings of one service."""
        folder.mkdir()
        return {
            "CDS_PUBLIC_URL": self.url, "CDS_JWT": "services", "CDS_ISSUERS_FILE": str(self.issuers),
            "CDS_REPEAT_HOURS": "0", "CDS_DATABASE_URL": database, "CDS_DATA_FOLDER": str(folder),
            "CDS_METRICS": "on", "CDS_METRICS_TOKEN": METRICS_TOKEN,
        }  # fmt: skip

    def call(self, number: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Make calls by several clients at once; a second after the first, something happens."""
        with ThreadPoolExecutor(CLIENTS + 1) as pool, ExitStack() as stack:
            sessions = [stack.enter_context(requests.Session()) for _ in range(CLIENTS)]
            made = [pool.submit(self._call, sessions[n % CLIENTS]) for n in range(number)]
            time.sleep(1)
            meanwhile()
            for future in made:
                future.result(timeout=300)

    def _call(self, session: requests.Session) -> None:
        fresh = {**REQUEST, "hookInstance": str(uuid4())}
        header = {"Authorization": f"Bearer {token('ES256', aud=self.url + PATH)}"}
        self.got.add(session.post(self.url + PATH, json=fresh, headers=header, verify=self.certificate, timeout=60))


def test_calls_survive_a_killed_service_and_a_restarted_database(tmp_path):
    hospital, database = Hospital(tmp_path), PostgresServer()
    address = database.database()
    own, other = (hospital.settings(address, tmp_path / name) for name in ("first", "second"))
    try:
        with served(log=tmp_path / "second.log", **other) as (second, _):
            with served(log=tmp_path / "first.log", **own) as (first, process):
                both = two_upstreams(hospital.url, first, second)
                with in_front(both, hospital.port, tmp_path), prometheus(tmp_path, [first, second]) as watched:
                    hospital.call(CALLS // 4)
                    hospital.call(CALLS // 4, meanwhile=lambda: kill_group(process))
                    until(lambda: "CdsServiceDown" in alerts(watched), "the alert for a service that is down")
                    refused_before = hospital.got.unavailable
                    hospital.call(CALLS // 4, meanwhile=database.kill)
                    until(lambda: "CdsDatabaseUnreachable" in alerts(watched), "the alert for a database that is away")
                    assert hospital.got.unavailable > refused_before
                    database.start()
                    until(lambda: answers(f"{second}/health/ready"), "the service is ready again")
                    until(lambda: "CdsDatabaseUnreachable" not in alerts(watched), "the alert ends")
                    answered_before = len(hospital.got.cards)
                    hospital.call(CALLS // 4)
                    assert len(hospital.got.cards) == answered_before + CALLS // 4
            with served(log=tmp_path / "again.log", **own):  # what the killed service had answered last
                until(lambda: set(hospital.got.cards) <= set(recorded(address)), "every answered card is recorded")
        assert hospital.got.wrong == []
        assert len(hospital.got.cards) + hospital.got.unavailable == CALLS
        assert len(recorded(address)) == len(set(recorded(address)))
    finally:
        database.close()


def two_upstreams(public: str, first: str, second: str) -> str:
    """Return nginx' configuration for two processes on this machine."""
    configuration = rendered("nginx", Settings(public_url=public, port=int(first.rsplit(":", 1)[1])))
    server = f"    server {second.removeprefix('http://')} max_fails=1 fail_timeout=2s;\n    keepalive 64;"
    return configuration.replace("    keepalive 64;", server)


def recorded(address: str) -> list[str]:
    """Return the cards that the database holds, one for each call that it holds."""
    with psycopg.connect(address) as connection:
        query = 'SELECT cards.uuid FROM calls JOIN cards ON cards."call" = calls.id'
        return [row[0] for row in connection.execute(query)]
