"""Tables of other code systems: the longest code decides, and a wrong file is refused by table and key."""

from __future__ import annotations

import doctest

import pytest

from cds_service.errors import KnowledgeError
from cds_service.fhir import code_tables, systems

TABLE = """
[icd]
title = "ICD-10"
systems = ["urn:oid:1.2.3.4"]
[icd.codes]
back = ["M54", "D80-D82"]
neck = ["M54.2"]
lumbar = ["M4?.6"]
not-recognized = ["M54.9"]
"""


def load(folder, text=TABLE):
    path = folder / "other_systems.toml"
    path.write_text(text, encoding="utf-8")
    return code_tables.load(path, {"back", "neck", "lumbar"})


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("M54", {"back"}),
        ("M545", {"back"}),
        ("M542", {"neck"}),
        ("M5429", {"neck"}),
        ("M549", set()),
        ("D81", {"back"}),
        ("D83", set()),
        ("M416", {"lumbar"}),
        ("M415", set()),
        ("M5", set()),
        ("", set()),
    ],
)
def test_the_longest_code_decides(plain, expected, tmp_path):
    (table,) = load(tmp_path)
    assert table.value_sets(plain) == expected


@pytest.mark.parametrize(
    ("text", "must_say"),
    [
        ("[icd", "other_systems.toml: is not TOML"),
        ("icd = 5", "other_systems.toml: icd: must be a table with title, systems and codes"),
        (TABLE.replace("title", "titel"), "other_systems.toml: icd: must be a table with title, systems and codes"),
        (TABLE.replace('"ICD-10"', "10"), "other_systems.toml: icd: title must be text"),
        (TABLE.replace('["urn:oid:1.2.3.4"]', "[]"), "other_systems.toml: icd: title must be text"),
        (
            TABLE.replace("neck =", "nekc ="),
            "other_systems.toml: icd: codes: 'nekc' is not a value set of this guideline",
        ),
        (TABLE.replace('["M54.2"]', "[542]"), "other_systems.toml: icd: codes: neck: must list codes as text"),
        (TABLE + TABLE.replace("icd", "two"), "other_systems.toml: urn:oid:1.2.3.4 is listed twice"),
    ],
)
def test_a_wrong_table_is_refused_by_name(text, must_say, tmp_path):
    with pytest.raises(KnowledgeError) as refused:
        load(tmp_path, text)
    assert str(refused.value).startswith(must_say)


def test_the_examples_in_docstrings_hold():
    assert doctest.testmod(systems).failed == 0


@pytest.mark.parametrize(
    ("block", "first", "last", "count"), [("O00-O9A", "O00", "O9A", 350), ("L00-L08", "L00", "L08", 9)]
)
def test_a_block_stands_for_all_its_categories(block, first, last, count):
    found = list(systems.categories(block))
    assert (found[0], found[-1]) == (first, last)
    assert len([code for code in found if code[1:].isdigit()]) <= len(found) <= count
