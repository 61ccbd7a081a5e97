"""A server that dies at any moment loses nothing that was acknowledged, and a storage goes on when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from attrs import evolve

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import StorageUnavailable
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.postgres.conftest import QUICK
from tests.postgres.preparing import prepare
from tests.postgres.proxies import wire_to
from tests.postgres.troubles import dying, write_through
from tests.servers.databases import Database, databases_on

PATIENT = evolve(QUICK, wait_s=30, retry_s=30)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that may be killed; what is not committed stays in its memory."""
    with PostgresServer(settings={"wal_writer_delay": "10s"}) as made:
        yield made


@pytest.fixture
async def mortal(server: PostgresServer) -> AsyncIterator[Database]:
    """A database on it."""
    async with databases_on(server) as databases, databases.fresh() as database:
        await prepare(database)
        yield database


async def die_and_rise(server: PostgresServer) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


async def test_a_commit_that_never_arrived_is_not_taken_for_one_that_came_after_the_crash(server: PostgresServer, mortal: Database) -> None:
    """What a crash forgets may happen again: even the number of a transaction goes to another one."""
    async with wire_to(mortal.app_url) as (wire, url):
        storage, other = PostgresStorage(url, limits=PATIENT), PostgresStorage(mortal.app_url, limits=PATIENT)
        desk, quicker = Desk(storage, a_new_company()), Desk(other, a_new_company())
        await desk.keep(a_ticket("before"))
        await quicker.keep(a_ticket("before"))
        wire.swallowed_at = b"COMMIT"

        keeping = asyncio.ensure_future(desk.keep(a_ticket()))
        await wire.swallowed.wait()
        await die_and_rise(server)
        await quicker.keep(a_ticket())
        await keeping

        assert await desk.find(a_ticket().key) is not None
        assert (await desk.progress()).total == 2
        await storage.aclose()
        await other.aclose()


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed_under_load(
    server: PostgresServer, mortal: Database, seed: int
) -> None:
    toll = await write_through(dying(server), mortal.app_url, times=6, seed=seed)

    assert toll.wrong == []
    assert toll.troubles == 6
    assert len(toll.acked) > 60


async def test_a_server_that_is_down_is_an_error_of_ours_at_once_and_the_storage_goes_on_when_it_is_back(
    server: PostgresServer, mortal: Database
) -> None:
    storage = PostgresStorage(mortal.app_url, limits=QUICK)
    desk = Desk(storage, a_new_company())
    await desk.keep(a_ticket())

    await asyncio.to_thread(server.kill)
    for act in (desk.everything, desk.claim, lambda: desk.keep(a_ticket("2")), storage.companies):
        with pytest.raises(StorageUnavailable):
            await asyncio.wait_for(act(), QUICK.retry_s + 1)
    await asyncio.to_thread(server.start)
    await desk.keep(a_ticket("2"))

    assert len((await desk.everything()).tickets) == 2
    await storage.aclose()
