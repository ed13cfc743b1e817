"""cds-service check: everything that would keep the service from starting, told at once and before it is started."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cds_service.cli.commands import main
from tests.cases import TODAY


@pytest.fixture
def check(tmp_path):
    """Run the command in a folder of its own; return exit code and lines by their name."""

    def run(**environ: str) -> tuple[int, dict[str, str]]:
        own = {"CDS_DATA_FOLDER": str(tmp_path), "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite3"}
        done = CliRunner(env={**own, **environ}).invoke(main, ["check"])
        return done.exit_code, {line[:14].strip(): line[14:] for line in done.output.splitlines()}

    return run


def issuers(folder) -> dict[str, str]:
    """Return settings that trust one issuer's tokens."""
    path = folder / "issuers.toml"
    path.write_text('[[issuer]]\niss = "https://ehr.example.org"\njku = ["https://ehr.example.org/jwks.json"]\n')
    return {"CDS_JWT": "services", "CDS_ISSUERS_FILE": str(path)}


def test_the_defaults_are_right(check):
    code, told = check()
    assert code == 0
    assert told["content"].startswith("dry-needling 2.0.0+")
    assert told["content"].endswith("nothing overdue")
    assert told["tokens"] == "not required"
    assert told["FHIR servers"] == "none may be read; data that is not prefetched will be missing"
    assert told["database"] == "answers"
    assert told["hashes"] == "with a key of this machine, in the data folder"


def test_what_a_site_set_up_is_told(check, tmp_path):
    code, told = check(CDS_FHIR_SERVERS="https://ehr.example.org/fhir, https://b.example.org", **issuers(tmp_path))
    assert code == 0
    assert told["tokens"] == "trusted from https://ehr.example.org"
    assert told["FHIR servers"] == "2 may be read"


def test_a_service_that_others_can_reach_without_tokens_is_told(check):
    _, told = check(CDS_HOST="192.0.2.1", CDS_PUBLIC_URL="https://cds.example.org", CDS_JWT="off")
    assert told["tokens"] == "not required, although other machines can reach the service"


def test_overdue_reviews_are_told_and_keep_nothing_from_starting(check, monkeypatch):
    monkeypatch.setattr("cds_service.cli.check.local_time", lambda: TODAY.replace(year=2040))
    code, told = check()
    assert code == 0
    assert "OVERDUE: guideline, E1" in told["content"]


def test_a_data_folder_that_cannot_be_made_is_wrong(check, tmp_path):
    (tmp_path / "file").touch()
    away = str(tmp_path / "file" / "none")
    code, told = check(CDS_DATA_FOLDER=away)
    assert code == 3
    assert told["hashes"].startswith("WRONG: CDS_DATA_FOLDER")
    code, told = check(CDS_DATA_FOLDER=away, CDS_HASH_KEY="x" * 16)
    assert (code, told["hashes"]) == (3, "with the key in CDS_HASH_KEY")
    assert told["data folder"].startswith("WRONG: CDS_DATA_FOLDER")


def test_everything_that_is_wrong_is_told_at_once(check, tmp_path):
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "ours.json").write_text("{")
    code, told = check(
        CDS_SITE_VALUE_SETS=str(tmp_path / "codes"), CDS_JWT="services", CDS_ISSUERS_FILE=str(tmp_path / "none")
    )
    assert code == 3
    assert told["content"].startswith("WRONG: ours.json")
    assert told["tokens"].startswith("WRONG: ")
    assert told["database"] == "answers"


def test_a_database_that_does_not_answer_is_wrong_only_where_it_remembers_tokens(check, tmp_path):
    away = {"CDS_DATABASE_URL": f"sqlite:///{tmp_path}/none/cds.sqlite3"}
    assert check(**away) == (
        0,
        check()[1] | {"database": "not available (OperationalError); records will wait in the outbox"},
    )
    code, told = check(**away, **issuers(tmp_path))
    assert code == 3
    assert told["database"].startswith("WRONG: CDS_DATABASE_URL")


def test_wrong_settings_have_exit_code_3_before_anything_is_looked_at(check):
    code, _ = check(CDS_PORT="x")
    assert code == 3
