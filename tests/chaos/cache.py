"""The cache at full size: readers and writers race while one thing goes wrong."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from attrs import evolve

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.pool import Limits
from tests.chaos.parts import Finding, Orders, Part
from tests.postgres.preparing import prepare
from tests.redis.contests import CONTESTS, Contest, Result, run
from tests.servers.databases import databases_on

_READS: Final = 10_000  #: of each contest
_ON_POSTGRES: Final = ("nothing", "a Redis that is emptied", "a Redis that is killed and started again", "calls that are cancelled")


def _raced(name: str, orders: Orders) -> Finding:
    return _judged(name, asyncio.run(_in_memory(name, _reads(orders), orders.seed)))


def _raced_on_postgres(name: str, orders: Orders) -> Finding:
    return _judged(name, asyncio.run(_on_postgres(name, _reads(orders) // 4, orders.seed)))


async def _in_memory(name: str, reads: int, seed: int) -> Result:
    with RedisServer() as redis:
        return await run(CONTESTS[name], MemoryStorage(), redis, reads=reads, seed=seed)


async def _on_postgres(name: str, reads: int, seed: int) -> Result:
    with RedisServer() as redis, PostgresServer() as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare(database)
            storage = PostgresStorage(database.app_url, limits=Limits(connections=16))
            try:
                return await run(_as_callers_see(CONTESTS[name]), storage, redis, reads=reads, seed=seed)
            finally:
                await storage.aclose()


def _as_callers_see(contest: Contest) -> Contest:
    """The same race, where a commit counts once commit() is back: on a busy disk a COMMIT outlasts the brief settling of a race."""
    return evolve(contest, plan=evolve(contest.plan, counts_from_commit=False))


def _judged(name: str, result: Result) -> Finding:
    unused = (f"none of {result.judge.reads} values came from Redis",) if CONTESTS[name].is_of_use and not result.hits else ()
    return Finding(states=result.judge.reads, failures=(*result.judge.faults, *unused))


def _reads(orders: Orders) -> int:
    return 100 * _READS if orders.is_nightly else _READS


PARTS: Final = (
    *(Part(f"cache: {name}", partial(_raced, name)) for name in CONTESTS),
    *(Part(f"cache before PostgreSQL: {name}", partial(_raced_on_postgres, name)) for name in _ON_POSTGRES),
)
