"""Predicted beside real cards per 100 orders (issue 16, 6)."""

from __future__ import annotations

import json
from dataclasses import replace

import click
import pytest

from cds_service.cli import prediction
from cds_service.store.database import Database
from cds_service.store.period import Period
from cds_service.store.report import Group, report

SUMMARY = {
    "cards_per_100_in_scope": 90.0,
    "by_rule": [
        {"guideline": "dry-needling", "rule": "R1", "cards_per_100_in_scope": 40.0},
        {"guideline": "dry-needling", "rule": "R5", "cards_per_100_in_scope": None},
    ],
}


@pytest.fixture
def found(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/cds.sqlite3")
    empty = report(database, Period(None, None, ""))
    database.close()
    groups = (Group("dry-needling/R1", cards=9, repeats=1), Group("R7", cards=10))
    return replace(empty, orders=40, total=Group("all", cards=19, repeats=1), by_rule=groups)


@pytest.fixture
def forecast(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(SUMMARY), "utf-8")
    return prediction.read(path)


def test_rules_are_told_with_both_figures_whether_stored_with_their_guideline_or_without(forecast, found):
    assert prediction.beside(forecast, found) == {
        "all": {"predicted": 90.0, "real": 50.0},
        "dry-needling/R1": {"predicted": 40.0, "real": 25.0},
        "dry-needling/R5": {"predicted": None, "real": 0.0},
        "R7": {"predicted": None, "real": 25.0},
    }
    assert "  dry-needling/R1                      40.0       25.0" in prediction.as_table(forecast, found)


def test_without_orders_nothing_is_real(forecast, found):
    assert prediction.beside(forecast, replace(found, orders=0))["all"] == {"predicted": 90.0, "real": None}


def test_a_file_that_is_no_summary_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("{}", "utf-8")
    with pytest.raises(click.BadParameter):
        prediction.read(tmp_path / "x.json")
