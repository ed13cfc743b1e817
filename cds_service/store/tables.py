"""The tables: used tokens, calls with cards and suggestions, and feedback. Codes, ids and hashes; no text from a chart.

A change here needs a migration in migrations/versions; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

used_tokens = Table(
    "used_tokens",
    metadata,
    # A hash of issuer and token id: it recognizes a token and identifies nobody.
    Column("token", String(64), primary_key=True),
    # Seconds since 1970, for which PostgreSQL's Integer is too small from 2038 on.
    Column("expires", BigInteger, nullable=False, index=True),
)

calls = Table(
    "calls",
    metadata,
    Column("id", String(36), primary_key=True),
    # All times are UTC in ISO 8601 of one length, so that they sort as text in every database.
    Column("received", String(32), nullable=False, index=True),
    Column("service", String(100), nullable=False),
    Column("hook", String(40), nullable=False),
    # The issuer of the caller's token, or "" when none is required.
    Column("client", String(256), nullable=False),
    # Keyed hashes: equal for the same patient, and meaningless without the key.
    Column("patient", String(32), nullable=False),
    Column("user", String(32), nullable=False),
    # The rules that fired, such as dry-needling/R1, separated by commas; silent when none did.
    Column("outcome", String(100), nullable=False),
    # Orders in the guideline's scope.
    Column("orders", Integer, nullable=False),
    Column("microseconds", Integer, nullable=False),
    # Prefetch keys that were not available, separated by commas.
    Column("missing", String(400), nullable=False),
    Column("knowledge", String(64), nullable=False),
    Index("ix_calls_patient_received", "patient", "received"),
)

cards = Table(
    "cards",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("call", String(36), ForeignKey("calls.id"), nullable=False, index=True),
    Column("rule", String(40), nullable=False),
    Column("indicator", String(10), nullable=False),
    # Codes of the orders that the guideline knows, separated by commas.
    Column("codes", String(400), nullable=False),
    # Keyed hashes, separated by spaces; they show whether a later card repeats this one.
    Column("orders", Text, nullable=False),
    Column("grounds", Text, nullable=False),
    # Withheld because the same card was recently overridden.
    Column("repeat", Boolean, nullable=False),
)

suggestions = Table(
    "suggestions",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("card", String(36), ForeignKey("cards.uuid"), nullable=False, index=True),
    # The suggestion's name in the guideline, such as remove-order.
    Column("name", String(64), nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    # A hash of card, outcome, timestamp, suggestions and reason: an entry sent twice is one row.
    Column("key", String(64), primary_key=True),
    Column("received", String(32), nullable=False, index=True),
    Column("service", String(100), nullable=False),
    # No foreign key: feedback on an unknown card is stored too (B3), and its card may be stored later.
    Column("card", String(64), nullable=False, index=True),
    Column("outcome", String(10), nullable=False),
    Column("outcome_timestamp", String(32), nullable=False),
    # Ids of the accepted suggestions, separated by spaces.
    Column("suggestions", Text, nullable=False),
    Column("reason_system", String(256), nullable=False),
    Column("reason_code", String(64), nullable=False),
    # Only where the site stores comments.
    Column("comment", Text, nullable=True),
)

IN_ORDER = (calls, cards, suggestions, feedback)
"""The tables written from records, in an order that satisfies foreign keys."""
