"""Configuration for what runs around the service: valid for the tools that read it, filled from the settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from cds_service.cli.commands import main
from cds_service.cli.deploy import rendered
from cds_service.settings import Settings
from cds_service.web.metrics import Metrics
from tests.cases import FIXTURES

PASSWORD = "swordfish"
SITE = Settings(
    public_url="https://cds.example.org/needling",
    workers=3,
    jwt="services",
    issuers_file="/etc/cds-service/issuers.toml",
    fhir_servers="https://ehr.example.org/fhir",
    jwt_audiences='https://cds.example.org/"100%"',
    database_url=f"postgresql://cds:{PASSWORD}@db.example.org/cds",
    hash_key="k" * 40,
)
ALERT_TESTS = sorted((FIXTURES / "deploy").glob("*_test.yaml"))
PROMTOOL = shutil.which("promtool")
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")


def printed(name: str, **environ: str) -> str:
    done = CliRunner(env=environ).invoke(main, ["deploy", name])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", ["nginx", "systemd", "kubernetes"])
def test_no_secret_is_printed(name):
    text = rendered(name, SITE)
    assert PASSWORD not in text
    assert SITE.hash_key not in text
    assert "[[" not in text
    assert "[%" not in text


@pytest.mark.parametrize("document", list(yaml.safe_load_all(rendered("kubernetes", SITE))), ids=lambda d: d["kind"])
def test_each_kubernetes_manifest_is_valid_by_the_published_schema(document):
    kubernetes_validate.validate(document, "1.31", strict=True)


def test_a_manifest_with_a_misspelt_key_is_not_valid():
    (deployment, *_) = yaml.safe_load_all(rendered("kubernetes", SITE).replace("readOnlyRootFilesystem", "readOnly"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.31", strict=True)


def test_the_deployment_is_hardened_and_carries_the_settings():
    deployment, service, budget, policy = yaml.safe_load_all(rendered("kubernetes", SITE))
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    plain = {item["name"]: item["value"] for item in container["env"] if "value" in item}
    assert plain["CDS_FHIR_SERVERS"] == SITE.fhir_servers
    assert plain["CDS_WORKERS"] == "3"
    secret = [item["name"] for item in container["env"] if "valueFrom" in item]
    assert secret == ["CDS_DATABASE_URL", "CDS_HASH_KEY"]
    Settings.from_environ({**{k: v for k, v in plain.items() if k.startswith("CDS_")}, "CDS_DATABASE_URL": "sqlite://"})
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert policy["spec"]["podSelector"]["matchLabels"] == labels


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = tmp_path / "cds-service.service"
    unit.write_text(rendered("systemd", SITE))
    done = subprocess.run([SYSTEMD_ANALYZE, "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(rendered("systemd", SITE).replace("ProtectSystem=strict", "ProtectSystems=strict"))
    done = subprocess.run([SYSTEMD_ANALYZE, "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    assert "ProtectSystems" in done.stderr


def test_a_value_with_quotes_and_percent_signs_reaches_the_service_as_it_is():
    """In a unit, a percent sign begins a specifier and a quote ends a value."""
    assert r'Environment="CDS_JWT_AUDIENCES=https://cds.example.org/\"100%%\""' in rendered("systemd", SITE)


@pytest.mark.skipif(PROMTOOL is None, reason="prometheus is not installed")
def test_the_alert_rules_are_raised_by_what_they_are_for_and_by_nothing_else(tmp_path):
    (tmp_path / "alerts.yaml").write_text(printed("alerts"))
    for path in ALERT_TESTS:
        shutil.copy(path, tmp_path)
    for arguments in (["check", "rules", "alerts.yaml"], ["test", "rules", *(path.name for path in ALERT_TESTS)]):
        command = [PROMTOOL, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test():
    alerts = {rule["alert"] for group in yaml.safe_load(printed("alerts"))["groups"] for rule in group["rules"]}
    tested = "".join(path.read_text() for path in ALERT_TESTS)
    assert {alert for alert in alerts if alert not in tested} == set()


@pytest.mark.parametrize("name", ["alerts", "dashboard"])
def test_alerts_and_dashboard_ask_for_metrics_that_the_service_counts(name):
    """A metric that was renamed would make an alert that never fires."""
    counted = set(
        re.findall(r"^# TYPE (cds_\w+)", Metrics().exposition(reachable=True, waiting=0).decode(), re.MULTILINE)
    )
    asked = set(re.findall(r"\bcds_\w+", re.sub(r"\{\{.*?\}\}", "", printed(name))))
    stems = {re.sub(r"_(bucket|count|sum)$", "", metric) for metric in asked}
    assert stems
    assert stems - counted == set()


def test_the_dashboard_is_json_with_panels_that_do_not_overlap():
    panels = json.loads(printed("dashboard"))["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_settings_of_the_printing_process_fill_the_configuration():
    text = printed(
        "nginx", CDS_PUBLIC_URL="https://cds.example.org/needling", CDS_PORT="9123", CDS_MAX_BODY_BYTES="5000"
    )
    assert "server_name cds.example.org;" in text
    assert "server 127.0.0.1:9123 " in text
    assert "client_max_body_size        5000;" in text
    assert "location ^~ /needling/cds-services { proxy_pass http://cds_service/cds-services; }" in text


def test_wrong_settings_print_no_configuration():
    done = CliRunner(env={**os.environ, "CDS_PORT": "none"}).invoke(main, ["deploy", "nginx"])
    assert done.exit_code == 3
    assert "server" not in done.stdout


def test_every_file_of_the_folder_can_be_printed():
    folder = Path(rendered.__code__.co_filename).parent.parent / "deploy"
    files = {path.name for path in folder.iterdir() if path.suffix in (".conf", ".yaml", ".json", ".service")}
    assert len(files) == 5
