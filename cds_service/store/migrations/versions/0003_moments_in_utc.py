"""When feedback happened in UTC, so that it is compared as text; room for tokens that expire after 2038."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Bring the timestamps of feedback into the new form, and widen the expiry of tokens."""
    feedback = sa.table("feedback", *(sa.column(name) for name in ("key", "received", "outcome_timestamp")))
    connection = op.get_bind()
    for key, received, sent in connection.execute(sa.select(feedback)).fetchall():
        changed = sa.update(feedback).where(feedback.c.key == key).values(outcome_timestamp=_in_utc(sent) or received)
        connection.execute(changed)
    with op.batch_alter_table("feedback") as table:
        table.alter_column("outcome_timestamp", type_=sa.String(32), existing_type=sa.String(40))
    with op.batch_alter_table("used_tokens") as table:
        table.alter_column("expires", type_=sa.BigInteger, existing_type=sa.Integer)


def _in_utc(sent: str) -> str:
    """Return a timestamp as the store writes it; "" when it was cut short, or falls out of the calendar in UTC."""
    try:
        moment = datetime.fromisoformat(sent)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment.tzinfo else ""
    except (ValueError, OverflowError):
        return ""


def downgrade() -> None:
    """Return to the narrow expiry; timestamps in UTC are as good as any."""
    with op.batch_alter_table("used_tokens") as table:
        table.alter_column("expires", type_=sa.Integer, existing_type=sa.BigInteger)
    with op.batch_alter_table("feedback") as table:
        table.alter_column("outcome_timestamp", type_=sa.String(40), existing_type=sa.String(32))
