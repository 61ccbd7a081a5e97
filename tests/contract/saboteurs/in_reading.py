"""Pages and streams that lose their way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import ClassVar

from attrs import evolve

from deskstore.domain import paging, times
from deskstore.domain.errors import InvalidRecord, UnitOfWorkMisuse
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.paging import Filter, Page, Position
from deskstore.domain.ports import RecordReads
from deskstore.domain.records import Article, Ticket
from deskstore.domain.unit import BufferedArticles, BufferedTickets
from deskstore.testing.contract import articles as of_articles
from deskstore.testing.contract import isolation as of_isolation
from deskstore.testing.contract import pages as of_pages
from deskstore.testing.contract import payloads as of_payloads
from deskstore.testing.contract import replica as of_replica
from deskstore.testing.contract import streams as of_streams
from deskstore.testing.contract import suppression as of_suppression
from deskstore.testing.contract import units as of_units
from tests.contract.saboteurs.base import R, SabotagedParts, Saboteur

MICROSECOND = timedelta(microseconds=1)


class Reordered(Saboteur):
    """Pages in another order, and cursors that go with it."""

    def rank(self, record: Ticket | Article) -> tuple[object, ...]:
        raise NotImplementedError

    async def _all(self, reads: RecordReads[R], where: Filter) -> list[R]:
        found = [record async for record in reads.stream(evolve(where, changed_since=None))]
        return sorted(found, key=self.rank, reverse=True)

    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        found = await self._all(reads, where)
        keys = [record.key for record in found]
        if after is not None:
            kind = keys[0].kind if keys else TICKET
            _, platform, record_id, locale = paging.position(kind, after)
            key = Key(kind, platform, record_id, locale)
            found = found[keys.index(key) + 1 :] if key in keys else list((await reads.page(where, after=after, limit=1_000)).items)
        return _page(found, limit)

    async def page_at(self, reads: RecordReads[R], where: Filter, offset: int, limit: int) -> Page[R]:
        return _page((await self._all(reads, where))[offset:], limit)


def _page(found: list[R], limit: int) -> Page[R]:
    shown = found[:limit]
    more = paging.cursor(shown[-1].key.kind, Position.of(shown[-1].fields.created_at, shown[-1].key)) if len(found) > limit else None
    return Page(items=tuple(shown), next=more)


class PutsNoTimeFirst(Reordered):
    def rank(self, record: Ticket | Article) -> tuple[object, ...]:
        created_at = record.fields.created_at
        return (2**70 if created_at is None else times.microseconds(created_at), *record.key[1:])

    breaks = (
        of_pages.test_a_filter_lets_through_what_meets_all_of_its_conditions,
        of_pages.test_any_tickets_are_paged_in_order,
        of_pages.test_records_without_a_time_come_last,
    )


class OrdersIdsWithoutCase(Reordered):
    def rank(self, record: Ticket | Article) -> tuple[object, ...]:
        return (times.microseconds(record.fields.created_at), record.platform, record.key.id.casefold(), record.key.locale)

    breaks = (
        of_pages.test_any_tickets_are_paged_in_order,
        of_pages.test_pages_are_ordered_by_creation_platform_and_id_all_descending,
    )


class OrdersLocalesWithoutCase(Reordered):
    def rank(self, record: Ticket | Article) -> tuple[object, ...]:
        return (times.microseconds(record.fields.created_at), *record.key[1:3], record.key.locale.casefold(), record.key.locale)

    breaks = (of_pages.test_articles_of_one_id_are_ordered_by_locale_descending,)


class OrdersByMinute(Reordered):
    def rank(self, record: Ticket | Article) -> tuple[object, ...]:
        return (times.microseconds(record.fields.created_at) // 60_000_000, *record.key[1:])

    breaks = (of_pages.test_pages_are_ordered_by_creation_platform_and_id_all_descending,)


class OrdersByTheHourShown(Reordered):
    def rank(self, record: Ticket | Article) -> tuple[object, ...]:
        created_at = record.fields.created_at
        odd = created_at is not None and created_at.minute == 59
        return (times.microseconds(created_at) + odd * 10**13, *record.key[1:])

    breaks = (
        of_pages.test_a_filter_lets_through_what_meets_all_of_its_conditions,
        of_pages.test_times_of_any_zone_are_ordered_by_their_instant,
    )


class CursorRepeatsARecord(Saboteur):
    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        found = await reads.page(where, after=after, limit=limit)
        if found.next is None or limit != 3:
            return found
        last: Ticket | Article = found.items[-1]
        at = times.microseconds(last.fields.created_at)
        return evolve(found, next=paging.cursor(last.key.kind, Position((at + 1, *last.key[1:]))))

    breaks = (
        of_pages.test_a_cursor_stays_in_its_place_while_records_come_change_and_go,
        of_pages.test_pages_of_any_size_lead_through_all_records_once,
    )


class CursorSkipsARecord(Saboteur):
    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        found = await reads.page(where, after=after, limit=limit + 1)
        return (
            evolve(found, items=found.items[:limit])
            if after is None and limit in (1, 2, 3, 5)
            else await reads.page(where, after=after, limit=limit)
        )

    breaks = (
        of_isolation.test_cursors_lead_through_the_companys_own_records_wherever_they_come_from,
        of_pages.test_a_cursor_stays_in_its_place_while_records_come_change_and_go,
        of_pages.test_a_filter_lets_through_what_meets_all_of_its_conditions,
        of_pages.test_any_tickets_are_paged_in_order,
        of_pages.test_articles_of_one_id_are_ordered_by_locale_descending,
        of_pages.test_pages_of_any_size_lead_through_all_records_once,
        of_pages.test_what_is_no_cursor_of_such_a_page_is_refused,
    )


class CursorsCount(Saboteur):
    """A cursor is a number of records to leave out."""

    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        if after is None or not after.startswith("offset-"):
            found = await reads.page(where, after=after, limit=limit)
            return evolve(found, next=f"offset-{limit}") if found.next and limit == 3 else found
        return await reads.page_at(where, offset=int(after.removeprefix("offset-")), limit=limit)

    breaks = (of_pages.test_a_cursor_stays_in_its_place_while_records_come_change_and_go,)


class AlwaysNamesANext(Saboteur):
    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        found = await reads.page(where, after=after, limit=limit)
        if found.next or not found.items or limit != 2 or len(found.items) < 2 or after:
            return found
        last = found.items[-1]
        return evolve(found, next=paging.cursor(last.key.kind, Position.of(last.fields.created_at, last.key)))

    breaks = (of_pages.test_the_last_page_has_no_next,)


class OffsetsCountFromOne(Saboteur):
    async def page_at(self, reads: RecordReads[R], where: Filter, offset: int, limit: int) -> Page[R]:
        return await reads.page_at(where, offset=max(offset - 1, 0), limit=limit)

    breaks = (
        of_pages.test_a_page_found_by_offset_is_the_page_found_by_cursor,
        of_pages.test_from_a_page_found_by_offset_one_goes_on_by_cursor,
    )


class OffsetsLeadNowhere(Saboteur):
    async def page_at(self, reads: RecordReads[R], where: Filter, offset: int, limit: int) -> Page[R]:
        return evolve(await reads.page_at(where, offset=offset, limit=limit), next=None)

    breaks = (
        of_pages.test_a_page_found_by_offset_is_the_page_found_by_cursor,
        of_pages.test_from_a_page_found_by_offset_one_goes_on_by_cursor,
    )


class PagesOfAnySize(SabotagedParts):
    class Tickets(BufferedTickets):
        async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[Ticket]:
            return await super().page(where, after=after, limit=min(max(limit, 1), 1_000))

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_pages.test_a_limit_out_of_range_is_refused,)


class BeginsAgainAtAStrangeCursor(Saboteur):
    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        try:
            return await reads.page(where, after=after, limit=limit)
        except InvalidRecord:
            return await reads.page(where, limit=limit)

    breaks = (of_pages.test_what_is_no_cursor_of_such_a_page_is_refused,)


class TamperedFilters(Saboteur):
    """Another filter is applied than was asked for."""

    def other(self, where: Filter) -> Filter:
        raise NotImplementedError

    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        return await reads.page(self.other(where), after=after, limit=limit)

    async def page_at(self, reads: RecordReads[R], where: Filter, offset: int, limit: int) -> Page[R]:
        return await reads.page_at(self.other(where), offset=offset, limit=limit)

    def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        return reads.stream(self.other(where), after=after)


class IgnoresThePlatform(TamperedFilters):
    def other(self, where: Filter) -> Filter:
        return evolve(where, platform=None)

    breaks = (
        of_pages.test_a_filter_lets_through_what_meets_all_of_its_conditions,
        of_pages.test_articles_are_filtered_by_platform_status_and_time,
        of_streams.test_a_stream_may_be_of_one_platform_and_of_one_status,
    )


class IgnoresTheProcessing(TamperedFilters):
    def other(self, where: Filter) -> Filter:
        return evolve(where, processing=None)

    breaks = (
        of_pages.test_a_filter_lets_through_what_meets_all_of_its_conditions,
        of_pages.test_every_filter_by_processing_agrees_with_progress,
        of_replica.test_applied_copies_keep_their_versions_and_are_found_by_every_read,
    )


class IgnoresOtherNamesOfAStatus(TamperedFilters):
    def other(self, where: Filter) -> Filter:
        return evolve(where, status_aliases=())

    breaks = (of_pages.test_a_filter_lets_through_what_meets_all_of_its_conditions,)


class LeavesOutTheFirstMoment(TamperedFilters):
    def other(self, where: Filter) -> Filter:
        return evolve(where, created_from=where.created_from and where.created_from + MICROSECOND)

    breaks = (of_pages.test_a_filter_lets_through_what_meets_all_of_its_conditions,)


class LetsTheLastMomentIn(TamperedFilters):
    def other(self, where: Filter) -> Filter:
        return evolve(where, created_to=where.created_to and where.created_to + MICROSECOND)

    breaks = (
        of_pages.test_a_filter_lets_through_what_meets_all_of_its_conditions,
        of_pages.test_articles_are_filtered_by_platform_status_and_time,
    )


class IgnoresWhenItChanged(TamperedFilters):
    def other(self, where: Filter) -> Filter:
        return evolve(where, changed_since=None)

    breaks = (of_streams.test_a_stream_may_be_of_what_was_received_since,)


class PassesOverWhatItCannotFilterBy(SabotagedParts):
    class Articles(BufferedArticles):
        def _page_filter(self, where: Filter) -> Filter:
            return super()._page_filter(evolve(where, processing=None))

    parts: ClassVar = {"articles": Articles}
    breaks = (of_pages.test_a_filter_that_has_no_meaning_there_is_refused,)


class FiltersByWhatWas(Saboteur):
    """An index that is not brought up to date."""

    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        return await reads.page(evolve(where, status="open") if where.status == "closed" else where, after=after, limit=limit)

    breaks = (of_pages.test_a_filter_sees_what_a_ticket_has_become,)


class PagesAreSummaries(Saboteur):
    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        found = await reads.page(where, after=after, limit=limit)
        return evolve(found, items=tuple(evolve(one, payload=one.payload.strip()) for one in found.items))

    breaks = (of_payloads.test_a_hostile_payload_comes_back_byte_for_byte,)


class PagesForgetVersions(Saboteur):
    async def page_at(self, reads: RecordReads[R], where: Filter, offset: int, limit: int) -> Page[R]:
        found = await reads.page_at(where, offset=offset, limit=limit)
        return evolve(found, items=tuple(evolve(one, version=0) for one in found.items))

    breaks = (
        of_pages.test_a_page_holds_whole_records,
        of_units.test_pages_streams_and_counts_do_not_see_what_the_unit_changed,
    )


class StreamsWithoutCase(Saboteur):
    async def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        found = [record async for record in reads.stream(where, after=after)]
        for record in sorted(found, key=lambda one: tuple(part.casefold() for part in one.key)):
            yield record

    breaks = (
        of_streams.test_a_stream_ascends_by_code_points_of_platform_and_id,
        of_streams.test_a_stream_gives_no_record_twice_and_misses_none_that_stays,
        of_streams.test_a_stream_goes_on_behind_a_key_whether_it_exists_or_not,
        of_streams.test_a_stream_of_articles_ascends_by_locale_within_an_id,
    )


class StreamsForgetVersions(Saboteur):
    async def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        async for record in reads.stream(where, after=after):
            yield evolve(record, version=1) if record.key.locale == "ko" else record

    breaks = (
        of_articles.test_deleting_one_locale_leaves_the_others_with_their_summaries,
        of_replica.test_copies_are_the_values_that_reads_give_ascending_by_name,
        of_streams.test_a_stream_gives_whole_records,
    )


class StreamsRepeatTheCursorsRecord(Saboteur):
    async def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        if after is not None and after.kind == TICKET:
            for record in (await reads.find_many([after])).values():
                yield record
        async for record in reads.stream(where, after=after):
            yield record

    breaks = (of_streams.test_a_stream_goes_on_behind_a_key_whether_it_exists_or_not,)


class StreamsSkipOtherLocales(Saboteur):
    async def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        async for record in reads.stream(where, after=after):
            if after is None or after.kind != ARTICLE or record.key.id != after.id:
                yield record

    breaks = (of_streams.test_a_stream_of_articles_goes_on_behind_a_locale,)


class StreamsRepeatWhatChanged(Saboteur):
    async def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        given: dict[Key, int] = {}
        async for record in reads.stream(where, after=after):
            given[record.key] = record.version
            yield record
        for record in (await reads.find_many(list(given))).values():
            if record.version != given[record.key]:
                yield record

    breaks = (of_streams.test_a_stream_gives_no_record_twice_and_misses_none_that_stays,)


class StreamsEndAfterAThousand(Saboteur):
    async def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        count = 0
        async for record in reads.stream(where, after=after):
            count += 1
            if count > 1_000:
                return
            yield record

    breaks = (of_streams.test_a_stream_of_many_records_is_whole,)


class OneStreamAtATime(Saboteur):
    streaming = 0

    async def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        if self.streaming:
            raise UnitOfWorkMisuse("another stream is being read")
        self.streaming += 1
        async for record in reads.stream(where, after=after):
            yield record
        self.streaming -= 1

    breaks = (
        of_isolation.test_units_of_several_companies_open_at_once_each_touch_their_own,
        of_replica.test_who_reads_a_company_that_lives_elsewhere_is_told_where_it_lives,
        of_streams.test_two_streams_may_be_read_in_turns,
        of_suppression.test_a_requester_whose_erasing_was_cut_off_is_erased_to_the_end,
    )
