"""Summaries are numbered and immutable; the current one is the highest pinned one, else the highest."""

from __future__ import annotations

import pytest
from attrs import evolve

from deskstore.domain.errors import ArticleNotFound, TicketNotFound
from deskstore.domain.records import Article, Ticket
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket, an_article, digest

_KEY = a_ticket().key


async def test_a_summary_comes_back_as_it_was_given_with_its_number(desk: Desk) -> None:
    await desk.keep(a_ticket())
    summary = a_summary(_KEY, content='{ "short":"고장 🙂",  "n":1.10 }'.encode())

    (kept,) = await desk.summarise(summary)

    assert kept == evolve(summary, number=1, version=kept.version)
    assert kept.version > 0
    assert await desk.history(_KEY) == [kept]


async def test_summaries_are_numbered_in_the_order_they_were_added(desk: Desk) -> None:
    await desk.keep(a_ticket())

    first = await desk.summarise(a_summary(_KEY, "a"), a_summary(_KEY, "b"))
    second = await desk.summarise(a_summary(_KEY, "c"))

    assert [one.number for one in (*first, *second)] == [1, 2, 3]
    assert [one.source_digest for one in await desk.history(_KEY)] == [digest(text) for text in "abc"]


async def test_earlier_summaries_stay_readable(desk: Desk) -> None:
    await desk.keep(a_ticket())
    kept = [*await desk.summarise(a_summary(_KEY, "a")), *await desk.summarise(a_summary(_KEY, "b"))]

    async with desk.unit() as uow:
        assert [await uow.summaries.find(_KEY, number) for number in (1, 2, 3)] == [*kept, None]


@pytest.mark.parametrize(("pinned", "number"), [((False, False), 2), ((True, False), 1), ((True, False, True, False), 3)])
async def test_the_current_summary_is_the_highest_pinned_one_else_the_highest(desk: Desk, pinned: tuple[bool, ...], number: int) -> None:
    await desk.keep(a_ticket(), a_ticket("without"))
    await desk.summarise(*(a_summary(_KEY, pinned=one) for one in pinned))

    current = await desk.current(_KEY)

    assert current is not None
    assert current.number == number
    async with desk.unit() as uow:
        assert await uow.summaries.current_many([_KEY, a_ticket("without").key, a_ticket("missing").key]) == {_KEY: current}


async def test_a_record_without_summaries_has_none(desk: Desk) -> None:
    await desk.keep(a_ticket())

    assert await desk.history(_KEY) == []
    assert await desk.current(_KEY) is None


async def test_a_summary_of_a_missing_record_is_an_error(desk: Desk) -> None:
    await desk.keep(a_ticket(), an_article(locale="en"))

    with pytest.raises(TicketNotFound) as ticket:
        await desk.summarise(a_summary(a_ticket("missing").key))
    with pytest.raises(ArticleNotFound) as article:
        await desk.summarise(a_summary(an_article(locale="ko").key))

    assert ticket.value.key == a_ticket("missing").key
    assert article.value.key == an_article(locale="ko").key
    assert (await desk.everything()).summaries == []


async def test_a_record_and_its_summary_may_come_in_one_unit(desk: Desk) -> None:
    async with desk.unit() as uow:
        uow.tickets.save(a_ticket())
        uow.summaries.add(a_summary(_KEY))
        await uow.commit()

    assert [one.number for one in await desk.history(_KEY)] == [1]


async def test_records_with_the_same_id_have_summaries_of_their_own(desk: Desk) -> None:
    keys = [_KEY, an_article().key, an_article(locale="ko").key, a_ticket(platform="jira").key]
    await desk.keep(a_ticket(), an_article(), an_article(locale="ko"), a_ticket(platform="jira"))

    for count, key in enumerate(keys, 1):
        await desk.summarise(*(a_summary(key, f"{key} {number}") for number in range(count)))

    for count, key in enumerate(keys, 1):
        assert [one.source_digest for one in await desk.history(key)] == [digest(f"{key} {number}") for number in range(count)]
        assert {one.key for one in await desk.history(key)} == {key}


async def test_a_summary_is_stale_once_the_text_it_was_written_of_changed(desk: Desk) -> None:
    stored = await desk.kept(a_ticket(text="old"))
    await desk.keep(a_ticket("fresh", text="same"), a_ticket("without"))
    (kept,) = await desk.summarise(a_summary(_KEY, "old"))
    await desk.summarise(a_summary(a_ticket("fresh").key, "same"))
    assert await desk.stale() == []

    await desk.received(stored, "new")

    (stale,) = await desk.stale()
    assert (stale.key, stale.summary, stale.text_digest) == (_KEY, kept, digest("new"))


async def test_only_the_current_summary_makes_a_record_stale(desk: Desk) -> None:
    await desk.keep(a_ticket("1", text="now"), a_ticket("2", text="now"))
    first, second = a_ticket("1").key, a_ticket("2").key

    await desk.summarise(a_summary(first, "before"), a_summary(first, "now"))
    await desk.summarise(a_summary(second, "before", pinned=True), a_summary(second, "now"))

    assert [one.key for one in await desk.stale()] == [second]


async def test_stale_summaries_ascend_by_key_and_may_be_asked_for_by_platform(desk: Desk) -> None:
    records: list[Ticket | Article] = [a_ticket("b"), a_ticket("A"), a_ticket("1", platform="jira"), an_article("b", "ko"), an_article("b")]
    await desk.keep(*records)
    await desk.summarise(*(a_summary(one.key, "before") for one in records))

    assert [one.key for one in await desk.stale()] == sorted(one.key for one in records)
    assert [one.key for one in await desk.stale("jira")] == [a_ticket("1", platform="jira").key]
    assert await desk.stale("freshdesk") == []


async def test_saving_a_record_again_keeps_its_summaries(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.summarise(a_summary(_KEY), a_summary(_KEY))

    await desk.received(stored, "new text")

    assert [one.number for one in await desk.history(_KEY)] == [1, 2]
    assert [one.number for one in await desk.summarise(a_summary(_KEY))] == [3]
