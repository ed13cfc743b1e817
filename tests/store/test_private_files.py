"""What is kept on this machine is for the service's user alone; whoever runs it is told where that is not so."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service import main
from cds_service.cli import commands
from cds_service.errors import SettingsError
from cds_service.main import create, exposures
from cds_service.settings import Settings
from cds_service.store.database import Database, shown
from cds_service.store.private_files import data_folder
from tests.cases import TODAY
from tests.charts import condition, request

PATH = "/cds-services/dry-needling-order-select"


@pytest.fixture(autouse=True)
def careless():
    """Run with the umask that leaves most open."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_that_the_service_makes_is_for_its_user_alone(tmp_path):
    """Database, log, key and outbox 0600, folders 0700."""
    folder = tmp_path / "made" / "here"
    settings = Settings(data_folder=str(folder), log_level="error")
    app = create(settings, clock=lambda: TODAY)
    assert app.test_client().post(PATH, json=request(condition("M54.2"))).status_code == 200
    recorder = app.extensions["store"].recorder
    assert recorder.settle()
    assert app.test_client().post(PATH, json=request(condition("M54.2"))).status_code == 200
    database = app.extensions["store"].database
    with database.reading():
        made = {path.relative_to(folder).as_posix(): mode(path) for path in folder.rglob("*") if path.is_file()}
        assert {"cds.sqlite3", "cds.sqlite3-wal", "cds.sqlite3-shm", "cds-hash.key"} <= made.keys()
        assert set(made.values()) == {0o600}, made
    assert {mode(folder), mode(folder / "cds-outbox")} == {0o700}
    assert [told for told in exposures(settings, {}) if "root" not in told] == []
    recorder.close()


def test_a_database_that_is_there_keeps_its_mode(tmp_path):
    path = tmp_path / "cds.sqlite3"
    path.touch(0o640)
    database = Database(f"sqlite:///{path}")
    database.require()
    database.close()
    assert mode(path) == 0o640


@pytest.mark.parametrize("kept", ["", "cds-hash.key", "cds.sqlite3"])
def test_what_every_user_can_read_is_told(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(main.os, "geteuid", lambda: 1000)
    settings = Settings(data_folder=str(tmp_path))
    tmp_path.chmod(0o700)
    for name in ("cds-hash.key", "cds.sqlite3"):
        (tmp_path / name).touch(0o600)
    assert exposures(settings, {}) == []
    (tmp_path / kept).chmod(0o755 if not kept else 0o604)
    (told,) = exposures(settings, {})
    assert told.endswith(f"chmod o= {tmp_path / kept}")


def test_a_key_or_password_in_a_file_that_every_user_can_read_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(main.os, "geteuid", lambda: 1000)
    path = tmp_path / "secret"
    path.touch(0o644)
    for name in ("CDS_HASH_KEY_FILE", "CDS_DATABASE_URL_FILE", "CDS_CONFIG_FILE"):
        settings = Settings(data_folder=str(tmp_path / "none"), database_url="postgresql://host/db")
        (told,) = exposures(settings, {name: str(path)})
        assert told.endswith(f"chmod o= {path}")


def test_running_as_root_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(main.os, "geteuid", lambda: 0)
    (told,) = exposures(Settings(data_folder=str(tmp_path / "none")), {})
    assert "runs as root" in told


def test_it_is_told_at_start_and_by_check(tmp_path, monkeypatch, capfd):
    key = tmp_path / "key"
    key.write_text("x" * 16, encoding="ascii")
    environ = {"CDS_DATA_FOLDER": str(tmp_path / "data"), "CDS_HASH_KEY_FILE": str(key), "PATH": ""}
    monkeypatch.setattr(main.threading, "excepthook", main.threading.excepthook)
    monkeypatch.setattr(main, "spare_the_collector", lambda: None)
    with monkeypatch.context() as patched:
        patched.setattr(main.os, "environ", environ)
        main.serve()
    assert f'"reason": "every user of this machine can read {key}' in capfd.readouterr().err
    told = CliRunner().invoke(commands.main, ["check"], env=environ)
    assert f"data folder   every user of this machine can read {key}" in told.output


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="CDS_DATA_FOLDER can neither be written nor made"):
        data_folder(str(tmp_path / "file" / "folder"))


@pytest.mark.parametrize(
    ("address", "readable"),
    [
        ("postgresql://cds:tiger@db/cds", "postgresql://cds:***@db/cds"),
        ("postgresql://cds@db/cds?password=tiger", "postgresql://cds@db/cds?password=***"),
        (
            "postgresql://db/cds?sslpassword=tiger&sslmode=require",
            "postgresql://db/cds?sslmode=require&sslpassword=***",
        ),
        ("sqlite:////data/cds.sqlite3", "sqlite:////data/cds.sqlite3"),
        ("tiger", "***"),
    ],
)
def test_settings_print_no_password(address, readable):
    assert "tiger" not in shown(address)
    assert sorted(shown(address).replace("%2A", "*")) == sorted(readable)
    if "://" in address:
        output = CliRunner().invoke(commands.main, ["settings"], env={"CDS_DATABASE_URL": address}).output
        assert "CDS_DATABASE_URL=" + shown(address) in output
        assert "tiger" not in output
        assert "tiger" not in repr(Settings(database_url=address))
