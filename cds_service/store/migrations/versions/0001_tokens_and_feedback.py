"""Used tokens and feedback, as they were before there were migrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables that are not there: databases of before have them already."""
    there = sa.inspect(op.get_bind()).get_table_names()
    if "used_tokens" not in there:
        op.create_table(
            "used_tokens",
            sa.Column("token", sa.String(64), primary_key=True),
            sa.Column("expires", sa.Integer, nullable=False, index=True),
        )
    if "feedback" not in there:
        op.create_table(
            "feedback",
            sa.Column("key", sa.String(64), primary_key=True),
            sa.Column("received", sa.String(40), nullable=False, index=True),
            sa.Column("service", sa.String(100), nullable=False),
            sa.Column("card", sa.String(64), nullable=False, index=True),
            sa.Column("outcome", sa.String(10), nullable=False),
            sa.Column("outcome_timestamp", sa.String(40), nullable=False),
            sa.Column("suggestions", sa.Text, nullable=False),
            sa.Column("reason_system", sa.String(256), nullable=False),
            sa.Column("reason_code", sa.String(64), nullable=False),
        )


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("feedback")
    op.drop_table("used_tokens")
