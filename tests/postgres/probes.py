"""What must hold of a database and of whoever works with it; each probe raises AssertionError where it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import asyncpg
from attrs import evolve

from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.committing import Transaction
from deskstore.adapters.postgres.pool import Limits, Pool
from deskstore.adapters.postgres.schema import sealed_tables, tables
from deskstore.domain.changes import Changes, SaveRecord
from deskstore.domain.errors import CompanyMoved, VersionConflict
from deskstore.domain.mirror import CompanyState, Copy, copy_of
from deskstore.domain.ports import Replica
from deskstore.testing.contract import isolation
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.servers.databases import Database

if TYPE_CHECKING:
    from sqlalchemy.pool import PoolProxiedConnection

    from deskstore.adapters.postgres.pool import Driver

SEALED: Final = [table.name for table in sealed_tables(tables()) if table.name != "company"]
SEES: Final = " + ".join(f"(SELECT count(*) FROM deskstore.{name})" for name in SEALED)  # noqa: S608 - names of ours
LEFT: Final = f"""SELECT coalesce(current_setting('app.current_company_id', true), ''), {SEES},
    (SELECT count(*) FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'advisory'),
    (SELECT count(*) FROM pg_cursors c WHERE c.is_holdable),
    (SELECT count(*) FROM pg_class c WHERE c.relpersistence = 't')"""  # noqa: S608 - names of ours
NOTHING: Final = ("", 0, 0, 0, 0)


class Watched(PostgresStorage):
    """A storage whose connections a test may take."""

    @property
    def pool(self) -> Pool:
        return self._pool


class CarelessPool(Pool):
    """Gives connections back as they are."""

    async def _take_back(self, lent: PoolProxiedConnection, driver: Driver, *, in_doubt: bool) -> None:
        lent.close()


class Careless(Watched):
    """A storage with such a pool."""

    def __init__(self, url: str, *, limits: Limits) -> None:
        super().__init__(url, limits=limits)
        self.pool.__class__ = CarelessPool


Open = Callable[..., Watched]
Probe = Callable[[Database, Open], Awaitable[None]]


async def let_in(_: Driver) -> None:
    """What a storage may do as anybody, in tests alone."""


@asynccontextmanager
async def opened(storage: Watched) -> AsyncGenerator[Watched]:
    try:
        yield storage
    finally:
        await storage.aclose()


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


# -- connections ---------------------------------------------------------------------------------------------------------------------------


async def a_connection_that_goes_back_remembers_no_company(database: Database, open_storage: Open) -> None:
    """Whatever a unit of work ends in, the next one to have the connection finds it as if it were new."""
    async with opened(open_storage(database.app_url, limits=Limits(connections=1))) as storage:
        desk = await Desk(storage, a_new_company()).fill("ours")
        for use in (_read, _commit, _leave, _conflict, _claim, _cancel, _fail):
            await use(storage, desk)
            async with storage.pool.session() as session:
                found = tuple((await session.rows(LEFT))[0])
            assert found == NOTHING, (use.__name__, found)


async def _read(_: Watched, desk: Desk) -> None:
    await desk.everything()


async def _commit(_: Watched, desk: Desk) -> None:
    await desk.keep(a_ticket(a_new_company()[-36:]))


async def _leave(_: Watched, desk: Desk) -> None:
    with suppress(LookupError):
        async with desk.unit() as uow:
            await uow.tickets.find("zendesk", "1")
            raise LookupError


async def _conflict(_: Watched, desk: Desk) -> None:
    with suppress(VersionConflict):
        await desk.keep(evolve(a_ticket("1"), version=1))


async def _claim(_: Watched, desk: Desk) -> None:
    await desk.claim(2)


async def _cancel(storage: Watched, desk: Desk) -> None:
    """Give up between the writes and the commit."""
    inside = asyncio.Event()

    async def wait(_: Changes) -> None:
        inside.set()
        await asyncio.Event().wait()

    changes = Changes(records=(SaveRecord(a_ticket("cancelled")),))
    task = asyncio.ensure_future(storage.backend(desk.company_id).apply(changes, wait))
    await inside.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _fail(storage: Watched, desk: Desk) -> None:
    async def refuse(_: Changes) -> None:
        raise LookupError

    with suppress(LookupError):
        await storage.backend(desk.company_id).apply(Changes(records=(SaveRecord(a_ticket("failed")),)), refuse)


# -- statements ----------------------------------------------------------------------------------------------------------------------------


async def every_statement_names_its_company(database: Database, open_storage: Open) -> None:
    """For somebody whom no policy binds, every read and every write still stays inside its company."""
    async with opened(open_storage(database.admin_url, admit=let_in)) as storage:
        for promise in (
            isolation.test_every_read_gives_the_companys_own_records,
            isolation.test_a_company_without_records_finds_nothing_of_another,
            isolation.test_no_write_touches_another_company,
            isolation.test_claims_take_the_companys_own_tickets,
            isolation.test_cursors_lead_through_the_companys_own_records_wherever_they_come_from,
        ):
            await promise(Desk(storage, a_new_company()), Desk(storage, a_new_company()))
        await _erasing_stays_inside(storage)


async def _erasing_stays_inside(storage: Watched) -> None:
    desk, other = [await Desk(storage, a_new_company()).fill("the same") for _ in range(2)]
    before = await other.everything()
    await storage.erase(desk.company_id)
    assert await other.everything() == before
    assert other.company_id in await storage.companies()


# -- the order of lock and look ------------------------------------------------------------------------------------------------------------


async def a_writer_that_waited_sees_what_happened_meanwhile(database: Database, open_storage: Open) -> None:
    """A company moves while a writer waits for its lock: the writer must not commit in the epoch from before."""
    async with opened(open_storage(database.app_url)) as storage, connected(database.app_url) as mover:
        desk = Desk(storage, a_new_company())
        await desk.keep(a_ticket("1"))
        async with mover.transaction():
            await mover.execute("SELECT set_config('app.current_company_id', $1, true)", desk.company_id)
            await mover.execute("SELECT pg_advisory_xact_lock(deskstore.company_lock($1))", desk.company_id)
            writing = asyncio.ensure_future(desk.keep(a_ticket("2")))
            await _until_somebody_waits(database)
            await mover.execute(
                "UPDATE deskstore.company_state SET primary_store = 'another', epoch = epoch + 1 WHERE company_id = $1", desk.company_id
            )
        outcome = (await asyncio.gather(writing, return_exceptions=True))[0]
        assert isinstance(outcome, CompanyMoved), outcome


async def a_deletion_is_not_undone_by_an_older_copy_on_its_way(database: Database, open_storage: Open) -> None:
    """Two batches of a filling cross: one that brings a ticket, and one that brings its later deletion while the first is not committed."""
    async with opened(open_storage(database.app_url)) as storage:
        desk = Desk(storage, a_new_company())
        await desk.keep(a_ticket("before"))
        replica = desk.replica()
        epoch = await _follows(replica)
        older = copy_of(evolve(a_ticket(), version=5))
        deletion = Copy(older.thing, 6, None)
        with _held_commits() as (reached, go_on):
            bringing = asyncio.ensure_future(replica.apply([older], epoch=epoch))
            await reached.wait()
            burying = asyncio.ensure_future(replica.apply([deletion], epoch=epoch))
            waiting = asyncio.ensure_future(_until_somebody_waits(database))
            await asyncio.wait((burying, waiting), return_when=asyncio.FIRST_COMPLETED)
            go_on.set()
            await asyncio.gather(bringing, burying)
        waiting.cancel()
        assert await replica.read([older.thing]) == [deletion]


async def _follows(replica: Replica) -> int:
    """Let the company live in another store from now on: its epoch."""
    state = await replica.state()
    assert state is not None
    moved = CompanyState(primary="another", mirror=await replica.store_id(), epoch=state.epoch + 1)
    await replica.compare_and_set_state(state, moved)
    return moved.epoch


@contextmanager
def _held_commits() -> Generator[tuple[asyncio.Event, asyncio.Event]]:
    """The first commit says that it was reached, and waits; the others go on."""
    reached, go_on, commit = asyncio.Event(), asyncio.Event(), Transaction.commit

    async def held(self: Transaction) -> None:
        if not reached.is_set():
            reached.set()
            await go_on.wait()
        await commit(self)

    with patch.object(Transaction, "commit", held):
        yield reached, go_on


async def _until_somebody_waits(database: Database) -> None:
    async with connected(database.admin_url) as onlooker:
        for _ in range(500):
            waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            if await onlooker.fetchval(f"{waiting} WHERE NOT l.granted AND d.datname = current_database()"):
                return
            await asyncio.sleep(0.01)
    raise AssertionError("the writer does not wait for the lock")
