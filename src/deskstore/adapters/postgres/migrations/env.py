"""Runs migrations on the connection that the caller gives, or prints them; knows its own schema only."""

from alembic import context

from deskstore.adapters.postgres.sealing import VERSION_TABLE

given = context.config.attributes
context.configure(
    connection=given.get("connection"),
    dialect_name=None if "connection" in given else "postgresql",
    version_table=VERSION_TABLE,
    version_table_schema=given["schema"],
)
context.run_migrations()
