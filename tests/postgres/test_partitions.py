"""Partitions by company change where rows lie, and nothing else; what they need of the schema is looked at with every check."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.migrating import differences
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from tests.postgres.partitioning import partition, prepare_in_partitions
from tests.postgres.preparing import migrations, prepare
from tests.postgres.probes import connected
from tests.servers.databases import Database, Databases


@pytest.fixture(scope="module")
async def partitioned(databases: Databases) -> AsyncIterator[Database]:
    async with databases.fresh() as made:
        await prepare_in_partitions(made)
        yield made


async def test_a_check_finds_nothing_to_complain_of_in_a_partitioned_database(partitioned: Database) -> None:
    assert await migrations(partitioned).check() == []


async def test_a_partition_that_is_not_sealed_is_named(partitioned: Database) -> None:
    async with connected(partitioned.owner_url) as owner:
        await owner.execute("BEGIN; ALTER TABLE deskstore.ticket_3 DISABLE ROW LEVEL SECURITY; DROP INDEX deskstore.ticket_page")

        found = [fault.what for fault in await differences(owner, "deskstore", partitioned.app_role)]
        await owner.execute("ROLLBACK")

    assert "row-level security is off for deskstore.ticket_3" in found
    assert "the index ticket_page is missing" in found


async def test_nobody_gets_past_the_whole_table_into_a_partition(partitioned: Database) -> None:
    storage = PostgresStorage(partitioned.app_url)
    desk = await Desk(storage, a_new_company()).fill("text")
    await storage.aclose()
    async with connected(partitioned.admin_url) as admin:
        await admin.execute(
            f"BEGIN; GRANT SELECT ON ALL TABLES IN SCHEMA deskstore TO {partitioned.app_role}; SET ROLE {partitioned.app_role}"
        )
        await admin.fetchval("SELECT set_config('app.current_company_id', $1, true)", desk.company_id)

        tables = ["ticket", *(f"ticket_{number}" for number in range(16))]
        whole, *parts = [await admin.fetchval(f"SELECT count(*) FROM deskstore.{table}") for table in tables]  # noqa: S608 - names of ours
        await admin.execute("ROLLBACK")

    assert whole == 3
    assert parts == [0] * 16


async def test_what_was_there_before_is_there_in_partitions(databases: Databases) -> None:
    async with databases.fresh() as database:
        await prepare(database)
        storage = PostgresStorage(database.app_url)
        desks = [await Desk(storage, a_new_company()).fill(f"text {number}") for number in range(5)]
        before = [await desk.everything() for desk in desks]
        await storage.aclose()

        await partition(database)

        reopened = PostgresStorage(database.app_url)
        assert [await Desk(reopened, desk.company_id).everything() for desk in desks] == before
        assert await reopened.companies() == sorted(desk.company_id for desk in desks)
        await reopened.aclose()
