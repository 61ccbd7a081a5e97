"""A stream gives every record once, by code points, and goes on behind any key."""

from __future__ import annotations

from datetime import timedelta

from deskstore.domain.identifiers import Key
from deskstore.domain.paging import EVERYTHING, Filter
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_ticket, an_article, fields

_IDS = ("10", "9", "B", "a", "b", "é", "한", "🙂")
_HOUR = timedelta(hours=1)


async def _streamed(desk: Desk, where: Filter = EVERYTHING, *, after: Key | None = None) -> list[str]:
    """The ids that a stream of tickets gives."""
    async with desk.unit() as uow:
        return [ticket.ticket_id async for ticket in uow.tickets.stream(where, after=after)]


async def test_a_stream_ascends_by_code_points_of_platform_and_id(desk: Desk) -> None:
    await desk.keep(*(a_ticket(ticket_id) for ticket_id in reversed(_IDS)))
    await desk.keep(a_ticket("z", platform="Zendesk"), a_ticket("0", platform="zendesk2"))

    assert await _streamed(desk) == ["z", *_IDS, "0"]


async def test_a_stream_of_articles_ascends_by_locale_within_an_id(desk: Desk) -> None:
    await desk.keep(*(an_article(article_id, locale) for article_id in "ba" for locale in ("ko", "", "EN", "en", "Fr")))

    async with desk.unit() as uow:
        found = [(article.article_id, article.locale) async for article in uow.articles.stream()]

    assert found == [(article_id, locale) for article_id in "ab" for locale in ("", "EN", "Fr", "en", "ko")]


async def test_a_stream_gives_whole_records(desk: Desk) -> None:
    ticket, article = await desk.kept(a_ticket()), await desk.kept(an_article(locale="ko"))

    async with desk.unit() as uow:
        assert [one async for one in uow.tickets.stream()] == [ticket]
        assert [one async for one in uow.articles.stream()] == [article]


async def test_a_stream_goes_on_behind_a_key_whether_it_exists_or_not(desk: Desk) -> None:
    await desk.keep(*(a_ticket(ticket_id) for ticket_id in _IDS))

    assert await _streamed(desk, after=a_ticket("a").key) == ["b", "é", "한", "🙂"]
    assert await _streamed(desk, after=a_ticket("aa").key) == ["b", "é", "한", "🙂"]
    assert await _streamed(desk, after=a_ticket("🙂").key) == []
    assert await _streamed(desk, after=a_ticket("🙂", platform="jira").key) == list(_IDS)


async def test_a_stream_of_articles_goes_on_behind_a_locale(desk: Desk) -> None:
    await desk.keep(*(an_article("a", locale) for locale in ("", "en", "ko")), an_article("b"))

    async with desk.unit() as uow:
        found = [(article.article_id, article.locale) async for article in uow.articles.stream(after=an_article("a", "en").key)]

    assert found == [("a", "ko"), ("b", "")]


async def test_a_stream_may_be_of_one_platform_and_of_one_status(desk: Desk) -> None:
    await desk.keep(a_ticket("1"), a_ticket("2", platform="jira"), a_ticket("3", read=fields(status="closed")))

    assert await _streamed(desk, Filter(platform=PLATFORM)) == ["1", "3"]
    assert await _streamed(desk, Filter(platform=PLATFORM, status="closed")) == ["3"]


async def test_a_stream_may_be_of_what_was_received_since(desk: Desk, clock: ManualClock) -> None:
    started = clock()
    for number in range(3):
        await desk.keep(a_ticket(str(number), now=started + number * _HOUR))

    assert await _streamed(desk, Filter(changed_since=started)) == ["0", "1", "2"]
    assert await _streamed(desk, Filter(changed_since=started + _HOUR)) == ["1", "2"]
    assert await _streamed(desk, Filter(changed_since=started + _HOUR + timedelta(microseconds=1), status="open")) == ["2"]


async def test_a_stream_gives_no_record_twice_and_misses_none_that_stays(desk: Desk) -> None:
    stored = {ticket_id: await desk.kept(a_ticket(ticket_id)) for ticket_id in _IDS}
    found: list[str] = []

    async with desk.unit() as uow:
        async for ticket in uow.tickets.stream():
            found.append(ticket.ticket_id)
            if ticket.ticket_id == "B":
                await desk.received(stored["10"], "changed behind the stream")
                await desk.received(stored["b"], "changed before the stream")
                await desk.keep(a_ticket("0"), a_ticket("C"))
                await desk.delete(stored["é"])

    assert len(found) == len(set(found))
    assert set(_IDS) - {"é"} <= set(found) <= {*_IDS, "C"}
    assert found == sorted(found)


async def test_a_stream_of_many_records_is_whole(desk: Desk) -> None:
    await desk.keep(*(a_ticket(f"{number:04}") for number in range(1_203)))

    assert await _streamed(desk) == [f"{number:04}" for number in range(1_203)]


async def test_two_streams_may_be_read_in_turns(desk: Desk) -> None:
    await desk.keep(*(a_ticket(ticket_id) for ticket_id in "abc"), *(an_article(article_id) for article_id in "abc"))

    async with desk.unit() as uow:
        tickets, articles = aiter(uow.tickets.stream()), aiter(uow.articles.stream())
        found = [((await anext(tickets)).ticket_id, (await anext(articles)).article_id) for _ in range(3)]

    assert found == [("a", "a"), ("b", "b"), ("c", "c")]
