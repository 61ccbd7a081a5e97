"""Readers and writers of the same records, while something goes wrong: nothing old, nothing foreign, nothing failed."""

import pytest

from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.memory import MemoryStorage
from tests.redis.contests import CONTESTS, run
from tests.redis.saboteurs import SABOTEURS

READS = 1_000


@pytest.mark.parametrize("name", CONTESTS)
async def test_nothing_that_is_read_is_old_or_foreign_and_nothing_fails(name: str, own_redis: RedisServer, seed: int) -> None:
    contest = CONTESTS[name]

    result = await run(contest, MemoryStorage(), own_redis, reads=READS, seed=seed)

    assert result.judge.faults == []
    assert result.judge.reads >= READS
    assert bool(result.hits) or not contest.is_of_use


@pytest.mark.parametrize("name", SABOTEURS)
async def test_whoever_leaves_a_step_out_is_caught(name: str, own_redis: RedisServer, seed: int) -> None:
    saboteur = SABOTEURS[name]

    result = await run(saboteur.contest, MemoryStorage(), own_redis, reads=3 * READS, seed=seed, opened=saboteur)

    assert any(fault.startswith(saboteur.fault) for fault in result.judge.faults), result.judge.faults[:3]
