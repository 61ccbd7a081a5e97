"""Companies are listed, erased without a trace, and out of reach once the storage is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from deskstore.domain.errors import CompanyErased, StorageUnavailable
from deskstore.domain.paging import EVERYTHING
from deskstore.domain.ports import Storage
from deskstore.domain.processing import PENDING
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_checkpoint, a_summary, a_ticket, an_article

_Call = Callable[[Desk], Coroutine[Any, Any, object]]  # Any: what a coroutine may be sent


async def test_companies_are_listed_in_order_whatever_they_hold(new_desk: Callable[[], Desk]) -> None:
    of_tickets, of_articles, of_checkpoints = new_desk(), new_desk(), new_desk()
    await of_tickets.keep(a_ticket())
    await of_articles.keep(an_article())
    await of_checkpoints.keep_checkpoint(a_checkpoint())

    listed = await of_tickets.storage.companies()

    assert {of_tickets.company_id, of_articles.company_id, of_checkpoints.company_id} <= set(listed)
    assert list(listed) == sorted(set(listed))


async def test_a_company_whose_records_are_all_deleted_stays_listed(desk: Desk) -> None:
    await desk.delete(await desk.kept(a_ticket()))

    assert desk.company_id in await desk.storage.companies()


async def test_a_company_that_was_only_read_is_not_listed(desk: Desk) -> None:
    await desk.everything()
    async with desk.unit() as uow:
        await uow.commit()

    assert desk.company_id not in await desk.storage.companies()


async def test_erasing_leaves_nothing_of_a_company(desk: Desk) -> None:
    await desk.fill("ours")
    await desk.claim(2)

    await desk.storage.erase(desk.company_id)

    assert desk.company_id not in await desk.storage.companies()
    found = await desk.everything()
    assert (found.tickets, found.articles, found.summaries, found.checkpoint, found.stats) == ([], [], [], None, [])
    assert found.suppression is None
    assert await desk.history(a_ticket("1").key) == []
    assert await desk.claim(10) == []
    assert (await desk.progress()).total == 0


async def test_erasing_leaves_every_other_company_as_it_was(desk: Desk, other_desk: Desk) -> None:
    await desk.fill("ours")
    before = await (await other_desk.fill("theirs")).everything()

    await desk.storage.erase(desk.company_id)

    assert await other_desk.everything() == before
    assert other_desk.company_id in await desk.storage.companies()


async def test_an_erased_company_may_begin_anew(desk: Desk) -> None:
    await desk.fill("before")
    await desk.claim(3)
    await desk.storage.erase(desk.company_id)

    stored = await desk.kept(a_ticket("1", text="after"))

    processing = await desk.processing(stored.key)
    assert (processing.status, processing.attempts) == (PENDING, 0)
    assert [one.number for one in await desk.summarise(a_summary(stored.key))] == [1]
    assert (await desk.everything()).tickets == [stored]


async def test_erasing_an_unknown_company_changes_nothing(desk: Desk) -> None:
    before = await desk.storage.companies()

    await desk.storage.erase(desk.company_id)

    assert await desk.storage.companies() == before


async def test_whoever_has_an_erased_company_open_can_neither_read_nor_write_it(desk: Desk) -> None:
    await desk.fill("ours")
    reader, writer = desk.unit(), desk.unit()
    assert await reader.tickets.find(PLATFORM, "1") is not None
    read = await writer.tickets.find(PLATFORM, "1")
    assert read is not None
    writer.tickets.save(read)

    await desk.storage.erase(desk.company_id)

    with pytest.raises((CompanyErased, StorageUnavailable)):
        await reader.tickets.find(PLATFORM, "1")
    with pytest.raises((CompanyErased, StorageUnavailable)):
        await writer.commit()
    assert desk.company_id not in await desk.storage.companies()


async def test_a_storage_tells_how_it_is_doing(desk: Desk) -> None:
    await desk.keep(a_ticket())

    health = await desk.storage.health()

    assert health.companies == len(await desk.storage.companies())
    assert health.adapter
    assert health.place


async def test_a_storage_goes_by_the_clock_it_was_given(storage: Storage, clock: ManualClock) -> None:
    assert storage.clock() == clock()


async def _first(desk: Desk) -> object:
    return await anext(aiter(desk.unit().tickets.stream()))


_CALLS: dict[str, _Call] = {
    "find a ticket": lambda desk: desk.unit().tickets.find(PLATFORM, "1"),
    "find an article": lambda desk: desk.unit().articles.find(PLATFORM, "1"),
    "heads": lambda desk: desk.unit().tickets.heads([a_ticket("1").key]),
    "page": lambda desk: desk.unit().tickets.page(EVERYTHING),
    "page at": lambda desk: desk.unit().tickets.page_at(EVERYTHING, offset=0),
    "stream": _first,
    "locales": lambda desk: desk.unit().articles.locales(PLATFORM, "1"),
    "history": lambda desk: desk.history(a_ticket("1").key),
    "current": lambda desk: desk.current(a_ticket("1").key),
    "stale": lambda desk: desk.stale(),
    "processing": lambda desk: desk.unit().progress.find(PLATFORM, "1"),
    "progress": lambda desk: desk.progress(),
    "stats": lambda desk: desk.unit().progress.stats(),
    "checkpoint": lambda desk: desk.checkpoint(),
    "commit": lambda desk: desk.keep(a_ticket("2")),
    "claim": lambda desk: desk.claim(),
    "companies": lambda desk: desk.storage.companies(),
    "erase": lambda desk: desk.storage.erase(desk.company_id),
    "health": lambda desk: desk.storage.health(),
}


async def test_once_a_storage_is_closed_every_call_says_so(own_storage: Storage) -> None:
    desk = Desk(own_storage, a_new_company())
    await desk.fill("ours")

    await own_storage.aclose()

    for name, call in _CALLS.items():
        with pytest.raises(StorageUnavailable):
            await call(desk)
            pytest.fail(f"{name} works after the storage was closed")


async def test_what_is_open_when_a_storage_is_closed_says_so(own_storage: Storage) -> None:
    desk = Desk(own_storage, a_new_company())
    await desk.fill("ours")
    uow = desk.unit()
    stream = aiter(uow.tickets.stream())
    await anext(stream)
    uow.tickets.save(a_ticket("2"))

    await own_storage.aclose()

    with pytest.raises(StorageUnavailable):
        await uow.commit()
    assert uow.outcome == "discarded"


async def test_closing_during_traffic_finishes_each_call_or_fails_it_with_an_error_of_ours(own_storage: Storage) -> None:
    desk = Desk(own_storage, a_new_company())
    work = [asyncio.ensure_future(desk.keep(a_ticket(str(number)))) for number in range(10)]
    await asyncio.sleep(0)

    await own_storage.aclose()
    outcomes = await asyncio.wait_for(asyncio.gather(*work, return_exceptions=True), 60)

    for outcome in outcomes:
        assert not isinstance(outcome, BaseException) or isinstance(outcome, StorageUnavailable)
