"""The first schema: tables, functions, triggers and policies."""

from deskstore.adapters.postgres.migrations.running import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything."""
    run("v0001_first.sql")
