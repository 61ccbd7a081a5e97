"""A database with deskstore's tables and functions, sealed for an application role: made as `deskstore db upgrade` makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deskstore.adapters.postgres.migrating import Migrations
from deskstore.adapters.postgres.roles import AppRole
from deskstore.adapters.postgres.schema import DEFAULT_SCHEMA
from tests.postgres.freezing import FIRST, UNFROZEN, frozen

if TYPE_CHECKING:
    from tests.servers.databases import Database


def migrations(database: Database, schema: str = DEFAULT_SCHEMA) -> Migrations:
    """The schema of a test's database, as its owner works on it."""
    return Migrations(database.owner_url, variable="DESKSTORE_OWNER_URL", schema=schema, role=AppRole(name=database.app_role))


async def prepare(database: Database, schema: str = DEFAULT_SCHEMA) -> None:
    """Make the schema as the database's owner, and let the application role use it."""
    assert FIRST.read_text(encoding="utf-8") == frozen(), UNFROZEN
    await migrations(database, schema).upgrade()
