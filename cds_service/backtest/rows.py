"""One row for each order in scope: what was decided and what the figures need, and nothing that is a chart's."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import pyarrow as pa

DECIDED, OUTSIDE, SILENT = "decided", "outside the period", "silent"

_ARROW = {"str": pa.string(), "bool": pa.bool_(), "int": pa.int32(), "list[str]": pa.list_(pa.string())}


@dataclass(slots=True)
class Row:
    """One order in scope of one guideline.

    Attributes:
        guideline: id of the guideline.
        order, patient, session, clinician, department: keyed hashes; "" where there is none.
        day: the order's calendar day.
        outcome: decided, or why not: undated, refused 412, failed and the error's class, status or intent.
        rule, indicator: what was decided; the indicator of a rule without a card is silent.
        notes: ids of the notes that join.
        facts: every fact as `name=value`.
        other_rule: the rule without what is uncertain; the same where nothing is, or where it makes no difference.
        causes: why something is uncertain.
        rule_b, indicator_b, facts_b: the same by the knowledge folder compared with.
        missing: what was not available, in the guideline's words.
        unreadable, uncoded: whether entries could not be read, or carry no code.
        later: entries of the chart that were recorded afterwards and left out.
        in_error: entries of the chart that are marked as entered in error now.
        deciding, deciding_changed: chart entries that decided, and how many of them changed afterwards.
        status: the order's status.
        codes: the order's codes, as far as the guideline's value sets know them.
        done: it was completed, or the procedure followed within 90 days.
        problems: how many problems were on file.
        in_utc: the order's moment is written in UTC.
        together: orders that were signed in the session.
        copies: on a patient's first row, how many copies of resources there were, and how one was chosen.
        grounds: problems in our value sets, with days before the order, for a trace.
    """

    guideline: str = ""
    order: str = ""
    patient: str = ""
    session: str = ""
    clinician: str = ""
    department: str = ""
    day: str = ""
    outcome: str = DECIDED
    rule: str = ""
    indicator: str = ""
    notes: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    other_rule: str = ""
    causes: list[str] = field(default_factory=list)
    rule_b: str = ""
    indicator_b: str = ""
    facts_b: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unreadable: bool = False
    uncoded: bool = False
    later: list[str] = field(default_factory=list)
    in_error: int = 0
    deciding: int = 0
    deciding_changed: int = 0
    status: str = ""
    codes: list[str] = field(default_factory=list)
    done: bool = False
    problems: int = 0
    in_utc: bool = False
    together: int = 0
    copies: list[str] = field(default_factory=list)
    grounds: list[str] = field(default_factory=list)


DECISIONS = pa.schema([(item.name, _ARROW[str(item.type)]) for item in fields(Row)])


def batch(rows: list[Row]) -> pa.RecordBatch:
    """Return rows as an Arrow batch."""
    columns = {name: [getattr(row, name) for row in rows] for name in DECISIONS.names}
    return pa.RecordBatch.from_pydict(columns, schema=DECISIONS)
