"""From one file of an export to its relevant lines, with DuckDB: the patient of each, and the outcome of all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from cds_service.backtest.history import element
from cds_service.backtest.lines import ExportFile, Faults, numbered
from cds_service.fhir import references

LINES = pa.schema([("number", pa.int64()), ("line", pa.string())])
KEPT = pa.schema([("patient", pa.string()), ("line", pa.string())])

_PLAIN = r"(?:\S*[/:])?[A-Za-z0-9._|+=@~-]{1,64}"
"""A reference that ends in its id: nearly all, and ten times faster to take apart."""
_LAST = r"^(?:\S*[/:])?([A-Za-z0-9._|+=@~-]{1,64})[/\s]*$"
"""The last part of a reference that names no version: `Patient/x`, an absolute URL or `urn:uuid:x` (hazards)."""

_READ = f"""
SELECT number, line, found IS NULL AS invalid, found[1] AS kind, found[4] AS id,
    split_part(coalesce(found[2], found[3], ''), '/_history/', 1) AS whose,
    CASE WHEN kind = 'Patient' THEN id
         WHEN whose LIKE '#%' OR whose LIKE '%?%' THEN ''
         WHEN regexp_full_match(whose, '{_PLAIN}') THEN split_part(split_part(whose, '/', -1), ':', -1)
         ELSE regexp_extract(whose, '{_LAST}', 1) END AS patient
FROM (SELECT number, line, TRY(json_extract_string(line,
    ['$.resourceType', '$.subject.reference', '$.patient.reference', '$.id'])) AS found FROM lines)
"""
# Of what no template asks for by its code there remains which version it is: it may be the later one of a copy.
_SCANNED = f"""
CREATE TEMP TABLE scanned AS
SELECT number,
    CASE WHEN invalid AND regexp_full_match(line, '[\\s\\v]*') THEN 'blank'
         WHEN invalid OR coalesce(read.kind, '') = '' THEN 'invalid'
         WHEN asked.kind IS NULL THEN 'not asked for'
         WHEN read.patient IS NULL OR read.patient = '' THEN 'without subject'
         WHEN gone.reference IS NOT NULL THEN 'deleted'
         WHEN wanted.patient IS NULL THEN 'not wanted'
         ELSE 'kept' END AS state,
    CASE WHEN state = 'kept' THEN wanted.patient END AS patient,
    CASE WHEN state <> 'kept' THEN NULL
         WHEN asked.codes IS NULL OR read.id IS NULL
             OR list_has_any(json_extract_string(line, '$.code.coding[*].code'), asked.codes) THEN line
         ELSE json_object('resourceType', read.kind, 'id', read.id, 'meta', json_extract(line, '$.meta')) END AS line,
    CASE WHEN whose LIKE 'http%/Patient/%' THEN regexp_extract(whose, '^(.*)/Patient/', 1) END AS server
FROM ({_READ}) AS read
LEFT JOIN asked ON asked.kind = read.kind
LEFT JOIN aliases ON aliases.former = read.patient
LEFT JOIN wanted ON wanted.patient = coalesce(aliases.patient, read.patient)
LEFT JOIN gone ON gone.reference = read.kind || '/' || read.id
"""


@dataclass(slots=True)
class Scanned:
    """The outcome of the lines of one file.

    Attributes:
        name: the file's, within the export.
        states: lines by outcome: kept, not wanted, not asked for, without subject, deleted, invalid, blank.
        faults: number and kind of each line that was left out because of what it is.
        unreadable: why the file could not be read to its end, or "".
        servers: bases of absolute references to patients.
    """

    name: str
    states: dict[str, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)
    unreadable: str = ""
    servers: list[str] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Return how many lines the file has."""
        return sum(self.states.values())

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a scan looks for.

    Attributes:
        asked: Arrow table `kind`, `codes`: types that somebody reads, with which codes; null for any.
        patients: Arrow table with one column, `patient`: whose lines are kept.
        aliases: Arrow table `former`, `patient`: ids of patients who were merged.
        gone: Arrow table `reference`: resources that the export says are deleted.
    """

    asked: pa.Table
    patients: pa.Table
    aliases: pa.Table
    gone: pa.Table


def connection(memory: str, threads: int, folder: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Return an engine of its own that keeps within its memory and spills into a folder."""
    made = duckdb.connect(config={"memory_limit": memory, "threads": threads})
    made.execute("SET preserve_insertion_order = false")
    made.execute("SET enable_progress_bar = false")
    # It takes a stream of lines for the smaller side of a join, and would keep all of them in a hash table.
    made.execute("SET disabled_optimizers = 'build_side_probe_side'")
    if folder is not None:
        made.execute("SET temp_directory = $1", [str(folder)])
    return made


def batches(path: Path, faults: Faults) -> pa.RecordBatchReader:
    """Return a file's lines as Arrow batches."""

    def made() -> Iterator[pa.RecordBatch]:
        """Yield a batch for each block."""
        for first, found in numbered(path, faults):
            text = found.view(pa.string())  # checked to be UTF-8
            yield pa.record_batch([pa.arange(first, first + len(found)), text], schema=LINES)

    return pa.RecordBatchReader.from_batches(LINES, made())


def scan(engine: duckdb.DuckDBPyConnection, file: ExportFile, root: Path, wanted: Wanted) -> tuple[Scanned, pa.Table]:
    """Read one file.

    Returns:
        The outcome of its lines, and the kept lines with their patient.
    """
    faults = Faults()
    lines = batches(file.path, faults)  # named in _READ
    tables = {"asked": wanted.asked, "wanted": wanted.patients, "aliases": wanted.aliases, "gone": wanted.gone}
    for name, table in tables.items():
        engine.register(name, table)
    engine.register("lines", lines)
    engine.execute("DROP TABLE IF EXISTS scanned")
    engine.execute(_SCANNED)
    states: Counter[str] = Counter(dict(engine.execute("SELECT state, count(*) FROM scanned GROUP BY ALL").fetchall()))
    named = "SELECT number, state FROM scanned WHERE state IN ('invalid', 'without subject') ORDER BY number"
    wrong = [*faults.lines, *engine.execute(named).fetchall()]
    states.update({"invalid": len(faults.lines), "blank": -len(faults.lines)})  # they were read as empty
    servers = engine.execute("SELECT DISTINCT server FROM scanned WHERE server IS NOT NULL ORDER BY ALL").fetchall()
    kept: pa.Table = engine.sql("SELECT patient, line FROM scanned WHERE state = 'kept'").to_arrow_table()
    engine.execute("DROP TABLE scanned")
    found = Scanned(
        name=str(file.path.relative_to(root)),
        states={name: number for name, number in sorted(states.items()) if number},
        faults=sorted(wrong),
        unreadable=faults.unreadable,
        servers=[server for (server,) in servers],
    )
    return found, kept.cast(KEPT)


def orders(engine: duckdb.DuckDBPyConnection, file: ExportFile) -> tuple[pa.Table, int]:
    """Return patient and code of every order in a file, and how many orders it has."""
    engine.register("lines", batches(file.path, Faults()))
    read = f"SELECT patient, json_extract_string(line, '$.code') AS code FROM ({_READ}) WHERE patient <> ''"
    engine.execute(f"CREATE OR REPLACE TEMP TABLE read AS {read}")
    ((number,),) = engine.execute("SELECT count(*) FROM read").fetchall()
    return engine.sql("SELECT DISTINCT patient, code FROM read").to_arrow_table(), number


def deal(engine: duckdb.DuckDBPyConnection, kept: str, parts: int, folder: Path) -> None:
    """Deal kept lines to parts by patient, each part a folder of its own."""
    dealt = f"SELECT patient, line, hash(patient) % {parts} AS part FROM read_parquet($kept)"
    told = {"kept": kept, "folder": str(folder)}
    engine.execute(f"COPY ({dealt}) TO $folder (FORMAT parquet, PARTITION_BY (part))", told)


def in_scope(engine: duckdb.DuckDBPyConnection, kept: str, codes: Sequence[str | None]) -> int:
    """Return how many orders of kept lines have one of these codes, each once."""
    engine.register("codes", pa.table({"code": pa.array(codes, pa.string())}))
    counted = """
        SELECT count(DISTINCT (patient, kind, coalesce(nullif(id, ''), line)))
        FROM (SELECT *, json_extract_string(line, ['$.resourceType', '$.id', '$.code']) AS found,
                     found[1] AS kind, found[2] AS id FROM read_parquet($kept))
        WHERE kind IN ('ServiceRequest', 'ProcedureRequest') AND EXISTS (
            SELECT 1 FROM codes WHERE codes.code IS NOT DISTINCT FROM found[3])
    """
    ((number,),) = engine.execute(counted, {"kept": kept}).fetchall()
    return int(number)


def merges(patient: object) -> list[tuple[str, str]]:
    """Return the ids of merged patients that a Patient names in its links, each with the id that stands for it now."""
    found: list[tuple[str, str]] = []
    listed = patient.get("link") if isinstance(patient, dict) else None
    for link in listed if isinstance(listed, list) else ():
        other = element(link, "other.reference") if isinstance(link, dict) else None
        if isinstance(patient, dict) and isinstance(other, str) and isinstance(patient.get("id"), str):
            _, name = references.named(other)
            if link.get("type") == "replaced-by":
                found.append((patient["id"], name))
            elif link.get("type") == "replaces":
                found.append((name, patient["id"]))
    return found
