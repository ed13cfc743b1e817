"""Calls, cards and feedback made by a fixed recipe, so that every figure of a report can be counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from cds_service.store.database import Database
from cds_service.store.records import CallRecord, CardRecord, FeedbackRecord, Rows, merged
from cds_service.store.writing import write

FIRST = datetime.fromisoformat("2026-08-31T08:00:00+00:00")
"""A Monday."""

RULES = ("R1", "R7", "R4", "", "R7", "R1", "", "R5", "R7", "R8")
"""What ten calls are answered with, again and again; "" is silence."""

REASONS = ("prefers-alternative", "risk-benefit-ratio", "prefers-alternative", "")


def records(number: int, first: datetime = FIRST, days: int = 84) -> Iterator[Rows]:
    """Yield so many calls spread over so many days, and feedback on two cards of three."""
    for call in range(number):
        received = first + timedelta(days=days) * call / number
        rule = RULES[call % len(RULES)]
        hook = "order-sign" if call % 4 == 3 else "order-select"
        card = str(uuid5(NAMESPACE_URL, f"card {call}"))
        repeat = rule == "R1" and hook == "order-sign"
        shown = CardRecord(
            card, f"dry-needling/{rule}", "warning" if rule == "R1" else "info", ("20560",), frozenset({f"o{call}"}),
            frozenset({f"g{call}"}), repeat, {str(uuid5(NAMESPACE_URL, f"suggestion {call}")): "remove-order"},
        )  # fmt: skip
        yield CallRecord(
            id=str(uuid5(NAMESPACE_URL, f"call {call}")),
            received=received,
            service=f"dry-needling-{hook}",
            hook=hook,
            client="https://ehr.example.org" if call % 2 else "",
            patient=f"{call % 997:032x}",
            user=f"{call % 31:032x}",
            orders=1 if rule else 0,
            microseconds=1000 + 100 * (call % 100),
            missing=(),
            knowledge="1.0.0+x",
            cards=(shown,) if rule else (),
        ).rows()
        if rule and not repeat and call % 3:
            accepted = call % 3 == 1
            yield FeedbackRecord(
                service=f"dry-needling-{hook}",
                card=card,
                outcome="accepted" if accepted else "overridden",
                outcome_timestamp=received,
                suggestions=tuple(shown.suggestions) if accepted else (),
                reason_code="" if accepted else REASONS[call % len(REASONS)],
                reason_system="" if accepted else "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes",
            ).rows(received + timedelta(minutes=1))


def fill(database: Database, number: int, **options) -> None:
    """Write them."""
    batch: list[Rows] = []
    with database.writing() as connection:
        for record in records(number, **options):
            batch.append(record)
            if len(batch) == 2000:
                write(connection, merged(batch))
                batch = []
        write(connection, merged(batch))
