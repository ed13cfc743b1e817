"""A second guideline as a package of its own, beside ours: everything works for two, and for any hook (F-B8)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from cds_service.call import answer
from cds_service.cli import main
from cds_service.errors import KnowledgeError, UnknownService
from cds_service.guideline.services import Registry
from cds_service.main import load_registry
from cds_service.store.tables import cards as kept_cards
from cds_service.web.app import create_app
from tests.cases import KNOWLEDGE, TODAY, own_settings
from tests.charts import condition, request

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "tests" / "example_guideline"
CASES = {path.stem: orjson.loads(path.read_bytes()) for path in sorted((EXAMPLE / "cases").glob("*.json"))}
BOTH = "dry-needling,lumbar-imaging"
IMAGING = CASES["imaging-in-week-three"]["request"]
DAY = date(2026, 11, 23)


@pytest.fixture(scope="session")
def site_packages(tmp_path_factory):
    """The example installed by pip, into a folder that only these tests look into."""
    source, target = tmp_path_factory.mktemp("source") / "example", tmp_path_factory.mktemp("site-packages")
    shutil.copytree(EXAMPLE, source)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, capture_output=True)
    return target


@pytest.fixture(autouse=True)
def _forgotten():
    """Each test imports its own copy of the example."""
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "lumbar_imaging"]:
        del sys.modules[name]


@pytest.fixture
def installed(site_packages, monkeypatch):
    monkeypatch.syspath_prepend(str(site_packages))
    return site_packages


@pytest.fixture
def both(installed):
    return load_registry(own_settings(guidelines=BOTH))


@pytest.fixture
def client(both):
    app = create_app(own_settings(guidelines=BOTH), both.services, clock=lambda: TODAY)
    yield app.test_client()
    app.extensions["store"].recorder.close()
    app.extensions["store"].database.close()


def ids(registry):
    return [service.id for service in registry.services]


def test_what_is_installed_is_offered_only_when_it_is_on(installed):
    """`make run` never offers a test article."""
    assert ids(load_registry(own_settings())) == ["dry-needling-order-select", "dry-needling-order-sign"]
    imaging = [f"lumbar-imaging-{hook}" for hook in ("order-select", "order-sign", "patient-view")]
    assert ids(load_registry(own_settings(guidelines="lumbar-imaging"))) == imaging


def test_a_folder_needs_no_packaging():
    on = own_settings(guidelines=BOTH, guideline_folders=str(EXAMPLE / "lumbar_imaging"))
    assert len(load_registry(on).services) == 5


@pytest.mark.parametrize("name", CASES)
def test_the_second_guideline_answers_its_own_cases(name, both):
    case = CASES[name]
    service = f"lumbar-imaging-{case['request']['hook']}"
    answered = answer(both, service, orjson.dumps(case["request"]), DAY)
    fired = [advice.subject.rule for advice in answered.guidance.advice]
    assert fired == [f"lumbar-imaging/{rule}" for rule in case["rules"]]
    for card in orjson.loads(answered.body)["cards"]:
        assert "test article" in card["detail"]


def test_each_guideline_answers_for_itself_and_no_two_cards_share_an_id(both):
    """A client asks all services of a hook with one hookInstance."""
    sent = request(condition("M54.50", onsetDateTime="2026-11-01"))
    second = orjson.loads(orjson.dumps(IMAGING))
    sent["hookInstance"] = second["hookInstance"]
    sent["context"]["draftOrders"]["entry"] += second["context"]["draftOrders"]["entry"]
    sent["context"]["selections"] += second["context"]["selections"]
    found = [
        orjson.loads(answer(both, f"{name}-order-select", orjson.dumps(sent), DAY).body)["cards"]
        for name in ("dry-needling", "lumbar-imaging")
    ]
    uuids = [card["uuid"] for cards in found for card in cards]
    assert len(set(uuids)) == len(uuids) == 2
    assert [card["extension"]["org.dry-needling-cds.explanation"]["orders"] for cards in found for card in cards] == [
        ["ServiceRequest/order"],
        ["ServiceRequest/imaging"],
    ]


def test_a_patient_without_orders_can_be_referred_and_nothing_else(both):
    sent = orjson.dumps(CASES["chart-opened-in-week-three"]["request"])
    (card,) = orjson.loads(answer(both, "lumbar-imaging-patient-view", sent, DAY).body)["cards"]
    assert card["summary"].startswith("This patient: ")
    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    assert (action["type"], action["resource"]["subject"]) == ("create", {"reference": "Patient/p1"})


@pytest.mark.parametrize(
    ("hook", "context"),
    [
        ("order-dispatch", {"order": "ServiceRequest/1", "performer": "Practitioner/1"}),
        ("encounter-start", {"userId": "Practitioner/1", "encounterId": "e1"}),
        ("encounter-discharge", {"userId": "Practitioner/1", "encounterId": "e1"}),
        ("appointment-book", {"userId": "Practitioner/1", "appointments": {"resourceType": "Bundle"}}),
        ("our-own-hook", {"anything": [1, 2]}),
    ],
)
def test_any_hook_is_answered_about_the_patient(hook, context, both):
    service = replace(both.services[-1], hook=hook, id=f"lumbar-imaging-{hook}")
    sent = {**CASES["chart-opened-in-week-three"]["request"], "hook": hook, "context": {"patientId": "p1", **context}}
    answered = answer(Registry([service]), "", orjson.dumps(sent), DAY)
    assert len(orjson.loads(answered.body)["cards"]) == 1
    assert answered.guidance.orders == 0


def test_a_guideline_about_orders_decides_about_the_patient_where_there_are_none(both):
    service = replace(both.services[0], hook="patient-view")
    sent = {**CASES["chart-opened-in-week-three"]["request"]}
    assert orjson.loads(answer(Registry([service]), "", orjson.dumps(sent), DAY).body)["cards"] == []


def test_a_shared_id_joins_the_hooks_of_one_guideline(installed):
    shared = load_registry(own_settings(guidelines=BOTH, shared_service_id="lumbar-imaging"))
    assert ids(shared) == ["dry-needling-order-select", "dry-needling-order-sign", *["lumbar-imaging"] * 3]
    assert [service.hook for service in shared.named("lumbar-imaging")][-1] == "patient-view"
    with pytest.raises(UnknownService):
        shared.named("lumbar-imaging-patient-view")
    with pytest.raises(KnowledgeError, match="must be the id of one of them: dry-needling, lumbar-imaging"):
        load_registry(own_settings(guidelines=BOTH, shared_service_id="ours"))


def test_two_services_of_one_id_and_hook_are_refused(both):
    with pytest.raises(KnowledgeError, match="two services are called dry-needling-order-select"):
        Registry([*both.services, both.services[0]])


def test_a_sites_value_set_extends_whichever_guideline_has_it(installed, tmp_path):
    local = {"system": "https://clinic.example.org", "concept": [{"code": "MRI-L"}]}
    value_set = {"resourceType": "ValueSet", "id": "lumbar-imaging-orders", "compose": {"include": [local]}}
    (tmp_path / "ours.json").write_bytes(orjson.dumps(value_set))
    registry = load_registry(own_settings(guidelines=BOTH, site_value_sets=str(tmp_path)))
    sent = orjson.loads(orjson.dumps(IMAGING))
    sent["context"]["draftOrders"]["entry"][0]["resource"]["code"]["coding"] = [
        {"system": "https://clinic.example.org", "code": "MRI-L"}
    ]
    assert answer(registry, "lumbar-imaging-order-select", orjson.dumps(sent), DAY).guidance.advice
    (tmp_path / "ours.json").write_bytes(orjson.dumps({**value_set, "id": "nobody"}))
    with pytest.raises(KnowledgeError, match=r"ours\.json: id: 'nobody' is not the id of a guideline's value set"):
        load_registry(own_settings(guidelines=BOTH, site_value_sets=str(tmp_path)))


def test_evidence_has_a_page_for_each_guideline_and_unique_anchors(client, both):
    whole = client.get("/evidence").text
    anchors = re.findall(r' id="([^"]+)"', whole)
    assert len(anchors) == len(set(anchors))
    assert "R1" in anchors  # what cards linked to before there were several guidelines
    (card,) = client.post("/cds-services/lumbar-imaging-order-select", json=IMAGING).json["cards"]
    url, anchor = card["links"][0]["url"].removeprefix("http://127.0.0.1:8080").split("#")
    assert (url, anchor) == ("/evidence/lumbar-imaging", "lumbar-imaging-R1")
    page = client.get(url).text
    assert f'id="{anchor}"' in page
    assert anchor in anchors
    assert "Dry needling at order entry" not in page
    assert 'href="../static/style.css"' in page
    assert client.get("/evidence/nobody").status_code == 404


def test_readiness_metrics_records_and_preview_name_the_guideline(client):
    ready = client.get("/health/ready").json
    assert ready["status"] == "ready"
    assert set(ready["guidelines"]) == {"dry-needling", "lumbar-imaging"}
    assert len(client.post("/cds-services/lumbar-imaging-order-select", json=IMAGING).json["cards"]) == 1
    assert 'rule="lumbar-imaging/R1"' in client.get("/metrics").text
    store = client.application.extensions["store"]
    assert store.recorder.settle()
    with store.database.reading() as connection:
        assert "lumbar-imaging/R1" in connection.execute(select(kept_cards.c.rule)).scalars().all()
    preview = client.get("/").text
    assert "MRI of the lumbar spine" in preview
    traced = client.post("/preview/trace?service=lumbar-imaging-order-select", json=IMAGING).json["trace"]
    assert (traced["guideline"], traced["decisions"][0]["rule"]) == ("lumbar-imaging", "R1")


def run(*arguments, **environ):
    return CliRunner().invoke(main, list(arguments), env={"CDS_GUIDELINES": BOTH, **environ})


def test_the_command_line_chooses_and_checks_guidelines(installed, tmp_path):
    (tmp_path / "request.json").write_bytes(orjson.dumps(IMAGING))
    arguments = ["call", "--today", "2026-11-23", str(tmp_path / "request.json")]
    assert "Lumbar imaging: seldom useful" in run(*arguments, "--service", "lumbar-imaging-order-select").output
    assert "No card" in run(*arguments, "--service", "dry-needling-order-select").output
    checked = run("check", CDS_DATA_FOLDER=str(tmp_path), CDS_DATABASE_URL=f"sqlite:///{tmp_path}/x.sqlite3").output
    assert f"dry-needling {KNOWLEDGE.version}" in checked
    assert "lumbar-imaging 0.1.0+" in checked


def broken(folder, init=None, **texts):
    copied = folder / "lumbar_imaging"
    shutil.copytree(EXAMPLE / "lumbar_imaging", copied, ignore=shutil.ignore_patterns("__pycache__"))
    if init is not None:
        (copied / "__init__.py").write_text(init, encoding="utf-8")
    for old, new in texts.values():
        rules = copied / "knowledge" / "rules.toml"
        rules.write_text(rules.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return str(copied)


@pytest.mark.parametrize(
    ("init", "texts", "said"),
    [
        ("import nothing_there", {}, "guideline lumbar-imaging: cannot be imported: ModuleNotFoundError"),
        ("GUIDELINE = 5", {}, "guideline lumbar-imaging: GUIDELINE must be a"),
        ("x = 5", {}, "guideline lumbar-imaging: cannot be imported: AttributeError"),
        (
            None,
            {"fact": ("red_flag = false", "red_flags = false")},
            "guideline lumbar-imaging: rules.toml: rule R1: when",
        ),
        (None, {"id": ('= "lumbar-imaging"', '= "lumbar"')}, "id: must be 'lumbar-imaging', as it is called"),
        (None, {"topic": ("LumbarImagingNotYet", "LumbarImagingFirstSixWeeks")}, "topic: is that of rule R1 already"),
        (None, {"name": ('"R2"', f'"{"R" * 30}"')}, "must have at most 40 characters"),
    ],
)
def test_a_broken_guideline_stops_the_start_with_its_name_and_fault(init, texts, said, tmp_path):
    folder = broken(tmp_path, init, **texts)
    result = run("check", CDS_GUIDELINE_FOLDERS=folder, CDS_DATABASE_URL=f"sqlite:///{tmp_path}/x.sqlite3")
    assert result.exit_code == 3
    assert said in result.output
    assert run("services", CDS_GUIDELINE_FOLDERS=folder).exit_code == 3


def test_a_guideline_that_is_not_there_is_named_with_the_closest(tmp_path):
    said = run("services", CDS_GUIDELINES="dry-needlin").output
    assert "no guideline is called 'dry-needlin'; did you mean 'dry-needling'?" in said
    assert "there is no __init__.py in it" in run("services", CDS_GUIDELINE_FOLDERS=str(tmp_path)).output


def python_lines(folder):
    return [path.read_text(encoding="utf-8").splitlines() for path in sorted(folder.rglob("*.py"))]


def test_the_second_guideline_is_short_and_repeats_nothing():
    """A guideline is knowledge and two verbs: at most 100 lines of Python, no six of which stand elsewhere."""
    ours = python_lines(EXAMPLE)
    assert sum(map(len, ours)) <= 100

    def runs(files):
        for lines in files:
            told = [line.strip() for line in lines if line.strip()]
            yield from ("\n".join(told[start : start + 6]) for start in range(len(told) - 5))

    elsewhere = set(runs([*python_lines(ROOT / "cds_service"), *python_lines(ROOT / "hooks")]))
    assert elsewhere.isdisjoint(runs(ours))
