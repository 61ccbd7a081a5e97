"""PostgreSQL with the cache before it keeps its promises whatever becomes of Redis: a sample of them here, all in `dev.py chaos cache`."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from deskstore.adapters.embedded.redis import RedisServer
from tests.chaos.cache import cached_database
from tests.contract.running import breach_of, promises
from tests.redis.broken import BROKEN
from tests.test_contract_kit import COSTLY

SAMPLE = 10
PROMISES = [promise for promise in promises() if promise.name not in COSTLY]


@pytest.mark.parametrize("how", BROKEN)
async def test_promises_are_kept_before_a_redis_of_no_use(how: str, own_redis: RedisServer, shared_postgres_url: str, seed: int) -> None:
    async with BROKEN[how](own_redis.url) as url:
        opened = partial(cached_database, shared_postgres_url, url)
        found = {one.name: await breach_of(one, opened) for one in Random(seed).sample(PROMISES, SAMPLE)}

    assert found == dict.fromkeys(found)
    assert len(found) == SAMPLE
