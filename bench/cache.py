"""The cache: a hit against a find on PostgreSQL, and what is left of it while Redis hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from bench.bars import CACHE_HIT, CACHE_HUNG, Finding, Samples
from bench.databases import bench_server, opened
from bench.measuring import Run, timed
from bench.stores import save
from bench.tickets import COMPANY, PLATFORM, tickets
from deskstore.adapters.embedded.redis import RedisServer
from deskstore.adapters.redis import CachedStorage, Limits
from deskstore.domain.ports import Storage
from tests.servers.databases import Database

_TICKETS: Final = 50
_FINDS: Final = 400  #: in a round
_SETTLED: Final = Limits(settling_s=0.001)


async def measure(run: Run) -> list[Finding]:
    """Every bar of the cache."""
    async with bench_server() as bench, bench.fresh() as database, opened(database) as plain:
        await save(plain, tickets(run.seed, _TICKETS))
        with RedisServer() as server:
            hits = await _hits(run, database, plain, server)
            return [hits, await _hung(run, database, plain, server)]


async def _hits(run: Run, database: Database, plain: Storage, server: RedisServer) -> Finding:
    async with _cached(database, server) as cached:
        await _compared(cached, plain, run, 3 * _TICKETS)
        before = cached.cache.ledger.all.hits
        subject, reference = await _compared(cached, plain, run, _FINDS * run.rounds)
        share = (cached.cache.ledger.all.hits - before) / (_FINDS * run.rounds)
    note = f"medians of finds taken in turn; {100 * share:.1f} % were hits"
    return Finding(bar=CACHE_HIT, subject=subject, reference=reference, note=note)


async def _hung(run: Run, database: Database, plain: Storage, server: RedisServer) -> Finding:
    async with _cached(database, server) as cached:
        await asyncio.to_thread(server.freeze)
        try:
            await _compared(cached, plain, run, 20)
            subject, reference = await _compared(cached, plain, run, _FINDS * run.rounds)
        finally:
            await asyncio.to_thread(server.thaw)
    return Finding(bar=CACHE_HUNG, subject=subject, reference=reference, note="medians of finds taken in turn, Redis stopped with SIGSTOP")


@asynccontextmanager
async def _cached(database: Database, server: RedisServer) -> AsyncGenerator[CachedStorage]:
    async with opened(database) as storage:
        cached = CachedStorage(storage, server.url, limits=_SETTLED)
        try:
            yield cached
        finally:
            await cached.cache.connection.aclose()


async def _compared(cached: Storage, plain: Storage, run: Run, finds: int) -> tuple[Samples, Samples]:
    """What single finds took with the cache and without, in turn and in changing order."""
    names = [ticket.ticket_id for ticket in tickets(run.seed, _TICKETS)]
    took: dict[Storage, list[float]] = {cached: [], plain: []}
    for number in range(finds):
        for storage in (cached, plain) if number % 2 else (plain, cached):
            took[storage].append(await _found_s(storage, names[number % _TICKETS]))
    return Samples(name="with the cache", values=tuple(took[cached])), Samples(name="PostgreSQL alone", values=tuple(took[plain]))


async def _found_s(storage: Storage, ticket_id: str) -> float:
    return (await timed(lambda: storage.unit_of_work(COMPANY).tickets.find(PLATFORM, ticket_id)))[0]
