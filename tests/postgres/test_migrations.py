"""Migrations make what the definition says, beside whatever else lives in the database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from deskstore.adapters.postgres import checks, definition
from deskstore.adapters.postgres.migrating import facts
from tests.postgres.freezing import FIRST, UNFROZEN, frozen
from tests.postgres.preparing import migrations
from tests.servers.databases import Database, Databases


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(params=["newest", "16"])
async def database(request: pytest.FixtureRequest, databases: Databases, databases_16: Databases) -> AsyncIterator[Database]:
    async with (databases_16 if request.param == "16" else databases).fresh() as one:
        yield one


def test_the_first_migration_is_what_this_release_defines() -> None:
    assert FIRST.read_text(encoding="utf-8") == frozen(), UNFROZEN


async def test_migrations_make_what_the_definition_makes(database: Database) -> None:
    await migrations(database).upgrade()

    async with connected(database.owner_url) as owner:
        await owner.execute("CREATE SCHEMA beside")
        for statement in definition.statements("beside"):
            await owner.execute(statement)
        migrated, defined = await facts(owner, "deskstore"), await facts(owner, "beside")
    assert migrated == defined
    assert len(migrated) > 150


async def test_an_upgrade_leaves_nothing_to_complain_of_and_a_second_one_changes_nothing(database: Database) -> None:
    first = await migrations(database).upgrade()
    async with connected(database.owner_url) as owner:
        store = await owner.fetch("SELECT * FROM deskstore.store")
    second = await migrations(database).upgrade()

    assert (first.before, first.after, first.gave_privileges) == (None, checks.REVISION, True)
    assert (second.before, second.after, second.gave_privileges, second.made_role) == (checks.REVISION, checks.REVISION, False, False)
    assert await migrations(database).check() == []
    async with connected(database.owner_url) as owner:
        assert await owner.fetch("SELECT * FROM deskstore.store") == store
        assert len(store) == 1
