"""The races that are run: each with one thing that goes wrong, and for how long old values may be read because of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from attrs import evolve, field, frozen

from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.redis import CachedStorage, Limits
from deskstore.domain.ports import Storage
from tests.redis import faults
from tests.redis.racing import Held, Judge, Plan, hits, race

PATIENT: Final = Limits(timeout_s=5.0, settling_s=0.05)  #: on a busy machine a Redis with which nothing is wrong may be late
BRIEF: Final = Limits(value_s=1.0, tombstone_s=1.0, settling_s=0.05, pause_s=0.05)
CACHES: Final = 4  #: as many as processes would have
LAG_S: Final = 0.05  #: between the server's clock and what a reader calls the beginning of its read

Opened = Callable[[Storage, str, Limits], CachedStorage]


@frozen(kw_only=True)
class Contest:
    """One race."""

    plan: Plan = field(factory=Plan)
    fault: faults.Fault = faults.nothing
    limits: Limits = PATIENT
    has_outsider: bool = False  #: a writer that knows of no cache
    is_of_use: bool = True  #: values are found in Redis in spite of it


CONTESTS: Final[Mapping[str, Contest]] = {
    "nothing": Contest(),
    "writers that are gone right after their commit": Contest(plan=Plan(crashes=0.2), limits=evolve(PATIENT, tombstone_s=1.0, value_s=1.0)),
    "calls that are cancelled": Contest(plan=Plan(cancelled=0.5)),
    "a Redis that is emptied": Contest(fault=faults.empty),
    "a Redis that is emptied, and writers that are gone": Contest(
        plan=Plan(crashes=0.2), fault=faults.empty, limits=evolve(PATIENT, tombstone_s=1.0, value_s=1.0)
    ),
    "a Redis that is killed and started again": Contest(fault=faults.restart, limits=evolve(PATIENT, pause_s=0.02)),
    "a Redis that has to let go of keys": Contest(plan=Plan(counts_from_commit=False), fault=faults.crowd),
    "a Redis that is full": Contest(plan=Plan(counts_from_commit=False), fault=faults.fill, is_of_use=False),
    "a Redis that holds what others planted": Contest(fault=faults.poison),
    "a Redis that stands still": Contest(plan=Plan(bound_s=BRIEF.value_s + LAG_S), fault=faults.freeze, limits=BRIEF),
    "a writer that knows of no cache": Contest(
        plan=Plan(bound_s=BRIEF.value_s + LAG_S), limits=evolve(BRIEF, timeout_s=5.0), has_outsider=True
    ),
}


@frozen(kw_only=True)
class Result:
    """What came of a race."""

    judge: Judge
    hits: int


async def run(contest: Contest, beneath: Storage, server: RedisServer, *, reads: int, seed: int, opened: Opened | None = None) -> Result:
    """One race, through caches that are not told of one another."""
    judge = Judge(evolve(contest.plan, reads=reads, seed=seed))
    held = Held(beneath, judge)
    open_cached = opened or _cached
    caches = [open_cached(held, server.url, contest.limits) for _ in range(CACHES)]
    try:
        async with faults.under(contest.fault, server, Random(seed).randrange(2**32)):
            # one of them both reads and writes: whoever could not tell Redis of a commit must not read the old value either
            readers, writers = caches[:3], caches[2:]
            await race(judge, readers, [*writers, held] if contest.has_outsider else writers)
            return Result(judge=judge, hits=hits(caches))
    finally:
        for one in caches:
            await one.cache.connection.aclose()


def _cached(beneath: Storage, url: str, limits: Limits) -> CachedStorage:
    return CachedStorage(beneath, url, limits=limits)
