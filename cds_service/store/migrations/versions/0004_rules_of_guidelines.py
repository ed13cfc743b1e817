"""Rules by the name they have outside of their guideline, such as dry-needling/R1."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_GUIDELINE = "dry-needling"
"""The only guideline there was when rules were kept without it."""


def upgrade() -> None:
    """Name the guideline of each rule."""
    _rewrite("cards", "rule", lambda rule: _prefixed(rule)[:40])
    # A call with many cards is cut short where the column ends, as it is when such a call is recorded.
    _rewrite("calls", "outcome", lambda rules: _prefixed(rules)[:100])


def downgrade() -> None:
    """Take the guidelines away again."""
    for table, column in (("cards", "rule"), ("calls", "outcome")):
        _rewrite(table, column, lambda rules: ",".join(rule.rpartition("/")[2] for rule in rules.split(",")))


def _prefixed(rules: str) -> str:
    """Return rules with their guideline; those that have it, and silence, as they are."""
    if rules == "silent" or "/" in rules:
        return rules
    return ",".join(f"{_GUIDELINE}/{rule}" for rule in rules.split(","))


def _rewrite(table: str, column: str, new: Callable[[str], str]) -> None:
    """Change each of the few values a column has."""
    rows = sa.table(table, sa.column(column))
    connection = op.get_bind()
    for old in connection.execute(sa.select(rows.c[column]).distinct()).scalars().all():
        if new(old) != old:
            connection.execute(sa.update(rows).where(rows.c[column] == old).values({column: new(old)}))
