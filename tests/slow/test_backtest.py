"""Large sets: runs that are killed go on, and Spark decides what the embedded engine decides (issue 16, 3)."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import orjson
import pytest

from cds_service.backtest.reading import read_decisions
from tests.bench.export import make
from tests.killing import backtest, killed

PATIENTS = 2_000
MOMENTS = 10
MASTER = os.environ.get("SPARK_MASTER", "local[2]")
"""A standalone master and two workers with `make backtest-cluster`."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """Return a folder with an export, what is decided about it, and how long that took from the first file on."""
    folder = tmp_path_factory.mktemp("large")
    make(folder / "export", PATIENTS)
    backtest(folder / "export", folder / "out")
    return folder


def decisions(out: Path):
    return read_decisions(out / "decisions")


def test_a_run_killed_at_ten_random_moments_goes_on_to_the_same_decisions(reference, tmp_path):
    begun = (reference / "out" / "run.json").stat().st_mtime
    took = (reference / "out" / "report.html").stat().st_mtime - begun
    dice, alive = random.Random(time.time_ns()), 0
    for number in range(MOMENTS):
        out = tmp_path / str(number)
        alive += killed(reference / "export", out, moment := dice.uniform(0, took))
        backtest(reference / "export", out)
        assert decisions(out).equals(decisions(reference / "out")), f"killed after {moment:.3f} s"
        assert not (out / "work").exists()
    assert alive, "no run was killed before its end"


def test_a_line_of_30_mb_is_read_and_one_of_70_mb_is_left_out_and_named(reference, tmp_path):
    export = shutil.copytree(reference / "export", tmp_path / "export")
    subject = {"reference": "Patient/pt-0000001"}
    with (export / "Condition.0000.ndjson").open("ab") as file:
        for number, size in enumerate((30_000_000, 70_000_000)):
            long = {
                "resourceType": "Condition",
                "id": f"long-{number}",
                "recordedDate": "2030-01-01",
                "subject": subject,
                "note": [{"text": "x" * size}],
            }
            file.write(orjson.dumps(long) + b"\n")
    backtest(export, tmp_path / "out")
    found, wanted = decisions(tmp_path / "out"), decisions(reference / "out")
    assert found.column("rule").equals(wanted.column("rule"))
    (fault,) = map(orjson.loads, (tmp_path / "out" / "faults.ndjson").read_bytes().splitlines())
    assert (fault["file"], fault["fault"]) == ("Condition.0000.ndjson", "too long")


@pytest.mark.skipif(not shutil.which("java"), reason="there is no Java: apt install default-jre-headless")
def test_spark_equals_the_embedded_engine_row_for_row_on_2000_patients(reference, tmp_path):
    pytest.importorskip("pyspark", reason="there is no Spark: pip install 'dry-needling-cds[spark]'")
    backtest(reference / "export", tmp_path / "spark", "--engine", "spark", "--master", MASTER)
    one, other = decisions(reference / "out"), decisions(tmp_path / "spark")
    assert one.num_rows
    assert one.equals(other)
    told = [orjson.loads((folder / "summary.json").read_bytes()) for folder in (reference / "out", tmp_path / "spark")]
    assert told[0] == told[1]
