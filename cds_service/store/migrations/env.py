"""Alembic's entry point: runs the migrations on the connection that the store provides."""

from __future__ import annotations

from alembic import context

from cds_service.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
