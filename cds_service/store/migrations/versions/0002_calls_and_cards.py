"""Calls, cards and suggestions; comments of feedback; times in UTC, ids separated by spaces."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, and bring the feedback there is into the new form."""
    op.create_table(
        "calls",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("received", sa.String(32), nullable=False, index=True),
        sa.Column("service", sa.String(100), nullable=False),
        sa.Column("hook", sa.String(40), nullable=False),
        sa.Column("client", sa.String(256), nullable=False),
        sa.Column("patient", sa.String(32), nullable=False),
        sa.Column("user", sa.String(32), nullable=False),
        sa.Column("outcome", sa.String(100), nullable=False),
        sa.Column("orders", sa.Integer, nullable=False),
        sa.Column("microseconds", sa.Integer, nullable=False),
        sa.Column("missing", sa.String(400), nullable=False),
        sa.Column("knowledge", sa.String(64), nullable=False),
    )
    op.create_index("ix_calls_patient_received", "calls", ["patient", "received"])
    op.create_table(
        "cards",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("call", sa.String(36), sa.ForeignKey("calls.id"), nullable=False, index=True),
        sa.Column("rule", sa.String(40), nullable=False),
        sa.Column("indicator", sa.String(10), nullable=False),
        sa.Column("codes", sa.String(400), nullable=False),
        sa.Column("orders", sa.Text, nullable=False),
        sa.Column("grounds", sa.Text, nullable=False),
        sa.Column("repeat", sa.Boolean, nullable=False),
    )
    op.create_table(
        "suggestions",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("card", sa.String(36), sa.ForeignKey("cards.uuid"), nullable=False, index=True),
        sa.Column("name", sa.String(64), nullable=False),
    )
    op.add_column("feedback", sa.Column("comment", sa.Text, nullable=True))
    _bring_feedback_into_form()
    with op.batch_alter_table("feedback") as table:
        table.alter_column("received", type_=sa.String(32), existing_type=sa.String(40), existing_nullable=False)


def _bring_feedback_into_form() -> None:
    feedback = sa.table("feedback", *(sa.column(name) for name in ("key", "received", "suggestions")))
    connection = op.get_bind()
    for key, received, suggestions in connection.execute(sa.select(feedback)).fetchall():
        in_utc = datetime.fromisoformat(received).astimezone(UTC).isoformat(timespec="milliseconds")
        changed = {"received": in_utc, "suggestions": " ".join(json.loads(suggestions))}
        connection.execute(sa.update(feedback).where(feedback.c.key == key).values(**changed))


def downgrade() -> None:
    """Remove the tables, and the comments."""
    op.drop_table("suggestions")
    op.drop_table("cards")
    op.drop_table("calls")
    with op.batch_alter_table("feedback") as table:
        table.drop_column("comment")
