"""The storage behind a real PgBouncer in transaction mode, where a client has a connection for one transaction at a time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Final

import asyncpg
from attrs import field, frozen

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.pool import Limits
from deskstore.domain.errors import StorageError
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.chaos.parts import Finding, NotHere, Orders, Part
from tests.postgres.crowds import step
from tests.postgres.preparing import prepare
from tests.servers.databases import Database, databases_on
from tests.servers.poolers import NoPooler, PgBouncer, PoolerProgram, pooler_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CLIENTS: Final = 20
_BEHIND: Final = 2  #: connections to the server, which they share
_STEPS: Final = 100  #: of each client
_RACE: Final = (24, 4)
_TURNS: Final = 30  #: of each client in one round of the race
_ROUNDS: Final = 5
_AIM: Final = 0.8  #: of the rate past the pooler
_NAMED: Final = "SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements)"


@frozen(kw_only=True)
class Kind:
    """One way to run PgBouncer, and what the storage is told of it."""

    knows_statements: bool  #: whether the program does, from 1.21 on
    settings: Mapping[str, str] = field(factory=dict[str, str])
    has_pooler: bool = True  #: as DESKSTORE_POOLER=transaction says

    def program(self) -> PoolerProgram:
        """What is to be run; raises NotHere."""
        try:
            return pooler_program(knows_statements=self.knows_statements)
        except NoPooler as reason:
            raise NotHere(str(reason)) from reason


_KNOWING: Final = Kind(knows_statements=True, settings={"max_prepared_statements": "200"}, has_pooler=False)
_TOLD_NOT_TO: Final = Kind(knows_statements=True, settings={"max_prepared_statements": "0"})
_OLD: Final = Kind(knows_statements=False)


@frozen
class Site:
    """A PostgreSQL, a PgBouncer before it, and a database that both reach."""

    database: Database
    pooler: PgBouncer

    @property
    def url(self) -> str:
        """The database through the pooler, as the application logs in."""
        return self.pooler.before(self.database.app_url)

    async def statements(self) -> dict[int, int]:
        """How many statements are prepared on each connection that the pooler has to the server."""
        async with AsyncExitStack() as stack:
            clients = [await asyncpg.connect(self.url, statement_cache_size=0) for _ in range(_BEHIND)]
            for client in clients:
                stack.push_async_callback(client.close)
                await stack.enter_async_context(client.transaction())  # which has a connection to itself until all were asked
            return dict([tuple((await client.fetch(_NAMED))[0]) for client in clients])

    async def connections(self) -> int:
        """How many connections the server has from the application."""
        admin = await asyncpg.connect(self.database.admin_url)
        try:
            counted = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
            return int(await admin.fetchval(counted, self.database.app_role))
        finally:
            await admin.close()


@asynccontextmanager
async def _site(kind: Kind, connections: int) -> AsyncGenerator[Site]:
    program = kind.program()
    with PostgresServer() as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare(database)
            with PgBouncer(program, server.url, [databases.app], connections=connections, settings=kind.settings) as pooler:
                yield Site(database, pooler)


# -- twenty clients, two connections -------------------------------------------------------------------------------------------------------


def _crowd(kind: Kind, orders: Orders) -> Finding:
    return asyncio.run(_crowded(kind, 20 * _STEPS if orders.is_nightly else _STEPS, orders.seed))


async def _crowded(kind: Kind, steps: int, seed: int) -> Finding:
    """Each client at work in a company of its own: nothing may fail, nothing foreign be met, and no statement pile up on the server."""
    async with _site(kind, _BEHIND) as site:
        storages = [PostgresStorage(site.url, limits=_patient(1), has_pooler=kind.has_pooler) for _ in range(_CLIENTS)]
        desks = [Desk(storage, a_new_company()) for storage in storages]
        met = list[str]()
        try:
            await asyncio.gather(*(_fill(desk, f"text {number}") for number, desk in enumerate(desks)))
            await _work(desks, steps // 2, seed, met)
            before = await site.statements()
            await _work(desks, steps // 2, seed + 1, met)
            after = await site.statements()
            connections = await site.connections()
        finally:
            await asyncio.gather(*(storage.aclose() for storage in storages))
    if connections > _BEHIND:
        met.append(f"{connections} connections to the server, where {_BEHIND} were to do")
    met.extend(_grown(before, after, kind))
    measured = (
        f"PgBouncer {'.'.join(map(str, site.pooler.program.version))}, prepared {sorted(before.values())} then {sorted(after.values())}"
    )
    return Finding(states=_CLIENTS * steps, failures=met, measured=measured)


async def _fill(desk: Desk, text: str) -> None:
    """All tickets that a step may draw, so that none of them is missing by right."""
    await desk.fill(text)
    await desk.keep(*(a_ticket(str(number), text=text) for number in range(4, 10)))


async def _work(desks: Sequence[Desk], steps: int, seed: int, met: list[str]) -> None:
    await asyncio.gather(*(_one(desk, number, steps, random.Random(f"{seed}/{number}"), met) for number, desk in enumerate(desks)))


async def _one(desk: Desk, number: int, steps: int, drawn: random.Random, met: list[str]) -> None:
    for _ in range(steps):
        try:
            await step(desk, f"text {number}", drawn, met)
        except StorageError as error:
            met.append(f"client {number}: {type(error).__name__}: {error}")


def _grown(before: Mapping[int, int], after: Mapping[int, int], kind: Kind) -> list[str]:
    """What is wrong with the statements that are prepared: none may be without need of them, and all must be there after the first half."""
    most = 0 if kind.has_pooler else max(before.values()) + 5  # some combination of writes that had not come up before
    return [f"backend {pid} knows {count} prepared statements, {before} before" for pid, count in after.items() if count > most]


def _patient(connections: int) -> Limits:
    return Limits(connections=connections, wait_s=60.0, connect_s=60.0, answer_s=60.0, lock_s=30.0)


# -- the rate ------------------------------------------------------------------------------------------------------------------------------


def _race(orders: Orders) -> Finding:
    return asyncio.run(_raced(3 * _ROUNDS if orders.is_nightly else _ROUNDS))


async def _raced(rounds: int) -> Finding:
    """Many clients over few connections against each with its own: turn by turn, so that both meet the same machine."""
    clients, behind = _RACE
    async with _site(_KNOWING, behind) as site:
        direct, pooled = [PostgresStorage(url, limits=_patient(clients)) for url in (site.database.app_url, site.url)]
        try:
            desks = {storage: [await _filled(storage, number) for number in range(clients)] for storage in (direct, pooled)}
            failures = list[str]()
            rates: dict[PostgresStorage, list[float]] = {direct: [], pooled: []}
            for turn in range(rounds + 1):
                for storage in (direct, pooled):
                    rate = await _rate(desks[storage], failures)
                    if turn:  # the first round prepares statements
                        rates[storage].append(rate)
        finally:
            await asyncio.gather(direct.aclose(), pooled.aclose())
    ratio = median(one / other for one, other in zip(rates[pooled], rates[direct], strict=True))
    said = f"{median(rates[pooled]):,.0f}/s through the pooler, {median(rates[direct]):,.0f}/s direct: {ratio:.2f}, aim {_AIM}"
    return Finding(states=2 * rounds * clients * _TURNS, failures=failures, measured=said)


async def _filled(storage: PostgresStorage, number: int) -> Desk:
    return await Desk(storage, a_new_company()).fill(f"text {number}")


async def _rate(desks: Sequence[Desk], failures: list[str]) -> float:
    """How many operations a second all of them came to: four reads for each write."""
    began = time.monotonic()
    await asyncio.gather(*(_turns(desk, number, failures) for number, desk in enumerate(desks)))
    return len(desks) * _TURNS / (time.monotonic() - began)


async def _turns(desk: Desk, number: int, failures: list[str]) -> None:
    for turn in range(_TURNS):
        if turn % 5:
            found = await desk.find(a_ticket(str(1 + turn % 3)).key)
            if found is None or found.data["description"] != f"text {number}":
                failures.append(f"client {number} found {found}")
        else:
            await desk.keep(a_ticket(f"{desk.company_id}/{time.monotonic_ns()}", text=f"text {number}"))


PARTS: Final = (
    Part("behind a PgBouncer that knows prepared statements", partial(_crowd, _KNOWING)),
    Part("behind a PgBouncer told to keep no statements", partial(_crowd, _TOLD_NOT_TO)),
    Part("behind a PgBouncer before 1.21", partial(_crowd, _OLD)),
    Part("24 clients over 4 connections of PgBouncer", _race),
)
