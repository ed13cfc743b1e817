"""The engine on a cluster: Spark deals files and patients to executors; reading and deciding are ours, unchanged.

Executors read the export and write what they keep themselves, so the folders of both must be where they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from cds_service.backtest import reading, scan
from cds_service.backtest.asking import Versions
from cds_service.backtest.decisions import decide_batches
from cds_service.backtest.lines import ExportFile
from cds_service.backtest.reading import Totals
from cds_service.backtest.rows import DECISIONS
from cds_service.backtest.run import Plan, Progress
from cds_service.backtest.scan import KEPT, Wanted
from cds_service.backtest.sessions import ORDER_TYPES

_ORDERS = pa.schema([("patient", pa.string()), ("code", pa.string()), ("number", pa.int64())])
_MERGES = pa.schema([("former", pa.string()), ("patient", pa.string())])
_SCANNED = pa.schema([*KEPT, ("told", pa.string())])
_ReadFile = Callable[[ExportFile], Iterable[pa.Table]]


def run(master: str, plan: Plan, versions: Versions, progress: Progress) -> Totals:
    """Decide every order in scope of an export into `decisions`, on a cluster.

    Args:
        master: Spark's master, such as `local[2]` or `spark://host:7077`.
        plan: the run.
        versions: the guidelines; executors load them themselves.
        progress: told when a stage is done.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else executors take the system's Python
    builder = SparkSession.builder.master(master).appName("cds-service backtest")
    settings = {
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "2048",
        "spark.sql.shuffle.partitions": str(plan.parts),
        "spark.ui.enabled": "false",
    }
    spark = builder.config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        return _run(spark, plan, versions, progress)
    finally:
        spark.stop()


def _run(spark: SparkSession, plan: Plan, versions: Versions, progress: Progress) -> Totals:
    found = _over(spark, [file for _, file in plan.read(ORDER_TYPES)], _orders(plan), _ORDERS).toArrow()
    codes: dict[str | None, bool] = {}
    patients = reading.in_scope(found.filter(pc.field("number") == 0), versions, codes)
    merges = _over(spark, [file for _, file in plan.read(("Patient",))], _merges, _MERGES).toArrow()
    reading.people(plan, versions.kinds, patients, zip(*merges.to_pydict().values(), strict=True))
    progress("orders", 1, 1)
    kept = str(plan.work / "kept")
    files = [file for _, file in plan.read(tuple(versions.kinds))]
    _over(spark, files, _scan(plan, reading.wanted_of(plan)), _SCANNED).write.mode("overwrite").parquet(kept)
    told = [orjson.loads(text) for text in pq.read_table(kept, columns=["told"]).column("told").drop_null().to_pylist()]
    progress("lines", 1, 1)
    mine = spark.read.parquet(kept).where("line IS NOT NULL").select("patient", "line")
    dealt = mine.repartition(plan.parts, "patient").sortWithinPartitions("patient")
    setup = plan.setup
    rows = dealt.mapInArrow(lambda batches: decide_batches(batches, setup), from_arrow_schema(DECISIONS))
    rows.write.mode("overwrite").parquet(str(plan.decisions))
    progress("decisions", 1, 1)
    with scan.connection(plan.memory, plan.processes, plan.work) as engine:
        in_scope = scan.in_scope(engine, f"{kept}/*.parquet", [code for code, meant in codes.items() if meant])
    read = sorted(map(reading.file_read, told), key=lambda file: file.scanned.name)
    orders = sum(found.column("number").to_pylist())
    return reading.totals(plan, read, orders, in_scope, mine.count())


def _over(spark: SparkSession, files: Sequence[ExportFile], read: _ReadFile, schema: pa.Schema) -> DataFrame:
    """Return what reading each file gives, a task for each."""
    numbers = spark.sparkContext.parallelize([(number,) for number in range(len(files))], max(1, len(files)))

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Read the files of a task."""
        for batch in batches:
            for number in batch.column("number").to_pylist():
                for table in read(files[number]):
                    yield from table.to_batches(max_chunksize=2048)

    return spark.createDataFrame(numbers, "number int").mapInArrow(task, from_arrow_schema(schema))


def _orders(plan: Plan) -> _ReadFile:
    def read(file: ExportFile) -> Iterator[pa.Table]:
        """Yield patient and code of a file's orders, and how many orders it has on its first row."""
        with scan.connection(plan.memory, 1) as engine:
            found, number = scan.orders(engine, file)
        counts = [number] + [0] * found.num_rows
        columns = [[None, *found.column(name).to_pylist()] for name in ("patient", "code")]
        yield pa.table([*columns, counts], schema=_ORDERS)

    return read


def _merges(file: ExportFile) -> Iterator[pa.Table]:
    found = reading.merges_in(file)
    yield pa.table([[former for former, _ in found], [now for _, now in found]], schema=_MERGES)


def _scan(plan: Plan, wanted: Wanted) -> _ReadFile:
    def read(file: ExportFile) -> Iterator[pa.Table]:
        """Yield a file's kept lines, and the outcome of the others in a separate row."""
        with scan.connection(plan.memory, 1) as engine:
            found, kept = scan.scan(engine, file, plan.export, wanted)
        document = reading.told_of(file, found, verify=plan.verify)
        yield kept.append_column(_SCANNED.field("told"), pa.nulls(kept.num_rows, pa.string()))
        yield pa.table([[None], [None], [orjson.dumps(document).decode()]], schema=_SCANNED)

    return read
