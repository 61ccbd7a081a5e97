"""A storage on the database of this run, and a connection past it for whoever looks on or interferes."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.pool import Limits
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from tests.postgres.preparing import prepare
from tests.servers.databases import Database, Databases

QUICK = Limits(connections=4, wait_s=0.5, connect_s=2.0, answer_s=5.0, lock_s=0.3, retry_s=3.0)


@pytest.fixture(scope="session")
async def database(databases: Databases) -> AsyncIterator[Database]:
    """A database of these tests, with deskstore's tables."""
    async with databases.fresh() as made:
        await prepare(made)
        yield made


@pytest.fixture
async def storage(database: Database) -> AsyncIterator[PostgresStorage]:
    """A storage of four connections that waits for nothing long."""
    opened = PostgresStorage(database.app_url, limits=QUICK)
    yield opened
    await opened.aclose()


@pytest.fixture
def desk(storage: PostgresStorage) -> Desk:
    """A company that holds nothing yet."""
    return Desk(storage, a_new_company())


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """The server's superuser, past the storage."""
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()
