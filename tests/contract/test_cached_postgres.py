"""PostgreSQL with the cache before it keeps every promise, as it does without (test_postgres.py)."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator

import pytest

from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.redis import CachedStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *
from deskstore.testing.contract.replica import *
from tests.postgres.preparing import prepare
from tests.redis.broken import SOON
from tests.servers.choosing import Server
from tests.servers.databases import Databases


@pytest.fixture(scope="module")
async def own_postgres_url(databases: Databases) -> AsyncIterator[str]:
    """A database that no other run of the kit has left its companies in."""
    async with databases.fresh() as database:
        await prepare(database)
        yield database.app_url


@pytest.fixture
async def storage(own_postgres_url: str, redis_server: Server, clock: ManualClock) -> AsyncIterator[CachedStorage]:
    opened = CachedStorage(PostgresStorage(own_postgres_url, clock=clock), redis_server.url, limits=SOON)
    yield opened
    await opened.aclose()
