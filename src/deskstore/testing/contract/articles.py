"""Articles are kept like tickets, each locale a record of its own, and are not processed."""

from __future__ import annotations

import pytest
from attrs import evolve

from deskstore.domain.errors import VersionConflict
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket, an_article


async def test_an_article_comes_back_as_it_was_saved_but_for_its_version(desk: Desk) -> None:
    article = an_article(locale="pt-BR")

    stored = await desk.kept(article)

    assert stored == evolve(article, version=stored.version)


async def test_each_locale_of_an_article_is_a_record_of_its_own(desk: Desk) -> None:
    stored = [await desk.kept(an_article(locale=locale, text=f"text {locale}")) for locale in ("", "en", "EN", "ko")]

    changed = await desk.received(stored[1], "other")

    async with desk.unit() as uow:
        assert [await uow.articles.find(PLATFORM, "42", one.locale) for one in stored] == [stored[0], changed, *stored[2:]]
        assert await uow.articles.find(PLATFORM, "42", "de") is None


async def test_the_locales_of_an_article_ascend_by_code_points(desk: Desk) -> None:
    await desk.keep(*(an_article(locale=locale) for locale in ("ko", "EN", "", "en", "한", "Fr")))
    await desk.keep(an_article("43", "de"), an_article("42", "fr", platform="jira"), a_ticket())

    async with desk.unit() as uow:
        assert list(await uow.articles.locales(PLATFORM, "42")) == ["", "EN", "Fr", "en", "ko", "한"]
        assert list(await uow.articles.locales(PLATFORM, "44")) == []


async def test_deleting_one_locale_leaves_the_others_with_their_summaries(desk: Desk) -> None:
    english, korean = await desk.kept(an_article(locale="en")), await desk.kept(an_article(locale="ko"))
    await desk.summarise(a_summary(english.key), a_summary(korean.key))

    await desk.delete(english)

    found = await desk.everything()
    assert found.articles == [korean]
    assert [one.key for one in found.summaries] == [korean.key]
    assert await desk.history(english.key) == []


async def test_an_article_saved_since_it_was_read_is_a_conflict(desk: Desk) -> None:
    stored = await desk.kept(an_article(locale="ko"))
    await desk.received(stored, "somebody was faster")

    with pytest.raises(VersionConflict) as conflict:
        await desk.received(stored, "too late")

    assert conflict.value.keys == (stored.key,)


async def test_articles_are_not_processed(desk: Desk) -> None:
    stored = await desk.kept(an_article())

    async with desk.unit() as uow:
        heads = await uow.articles.heads([stored.key])

    assert heads[stored.key].processing is None
    assert heads[stored.key].sha256 == stored.sha256
    assert (await desk.progress()).total == 0
    assert await desk.claim() == []


async def test_a_ticket_and_an_article_with_the_same_id_are_two_records(desk: Desk) -> None:
    ticket, article = await desk.kept(a_ticket("7")), await desk.kept(an_article("7"))

    async with desk.unit() as uow:
        assert await uow.tickets.find(PLATFORM, "7") == ticket
        assert await uow.articles.find(PLATFORM, "7") == article
        assert [one async for one in uow.tickets.stream()] == [ticket]
        assert [one async for one in uow.articles.stream()] == [article]
