"""A storage with the cache before it keeps every promise, with a Redis that is whole and with one that is broken in any way."""

# ruff: noqa: F403 - the kit is imported as its users import it
from collections.abc import AsyncIterator

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.redis import CachedStorage
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract import *
from deskstore.testing.contract.replica import *
from tests.redis.broken import BROKEN, SOON, whole
from tests.servers.choosing import Server


@pytest.fixture(params=["unbroken", *BROKEN])
async def storage(request: pytest.FixtureRequest, redis_server: Server, clock: ManualClock) -> AsyncIterator[CachedStorage]:
    async with BROKEN.get(request.param, whole)(redis_server.url) as url:
        opened = CachedStorage(MemoryStorage(clock), url, limits=SOON)
        yield opened
        await opened.aclose()
