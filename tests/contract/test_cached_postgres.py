"""PostgreSQL with the cache before it keeps every promise, as it does without (test_postgres.py)."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator

import pytest

from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.redis import CachedStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *
from deskstore.testing.contract.replica import *
from tests.redis.broken import SOON
from tests.servers.choosing import Server


@pytest.fixture
async def storage(postgres_url: str, redis_server: Server, clock: ManualClock) -> AsyncIterator[CachedStorage]:
    opened = CachedStorage(PostgresStorage(postgres_url, clock=clock), redis_server.url, limits=SOON)
    yield opened
    await opened.aclose()
