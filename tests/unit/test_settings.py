"""Settings: declared once, read from the environment, all errors reported together."""

from __future__ import annotations

from dataclasses import fields

import pytest

from cds_service.errors import SettingsError
from cds_service.settings import Settings


def test_defaults_need_no_configuration():
    assert Settings.from_environ({"PATH": "/bin"}) == Settings()
    assert (Settings().host, Settings().port) == ("127.0.0.1", 8080)


def test_values_are_read_from_the_environment():
    environ = {"CDS_PORT": "9000", "CDS_SHARED_SERVICE_ID": " dry-needling ", "CDS_LOG_LEVEL": "debug"}
    assert Settings.from_environ(environ) == Settings(port=9000, shared_service_id="dry-needling", log_level="debug")


def test_every_fault_is_told_at_once():
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ(
            {
                "CDS_PORT": "0",
                "CDS_WORKERS": "many",
                "CDS_THREADS": "1000",
                "CDS_LOG_LEVEL": "loud",
                "CDS_PROT": "1",
                "CDS_SOMETHING_ELSE": "1",
                "CDS_PUBLIC_URL": "cds.example.org",
                "CDS_FHIR_SERVERS": "ehr",
            }
        )
    assert str(refused.value).splitlines() == [
        "CDS_PORT must be at least 1",
        "CDS_PROT is not a setting; did you mean CDS_PORT?",
        "CDS_SOMETHING_ELSE is not a setting; run `cds-service settings` for a list",
        "CDS_THREADS must be at most 200",
        "CDS_WORKERS must be a whole number",
        "CDS_LOG_LEVEL must be one of debug, info, warning, error",
        "CDS_FHIR_SERVERS: ehr is no http(s) URL of a server without user, query and fragment",
        "CDS_PUBLIC_URL must be an absolute http or https URL without a query",
    ]


def test_every_setting_has_help():
    for item in fields(Settings):
        assert item.metadata["help"].endswith(".")


def test_the_base_url_is_the_public_one_or_host_and_port():
    assert Settings().base_url == "http://127.0.0.1:8080"
    assert (
        Settings.from_environ({"CDS_PUBLIC_URL": "https://cds.example.org/x/"}).base_url == "https://cds.example.org/x"
    )


def test_a_file_gives_settings_and_the_environment_wins(tmp_path):
    path = tmp_path / "cds.toml"
    path.write_text(
        'port = 9000\nworkers = 3\ncors_private_network = true\ncors_origins = ["https://a.org", "https://b.org"]\n',
        encoding="utf-8",
    )
    read = Settings.from_environ({"CDS_CONFIG_FILE": str(path), "CDS_PORT": "9001"})
    assert (read.port, read.workers, read.cors_private_network) == (9001, 3, True)
    assert read.origins == ["https://a.org", "https://b.org"]


def test_a_secret_can_stand_in_a_file_of_its_own(tmp_path):
    path = tmp_path / "url"
    path.write_text("postgresql://user:secret@host/db\n", encoding="utf-8")
    assert (
        Settings.from_environ({"CDS_DATABASE_URL_FILE": str(path)}).database_url == "postgresql://user:secret@host/db"
    )


def test_files_that_cannot_be_read_are_told(tmp_path):
    (tmp_path / "bad.toml").write_text("port = ", encoding="utf-8")
    (tmp_path / "odd.toml").write_text("prot = 1", encoding="utf-8")
    for name, said in (
        ("none.toml", "none.toml cannot be read"),
        ("bad.toml", "bad.toml is not valid TOML"),
        ("odd.toml", "CDS_PROT is not a setting"),
    ):
        with pytest.raises(SettingsError, match=said):
            Settings.from_environ({"CDS_CONFIG_FILE": str(tmp_path / name)})
    with pytest.raises(SettingsError, match="CDS_DATABASE_URL_FILE: the file cannot be read"):
        Settings.from_environ({"CDS_DATABASE_URL_FILE": "/nowhere"})


def test_an_ipv6_address_stands_in_brackets_where_a_port_follows():
    settings = Settings(host="::1", port=9000)
    assert settings.address == "[::1]:9000"
    assert settings.base_url == "http://[::1]:9000"
    assert not settings.exposed
    assert Settings(host="127.0.0.1", port=9000).base_url == "http://127.0.0.1:9000"


def test_an_idle_connection_outlives_that_of_common_balancers():
    """H2."""
    assert Settings().keep_alive_seconds > 60
