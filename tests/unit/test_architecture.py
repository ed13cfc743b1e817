"""Rules for the code that import contracts cannot express."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
MODULES = sorted(path for package in ("cds_service", "hooks") for path in (ROOT / package).rglob("*.py"))
BANNED = {"utils", "helpers", "common", "base", "manager", "core", "misc"}
HOMES = {
    "flask": {"cds_service/main.py", "cds_service/web/"},
    "flask_cors": {"cds_service/web/app.py"},
    "fhir": {"cds_service/fhir/conformance.py"},
    "requests": {"cds_service/cli/smoke_checks.py", "cds_service/outbound.py"},
    "limits": {"cds_service/web/"},
    "jwt": {"cds_service/trust/"},
    "sqlalchemy": {"cds_service/store/"},
    "alembic": {"cds_service/store/"},
    "prometheus_client": {"cds_service/web/metrics.py"},
    "waitress": {"cds_service/web/"},
    "gunicorn": {"cds_service/web/"},
    "click": {"cds_service/cli/"},
    "jinja2": {"cds_service/backtest/page.py", "cds_service/cli/deploy.py", "cds_service/web/"},
    "duckdb": {"cds_service/backtest/"},
    "pyarrow": {"cds_service/backtest/"},
    "structlog": {"cds_service/telemetry.py"},
}


def test_the_top_level_can_be_seen_at_a_glance():
    top = [path for path in (ROOT / "cds_service").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert len([path for path in top if not path.name.startswith("__")]) <= 16


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_small_says_its_job_first_and_has_a_good_name(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert len(text.splitlines()) <= 300
    assert path.stem not in BANNED


@pytest.mark.parametrize(("library", "homes"), HOMES.items())
def test_each_library_has_its_home(library, homes):
    used = {str(path.relative_to(ROOT)) for path in MODULES if library in imported(path)}
    assert {next((home for home in homes if name.startswith(home)), name) for name in used} == homes


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_function_and_class_has_a_docstring(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_nothing_catches_everything():
    """Every failure is a named error; the one handler for defects is registered with Flask, not an except."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None
                assert "Exception" not in {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}


def test_the_tour_of_the_code_is_short():
    """A newcomer understands a call and a guideline after 1,200 lines."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tour = text[text.index("Read in this order") : text.index("| package |")]
    files = re.findall(r"`([\w/]+\.py)`", tour)
    assert len(files) >= 8
    assert sum(len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in files) <= 1200
