"""One company never sees, changes or hears of another's records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from attrs import evolve

from deskstore.domain.errors import ClaimLost, StorageError, TicketNotFound, VersionConflict
from deskstore.domain.identifiers import Key
from deskstore.domain.paging import EVERYTHING, Filter
from deskstore.testing.desk import Desk, token_of
from deskstore.testing.makers import PLATFORM, a_checkpoint, a_summary, a_ticket, an_article

_IDS = ("1", "2", "3")


async def test_every_read_gives_the_companys_own_records(desk: Desk, other_desk: Desk) -> None:
    await other_desk.fill("theirs")
    await desk.fill("ours")
    keys = [a_ticket(number).key for number in _IDS]
    articles = [an_article(number).key for number in _IDS]

    async with desk.unit() as uow:
        records = [
            await uow.tickets.find(PLATFORM, "1"),
            *(await uow.tickets.find_many(keys)).values(),
            *(await uow.tickets.page(EVERYTHING)).items,
            *(await uow.tickets.page_at(Filter(platform=PLATFORM), offset=0)).items,
            *[one async for one in uow.tickets.stream()],
            await uow.articles.find(PLATFORM, "1"),
            *(await uow.articles.find_many(articles)).values(),
            *(await uow.articles.page(EVERYTHING)).items,
            *[one async for one in uow.articles.stream()],
        ]
        heads = [*(await uow.tickets.heads(keys)).values(), *(await uow.articles.heads(articles)).values()]
        summaries = [*(await uow.summaries.current_many(keys)).values(), *await uow.summaries.history(articles[0])]
        checkpoint = await uow.progress.checkpoint(PLATFORM, "tickets")

    assert len(records) == 4 * 3 + 1 + 3 * 3 + 1
    assert {one.data["description"] for one in records if one} == {"ours"}
    assert {head.sha256 for head in heads} == {one.sha256 for one in records if one}
    assert {one.source_digest for one in summaries} == {a_summary(keys[0], "ours").source_digest}
    assert checkpoint is not None
    assert checkpoint.cursor == "ours"


async def test_a_company_without_records_finds_nothing_of_another(desk: Desk, other_desk: Desk) -> None:
    await other_desk.fill("theirs")
    key = a_ticket("1").key

    found = await desk.everything()

    assert (found.tickets, found.articles, found.summaries, found.checkpoint, found.stats) == ([], [], [], None, [])
    async with desk.unit() as uow:
        assert await uow.tickets.find(PLATFORM, "1") is None
        assert await uow.tickets.heads([key]) == {}
        assert await uow.progress.find_many([key]) == {}
        assert await uow.summaries.current_many([key]) == {}
        assert list(await uow.articles.locales(PLATFORM, "1")) == []
        assert (await uow.progress.progress(PLATFORM)).total == 0


async def test_no_write_touches_another_company(desk: Desk, other_desk: Desk) -> None:
    await desk.fill("ours")
    before = await (await other_desk.fill("theirs")).everything()

    stored = await desk.find(a_ticket("1").key)
    assert stored is not None
    await desk.received(stored, "changed")
    await desk.summarise(a_summary(stored.key, pinned=True))
    for taken in await desk.claim(2):
        await desk.settle(taken.completed(now=desk.storage.clock()), token_of(taken))
    await desk.keep_checkpoint(a_checkpoint("further"))
    for number in _IDS:
        for record in (await desk.find(a_ticket(number).key), await desk.find(an_article(number).key)):
            assert record is not None
            await desk.delete(record)

    assert await other_desk.everything() == before


async def test_claims_take_the_companys_own_tickets(desk: Desk, other_desk: Desk) -> None:
    await other_desk.fill("theirs")
    assert await desk.claim(10) == []
    await desk.keep(a_ticket("1"))

    assert [one.key for one in await desk.claim(10)] == [a_ticket("1").key]
    assert (await other_desk.progress()).pending == 3


async def test_a_token_of_one_company_opens_nothing_in_another(desk: Desk, other_desk: Desk) -> None:
    await desk.fill("ours")
    await other_desk.fill("theirs")
    taken, token = await desk.claimed()
    theirs, _ = await other_desk.claimed()
    assert taken.key == theirs.key

    with pytest.raises(ClaimLost):
        await other_desk.settle(theirs.completed(now=desk.storage.clock()), token)

    assert await other_desk.processing(theirs.key) == theirs


async def test_versions_of_one_company_are_no_guard_in_another(desk: Desk, other_desk: Desk) -> None:
    await desk.keep(a_ticket())
    theirs = await other_desk.kept(a_ticket())
    latest = await other_desk.kept(theirs)

    with pytest.raises(VersionConflict):
        await desk.keep(latest)

    assert await other_desk.find(theirs.key) == latest


async def test_cursors_lead_through_the_companys_own_records_wherever_they_come_from(desk: Desk, other_desk: Desk) -> None:
    await other_desk.fill("theirs")
    await desk.fill("ours")

    async with other_desk.unit() as theirs:
        cursor = (await theirs.tickets.page(EVERYTHING, limit=1)).next
    async with desk.unit() as uow:
        page = await uow.tickets.page(EVERYTHING, after=cursor)

    assert [(one.ticket_id, one.data["description"]) for one in page.items] == [("2", "ours"), ("1", "ours")]


async def test_units_of_several_companies_open_at_once_each_touch_their_own(new_desk: Callable[[], Desk]) -> None:
    desks = [await new_desk().fill(f"company {number}") for number in range(3)]
    units = [desk.unit() for desk in (*desks, *reversed(desks))]

    streams = [aiter(unit.tickets.stream()) for unit in units]
    found: list[list[object]] = [[] for _ in units]
    for _ in _IDS:
        for unit, stream, texts in zip(units, streams, found, strict=True):
            texts.append((await anext(stream)).data["description"])
            record = await unit.articles.find(PLATFORM, "1")
            texts.append(record.data["description"] if record else None)
    for number, unit in enumerate(units):
        unit.tickets.save(a_ticket(f"new {number}", text=f"by {unit.company_id}"))
        await unit.commit()

    order = [0, 1, 2, 2, 1, 0]
    assert found == [[f"company {number}"] * 6 for number in order]
    for number, unit in enumerate(units):
        assert unit.company_id == desks[order[number]].company_id
        for desk in desks:
            assert (await desk.find(a_ticket(f"new {number}").key) is not None) == (desk.company_id == unit.company_id)


async def test_tasks_of_several_companies_each_touch_their_own(new_desk: Callable[[], Desk]) -> None:
    desks = [new_desk() for _ in range(4)]

    await asyncio.gather(*(desk.kept(a_ticket(str(number), text=desk.company_id)) for number in range(5) for desk in desks))

    for desk in desks:
        found = await desk.everything()
        assert {one.data["description"] for one in found.tickets} == {desk.company_id}
        assert len(found.tickets) == 5


async def test_errors_of_one_company_never_name_anothers_ids(desk: Desk, other_desk: Desk) -> None:
    stored = await desk.kept(a_ticket("ours"))
    await other_desk.keep(a_ticket("ours"), a_ticket("theirs-1"), a_ticket("theirs-2"))
    await desk.kept(stored)
    await desk.claim(10)
    await other_desk.claim(10)
    taken = await desk.processing(stored.key)

    errors = [
        await _error_of(desk.keep(stored), VersionConflict),
        await _error_of(desk.delete(stored), VersionConflict),
        await _error_of(desk.settle(taken.completed(now=desk.storage.clock())), ClaimLost),
        await _error_of(desk.summarise(a_summary(a_ticket("missing").key)), TicketNotFound),
    ]

    named = [getattr(error, "keys", (getattr(error, "key", None),)) for error in errors]
    assert named == [(stored.key,), (stored.key,), (stored.key,), (a_ticket("missing").key,)]
    for error in errors:
        assert "theirs" not in str(error)
        assert other_desk.company_id not in str(error)


async def test_a_record_may_be_moved_to_another_company_only_as_a_new_one(desk: Desk, other_desk: Desk) -> None:
    stored = await desk.kept(a_ticket())

    with pytest.raises(VersionConflict):
        await other_desk.keep(stored)
    copied = await other_desk.kept(evolve(stored, version=0))

    assert await desk.find(stored.key) == stored
    assert copied.payload == stored.payload
    assert Key("ticket", PLATFORM, "42") == copied.key


async def _error_of(work: Coroutine[object, object, object], kind: type[StorageError]) -> StorageError:
    with pytest.raises(kind) as raised:
        await work
    return raised.value
