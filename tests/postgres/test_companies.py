"""
What becomes of a company: erased in steps that can be resumed, refused when another database stands in its place, counted in few rows.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from attrs import evolve

from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import CompanyErased, CompanyMoved, RequesterSuppressed, StoreReplaced
from deskstore.services.erasing import erase_requester
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_ticket, an_article, fields
from tests.postgres.conftest import QUICK
from tests.postgres.preparing import prepare
from tests.servers.databases import Database, Databases

KEPT = "SELECT count(*) FROM deskstore.{} WHERE company_id = $1"
THERE_AND_BACK = """
    DO $$
    DECLARE
        company text := current_setting('app.current_company_id');
    BEGIN
        FOR turn IN 1..1500 LOOP
            UPDATE deskstore.ticket_state SET status = 'failed' WHERE company_id = company AND ticket_id = '1';
            UPDATE deskstore.ticket_state SET status = 'pending' WHERE company_id = company AND ticket_id = '1';
        END LOOP;
    END $$
"""  #: 3,000 differences, of which one in a hundred folds all there are
DELTAS = "SELECT count(*) FROM deskstore.count_delta WHERE company_id = $1"


@pytest.fixture
async def own_database(databases: Databases, prepared_postgres: str) -> AsyncIterator[Database]:
    """A database that a test may spoil."""
    async with databases.fresh(prepared_postgres) as database:
        yield database


async def test_an_erasure_that_was_interrupted_lets_nobody_in_and_goes_on_when_it_is_asked_for_again(
    storage: PostgresStorage, desk: Desk, admin: asyncpg.Connection, database: Database
) -> None:
    await desk.fill("text")
    state = await desk.replica().state()
    assert state is not None
    moments = [storage.clock()]
    interrupted = PostgresStorage(database.app_url, clock=moments.pop, limits=QUICK)
    with pytest.raises(IndexError):  # its second transaction finds no time
        await interrupted.erase(desk.company_id)
    await interrupted.aclose()

    with pytest.raises(CompanyErased):
        await desk.find(a_ticket("1").key)
    with pytest.raises(CompanyErased):
        await desk.keep(a_ticket("2"))
    assert desk.company_id in await storage.companies()
    erasure = await storage.erase(desk.company_id)

    assert erasure is not None
    assert erasure.removed.tickets == 3  # the line is of the whole company, whatever was left of it the second time
    assert desk.company_id not in await storage.companies()
    for table in (
        "ticket",
        "ticket_state",
        "article",
        "summary",
        "checkpoint",
        "suppression",
        "outbox",
        "tombstone",
        "count_delta",
        "company_state",
        "company",
    ):
        assert await admin.fetchval(KEPT.format(table), desk.company_id) == 0
    await desk.keep(a_ticket("1"))
    began_anew = await desk.replica().state()
    assert began_anew is not None
    assert began_anew.epoch == state.epoch + 2


async def test_what_stays_of_an_erased_company_names_nobody(storage: PostgresStorage, desk: Desk, admin: asyncpg.Connection) -> None:
    await desk.fill("text")

    await storage.erase(desk.company_id)

    digest = hashlib.sha256(desk.company_id.encode()).digest()
    ((epoch, counts),) = await admin.fetch("SELECT epoch, counts FROM deskstore.erasure WHERE company_hash = $1", digest)
    assert epoch == 2
    assert json.loads(counts) == {
        "tickets": 3,
        "articles": 3,
        "summaries": 4,
        "processing": 3,
        "claims": 0,
        "checkpoints": 1,
        "suppressions": 1,
    }


async def test_who_met_another_database_before_is_refused_and_writes_nothing(own_database: Database) -> None:
    storage = PostgresStorage(own_database.app_url, limits=QUICK)
    desk = Desk(storage, a_new_company())
    await desk.keep(a_ticket("1"))
    reader, writer = desk.unit(), desk.unit()
    await reader.tickets.find(PLATFORM, "1")
    owner = await asyncpg.connect(own_database.owner_url)
    await owner.execute("DROP SCHEMA deskstore CASCADE")
    await prepare(own_database)
    await owner.close()

    with pytest.raises(StoreReplaced):
        await reader.tickets.find(PLATFORM, "1")
    writer.tickets.save(a_ticket("2"))
    with pytest.raises(StoreReplaced):
        await writer.commit()

    assert await storage.companies() == []
    await storage.aclose()


async def test_who_met_another_database_before_takes_no_tickets_of_this_one(own_database: Database) -> None:
    before, now = (PostgresStorage(own_database.app_url, limits=QUICK) for _ in range(2))
    company_id = a_new_company()
    await Desk(before, company_id).keep(a_ticket())
    owner = await asyncpg.connect(own_database.owner_url)
    await owner.execute("DROP SCHEMA deskstore CASCADE")
    await prepare(own_database)
    await owner.close()
    await Desk(now, company_id).keep(a_ticket())

    with pytest.raises(StoreReplaced):
        await Desk(before, company_id).claim()

    assert [one.attempts for one in await Desk(now, company_id).claim()] == [1]
    for storage in (before, now):
        await storage.aclose()


async def test_who_waited_for_a_swap_sees_that_the_company_has_moved(desk: Desk, admin: asyncpg.Connection) -> None:
    await desk.keep(a_ticket("1"))
    async with admin.transaction():
        await admin.execute("SELECT pg_advisory_xact_lock(deskstore.company_lock($1))", desk.company_id)
        uow = desk.unit()
        uow.tickets.save(a_ticket("2"))
        committing = asyncio.ensure_future(uow.commit())
        await asyncio.sleep(0.1)
        await admin.execute(
            "UPDATE deskstore.company_state SET primary_store = 'another', epoch = 2 WHERE company_id = $1", desk.company_id
        )

    with pytest.raises(CompanyMoved):
        await committing


async def test_counts_are_folded_into_few_rows_by_whoever_writes(desk: Desk, admin: asyncpg.Connection) -> None:
    await desk.keep(a_ticket("1"), an_article("1"))
    await desk.keep(a_ticket("2"), a_ticket("3"))  # differences of another size under the same names
    before = await desk.progress()

    async with admin.transaction():
        await admin.execute("SELECT set_config('app.current_company_id', $1, true), set_config('app.now_us', '1', true)", desk.company_id)
        await admin.execute(THERE_AND_BACK)

    assert await admin.fetchval(DELTAS, desk.company_id) < 1_500
    assert await desk.progress() == before
    async with desk.unit() as uow:
        assert [(one.tickets, one.articles) for one in await uow.progress.stats()] == [(3, 1)]


async def test_the_lines_of_erased_companies_can_be_read_by_all_and_changed_by_nobody(
    storage: PostgresStorage, desk: Desk, database: Database
) -> None:
    await desk.fill("text")
    erasure = await storage.erase(desk.company_id)
    application = await asyncpg.connect(database.app_url)

    for statement in ("UPDATE deskstore.erasure SET counts = '{}'", "DELETE FROM deskstore.erasure"):
        async with application.transaction():
            await application.execute("SELECT set_config('app.current_company_id', $1, true)", desk.company_id)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with application.transaction():
                    await application.execute(statement)
    await application.close()

    assert erasure in await storage.erasures()


async def test_a_requester_whose_erasing_was_cut_off_in_the_database_is_erased_to_the_end(
    storage: PostgresStorage, desk: Desk, database: Database
) -> None:
    read = fields()
    await desk.keep(*(a_ticket(str(number), read=evolve(read, requester="77")) for number in range(20)))
    killed = PostgresStorage(database.app_url, limits=QUICK)
    erasing = asyncio.ensure_future(erase_requester(killed, desk.company_id, PLATFORM, "77", batch_tickets=1))
    while (await desk.progress()).total > 15:
        pass
    erasing.cancel()
    with suppress(asyncio.CancelledError):
        await erasing
    await killed.aclose()
    left = (await desk.progress()).total

    with pytest.raises(RequesterSuppressed):
        await desk.keep(a_ticket("more", read=evolve(read, requester="77")))
    receipt = await erase_requester(storage, desk.company_id, PLATFORM, "77", batch_tickets=7)

    assert 0 < left < 20
    assert receipt is not None
    assert receipt.tickets == 20
    assert (await desk.progress()).total == 0
