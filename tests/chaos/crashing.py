"""PostgreSQL killed, stopped and cut off under load: nothing acknowledged is lost, and every failure is one of our errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import asyncpg
from attrs import evolve

from deskstore.adapters.embedded.postgres import PostgresServer
from tests.chaos.parts import Finding, Orders, Part
from tests.postgres.preparing import MAJORS, prepare
from tests.postgres.proxies import wire_to
from tests.postgres.troubles import PATIENT, Toll, Trouble, breaking, dying, write_through
from tests.servers.databases import Database, databases_on

if TYPE_CHECKING:
    import random

Work = Callable[[PostgresServer, Database, int, int], Awaitable[Toll]]

_DEATHS: Final = 40
_PAUSES: Final = 20
_BREAKS: Final = 60
_BACKENDS: Final = 400
_SHORT: Final = evolve(PATIENT, connect_s=1.0, answer_s=1.0)  #: less than some of what goes wrong lasts
_WAITS: Final = 40
_SHORTAGES: Final = 30
_IMPATIENT: Final = evolve(PATIENT, wait_s=0.2, lock_s=0.2)
_LOCK: Final = "LOCK TABLE deskstore.{} IN {} MODE"
_TABLES: Final = ("ticket", "ticket_state", "article", "company_state", "count_delta")
_KILL: Final = """SELECT bool_or(pg_terminate_backend(a.pid)) FROM (
    SELECT pid FROM pg_stat_activity WHERE usename = $1 ORDER BY random() LIMIT 1
) a"""


def _part(name: str, work: Work, times: int, major: int = MAJORS[-1]) -> Part:
    return Part(f"{name}, PostgreSQL {major}", partial(_run, work, times, major), rounds=50)


def _run(work: Work, times: int, major: int, orders: Orders) -> Finding:
    toll = asyncio.run(_worked(work, times, major, orders.seed))
    return Finding(states=len(toll.acked), failures=toll.wrong, measured=str(toll))


async def _worked(work: Work, times: int, major: int, seed: int) -> Toll:
    with PostgresServer(major=major) as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare(database)
            return await work(server, database, times, seed)


async def _die(server: PostgresServer, database: Database, times: int, seed: int) -> Toll:
    return await write_through(dying(server), database.app_url, times=times, seed=seed)


async def _pause(server: PostgresServer, database: Database, times: int, seed: int) -> Toll:
    return await write_through(_standing_still(server), database.app_url, times=times, seed=seed, limits=_SHORT)


async def _break(_: PostgresServer, database: Database, times: int, seed: int) -> Toll:
    async with wire_to(database.app_url) as (wire, url):
        return await write_through(breaking(wire), url, times=times, seed=seed, limits=_SHORT)


async def _lose_backends(_: PostgresServer, database: Database, times: int, seed: int) -> Toll:
    admin = await asyncpg.connect(database.admin_url)
    try:
        return await write_through(_killing_a_backend(admin, database.app_role), database.app_url, times=times, seed=seed)
    finally:
        await admin.close()


async def _wait_for_locks(_: PostgresServer, database: Database, times: int, seed: int) -> Toll:
    admin = await asyncpg.connect(database.admin_url)
    try:
        return await write_through(_locking(admin), database.app_url, times=times, seed=seed, limits=_IMPATIENT)
    finally:
        await admin.close()


async def _go_short(_: PostgresServer, database: Database, times: int, seed: int) -> Toll:
    admin = await asyncpg.connect(database.admin_url)
    try:
        trouble = _letting_few_in(admin, database.app_role)
        return await write_through(trouble, database.app_url, times=times, seed=seed, limits=evolve(_IMPATIENT, connections=2))
    finally:
        await admin.close()


def _standing_still(server: PostgresServer) -> Trouble:
    async def stand_still(drawn: random.Random) -> None:
        await asyncio.to_thread(server.freeze)
        await asyncio.sleep(drawn.random() * 2.0)
        await asyncio.to_thread(server.thaw)

    return stand_still


def _killing_a_backend(admin: asyncpg.Connection[asyncpg.Record], role: str) -> Trouble:
    async def kill(_: random.Random) -> None:
        await admin.fetchval(_KILL, role)

    return kill


def _locking(admin: asyncpg.Connection[asyncpg.Record]) -> Trouble:
    """Another session keeps a table to itself, at times longer than anybody waits."""

    async def lock(drawn: random.Random) -> None:
        async with admin.transaction():
            await admin.execute(_LOCK.format(drawn.choice(_TABLES), drawn.choice(("EXCLUSIVE", "ACCESS EXCLUSIVE"))))
            await asyncio.sleep(drawn.random() * 0.6)

    return lock


def _letting_few_in(admin: asyncpg.Connection[asyncpg.Record], role: str) -> Trouble:
    """The server ends all connections of the application, and lets it have one or none for a while; its pool is too small besides."""

    async def go_short(drawn: random.Random) -> None:
        await admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT {drawn.randrange(2)}")
        while await admin.fetchval(_KILL, role):
            pass
        await asyncio.sleep(drawn.random() * 0.6)
        await admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT -1")

    return go_short


PARTS: Final = (
    *(_part("kill -9 under load", _die, _DEATHS, major) for major in MAJORS),
    _part("backends killed", _lose_backends, _BACKENDS),
    _part("a server that stands still", _pause, _PAUSES),
    _part("a network that breaks", _break, _BREAKS),
    _part("tables that others lock", _wait_for_locks, _WAITS),
    _part("connections that run out", _go_short, _SHORTAGES),
)
