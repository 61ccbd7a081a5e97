"""A storage with the cache before it keeps every promise, with a Redis that is whole and with one that is broken in any way."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator, Iterator

import pytest

from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.redis import CachedStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *
from deskstore.testing.contract.replica import *
from tests.redis.broken import BROKEN, SOON, whole


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisServer]:
    """A server that tests may empty."""
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["unbroken", *BROKEN])
async def storage(request: pytest.FixtureRequest, own_redis: RedisServer, clock: ManualClock) -> AsyncIterator[CachedStorage]:
    async with BROKEN.get(request.param, whole)(own_redis.url) as url:
        opened = CachedStorage(MemoryStorage(clock), url, limits=SOON)
        yield opened
        await opened.aclose()
