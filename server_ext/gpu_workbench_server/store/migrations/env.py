"""Alembic's entry: migrates inside the transaction that `store.migrate.upgrade` has begun."""

from __future__ import annotations

from alembic import context

from gpu_workbench_server.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite can't alter a table in place
)
with context.begin_transaction():
    context.run_migrations()
