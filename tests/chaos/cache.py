"""The cache at full size: readers and writers race, and every storage keeps its promises, while one thing goes wrong."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from statistics import quantiles
from time import monotonic, perf_counter
from typing import Final

from attrs import evolve, frozen

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.file import FileStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.pool import Limits
from deskstore.adapters.redis import CachedStorage
from deskstore.domain.errors import StorageError
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.chaos.parts import Finding, Orders, Part
from tests.contract.running import Promise, breach_of, promises
from tests.postgres.preparing import prepare
from tests.redis import faults
from tests.redis.broken import BROKEN, SOON
from tests.redis.contests import CONTESTS, Contest, Result, run
from tests.redis.moving import MOVES, race_while_moving
from tests.servers.databases import Database, databases_on

_READS: Final = 10_000  #: of each contest
_PAUSE_S: Final = 5.0
_MOST_ADDED_S: Final = 0.06  #: by a Redis that stands still, to 99 of 100 calls


@asynccontextmanager
async def _database() -> AsyncGenerator[Database]:
    """A database with deskstore's tables, on a server of its own."""
    with PostgresServer() as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare(database)
            yield database


@asynccontextmanager
async def _opened(database: Database) -> AsyncGenerator[PostgresStorage]:
    storage = PostgresStorage(database.app_url, limits=Limits(connections=16))
    try:
        yield storage
    finally:
        await storage.aclose()


# -- races ---------------------------------------------------------------------------------------------------------------------------------


def _raced(name: str, orders: Orders) -> Finding:
    return _judged(name, asyncio.run(_in_memory(name, orders.seed)))


def _raced_on_postgres(name: str, orders: Orders) -> Finding:
    return _judged(name, asyncio.run(_on_postgres(name, orders.seed)))


async def _in_memory(name: str, seed: int) -> Result:
    with RedisServer() as redis:
        return await run(CONTESTS[name], MemoryStorage(), redis, reads=_READS, seed=seed)


async def _on_postgres(name: str, seed: int) -> Result:
    with RedisServer() as redis:
        async with _database() as database, _opened(database) as storage:
            return await run(_as_callers_see(CONTESTS[name]), storage, redis, reads=_READS, seed=seed)


def _as_callers_see(contest: Contest) -> Contest:
    """The same race, where a commit counts once commit() is back: on a busy disk a COMMIT outlasts the brief settling of a race."""
    return evolve(contest, plan=evolve(contest.plan, counts_from_commit=False))


def _judged(name: str, result: Result) -> Finding:
    unused = (f"none of {result.judge.reads} values came from Redis",) if CONTESTS[name].is_of_use and not result.hits else ()
    return Finding(states=result.judge.reads, failures=(*result.judge.faults, *unused), measured=_told(result))


def _told(result: Result) -> str:
    within = f", {result.judge.stale_within_bound:,} old ones within the bound" if result.judge.stale_within_bound else ""
    return f"{result.hits:,} from Redis{within}"


def _moved(name: str, orders: Orders) -> Finding:
    result, moves = asyncio.run(_between_files_and_postgres(name, orders.seed))
    unmoved = () if moves else ("nothing moved",)
    return Finding(states=result.judge.reads, failures=(*result.judge.faults, *unmoved), measured=f"{moves:,} moves, {_told(result)}")


async def _between_files_and_postgres(name: str, seed: int) -> tuple[Result, int]:
    with RedisServer() as redis, tempfile.TemporaryDirectory(prefix="deskstore-cache-") as folder:
        async with _database() as database, _opened(database) as far:
            near = FileStorage(Path(folder))
            try:
                return await race_while_moving(MOVES[name], near, far, redis, reads=_READS, seed=seed)
            finally:
                await near.aclose()


# -- promises ------------------------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class State:
    """What a Redis is like while the promises are kept: where it is looked for, or what is done to it."""

    name: str
    fault: faults.Fault = faults.nothing

    @asynccontextmanager
    async def url(self, server: RedisServer, seed: int) -> AsyncGenerator[str]:
        """Where it is."""
        if self.name in BROKEN:
            async with BROKEN[self.name](server.url) as url:
                yield url
        else:
            async with faults.under(self.fault, server, seed):
                yield server.url


_STATES: Final = (
    State(name="whole"),
    *(State(name=name) for name in BROKEN),
    State(name="paused", fault=faults.freeze),
    State(name="restarted", fault=faults.restart),
    State(name="evicting", fault=faults.crowd),
    State(name="full", fault=faults.fill),
)


def _kept(state: State, orders: Orders) -> Finding:
    return asyncio.run(_all_kept(state, promises(), orders.seed))


async def _all_kept(state: State, kit: list[Promise], seed: int) -> Finding:
    failures = list[str]()
    with RedisServer() as redis:
        async with _database() as database, state.url(redis, seed) as url:
            for promise in kit:
                if (breach := await breach_of(promise, partial(cached_database, database.app_url, url))) is not None:
                    failures.append(f"{promise.name}: {type(breach).__name__}: {breach}")
    return Finding(states=sum(len(promise.cases) for promise in kit), failures=failures)


def cached_database(database_url: str, redis_url: str, clock: ManualClock) -> CachedStorage:
    """A PostgreSQL with the cache before it."""
    return CachedStorage(PostgresStorage(database_url, clock=clock), redis_url, limits=SOON)


# -- time ----------------------------------------------------------------------------------------------------------------------------------


def _paused(_: Orders) -> Finding:
    return asyncio.run(_held_up())


async def _held_up() -> Finding:
    """Finds with the cache and without, in turn, while Redis stands still for five seconds and after it went on."""
    with RedisServer() as redis:
        async with _database() as database, _opened(database) as plain:
            cached = CachedStorage(plain, redis.url, limits=SOON)
            desks = [Desk(storage, "acme") for storage in (cached, plain)]
            await desks[1].keep(*(a_ticket(str(number)) for number in range(50)))
            await _added(desks, lambda: True, finds=200)
            await asyncio.to_thread(redis.freeze)
            until = monotonic() + _PAUSE_S
            try:
                added, failures = await _added(desks, lambda: monotonic() < until)
            finally:
                await asyncio.to_thread(redis.thaw)
            await cached.cache.connection.aclose()
    worst = quantiles(added, n=100)[98]
    later = quantiles(added[len(added) // 2 :], n=100)[98]
    late = (f"{1_000 * worst:.0f} ms added to 1 of 100 calls",) if worst > _MOST_ADDED_S else ()
    measured = f"added to 99 of 100 calls at most {1_000 * worst:.1f} ms, in the second half {1_000 * later:.1f} ms"
    return Finding(states=len(added), failures=(*failures, *late), measured=measured)


async def _added(desks: list[Desk], goes_on: Callable[[], bool], finds: int = 1_000_000) -> tuple[list[float], list[str]]:
    """What the first storage took longer for each of many finds than the second, in seconds; and what was wrong."""
    added, failures, random = list[float](), list[str](), Random(1)
    while goes_on() and len(added) < finds:
        key, took = a_ticket(str(random.randrange(50))).key, list[float]()
        for desk in desks:
            began = perf_counter()
            try:
                found = await desk.find(key)
            except StorageError as error:
                failures.append(f"failed: {error!r}")
            else:
                failures += [] if found is not None and found.key == key else [f"{key} is {found}"]
            took.append(perf_counter() - began)
        added.append(took[0] - took[1])
    return added, failures


_ROUNDS: Final = 20  #: of 270,000 reads each
PARTS: Final = (
    *(Part(f"cache: {name}", partial(_raced, name), rounds=_ROUNDS) for name in CONTESTS),
    *(Part(f"cache before PostgreSQL: {name}", partial(_raced_on_postgres, name), rounds=_ROUNDS) for name in CONTESTS),
    *(Part(f"cache while companies move: {name}", partial(_moved, name), rounds=_ROUNDS) for name in MOVES),
    *(Part(f"the contract kit, Redis {state.name}", partial(_kept, state)) for state in _STATES),
    Part("finds while Redis stands still for 5 seconds", _paused),
)
