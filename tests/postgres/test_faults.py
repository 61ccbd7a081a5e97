"""Lost connections, cancellations, locks and a full pool end in success or in one of our errors, and leave nothing behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import asyncpg
import pytest
from attrs import evolve
from sqlalchemy import exc as pool_errors

from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.errors import translation
from deskstore.domain.changes import Changes, SaveRecord
from deskstore.domain.errors import CommitOutcomeUnknown, StorageBusy, StorageError, StorageUnavailable, UnitOfWorkMisuse
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_ticket
from tests.postgres.cancelling import Cancellations, left_behind
from tests.postgres.conftest import QUICK
from tests.postgres.proxies import wire_to
from tests.servers.databases import Database

OF_APP = "SELECT pid FROM pg_stat_activity WHERE usename = $1 AND datname = current_database() AND pid <> pg_backend_pid()"


def _subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for other in kind.__subclasses__():
        yield from _subclasses(other)


def _made(kind: type[Exception]) -> Exception:
    """An error of that class, whatever it takes to make one."""
    for count in range(1, 8):
        try:
            return kind("something", *[ValueError("beneath")] * (count - 1))
        except TypeError:
            pass
    raise AssertionError(f"{kind} cannot be made")


@pytest.mark.parametrize(
    "family", [asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, pool_errors.SQLAlchemyError, OSError]
)
def test_every_error_of_driver_and_pool_becomes_one_of_ours(family: type[Exception]) -> None:
    for kind in {kind for kind in _subclasses(family) if not kind.__module__.startswith("sqlalchemy.orm")}:
        translated = translation(_made(kind), "a place", "acme")

        assert isinstance(translated, StorageError), kind
        assert str(translated), kind


async def test_a_pool_that_is_used_up_says_so_in_time_and_serves_again_afterwards(storage: PostgresStorage, desk: Desk) -> None:
    await desk.keep(a_ticket())
    go_on = asyncio.Event()

    async def wait(_: Changes) -> None:
        await go_on.wait()

    changes = [Changes(records=(SaveRecord(a_ticket(str(number))),)) for number in range(QUICK.connections)]
    holding = [asyncio.ensure_future(storage.backend(desk.company_id).apply(one, wait)) for one in changes]
    await asyncio.sleep(0.2)
    with pytest.raises(StorageBusy):
        await asyncio.wait_for(desk.find(a_ticket().key), QUICK.wait_s + 1)
    go_on.set()
    await asyncio.gather(*holding)

    assert await desk.find(a_ticket("0").key) is not None


async def test_a_unit_that_is_being_read_in_is_refused_to_a_second_task(desk: Desk) -> None:
    await desk.keep(a_ticket())
    async with desk.unit() as uow:
        reading = asyncio.create_task(uow.tickets.find(PLATFORM, "42"))
        await asyncio.sleep(0)

        with pytest.raises(UnitOfWorkMisuse):
            uow.tickets.save(a_ticket("43"))

        assert await reading is not None


async def test_a_lock_that_another_session_holds_is_a_typed_error_in_time(desk: Desk, admin: asyncpg.Connection) -> None:
    stored = await desk.kept(a_ticket())

    async with admin.transaction():
        await admin.execute("SELECT FROM deskstore.ticket_state WHERE company_id = $1 FOR UPDATE", desk.company_id)
        with pytest.raises(StorageBusy):
            await asyncio.wait_for(desk.keep(stored), QUICK.lock_s + 2)

    await desk.keep(stored)


async def test_a_transaction_that_waits_for_too_long_is_ended_and_keeps_nothing(desk: Desk, database: Database) -> None:
    impatient = PostgresStorage(database.app_url, limits=evolve(QUICK, idle_s=0.1, retry_s=0.5))

    async def dawdle(_: Changes) -> None:
        await asyncio.sleep(0.3)

    with pytest.raises(StorageUnavailable):
        await impatient.backend(desk.company_id).apply(Changes(records=(SaveRecord(a_ticket()),)), dawdle)

    assert await desk.find(a_ticket().key) is None
    await impatient.aclose()


async def test_operations_succeed_while_two_hundred_backends_are_killed(database: Database, admin: asyncpg.Connection, seed: int) -> None:
    rng = random.Random(seed)
    storage = PostgresStorage(database.app_url, limits=evolve(QUICK, wait_s=30, retry_s=30))
    desk = Desk(storage, a_new_company())
    kills = kept = 0

    async def kill() -> None:
        nonlocal kills
        while kills < 200:
            await asyncio.sleep(rng.random() * 0.03)
            if kept >= 2 * kills:  # a slow machine comes on, too
                found = await admin.fetch(f"{OF_APP} ORDER BY random() LIMIT 1", database.app_role)
                kills += sum([await admin.fetchval("SELECT pg_terminate_backend($1)", row[0]) for row in found])

    async def work(worker: int) -> None:
        nonlocal kept
        while kills < 200:
            await desk.keep(a_ticket(f"{worker}/{kept}"))
            kept += 1

    await asyncio.wait_for(asyncio.gather(kill(), *(work(worker) for worker in range(4))), 120)

    assert (await desk.progress()).total == kept
    assert len((await desk.everything()).tickets) == kept
    await storage.aclose()


async def test_a_backend_that_is_killed_before_its_commit_is_tried_again_and_kept_once(
    storage: PostgresStorage, desk: Desk, admin: asyncpg.Connection, database: Database
) -> None:
    calls = 0

    async def kill_once(_: Changes) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            for row in await admin.fetch(OF_APP, database.app_role):
                await admin.fetchval("SELECT pg_terminate_backend($1, 1000)", row[0])

    await storage.backend(desk.company_id).apply(Changes(records=(SaveRecord(a_ticket()),)), kill_once)

    assert calls == 2
    assert (await desk.progress()).total == 1


async def test_a_commit_whose_answer_is_lost_is_found_to_have_taken_place(database: Database) -> None:
    async with wire_to(database.app_url) as (wire, url):
        storage = PostgresStorage(url, limits=QUICK)
        desk = Desk(storage, a_new_company())
        await desk.keep(a_ticket("before"))
        wire.cut_at = b"COMMIT"

        await desk.keep(a_ticket())

        assert await desk.find(a_ticket().key) is not None
        assert (await desk.progress()).total == 2
        wire.cut_at = b"COMMIT"
        assert len(await desk.claim(2)) == 2
        state = await desk.replica().state()
        assert state is not None
        wire.cut_at = b"COMMIT"
        assert await desk.replica().compare_and_set_state(state, evolve(state, backups=("one",)))
        wire.cut_at = b"COMMIT"
        await storage.erase(desk.company_id)
        assert desk.company_id not in await storage.companies()
        await storage.aclose()


async def test_a_commit_of_which_nobody_can_tell_is_unknown(database: Database) -> None:
    async with wire_to(database.app_url) as (wire, url):
        storage = PostgresStorage(url, limits=evolve(QUICK, retry_s=0.5))
        desk = Desk(storage, a_new_company())
        await desk.keep(a_ticket("before"))
        wire.cut_at, wire.stays_down = b"COMMIT", True
        uow = desk.unit()
        uow.tickets.save(a_ticket())

        with pytest.raises(CommitOutcomeUnknown):
            await asyncio.wait_for(uow.commit(), 10)

        assert uow.outcome == "unknown"
        await storage.aclose()


async def test_two_thousand_cancellations_keep_what_was_committed_and_leave_no_connection_and_no_transaction(
    storage: PostgresStorage, desk: Desk, admin: asyncpg.Connection, database: Database, seed: int
) -> None:
    cancellations = Cancellations(storage=storage, at_once=QUICK.connections, drawn=random.Random(seed))

    await cancellations.cancel(2_000)

    assert cancellations.wrong == []
    assert cancellations.kept > 0
    assert await left_behind(admin, database, QUICK.connections) == []
    await desk.keep(a_ticket())
    assert all(await asyncio.gather(*(desk.find(a_ticket().key) for _ in range(QUICK.connections))))


async def test_a_server_that_is_not_there_and_a_wrong_password_are_each_one_of_our_errors(database: Database) -> None:
    nowhere = PostgresStorage("postgresql://app@127.0.0.1:1/none", limits=QUICK)
    wrong = PostgresStorage(database.app_url.replace(":", ":x", 2).replace(":x", ":", 1), limits=QUICK)

    for storage in (nowhere, wrong):
        with pytest.raises(StorageError):
            await asyncio.wait_for(storage.unit_of_work("acme").tickets.find(PLATFORM, "1"), 10)
        await storage.aclose()
