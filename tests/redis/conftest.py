"""A Redis of one's own, and a storage with the cache before it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.redis import CachedStorage
from tests.redis.broken import PATIENT
from tests.redis.clients import Client
from tests.redis.faults import client_of


@pytest.fixture(scope="session")
def own_redis() -> Iterator[RedisServer]:
    """A server that tests may maltreat."""
    with RedisServer() as server:
        yield server


@pytest.fixture
async def client(own_redis: RedisServer) -> AsyncIterator[Client]:
    """Somebody who may do everything there; it holds nothing when the test begins."""
    async with client_of(own_redis) as made:
        await made.flushall()
        yield made


@pytest.fixture
async def storage(own_redis: RedisServer, client: Client) -> AsyncIterator[CachedStorage]:
    """A storage with the cache before it."""
    assert await client.dbsize() == 0
    made = CachedStorage(MemoryStorage(), own_redis.url, limits=PATIENT)
    yield made
    await made.aclose()
