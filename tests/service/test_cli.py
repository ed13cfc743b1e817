"""The command line: cards as a clinician reads them, the trace, clear errors and exit codes."""

from __future__ import annotations

import gc
import json
import re
import shlex
import threading
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cds_service import errors, main
from cds_service.cli import call, commands, terminal
from cds_service.cli.settings import GROUPS, page
from cds_service.cli.smoke_checks import Finding
from cds_service.settings import Settings, environment_variable
from cds_service.web import web_server
from tests.cases import FIXTURES

CASE = str(FIXTURES / "calls" / "r1-chronic-code-on-problem-list" / "request.json")


def run(*arguments, **options):
    return CliRunner().invoke(commands.main, list(arguments), **options)


def test_call_prints_the_card_as_a_clinician_would_read_it():
    result = run("call", CASE)
    assert result.exit_code == 0
    assert result.output.startswith(
        "WARNING: Dry needling: not recommended for chronic low back pain without nerve-root pain\n\n  Not recommended"
    )
    assert "\n\n  Why: Chronic low back pain; no nerve-root diagnosis" in result.output
    assert "  [ Remove the dry needling order ] (recommended)\n  [ Refer for" in result.output
    assert "**" not in result.output
    assert "\x1b" not in result.output
    assert max(map(len, result.output.split("\n\n  Source")[0].splitlines())) <= terminal.WIDTH


def test_colors_are_used_on_a_terminal_unless_no_color_is_set():
    assert "\x1b[33m\x1b[1mWARNING:\x1b[0m" in run("call", CASE, color=True).output
    plain = run("call", CASE, color=True, env={"NO_COLOR": "1"}).output
    assert "\x1b" not in plain
    assert plain.startswith("WARNING: ")


def test_call_prints_the_response_as_json():
    response = json.loads(run("call", "--json", CASE).output)
    assert response["cards"][0]["indicator"] == "warning"


def test_call_explains_orders_findings_and_every_rule():
    output = run("call", "--explain", "--today", "2026-11-23", CASE).output
    assert "Why: dry-needling, as of 2026-11-23, knowledge 2.0.0+" in output
    needling = "Dry needling, 1 or 2 muscles (ServiceRequest/needling)"
    assert f"  {needling}: considered as dry needling" in output
    assert "  conditions: sent\n  painScores: sent, with no entries\n" in output
    assert f"{needling}: rule R1 (not recommended chronic lbp)\nBecause:\n  ordered: dry needling\n" in output
    assert "    low back pain: Chronic low back pain (Condition/back)\n" in output
    assert "  R2 (not for facet pain): does not apply (for pain from the facet joints: no" in output
    assert "  R8 (no indication): not reached, R1 comes first" in output
    assert "  no nerve-root diagnosis recognized among 1 active problem\n" in output
    assert output.count("duration of the low back pain: chronic: 12 weeks or more\n") == 2  # because, and asked


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("silent/needling-not-selected", "not selected"),
        ("silent/drafts-stripped", "Selected, but not among the draft orders: 1"),
        ("silent/revoked-order", "no order: not to be performed, or already over"),
        ("silent/medication-order", "not a request for a procedure"),
        ("calls/r7-beside-another-patients-condition", "Entries about other patients, not used: 1"),
        ("calls/r6-onset-that-cannot-be-read", "elements that could not be read:\n  "),
        ("calls/r8-free-text-problem", "free text only: Bad back since the war (Condition/back)"),
    ],
)
def test_the_trace_says_why_an_order_or_entry_was_passed_over(case, said):
    assert said in run("call", "--explain", str(FIXTURES / case / "request.json")).output


def test_a_silent_call_says_so():
    result = run("call", str(FIXTURES / "silent" / "acupuncture" / "request.json"))
    assert result.exit_code == 0
    assert result.output.strip() == "No card: the service has nothing to say about this call."


def test_standard_input_and_a_named_service():
    body = Path(CASE).read_bytes()
    assert run("call", "--service", "dry-needling-order-select", "-", input=body).exit_code == 0
    result = run("call", "--service", "dry-needling-order-sign", CASE)
    assert result.exit_code == errors.EXIT_REFUSED
    assert "Refused (400): hook must be order-sign for this service" in result.output


def test_a_refused_request_has_exit_code_1():
    result = run("call", str(FIXTURES / "calls" / "412-conditions-absent" / "request.json"))
    assert result.exit_code == 1
    assert result.output == "Refused (412): prefetch.conditions is required for this order and was not sent\n"
    result = run("call", "--json", "-", input=b"{")
    assert result.exit_code == 1
    assert '"OperationOutcome"' in result.output
    assert run("call", "-", input=b'{"hook": "patient-view"}').output.startswith("Refused (404)")


BUNDLE = FIXTURES / "bundles" / "neck-pain.json"


def test_a_request_is_made_from_a_bundle_and_answered():
    made = run("request", str(BUNDLE))
    request = json.loads(made.output)
    assert request["context"]["selections"] == ["ServiceRequest/order"]
    assert {key: len(value.get("entry", "1")) for key, value in request["prefetch"].items()} == {
        "patient": 1, "conditions": 1, "painScores": 0, "procedures": 0, "serviceRequests": 0, "carePlans": 0,
        "medications": 1,
    }  # fmt: skip
    assert request["prefetch"]["patient"]["resourceType"] == "Patient"
    card = run("call", "--today", "2026-11-23", "-", input=made.output).output
    assert "pain relief is short-term only, up to 12 weeks" in card
    assert "Anticoagulant (apixaban)" in card


def test_a_request_is_made_for_the_order_and_hook_that_are_named():
    request = json.loads(run("request", "--order", "20553", "--hook", "order-sign", str(BUNDLE)).output)
    assert "selections" not in request["context"]
    (entry,) = request["context"]["draftOrders"]["entry"]
    assert entry["resource"]["code"]["coding"][0]["code"] == "20553"


def test_a_bundle_not_yet_stored_is_read_by_its_full_urls():
    bundle = json.loads(BUNDLE.read_bytes())
    patient, condition, _ = bundle["entry"]
    patient["fullUrl"] = f"urn:uuid:{patient['resource'].pop('id')}"
    condition["fullUrl"] = "urn:uuid:0b1c"
    condition["resource"]["subject"]["reference"] = patient["fullUrl"]
    made = run("request", "-", input=json.dumps(bundle)).output
    assert "Why: Cervicalgia" in run("call", "--today", "2026-11-23", "-", input=made).output


@pytest.mark.parametrize(
    ("arguments", "sent", "code", "said"),
    [
        (["-"], b"{", 1, "Not a FHIR Bundle: The body is not JSON"),
        (["-"], b'{"resourceType": "Bundle"}', 1, "must have exactly one Patient with an id; this one has 0"),
        (["--order", "97110", "-"], BUNDLE.read_bytes(), 2, "no order has the code 97110; choose one of: 20560, "),
        (["--hook", "patient-view", "-"], b"", 2, "no guideline answers patient-view; choose one of: order-select, "),
        (["--guideline", "knee", "-"], b"", 2, "No guideline knee is on. Choose one of: dry-needling"),
    ],
)
def test_what_is_wrong_with_a_bundle_or_option_is_said_with_what_to_do(arguments, sent, code, said):
    result = run("request", *arguments, input=sent)
    assert result.exit_code == code
    assert said in " ".join(result.output.split())


def test_a_guideline_can_be_named():
    assert run("call", "--guideline", "dry-needling", CASE).output.startswith("WARNING")
    result = run("call", "--guideline", "knee", CASE)
    assert result.exit_code == 2
    assert "No guideline knee is on. Choose one of: dry-needling" in result.output


def test_a_file_that_cannot_be_written_is_one_line_and_no_traceback(tmp_path):
    own = {"CDS_DATA_FOLDER": str(tmp_path), "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite3"}
    run("check", env=own)
    away = tmp_path / "nowhere" / "report.html"
    result = run("report", "--html", str(away), env=own)
    assert (result.exit_code, result.output) == (1, f"Error: {away}: No such file or directory\n")


def test_a_closed_pipe_is_no_error_message(monkeypatch):
    def closed(_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(call.terminal, "cards", closed)
    result = run("call", CASE)
    assert (result.exit_code, result.output) == (1, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell):
    assert "cds-service" in run(env={"_CDS_SERVICE_COMPLETE": f"{shell}_source"}, prog_name="cds-service").output
    words = {"COMP_WORDS": "cds-service se", "COMP_CWORD": "1" if shell != "fish" else "se"}
    output = run(env={"_CDS_SERVICE_COMPLETE": f"{shell}_complete", **words}, prog_name="cds-service").output
    assert {"serve", "services", "settings"} <= set(re.split(r"[\s,]+", output))


def test_wrong_usage_has_exit_code_2():
    assert run("call", "/nowhere.json").exit_code == 2
    assert run("dance").exit_code == 2


def test_wrong_settings_and_knowledge_have_exit_code_3(tmp_path):
    result = run("settings", env={"CDS_PORT": "zero"})
    assert result.exit_code == 3
    assert "CDS_PORT must be a whole number" in result.output
    (tmp_path / "x.json").write_text("{", encoding="utf-8")
    result = run("services", env={"CDS_SITE_VALUE_SETS": str(tmp_path)})
    assert result.exit_code == 3
    assert "Wrong knowledge: x.json: is not JSON" in result.output


def test_a_served_application_that_cannot_start_says_why(monkeypatch, tmp_path, capsys):
    environ = {"CDS_JWT": "services", "CDS_ISSUERS_FILE": str(tmp_path / "none"), "CDS_DATABASE_URL": "sqlite://"}
    monkeypatch.setattr(main.os, "environ", environ)
    with pytest.raises(SystemExit) as ended:
        main.serve()
    assert ended.value.code == 3
    assert "Cannot start: " in capsys.readouterr().err


def test_services_lists_prefetch_owner_and_review(monkeypatch):
    output = run("services").output
    assert "dry-needling-order-select  (order-select)" in output
    assert "conditions (required): Condition?patient={{context.patientId}}" in output
    assert "nothing overdue" in output
    monkeypatch.setattr(call, "local_time", lambda: datetime.fromisoformat("2030-01-01T00:00:00+00:00"))
    assert "OVERDUE: guideline, E1, " in run("services").output


def test_services_as_json_is_discovery(client):
    assert json.loads(run("services", "--json").output) == client.get("/cds-services").json


def test_settings_lists_every_setting_with_its_help():
    output = run("settings", env={"CDS_PORT": "9000"}).output
    for item in fields(Settings):
        assert environment_variable(item.name) in output
        assert item.metadata["help"] in output
    assert "CDS_PORT=9000  (default 8080)" in output


def test_every_setting_is_in_one_group():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(item.name for item in fields(Settings))


def test_the_settings_page_is_current():
    """After a change: `cds-service settings --markdown > cds_service/SETTINGS.md`."""
    assert (FIXTURES.parent / "cds_service" / "SETTINGS.md").read_text(encoding="utf-8") == page()
    assert run("settings", "--markdown", env={"CDS_PORT": "9000"}).output == page()


def test_the_served_application_spares_the_garbage_collector(monkeypatch, tmp_path):
    """What was loaded at start is not walked through during calls."""
    thresholds = gc.get_threshold()
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    own = {"CDS_DATA_FOLDER": str(tmp_path), "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite3"}
    monkeypatch.setattr(main.os, "environ", own)
    try:
        assert main.serve().test_client().get("/cds-services").status_code == 200
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def test_serve_does_not_wait_long_for_a_database_that_does_not_answer(monkeypatch):
    started, released = [], threading.Event()
    monkeypatch.setattr(commands.os, "execve", lambda *_: started.append(1))
    monkeypatch.setattr(commands.tempfile, "mkdtemp", lambda **_: "")
    monkeypatch.setattr(commands, "bring_up_to_date", lambda _: released.wait(60))
    monkeypatch.setattr(commands, "DATABASE_SECONDS", 0.01)
    assert run("serve").exit_code == 0
    released.set()
    assert started == [1]


def test_serve_starts_the_web_server_as_the_settings_say(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "DATABASE_SECONDS", 60)  # however busy the machine is, no thread outlives this test
    started = []
    environs = []
    monkeypatch.setattr(
        commands.os, "execve", lambda _, arguments, environ: (started.extend(arguments), environs.append(environ))
    )
    own = {"CDS_DATA_FOLDER": str(tmp_path), "CDS_DATABASE_URL": f"sqlite:///{tmp_path}/cds.sqlite3"}
    result = run("serve", env={"CDS_PORT": "9001", "CDS_WORKERS": "3", **own})
    assert result.exit_code == 0
    assert started[2] == "gunicorn"
    assert "127.0.0.1:9001" in started
    assert started[started.index("--workers") + 1] == "3"
    folder = Path(environs[0]["PROMETHEUS_MULTIPROC_DIR"])
    assert folder.is_dir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    web_server.remove_counts()
    assert not folder.exists()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    web_server.remove_counts()
    assert tmp_path.exists()  # a folder that the site chose is its own


def every_command(group=commands.main, path=()):
    """Yield every command with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = list(every_command())


def examples_of(command):
    """Return the lines below Example or Examples in a command's help."""
    _, _, below = run(*command, "--help").output.rpartition("\n  Example")
    return [line.strip() for line in below.splitlines()[1:] if line.strip()]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples_on_lines_of_their_own(command):
    output = run(*command, "--help").output
    assert "\\b" not in output
    assert examples_of(command)
    for line in examples_of(command):
        assert line.count(f"cds-service {' '.join(command)}") == 1
        assert f"    {line}\n" in output


@pytest.mark.parametrize("example", [line for command in COMMANDS for line in examples_of(command)])
def test_every_example_works_as_it_stands(example, tmp_path, monkeypatch):
    """In a folder like the repository's, with a request, and codes and knowledge of a site beside it."""
    (tmp_path / "fixtures").symlink_to(FIXTURES)
    (tmp_path / "hooks").symlink_to(FIXTURES.parent / "hooks")
    (tmp_path / "request.json").write_bytes(Path(CASE).read_bytes())
    (tmp_path / "our-codes").mkdir()
    (tmp_path / "our-knowledge").symlink_to(FIXTURES.parent / "hooks" / "dry_needling" / "knowledge")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands.os, "execve", lambda *_: None)  # a server would not end
    monkeypatch.setattr(commands, "DATABASE_SECONDS", 60)
    # A service elsewhere is not there; tests/system/test_smoke.py examines real ones.
    monkeypatch.setattr("cds_service.cli.smoke.examine", lambda *_: iter([Finding("discovery", False, "2 services")]))
    command, _, source = example.partition(" < ")
    words = shlex.split(command)
    start = words.index("cds-service")
    environ = dict(word.split("=", 1) for word in words[:start])
    arguments = words[start + 1 :]
    if arguments[0] in ("report", "purge", "export", "downgrade"):
        run("check", env=environ)  # makes the database, as a start does
    result = run(*arguments, env=environ, input=Path(source).read_bytes() if source else None)
    assert result.exit_code == 0, result.output
    assert result.output or arguments[0] in ("serve", "export")
