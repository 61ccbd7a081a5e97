"""Pages come in one order everywhere, and a cursor stays where it is whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.domain.errors import InvalidRecord
from deskstore.domain.identifiers import Key
from deskstore.domain.paging import EVERYTHING, Filter, Position
from deskstore.domain.processing import COMPLETED, PENDING, ProcessingStatus
from deskstore.domain.records import Incoming, Ticket
from deskstore.testing import strategies
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import PROPERTY
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_ticket, an_article, fields, incoming

_NOON = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@frozen(kw_only=True)
class _Sample:
    """What a ticket for a filter to judge looks like."""

    ticket_id: str
    platform: str = PLATFORM
    status: str | None = "open"
    created_at: datetime | None = _NOON

    def ticket(self) -> Ticket:
        """The ticket."""
        return a_ticket(self.ticket_id, platform=self.platform, read=fields(status=self.status, created_at=self.created_at))


async def _paged(desk: Desk, where: Filter = EVERYTHING, *, limit: int = 100) -> Sequence[Key]:
    """The keys of all pages, one after the other; each but the last must be full."""
    keys: list[Key] = []
    after: str | None = None
    while True:
        async with desk.unit() as uow:
            page = await uow.tickets.page(where, after=after, limit=limit)
        keys += [ticket.key for ticket in page.items]
        assert len(page.items) <= limit
        if page.next is None:
            return keys
        assert len(page.items) == limit
        assert page.next != after, "the cursor does not move"
        after = page.next


async def test_pages_are_ordered_by_creation_platform_and_id_all_descending(desk: Desk) -> None:
    samples = [
        _Sample(ticket_id="1", created_at=_NOON + _MICROSECOND),
        _Sample(ticket_id="한"),
        _Sample(ticket_id="a"),
        _Sample(ticket_id="B"),
        _Sample(ticket_id="10"),
        _Sample(ticket_id="1", platform="jira"),
        _Sample(ticket_id="z", created_at=datetime(1, 1, 2, tzinfo=UTC)),
    ]
    await desk.keep(*(sample.ticket() for sample in reversed(samples)))

    assert await _paged(desk) == [sample.ticket().key for sample in samples]


async def test_records_without_a_time_come_last(desk: Desk) -> None:
    await desk.keep(*(_Sample(ticket_id=ticket_id, created_at=None).ticket() for ticket_id in "ab"))
    await desk.keep(_Sample(ticket_id="0", created_at=datetime(1, 1, 2, tzinfo=UTC)).ticket())

    assert [key.id for key in await _paged(desk)] == ["0", "b", "a"]


async def test_times_of_any_zone_are_ordered_by_their_instant(desk: Desk) -> None:
    seoul = timezone(timedelta(hours=9))
    earlier = _NOON.replace(tzinfo=seoul, hour=20, minute=59)
    await desk.keep(_Sample(ticket_id="a").ticket(), _Sample(ticket_id="b", created_at=earlier).ticket())

    assert [key.id for key in await _paged(desk)] == ["a", "b"]


async def test_articles_of_one_id_are_ordered_by_locale_descending(desk: Desk) -> None:
    await desk.keep(*(an_article(locale=locale) for locale in ("en", "", "ko", "EN", "Fr")))

    async with desk.unit() as uow:
        first = await uow.articles.page(EVERYTHING, limit=2)
        second = await uow.articles.page(EVERYTHING, after=first.next, limit=3)

    assert [one.locale for one in (*first.items, *second.items)] == ["ko", "en", "Fr", "EN", ""]
    assert second.next is None


async def test_a_page_holds_whole_records(desk: Desk) -> None:
    stored = [await desk.kept(a_ticket(ticket_id)) for ticket_id in "ba"]

    async with desk.unit() as uow:
        assert (await uow.tickets.page(EVERYTHING)).items == tuple(stored)
        assert (await uow.tickets.page_at(EVERYTHING, offset=0)).items == tuple(stored)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
async def test_pages_of_any_size_lead_through_all_records_once(desk: Desk, limit: int) -> None:
    samples = [_Sample(ticket_id=str(number), created_at=_NOON + number // 2 * _MICROSECOND) for number in range(6)]
    await desk.keep(*(sample.ticket() for sample in samples))

    assert await _paged(desk, limit=limit) == [sample.ticket().key for sample in reversed(samples)]


async def test_the_last_page_has_no_next(desk: Desk) -> None:
    await desk.keep(a_ticket("1"), a_ticket("2"))

    async with desk.unit() as uow:
        assert (await uow.tickets.page(EVERYTHING, limit=2)).next is None
        assert (await uow.tickets.page_at(EVERYTHING, offset=0, limit=2)).next is None
        assert (await uow.tickets.page(Filter(status="none such"))).items == ()


async def test_a_cursor_stays_in_its_place_while_records_come_change_and_go(desk: Desk) -> None:
    stored = {str(number): await desk.kept(_Sample(ticket_id=str(number)).ticket()) for number in range(1, 7)}
    async with desk.unit() as uow:
        first = await uow.tickets.page(EVERYTHING, limit=3)
    assert [one.ticket_id for one in first.items] == ["6", "5", "4"]

    await desk.keep(_Sample(ticket_id="9").ticket(), _Sample(ticket_id="8").ticket())
    await desk.received(stored["5"], "changed", note="its time is the same")
    await desk.delete(stored["4"])
    await desk.delete(stored["2"])

    async with desk.unit() as uow:
        second = await uow.tickets.page(EVERYTHING, after=first.next, limit=3)
    assert [one.ticket_id for one in second.items] == ["3", "1"]


async def test_a_page_found_by_offset_is_the_page_found_by_cursor(desk: Desk) -> None:
    await desk.keep(*(_Sample(ticket_id=str(number), created_at=_NOON + number % 2 * _MICROSECOND).ticket() for number in range(5)))
    keys = await _paged(desk)

    async with desk.unit() as uow:
        for offset in range(7):
            page = await uow.tickets.page_at(EVERYTHING, offset=offset, limit=2)
            assert [one.key for one in page.items] == keys[offset : offset + 2]
            assert (page.next is None) == (offset + 2 >= 5)


async def test_from_a_page_found_by_offset_one_goes_on_by_cursor(desk: Desk) -> None:
    await desk.keep(*(_Sample(ticket_id=str(number)).ticket() for number in range(5)))

    async with desk.unit() as uow:
        page = await uow.tickets.page_at(Filter(status="open"), offset=1, limit=2)
        following = await uow.tickets.page(Filter(status="open"), after=page.next)

    assert [one.ticket_id for one in (*page.items, *following.items)] == ["3", "2", "1", "0"]


@pytest.mark.parametrize("limit", [0, -1, 1_001])
async def test_a_limit_out_of_range_is_refused(desk: Desk, limit: int) -> None:
    async with desk.unit() as uow:
        with pytest.raises(InvalidRecord):
            await uow.tickets.page(EVERYTHING, limit=limit)
        with pytest.raises(InvalidRecord):
            await uow.tickets.page_at(EVERYTHING, offset=0, limit=limit)
        with pytest.raises(InvalidRecord):
            await uow.tickets.page_at(EVERYTHING, offset=-1)


async def test_an_offset_is_a_number_of_64_bits(desk: Desk) -> None:
    await desk.keep(a_ticket())

    async with desk.unit() as uow:
        for beyond in (2**63, 2**64, 10**400):
            with pytest.raises(InvalidRecord, match="offset"):
                await uow.tickets.page_at(EVERYTHING, offset=beyond)
        assert (await uow.tickets.page_at(EVERYTHING, offset=2**63 - 1)).items == ()


async def test_what_is_no_cursor_of_such_a_page_is_refused(desk: Desk) -> None:
    await desk.keep(an_article("1"), an_article("2"), a_ticket())
    async with desk.unit() as uow:
        of_articles = (await uow.articles.page(EVERYTHING, limit=1)).next

        for cursor in (of_articles, "", "x", "1", "\x00", "\ud800", "' or 1=1 --", "[" * 10_000):
            with pytest.raises(InvalidRecord):
                await uow.tickets.page(EVERYTHING, after=cursor)


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        (Filter(platform="jira"), "e"),
        (Filter(platform="Zendesk"), ""),
        (Filter(status="open"), "dba"),
        (Filter(status="Open"), "c"),
        (Filter(status="\x00"), ""),
        (Filter(status=""), "e"),
        (Filter(processing=COMPLETED), "ca"),
        (Filter(processing=PENDING), "dbe"),
        (Filter(created_from=_NOON), "db"),
        (Filter(created_from=_NOON + _MICROSECOND), "d"),
        (Filter(created_to=_NOON), "ca"),
        (Filter(created_from=_NOON - _MICROSECOND, created_to=_NOON + _MICROSECOND), "bc"),
        (Filter(platform=PLATFORM, status="open", processing=PENDING, created_from=_NOON, created_to=_NOON + _MICROSECOND), "b"),
        (Filter(platform="jira", status="open"), ""),
        (Filter(status="open", status_aliases=(("jira", ""), ("freshdesk", "Open"))), "dbae"),
        (Filter(status_aliases=(("jira", ""),)), "dbcae"),
        (Filter(), "dbcae"),
    ],
)
async def test_a_filter_lets_through_what_meets_all_of_its_conditions(desk: Desk, clock: ManualClock, where: Filter, ids: str) -> None:
    samples = [
        _Sample(ticket_id="a", created_at=_NOON - timedelta(days=1)),
        _Sample(ticket_id="b"),
        _Sample(ticket_id="c", status="Open", created_at=_NOON - _MICROSECOND),
        _Sample(ticket_id="d", created_at=_NOON + _MICROSECOND),
        _Sample(ticket_id="e", platform="jira", status="", created_at=None),
    ]
    await desk.keep(*(sample.ticket() for sample in samples))
    for ticket_id in "ac":
        await desk.settle((await desk.processing(a_ticket(ticket_id).key)).completed(now=clock()))

    assert [key.id for key in await _paged(desk, where, limit=2)] == list(ids)
    async with desk.unit() as uow:
        found = await uow.tickets.page_at(where, offset=0)
        streamed = [ticket.ticket_id async for ticket in uow.tickets.stream(where)]
    assert [one.ticket_id for one in found.items] == list(ids)
    assert sorted(streamed) == sorted(ids)


async def test_a_filter_sees_what_a_ticket_has_become(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(_Sample(ticket_id="a").ticket())
    await desk.settle((await desk.processing(stored.key)).completed(now=clock()))
    assert await _paged(desk, Filter(processing=COMPLETED, status="open")) == [stored.key]

    changed = await desk.kept(stored.receive(_incoming(stored, "closed"), now=clock()))

    assert await _paged(desk, Filter(status="open")) == []
    assert await _paged(desk, Filter(processing=COMPLETED, status="closed")) == [changed.key]
    await desk.delete(changed)
    assert await _paged(desk) == []


async def test_articles_are_filtered_by_platform_status_and_time(desk: Desk) -> None:
    later = fields(status="published", created_at=_NOON + _MICROSECOND)
    await desk.keep(an_article("1"), an_article("2", read=later), an_article("3", platform="jira", read=later))

    async with desk.unit() as uow:
        for where, ids in (
            (Filter(platform=PLATFORM), "21"),
            (Filter(status="published"), "23"),
            (Filter(created_to=_NOON + _MICROSECOND), "1"),
            (Filter(platform=PLATFORM, status="published", created_from=_NOON), "2"),
        ):
            assert [one.article_id for one in (await uow.articles.page(where)).items] == list(ids)


@PROPERTY
@given(tickets=st.lists(strategies.tickets(), max_size=8, unique_by=lambda ticket: ticket.key), limit=st.integers(1, 4))
@example(tickets=[_Sample(ticket_id=one, created_at=at).ticket() for one in ("B", "a", "한") for at in (None, _NOON)][1:5], limit=2)
async def test_any_tickets_are_paged_in_order(new_desk: Callable[[], Desk], tickets: list[Ticket], limit: int) -> None:
    desk = new_desk()

    await desk.keep(*tickets)

    places = {ticket.key: Position.of(ticket.fields.created_at, ticket.key) for ticket in tickets}
    assert await _paged(desk, limit=limit) == sorted(places, key=lambda key: places[key], reverse=True)


async def test_every_filter_by_processing_agrees_with_progress(desk: Desk, clock: ManualClock) -> None:
    for number, status in enumerate([*ProcessingStatus, *ProcessingStatus, COMPLETED]):
        await desk.keep(a_ticket(str(number)))
        await desk.settle((await desk.processing(a_ticket(str(number)).key)).to(status, now=clock()))

    progress = await desk.progress()

    counts = [len(await _paged(desk, Filter(processing=status))) for status in ProcessingStatus]
    assert counts == [progress.pending, progress.processing, progress.completed, progress.failed] == [2, 2, 3, 2]


def _incoming(stored: Ticket, status: str) -> Incoming:
    return incoming(stored.key, note=status, read=fields(status=status))


async def test_a_filter_that_has_no_meaning_there_is_refused(desk: Desk) -> None:
    await desk.fill("text")
    uow = desk.unit()

    for asked in (
        lambda: uow.tickets.page(Filter(changed_since=_NOON)),
        lambda: uow.tickets.page_at(Filter(changed_since=_NOON), offset=0),
        lambda: uow.articles.page(Filter(changed_since=_NOON)),
        lambda: uow.articles.page(Filter(processing=PENDING)),
        lambda: uow.articles.page_at(Filter(processing=PENDING), offset=0),
        lambda: anext(aiter(uow.articles.stream(Filter(processing=PENDING)))),
    ):
        with pytest.raises(InvalidRecord):
            await asked()
