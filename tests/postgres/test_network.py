"""A network that is cut, stands still or swallows what is said costs a typed error within the time that was set, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Final

import pytest
from attrs import evolve

from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.errors import CommitOutcomeUnknown, StorageBusy, StorageError, StorageUnavailable
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.postgres.conftest import QUICK
from tests.postgres.probes import connected
from tests.postgres.proxies import Wire, wire_to
from tests.postgres.troubles import PATIENT, breaking, write_through
from tests.servers.databases import Database

HASTY: Final = evolve(QUICK, connect_s=0.5, answer_s=0.5, retry_s=0.5)
GRACE_S: Final = 1.5  #: of the tests' own machine


@pytest.fixture
async def wired(database: Database) -> AsyncIterator[tuple[Wire, Desk]]:
    """A company behind a wire, whose storage waits for half a second."""
    async with wire_to(database.app_url) as (wire, url):
        storage = PostgresStorage(url, limits=HASTY)
        yield wire, Desk(storage, a_new_company())
        wire.passes.set()
        await storage.aclose()


async def in_time(work: Awaitable[object], error: type[Exception]) -> None:
    """It fails with that error, and not much later than the limits say."""
    began = time.monotonic()
    with pytest.raises(error):
        await work
    assert time.monotonic() - began < HASTY.answer_s + HASTY.retry_s + GRACE_S


async def test_what_is_said_over_a_network_that_stands_still_fails_in_time(wired: tuple[Wire, Desk]) -> None:
    wire, desk = wired
    await desk.keep(a_ticket())

    wire.passes.clear()
    await in_time(desk.find(a_ticket().key), StorageUnavailable)
    await in_time(desk.keep(a_ticket("2")), StorageUnavailable)
    await in_time(desk.claim(), StorageUnavailable)
    wire.passes.set()

    assert [one.key.id for one in (await desk.everything()).tickets] == [a_ticket().key.id]
    await desk.keep(a_ticket("2"))


async def test_a_server_that_takes_connections_and_never_answers_is_unavailable_in_time(database: Database) -> None:
    async with wire_to(database.app_url) as (wire, url):
        wire.passes.clear()
        storage = PostgresStorage(url, limits=HASTY)

        await in_time(storage.companies(), StorageUnavailable)

        wire.passes.set()
        await storage.companies()
        await storage.aclose()


async def test_a_table_that_another_session_keeps_to_itself_is_a_typed_error_in_time(database: Database, wired: tuple[Wire, Desk]) -> None:
    _, desk = wired
    await desk.keep(a_ticket())

    async with connected(database.admin_url) as admin, admin.transaction():
        await admin.execute("LOCK TABLE deskstore.ticket IN ACCESS EXCLUSIVE MODE")
        await in_time(desk.find(a_ticket().key), StorageError)
        await in_time(desk.keep(a_ticket("2")), StorageBusy)

    assert [one.key.id for one in (await desk.everything()).tickets] == [a_ticket().key.id]


async def test_when_every_connection_is_cut_fresh_ones_take_their_place_and_nobody_notices(wired: tuple[Wire, Desk]) -> None:
    wire, desk = wired
    await desk.keep(a_ticket("0"))
    await asyncio.gather(*(desk.everything() for _ in range(HASTY.connections)))

    for number in range(1, 11):
        wire.cut()
        await desk.keep(a_ticket(str(number)))
        wire.cut()
        assert await desk.find(a_ticket(str(number)).key) is not None

    assert (await desk.progress()).total == 11


async def test_a_commit_that_the_network_swallowed_kept_nothing_and_says_so(wired: tuple[Wire, Desk]) -> None:
    wire, desk = wired
    await desk.keep(a_ticket("before"))
    wire.swallowed_at = b"COMMIT"
    uow = desk.unit()
    uow.tickets.save(a_ticket())

    await in_time(uow.commit(), StorageUnavailable)

    assert uow.outcome == "discarded"
    assert await desk.find(a_ticket().key) is None
    await desk.keep(a_ticket())


async def test_a_commit_over_a_network_that_stands_still_is_unknown_in_time(wired: tuple[Wire, Desk]) -> None:
    wire, desk = wired
    await desk.keep(a_ticket("before"))
    wire.swallowed_at = b"COMMIT"
    uow = desk.unit()
    uow.tickets.save(a_ticket())

    committing = asyncio.ensure_future(uow.commit())
    await wire.swallowed.wait()
    wire.passes.clear()
    await in_time(committing, CommitOutcomeUnknown)

    assert uow.outcome == "unknown"


async def test_nothing_is_lost_where_the_network_is_cut_again_and_again(database: Database, seed: int) -> None:
    async with wire_to(database.app_url) as (wire, url):
        toll = await write_through(breaking(wire), url, times=8, seed=seed, limits=evolve(PATIENT, connect_s=1.0, answer_s=1.0))

    assert toll.wrong == []
    assert toll.troubles == 8
