"""A company that moves between a storage with the cache before it and one without, while others read and write it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Final

from attrs import evolve, field, frozen

from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.redis import CachedStorage, Limits
from deskstore.domain.errors import CompanyMoved, MigrationError, StorageBusy
from deskstore.domain.ports import Storage
from deskstore.domain.swapping import swap
from tests.redis import faults
from tests.redis.contests import BRIEF, LAG_S, PATIENT, Result
from tests.redis.racing import COMPANIES, Held, Judge, Plan, hits, race

_PROCESSES: Final = 3
_STAY_S: Final = 0.3  #: the longest, between two moves


@frozen(kw_only=True)
class Move:
    """A race during which companies move."""

    plan: Plan = field(factory=Plan)
    fault: faults.Fault = faults.nothing
    limits: Limits = PATIENT
    tells: bool = True  #: whether who moves a company tells Redis


MOVES: Final = {
    "nothing": Move(),
    "a Redis that is emptied": Move(fault=faults.empty),
    "a Redis that is killed and started again": Move(fault=faults.restart, limits=evolve(PATIENT, pause_s=0.02)),
    "a Redis that stands still": Move(plan=Plan(bound_s=BRIEF.value_s + LAG_S), fault=faults.freeze, limits=BRIEF),
    "whoever moves it knowing of no cache": Move(
        plan=Plan(bound_s=BRIEF.value_s + LAG_S), limits=evolve(BRIEF, timeout_s=5.0), tells=False
    ),
}


async def race_while_moving(move: Move, near: Storage, far: Storage, server: RedisServer, *, reads: int, seed: int) -> tuple[Result, int]:
    """What came of the race, through as many processes as there may be, and how often a company moved."""
    judge = Judge(evolve(move.plan, reads=reads, seed=seed, counts_from_commit=False))
    caches = [CachedStorage(far, server.url, limits=move.limits) for _ in range(_PROCESSES + 1)]
    hybrids = [HybridStorage(near, cached) for cached in caches[:_PROCESSES]]
    mover = HybridStorage(near, caches[-1] if move.tells else far)
    try:
        async with faults.under(move.fault, server, Random(seed).randrange(2**32)):
            processes = [Held(hybrid, judge) for hybrid in hybrids]
            async with _moving(mover, Random(seed)) as moves:
                await race(judge, processes, processes[1:])
        return Result(judge=judge, hits=hits(caches)), len(moves)
    finally:
        await asyncio.gather(*(hybrid.stop_draining() for hybrid in (*hybrids, mover)))
        await asyncio.gather(*(cached.cache.connection.aclose() for cached in caches))


@asynccontextmanager
async def _moving(hybrid: HybridStorage, random: Random) -> AsyncGenerator[Sequence[str]]:
    """Let the companies change sides again and again while the block runs; gives where to."""
    moves = list[str]()

    async def go_on() -> None:
        while True:
            await asyncio.sleep(random.uniform(0, _STAY_S))
            company = hybrid.company(random.choice(COMPANIES))
            primary = (await company.locate()).primary
            if primary is not None:
                with suppress(StorageBusy, MigrationError, CompanyMoved):  # it is written faster than it can be followed: the next time
                    moves.append((await swap(company.sides(primary))).primary)

    going = asyncio.ensure_future(go_on())
    try:
        yield moves
    finally:
        going.cancel()
        await asyncio.wait({going})
        if not going.cancelled() and (error := going.exception()):
            raise error
