"""Trust over HTTP (S1-S4): 401 with WWW-Authenticate, 403, discovery, and what an exposed service asks for at start."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from cds_service.errors import SettingsError
from cds_service.main import create
from cds_service.settings import Settings
from cds_service.trust.key_sets import Trust
from cds_service.web import app as app_module
from tests.answering import always, answering, json_answer
from tests.cases import TODAY, own_settings
from tests.charts import condition, request
from tests.tokens import BASE, ISS, URL, public_key, token

PATH = "/cds-services/dry-needling-order-select"
SENT = request(condition("M54.2"))


@pytest.fixture
def guarded(tmp_path):
    def make(mode="services", services=""):
        keys = ", ".join(f"{name} = {json.dumps(value)}" for name, value in public_key("ES384").items())
        issuers = tmp_path / "issuers.toml"
        issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njwks = {{keys = [{{{keys}}}]}}\n{services}', encoding="utf-8")
        settings = own_settings(
            jwt=mode,
            issuers_file=str(issuers),
            database_url=f"sqlite:///{tmp_path}/cds.sqlite3",
            log_level="error",
        )
        return create(settings, clock=lambda: TODAY).test_client()

    return make


def test_a_call_needs_a_token_and_discovery_does_not(guarded):
    client = guarded()
    assert client.get("/cds-services").status_code == 200
    refused = client.post(PATH, json=SENT)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
    assert refused.json["issue"][0]["code"] == "login"
    assert client.post(PATH, json=SENT, headers={"Authorization": f"Bearer {token()}"}).status_code == 200


def test_a_call_whose_issuers_keys_cannot_be_read_is_told_to_come_back(tmp_path):
    """S3, S4: 503 rather than 401, which a client takes for its own fault."""
    with answering(always(json_answer({}, "500 No"))) as key_set:
        issuers = tmp_path / "issuers.toml"
        issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njku = "{key_set.url}/jwks.json"', encoding="utf-8")
        settings = own_settings(
            jwt="services", issuers_file=str(issuers), database_url=f"sqlite:///{tmp_path}/cds.sqlite3"
        )
        client = create(settings, clock=lambda: TODAY).test_client()
        refused = client.post(PATH, json=SENT, headers={"Authorization": f"Bearer {token()}"})
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.json["issue"][0]["code"] == "transient"


def test_how_long_keys_are_trusted_is_what_the_settings_say(tmp_path, monkeypatch):
    """S3."""
    chosen = []
    monkeypatch.setattr(app_module, "KeySets", chosen.append)
    issuers = tmp_path / "issuers.toml"
    issuers.write_text(f'[[issuer]]\niss = "{ISS}"\njku = "https://ehr.example.org/jwks.json"', encoding="utf-8")
    for changes in ({}, {"key_set_minutes": 2, "key_set_stale_minutes": 3}):
        create(own_settings(jwt="services", issuers_file=str(issuers), **changes))
    assert chosen == [Trust(), Trust(120, 180)]


def test_an_unknown_service_is_not_told_to_strangers(guarded):
    assert guarded().post("/cds-services/nobody", json=SENT).status_code == 401


def test_a_token_is_for_one_call_of_one_endpoint(guarded):
    client = guarded()
    header = {"Authorization": f"Bearer {token()}"}
    assert client.post("/cds-services/dry-needling-order-sign", json=SENT, headers=header).status_code == 401
    assert client.post(PATH, json=SENT, headers=header).status_code == 200
    assert client.post(PATH, json=SENT, headers=header).status_code == 401


def test_discovery_needs_a_token_where_everything_does(guarded):
    """S1, S2: the audience of discovery is discovery's own URL."""
    client = guarded("everywhere")
    assert client.get("/cds-services").status_code == 401
    wrong = {"Authorization": f"Bearer {token(aud=URL)}"}
    assert client.get("/cds-services", headers=wrong).status_code == 401
    right = {"Authorization": f"Bearer {token(aud=BASE + '/cds-services')}"}
    assert client.get("/cds-services", headers=right).status_code == 200
    assert client.get("/health/live").status_code == 200


def test_feedback_needs_a_token_for_its_own_url(guarded):
    """S2: the audience of feedback is feedback's own URL."""
    client = guarded()
    entry = {"card": "1", "outcome": "overridden", "outcomeTimestamp": "2026-11-23T17:30:00Z"}
    statuses = [
        client.post(
            f"{PATH}/feedback", json={"feedback": [entry]}, headers={"Authorization": f"Bearer {token(aud=aud)}"}
        )
        for aud in (URL, f"{URL}/feedback")
    ]
    assert [response.status_code for response in statuses] == [401, 200]


def test_a_client_of_other_services_is_forbidden(guarded):
    client = guarded(services='services = ["dry-needling-order-sign"]')
    refused = client.post(PATH, json=SENT, headers={"Authorization": f"Bearer {token()}"})
    assert refused.status_code == 403
    assert refused.json["issue"][0]["code"] == "forbidden"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CDS_HOST": "0.0.0.0"}, "CDS_JWT must be set when other machines can reach CDS_HOST"),
        ({"CDS_HOST": "0.0.0.0"}, "CDS_PUBLIC_URL must be set when other machines can reach CDS_HOST"),
        ({"CDS_JWT": "maybe"}, "CDS_JWT must be off, services or everywhere"),
        ({"CDS_JWT": "services"}, "CDS_ISSUERS_FILE must name a file of trusted issuers"),
        ({"CDS_DATABASE_URL": "nonsense"}, "CDS_DATABASE_URL is no database URL"),
    ],
)
def test_what_is_refused_at_start(environ, said):
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ(environ)
    assert said in str(refused.value)


def test_an_open_door_to_others_must_be_said_and_is_logged(capsys, tmp_path):
    settings = Settings.from_environ(
        {"CDS_HOST": "0.0.0.0", "CDS_JWT": "off", "CDS_PUBLIC_URL": "https://cds.example.org"}
    )
    create(replace(settings, data_folder=str(tmp_path)))
    assert "CDS_JWT is off and others can reach this service" in capsys.readouterr().err
    create(own_settings())
    assert capsys.readouterr().err == ""


def test_readiness_tells_whether_the_store_of_used_tokens_answers(guarded, tmp_path):
    client = guarded()
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["store"]["reachable"]) == (200, True)
    with closing(sqlite3.connect(tmp_path / "cds.sqlite3")) as database:
        database.execute("DROP TABLE used_tokens")
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["store"]["reachable"]) == (503, False)
    refused = client.post(PATH, json=SENT, headers={"Authorization": f"Bearer {token()}"})
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
