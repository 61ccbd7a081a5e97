"""Every read is one round trip; a unit is four: begin and bind, lock and read, write, commit; a claim decides where it locks: three."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from attrs import evolve

from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import RequesterSuppressed
from deskstore.domain.paging import EVERYTHING, Filter
from deskstore.domain.processing import COMPLETED
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_summary, a_suppression, a_ticket, an_article, fields
from tests.hybrid.pairs import everything_in
from tests.postgres.conftest import QUICK
from tests.postgres.proxies import Wire, wire_to
from tests.servers.databases import Database


@pytest.fixture
async def wired(database: Database) -> AsyncIterator[tuple[Wire, Desk]]:
    """A company behind a wire that counts, reached by one connection on which everything was prepared before."""
    async with wire_to(database.app_url) as (wire, url):
        storage = PostgresStorage(url, limits=QUICK)
        desk = Desk(storage, a_new_company())
        for _ in range(2):
            await (await desk.fill("text")).everything()
            await desk.claim()
            await desk.storage.erase(desk.company_id)
        await desk.fill("text")
        yield wire, desk
        await storage.aclose()


async def test_every_read_is_one_trip(wired: tuple[Wire, Desk]) -> None:
    wire, desk = wired
    key = a_ticket("1").key
    uow = desk.unit()
    reads: list[Callable[[], Awaitable[object]]] = [
        lambda: uow.tickets.find(PLATFORM, "1"),
        lambda: uow.tickets.find_many([key, a_ticket("2").key]),
        lambda: uow.tickets.heads([key, a_ticket("2").key]),
        lambda: uow.tickets.page(EVERYTHING),
        lambda: uow.tickets.page(Filter(platform=PLATFORM, status="open", processing=COMPLETED)),
        lambda: uow.articles.find(PLATFORM, "1"),
        lambda: uow.summaries.history(key),
        lambda: uow.summaries.current_many([key]),
        lambda: uow.progress.find(PLATFORM, "1"),
        lambda: uow.progress.progress(PLATFORM),
        uow.progress.stats,
        lambda: uow.progress.checkpoint(PLATFORM, "tickets"),
    ]
    for read in reads:
        await read()
        before = wire.trips

        await read()

        assert wire.trips - before == 1


async def test_a_unit_is_four_trips_whatever_it_changes(wired: tuple[Wire, Desk]) -> None:
    wire, desk = wired

    async def trips(*, again: bool) -> int:
        before = wire.trips
        async with desk.unit() as uow:
            uow.tickets.save(a_ticket(f"new {again}"))
            uow.articles.save(an_article(f"new {again}"))
            uow.summaries.add(a_summary(a_ticket("2").key))
            await uow.commit()
        return wire.trips - before

    await trips(again=False)

    assert await trips(again=True) == 4


async def test_a_unit_is_four_trips_also_where_requesters_are_kept_out(wired: tuple[Wire, Desk]) -> None:
    wire, desk = wired
    kim, lee = (evolve(fields(), requester=f"{name}@example.com") for name in ("kim", "lee"))
    await desk.suppress(a_suppression("kim@example.com"))
    await desk.keep(a_ticket("of lee", read=lee))
    before = wire.trips

    await desk.keep(a_ticket("of lee, too", read=lee))

    assert wire.trips - before == 4
    with pytest.raises(RequesterSuppressed):
        await desk.keep(a_ticket("of kim", read=kim))


async def test_a_claim_is_three_trips(wired: tuple[Wire, Desk]) -> None:
    wire, desk = wired
    await desk.claim()
    before = wire.trips

    assert await desk.claim()

    assert wire.trips - before == 3


async def test_the_first_units_of_a_storage_that_was_warmed_up_take_no_more_trips_than_all_others(database: Database) -> None:
    async with wire_to(database.app_url) as (wire, url):
        there, storage = Desk(PostgresStorage(url), a_new_company()), PostgresStorage(url)
        await there.fill("text")
        await there.attach_mirror()
        before = await everything_in(there)
        here = Desk(storage, there.company_id)

        await storage.warm_up(here.company_id, 3)
        after, trips = await everything_in(there), wire.trips
        await asyncio.gather(*(here.keep(a_ticket(f"new {number}")) for number in range(3)))

        assert wire.trips - trips == 3 * 4
        assert after == before
        await asyncio.gather(there.storage.aclose(), here.storage.aclose())
