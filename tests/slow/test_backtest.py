"""Spark decides what the embedded engine decides, row for row (issue 16, 3); needs Java and the extra `spark`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cds_service.backtest.reading import read_decisions
from tests.bench.export import make

pytestmark = pytest.mark.skipif(not shutil.which("java"), reason="there is no Java: apt install default-jre-headless")
PATIENTS = 2_000


def backtest(export: Path, out: Path, *options: str) -> None:
    environ = {**os.environ, "CDS_HASH_KEY": "a site's key for tests", "CDS_LOG_LEVEL": "error"}
    words = [sys.executable, "-m", "cds_service", "backtest", str(export), "--out", str(out), *options]
    subprocess.run(words, env=environ, check=True, timeout=3600)


def test_spark_equals_the_embedded_engine_row_for_row_on_2000_patients(tmp_path):
    pytest.importorskip("pyspark")
    make(tmp_path / "export", PATIENTS)
    backtest(tmp_path / "export", tmp_path / "embedded")
    backtest(tmp_path / "export", tmp_path / "spark", "--engine", "spark", "--master", "local[2]")
    one, other = (read_decisions(tmp_path / name / "decisions") for name in ("embedded", "spark"))
    assert one.num_rows
    assert one.equals(other)
