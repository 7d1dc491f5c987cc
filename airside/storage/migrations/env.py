"""Run by Alembic: applies the migrations on the connection that `prepare_database` gives it."""

from alembic import context

from airside.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
