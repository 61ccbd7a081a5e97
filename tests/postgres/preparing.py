"""A database with deskstore's tables and functions, sealed for an application role: made as `deskstore db upgrade` makes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from deskstore.adapters.embedded.programs import postgres_here
from deskstore.adapters.postgres.migrating import Migrations
from deskstore.adapters.postgres.roles import AppRole
from deskstore.adapters.postgres.schema import DEFAULT_SCHEMA
from tests.postgres.freezing import FIRST, UNFROZEN, frozen
from tests.servers.choosing import postgres
from tests.servers.databases import databases_on

if TYPE_CHECKING:
    from tests.servers.databases import Database, Databases

#: every PostgreSQL of this machine that deskstore runs on
MAJORS: Final = sorted({programs.major for programs in postgres_here() if programs.major >= 15})


def migrations(database: Database, schema: str = DEFAULT_SCHEMA) -> Migrations:
    """The schema of a test's database, as its owner works on it."""
    return Migrations(database.owner_url, variable="DESKSTORE_OWNER_URL", schema=schema, role=AppRole(name=database.app_role))


async def prepare(database: Database, schema: str = DEFAULT_SCHEMA) -> None:
    """Make the schema as the database's owner, and let the application role use it."""
    assert FIRST.read_text(encoding="utf-8") == frozen(), UNFROZEN
    await migrations(database, schema).upgrade()


@asynccontextmanager
async def databases_of(major: int, newest: Databases, of_16: Databases) -> AsyncGenerator[Databases]:
    """Databases on a PostgreSQL of that version: on one of the two that run anyway, else on one of its own."""
    if major == MAJORS[-1]:
        yield newest
    elif major == 16:
        yield of_16
    else:
        with postgres(major) as server:
            async with databases_on(server) as made:
                yield made
