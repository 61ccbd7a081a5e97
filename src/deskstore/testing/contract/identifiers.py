"""Names that the rules allow are opaque and distinct; all others are refused alike, before anything is read or written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import chain

import pytest
from hypothesis import example, given

from deskstore.domain.errors import CompanyRequired, InvalidIdentifier
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, article_key, ticket_key
from deskstore.domain.ports import Storage, UnitOfWork
from deskstore.domain.records import Article, Ticket
from deskstore.testing import strategies
from deskstore.testing.contract.fixtures import PROPERTY
from deskstore.testing.desk import LEASE, Desk
from deskstore.testing.makers import PLATFORM, a_checkpoint, a_summary, a_ticket, an_article
from deskstore.testing.strategies import BAD_NAMES, HOSTILE_NAMES

_SHORT_NAMES = tuple(name for name in HOSTILE_NAMES if len(name) <= 35)


@pytest.mark.parametrize("missing", ["", None])
async def test_without_a_company_nothing_opens(storage: Storage, missing: str) -> None:
    for open_ in (storage.unit_of_work, storage.backend, storage.replica):
        with pytest.raises(CompanyRequired):
            open_(missing)
    with pytest.raises(CompanyRequired):
        await storage.claim(missing, PLATFORM, 1, worker="worker", lease=LEASE)
    with pytest.raises(CompanyRequired):
        await storage.erase(missing)


async def test_a_bad_company_id_opens_nothing(storage: Storage) -> None:
    before = await storage.companies()

    for bad in (*BAD_NAMES, "x" * 101, "🙂" * 101):
        for open_ in (storage.unit_of_work, storage.backend, storage.replica):
            with pytest.raises(InvalidIdentifier):
                open_(bad)
        with pytest.raises(InvalidIdentifier):
            await storage.claim(bad, PLATFORM, 1, worker="worker", lease=LEASE)
        with pytest.raises(InvalidIdentifier):
            await storage.erase(bad)

    assert await storage.companies() == before


async def test_hostile_company_ids_are_distinct_companies(storage: Storage) -> None:
    names = (*HOSTILE_NAMES, "x" * 100, "한" * 100, "🙂" * 100)
    for name in names:
        await Desk(storage, name).keep(a_ticket(text=name))

    for name in names:
        found = await Desk(storage, name).find(a_ticket().key)
        assert found is not None
        assert found.payload == a_ticket(text=name).payload
    listed = await storage.companies()
    assert set(names) <= set(listed)
    assert listed == sorted(listed)


async def test_hostile_names_are_distinct_platforms_ids_and_locales(desk: Desk) -> None:
    records: list[Ticket | Article] = [
        *(a_ticket(name, text=name) for name in (*HOSTILE_NAMES, "🙂" * 255)),
        *(a_ticket("1", platform=name, text=name) for name in (*_SHORT_NAMES, "🙂" * 50)),
        *(an_article("1", name, text=name) for name in (*_SHORT_NAMES, "🙂" * 35)),
        *(an_article(name, text=name) for name in (*HOSTILE_NAMES, "x" * 255)),
    ]

    await desk.keep(*records)

    found = await desk.everything()
    assert {one.key: one.payload for one in found.records} == {one.key: one.payload for one in records}
    assert sorted(one.platform for one in found.stats) == sorted({one.key.platform for one in records})


async def test_hostile_names_are_distinct_checkpoints(desk: Desk) -> None:
    for name in _SHORT_NAMES:
        await desk.keep_checkpoint(a_checkpoint(name, platform=name, stream=name))

    for name in _SHORT_NAMES:
        found = await desk.checkpoint(name, name)
        assert found is not None
        assert found.cursor == name


async def test_a_record_with_a_bad_name_is_refused_and_leaves_no_trace(desk: Desk) -> None:
    bad_keys = [
        *(Key(ARTICLE, PLATFORM, bad) for bad in (*BAD_NAMES, "x" * 256)),
        *(Key(ARTICLE, bad, "1") for bad in (*BAD_NAMES, "x" * 51)),
        *(Key(ARTICLE, PLATFORM, "1", bad) for bad in (*BAD_NAMES[1:], "x" * 36)),
    ]

    async with desk.unit() as uow:
        for _, platform, record_id, locale in bad_keys:
            with pytest.raises(InvalidIdentifier):
                uow.articles.save(an_article(record_id, locale, platform=platform))
            with pytest.raises(InvalidIdentifier):
                uow.summaries.add(a_summary(Key(ARTICLE, platform, record_id, locale)))
            with pytest.raises(InvalidIdentifier):
                uow.articles.delete(Key(ARTICLE, platform, record_id, locale), version=1)
            if not locale:
                with pytest.raises(InvalidIdentifier):
                    uow.tickets.save(a_ticket(record_id, platform=platform))
                with pytest.raises(InvalidIdentifier):
                    uow.progress.save_checkpoint(a_checkpoint(platform=platform, stream=record_id))

    assert desk.company_id not in await desk.storage.companies()


async def test_a_bad_name_cannot_be_asked_for(desk: Desk) -> None:
    keys = [
        *(key for bad in (*BAD_NAMES, "x" * 256) for key in (Key(TICKET, PLATFORM, bad), Key(ARTICLE, PLATFORM, bad))),
        *(key for bad in (*BAD_NAMES, "x" * 51) for key in (Key(TICKET, bad, "1"), Key(ARTICLE, bad, "1"))),
        *(Key(ARTICLE, PLATFORM, "1", bad) for bad in (*BAD_NAMES[1:], "x" * 36)),
    ]

    async with desk.unit() as uow:
        for key in keys:
            for asking in chain(_of_any_record(uow, key), _of_a_ticket(uow, key) if key.kind == TICKET else _of_an_article(uow, key)):
                with pytest.raises(InvalidIdentifier):
                    await asking


def _of_any_record(uow: UnitOfWork, key: Key) -> Iterator[Awaitable[object]]:
    yield uow.summaries.find(key, 1)
    yield uow.summaries.history(key)
    yield uow.summaries.current(key)
    yield uow.summaries.current_many([key])


def _of_a_ticket(uow: UnitOfWork, key: Key) -> Iterator[Awaitable[object]]:
    yield uow.tickets.find(key.platform, key.id)
    yield uow.tickets.find_many([key])
    yield uow.tickets.heads([key])
    yield anext(aiter(uow.tickets.stream(after=key)))
    yield uow.progress.find(key.platform, key.id)
    yield uow.progress.find_many([key])


def _of_an_article(uow: UnitOfWork, key: Key) -> Iterator[Awaitable[object]]:
    yield uow.articles.find(key.platform, key.id, key.locale)
    yield uow.articles.find_many([key])
    yield uow.articles.heads([key])
    yield anext(aiter(uow.articles.stream(after=key)))
    if not key.locale:
        yield uow.articles.locales(key.platform, key.id)


async def test_a_bad_platform_stream_or_worker_cannot_be_asked_for(desk: Desk) -> None:
    async with desk.unit() as uow:
        for bad in (*BAD_NAMES, "x" * 256):
            for asking in _of_anything_else(desk, uow, bad):
                with pytest.raises(InvalidIdentifier):
                    await asking


def _of_anything_else(desk: Desk, uow: UnitOfWork, bad: str) -> Iterator[Awaitable[object]]:
    yield uow.progress.progress(bad)
    yield uow.progress.checkpoint(bad, "tickets")
    yield uow.progress.checkpoint(PLATFORM, bad)
    yield anext(aiter(uow.summaries.stale(bad)))
    yield desk.claim(platform=bad)
    yield desk.claim(worker=bad)


@PROPERTY
@given(ticket=strategies.ticket_keys(), article=strategies.article_keys())
@example(ticket=ticket_key("e\u0301", "\u1112\u1161\u11ab국어 🙂"), article=article_key("İ", "ﬁ", "EN-us"))
async def test_any_names_that_the_rules_allow_are_kept(new_desk: Callable[[], Desk], ticket: Key, article: Key) -> None:
    desk = new_desk()

    stored = await desk.kept(a_ticket(ticket.id, platform=ticket.platform))
    other = await desk.kept(an_article(article.id, article.locale, platform=article.platform))

    assert (stored.key, other.key) == (ticket, article)
    assert (await desk.progress(ticket.platform)).pending == 1
    assert [one.key for one in await desk.claim(platform=ticket.platform)] == [ticket]
