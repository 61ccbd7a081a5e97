"""Migrations make what the definition says, beside whatever else lives in the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from deskstore.adapters.postgres import PostgresStorage, checks, definition
from deskstore.adapters.postgres import migrations as packaged
from deskstore.adapters.postgres.migrating import Migrations, facts
from deskstore.adapters.postgres.roles import AppRole
from deskstore.domain.errors import ConfigurationError
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from tests.postgres.freezing import FIRST, UNFROZEN, frozen
from tests.postgres.preparing import MAJORS, databases_of, migrations
from tests.postgres.probes import connected
from tests.servers.databases import Database, Databases


@pytest.fixture(params=MAJORS)
async def database(request: pytest.FixtureRequest, databases: Databases, databases_16: Databases) -> AsyncIterator[Database]:
    async with databases_of(request.param, databases, databases_16) as made, made.fresh() as one:
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


async def test_payloads_are_compressed_by_lz4_where_the_server_has_it(database: Database) -> None:
    await migrations(database).upgrade()

    async with connected(database.owner_url) as owner:
        has_lz4 = await owner.fetchval("SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
        used = await owner.fetch(
            "SELECT a.attcompression FROM pg_attribute a WHERE a.attname = 'payload' AND a.attrelid::regclass::text ~ 'deskstore'"
        )
    assert [row[0] for row in used] == [b"l" if has_lz4 else b"\x00"] * 2


async def test_the_schema_stands_beside_an_application_with_migrations_of_its_own(database: Database) -> None:
    async with connected(database.owner_url) as owner:
        await owner.execute(
            "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('theirs'); CREATE TABLE ticket (id int)"
        )

    for schema in ("deskstore", "Desk_2"):
        await migrations(database, schema).upgrade()
        assert await migrations(database, schema).check() == []
        storage = PostgresStorage(database.app_url, schema=schema)
        desk = await Desk(storage, a_new_company()).fill("ours")
        assert await storage.companies() == [desk.company_id]
        await storage.aclose()

    async with connected(database.owner_url) as owner:
        assert [row[0] for row in await owner.fetch("SELECT version_num FROM alembic_version")] == ["theirs"]
        assert await owner.fetchval("SELECT count(*) FROM ticket") == 0


async def test_upgrades_at_the_same_time_make_one_schema(database: Database) -> None:
    upgraded = await asyncio.gather(*(migrations(database).upgrade() for _ in range(3)))

    assert sorted(one.before or "" for one in upgraded) == ["", checks.REVISION, checks.REVISION]
    assert await migrations(database).check() == []


async def test_an_upgrade_that_fails_leaves_nothing(database: Database) -> None:
    other = Migrations(database.owner_url, variable="DESKSTORE_OWNER_URL", role=AppRole(name="nobody_here"))

    with pytest.raises(ConfigurationError, match="there is no role 'nobody_here'"):
        await other.upgrade()

    assert await other.current() is None
    async with connected(database.owner_url) as owner:
        assert await owner.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'deskstore'") == 0


def test_the_storage_asks_for_the_last_migration_there_is() -> None:
    there = ScriptDirectory(str(Path(packaged.__path__[0])))

    assert there.get_heads() == [checks.REVISION]
    assert FIRST.is_file()
