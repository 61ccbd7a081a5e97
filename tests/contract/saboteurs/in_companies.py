"""Companies that are not sealed, not listed, or not gone; storages that break under load or after their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve

from deskstore.domain.changes import Changes, Committed
from deskstore.domain.erasures import Erasure
from deskstore.domain.errors import CompanyErased, StorageBusy, StorageUnavailable, VersionConflict
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import Thing, Value
from deskstore.domain.paging import Filter, Page
from deskstore.domain.ports import Backend, BeforeCommit, Health, ProgressReads, RecordReads, SummaryReads, UnitOfWork
from deskstore.domain.processing import PlatformStats, Processing, Progress
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.testing.contract import claims as of_claims
from deskstore.testing.contract import companies as of_companies
from deskstore.testing.contract import concurrency as of_concurrency
from deskstore.testing.contract import erasing as of_erasing
from deskstore.testing.contract import identifiers as of_identifiers
from deskstore.testing.contract import isolation as of_isolation
from deskstore.testing.contract import pages as of_pages
from deskstore.testing.contract import replica as of_replica
from tests.contract.saboteurs.base import R, SabotagedChanges, Saboteur, with_processing, with_records


class FindsInOtherCompanies(Saboteur):
    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        found = dict(await reads.find_many(keys))
        for company in await self.companies():
            backend: Any = self.memory.backend(company)  # Any: for tickets and articles alike
            for key in set(keys) - found.keys():
                if key.kind == "ticket" and key.id == "1" and isinstance(reads, type(backend.tickets)):
                    found |= await backend.tickets.find_many([key])
        return found

    breaks = (of_isolation.test_a_company_without_records_finds_nothing_of_another,)


class HasAnAmbientCompany(Saboteur):
    """The company that was opened last is everybody's."""

    latest = ""

    def unit_of_work(self, company_id: str) -> UnitOfWork:
        self.latest = company_id
        return super().unit_of_work(company_id)

    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        backend: Any = self.memory.backend(self.latest)  # Any: for tickets and articles alike
        if isinstance(reads, type(backend.articles)):
            found: Mapping[Key, R] = await backend.articles.find_many(keys)
            return found
        return await reads.find_many(keys)

    breaks = (of_isolation.test_units_of_several_companies_open_at_once_each_touch_their_own,)


class StreamsTheCompanyOpenedLast(Saboteur):
    latest = ""

    def unit_of_work(self, company_id: str) -> UnitOfWork:
        self.latest = company_id
        return super().unit_of_work(company_id)

    def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        backend: Any = self.memory.backend(self.latest)  # Any: for tickets and articles alike
        if isinstance(reads, type(backend.tickets)):
            found: AsyncIterator[R] = backend.tickets.stream(where, after=after)
            return found
        return reads.stream(where, after=after)

    breaks = (of_isolation.test_units_of_several_companies_open_at_once_each_touch_their_own,)


class CommitsWhereItWasCommittedLast(Saboteur):
    """Tasks share a connection, and with it the company."""

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        self.latest = backend
        if len(changes.records) == 1 and changes.records[0].record.data.get("description") == backend.company_id:
            await asyncio.sleep(0)
        return await super().apply(self.latest, changes, before_commit)

    latest: Backend
    breaks = (of_isolation.test_tasks_of_several_companies_each_touch_their_own,)


class WritesToAllCompanies(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        for company in self.known():
            for change in changes.checkpoints:
                thing = Thing("checkpoint", "", change.checkpoint.platform, change.checkpoint.stream)
                if thing in self.values(company) and change.checkpoint.cursor == "further":
                    self.values(company)[thing] = self.values(company_id)[thing]
        return committed

    breaks = (of_isolation.test_no_write_touches_another_company,)


class SharesSummaries(Saboteur):
    async def current_many(self, reads: SummaryReads, keys: Collection[Key]) -> Mapping[Key, Summary]:
        found = dict(await reads.current_many(keys))
        values = [value for company in await self.companies() for value in self.values(company).values()]
        shared = {value.key: value for value in values if isinstance(value, Summary) and value.key.id == "1"}
        return {**{key: shared[key] for key in keys if key in shared}, **found}

    breaks = (of_isolation.test_a_company_without_records_finds_nothing_of_another,)


class HandsOutOtherCompaniesTickets(Saboteur):
    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        for company in (company_id, *await self.companies()):
            if taken := await super().claim(company, platform, n, worker=worker, lease=lease):
                return taken
        return []

    breaks = (of_isolation.test_claims_take_the_companys_own_tickets,)


class TakesTokensOfOtherCompanies(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        tokens = {
            value.claim.token
            for company in self.known()
            for value in self.values(company).values()
            if isinstance(value, Processing) and value.claim and company != company_id
        }
        stood = {change.key: self.processing_of(company_id, change.key) for change in changes.processing}
        own = {key: one.claim.token for key, one in stood.items() if one and one.claim}
        return with_processing(changes, lambda one: evolve(one, token=own[one.key]) if one.token in tokens and one.key in own else one)

    breaks = (of_isolation.test_a_token_of_one_company_opens_nothing_in_another,)


class TakesVersionsOfOtherCompanies(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: self._known(company_id, record))

    def _known(self, company_id: str, record: Ticket | Article) -> Ticket | Article:
        for company in self.known():
            other = self.record_of(company, record.key)
            if company != company_id and other and other.version == record.version:
                own = self.record_of(company_id, record.key)
                return evolve(record, version=own.version if own else 0)
        return record

    breaks = (
        of_isolation.test_a_record_may_be_moved_to_another_company_only_as_a_new_one,
        of_isolation.test_errors_of_one_company_never_name_anothers_ids,
        of_isolation.test_versions_of_one_company_are_no_guard_in_another,
    )


class CursorsCarryTheirCompany(Saboteur):
    home: dict[str, RecordReads[Ticket]]

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self.home = {}

    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        found = await (self.home.get(after or "") or reads).page(where, after=after, limit=limit)
        if found.next and limit == 1:
            self.home.setdefault(found.next, reads)  # type: ignore[arg-type]  # tickets only come here
        return found  # type: ignore[return-value]  # the same

    breaks = (
        of_isolation.test_cursors_lead_through_the_companys_own_records_wherever_they_come_from,
        of_pages.test_what_is_no_cursor_of_such_a_page_is_refused,
    )


class CountsOtherCompanies(Saboteur):
    async def progress(self, reads: ProgressReads, platform: str) -> Progress:
        found = await reads.progress(platform)
        if found.total or found.last_updated:
            return found
        others = [await self.memory.backend(company).progress.progress(platform) for company in await self.companies()]
        return next((one for one in others if one.total == 3), found)

    breaks = (of_isolation.test_a_company_without_records_finds_nothing_of_another,)


class NamesOtherCompaniesIds(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        try:
            return await super().apply(backend, changes, before_commit)
        except VersionConflict as conflict:
            others = [thing.key for company in await self.companies() for thing in self.values(company) if thing.id.startswith("theirs-")]
            raise VersionConflict([*conflict.keys, *others[:1]]) from conflict

    breaks = (of_isolation.test_errors_of_one_company_never_name_anothers_ids,)


class LosesUpdates(Saboteur):
    """Reads the version, thinks, and writes."""

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        record = changes.records[0].record if len(changes.records) == 1 else None
        if record is not None and "done" in record.data and record.version:
            latest = (await backend.tickets.find_many([record.key]))[record.key]
            changes = evolve(changes, records=(type(changes.records[0])(evolve(record, version=latest.version)),))
        return await super().apply(backend, changes, before_commit)

    breaks = (of_concurrency.test_of_fifty_concurrent_updates_each_is_kept_or_is_a_conflict,)


class OverwritesWhatCameFirst(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        try:
            return await super().apply(backend, changes, before_commit)
        except VersionConflict as conflict:
            if (
                len(changes.records) == 1
                and changes.records[0].record.data.get("description") == "3"
                and not changes.records[0].record.version
            ):
                return Committed(versions={})
            raise conflict

    breaks = (of_concurrency.test_concurrent_creations_of_one_record_leave_one_winner,)


class LosesConcurrentSummaries(Saboteur):
    under_way = 0

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        self.under_way += 1
        await asyncio.sleep(0)
        busy, self.under_way = self.under_way > 4, self.under_way - 1
        alone = not (changes.records or changes.processing or changes.checkpoints)
        return Committed(versions={}) if busy and alone else await super().apply(backend, changes, before_commit)

    breaks = (of_concurrency.test_concurrent_updates_of_text_status_and_summaries_lose_no_field,)


class HandsOutTwiceUnderLoad(Saboteur):
    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        before = dict(self.values(company_id))
        taken = await super().claim(company_id, platform, n, worker=worker, lease=lease)
        if worker == "worker 3":
            self.values(company_id).update({Thing("processing", *one.key): before[Thing("processing", *one.key)] for one in taken})
        return taken

    breaks = (of_concurrency.test_concurrent_claims_hand_out_each_ticket_once,)


class IsBusyUnderLoad(Saboteur):
    under_way = 0

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        if self.under_way and len(changes.records) > 4:
            raise StorageBusy("somebody else is writing")
        self.under_way += 1
        try:
            await asyncio.sleep(0)
            return await super().apply(backend, changes, before_commit)
        finally:
            self.under_way -= 1

    breaks = (of_concurrency.test_units_that_touch_each_others_records_in_any_order_never_wait_for_ever,)


class ListsCompaniesWithTickets(Saboteur):
    async def companies(self) -> Sequence[str]:
        listed = await super().companies()
        return [one for one in listed if not self.values(one) or any(thing.part != "article" for thing in self.values(one))]

    breaks = (of_companies.test_companies_are_listed_in_order_whatever_they_hold,)


class ForgetsEmptyCompanies(Saboteur):
    async def companies(self) -> Sequence[str]:
        return [one for one in await super().companies() if self.values(one) or not self.memory.registered(one).floor]

    breaks = (of_companies.test_a_company_whose_records_are_all_deleted_stays_listed,)


class ListsCompaniesInAnyOrder(Saboteur):
    async def companies(self) -> Sequence[str]:
        return (await super().companies())[::-1]

    breaks = (
        of_companies.test_companies_are_listed_in_order_whatever_they_hold,
        of_identifiers.test_hostile_company_ids_are_distinct_companies,
    )


class ReadingMakesCompanies(Saboteur):
    async def stats(self, reads: ProgressReads) -> Sequence[PlatformStats]:
        self.memory.registered(self._latest)
        return await reads.stats()

    def unit_of_work(self, company_id: str) -> UnitOfWork:
        self._latest = company_id
        return super().unit_of_work(company_id)

    breaks = (of_companies.test_a_company_that_was_only_read_is_not_listed,)


class ErasesTicketsOnly(Saboteur):
    async def erase(self, company_id: str) -> Erasure | None:
        kept = {thing: value for thing, value in self.values(company_id).items() if thing.part == "checkpoint"}
        erasure = await super().erase(company_id)
        if kept:
            self.memory.registered(company_id).values.update(kept)
        return erasure

    breaks = (
        of_companies.test_erasing_leaves_nothing_of_a_company,
        of_companies.test_whoever_has_an_erased_company_open_can_neither_read_nor_write_it,
        of_replica.test_copies_that_come_after_an_erasure_bring_nothing_back,
    )


class ErasesNeighbours(Saboteur):
    async def erase(self, company_id: str) -> Erasure | None:
        erasure = await super().erase(company_id)
        for company in await self.companies():
            self.values(company).pop(Thing("ticket", "ticket", "zendesk", "1"), None)
        return erasure

    breaks = (of_companies.test_erasing_leaves_every_other_company_as_it_was,)


class ErasesForEver(Saboteur):
    erased: set[str]

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self.erased = set()

    async def erase(self, company_id: str) -> Erasure | None:
        erasure = await super().erase(company_id)
        self.erased.add(company_id)
        return erasure

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        if backend.company_id in self.erased:
            raise CompanyErased(backend.company_id)
        return await super().apply(backend, changes, before_commit)

    breaks = (
        of_companies.test_an_erased_company_may_begin_anew,
        of_erasing.test_each_company_of_a_name_has_a_line_of_its_own_in_a_higher_epoch,
        of_replica.test_copies_meant_for_an_erased_company_are_not_kept_in_the_next_of_its_name,
        of_replica.test_the_epoch_grows_over_every_erasure,
    )


class ErasingMakesCompanies(Saboteur):
    async def erase(self, company_id: str) -> Erasure | None:
        known = company_id in await self.companies()
        erasure = await super().erase(company_id)
        if not known:
            self.memory.registered(company_id)
        return erasure

    breaks = (of_companies.test_erasing_an_unknown_company_changes_nothing,)


class MissesThatACompanyWasErased(Saboteur):
    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        try:
            return await reads.find_many(keys)
        except CompanyErased:
            return {}

    breaks = (of_companies.test_whoever_has_an_erased_company_open_can_neither_read_nor_write_it,)


class CountsNoCompanies(Saboteur):
    async def health(self) -> Health:
        return evolve(await super().health(), companies=0)

    breaks = (of_companies.test_a_storage_tells_how_it_is_doing,)


class GoesByAnotherClock(Saboteur):
    def clock(self) -> datetime:
        return super().clock() + timedelta(microseconds=1)

    breaks = (
        of_companies.test_a_storage_goes_by_the_clock_it_was_given,
        of_claims.test_a_claim_that_is_cancelled_leaves_its_tickets_to_others,
    )


class StaysOpen(Saboteur):
    async def aclose(self) -> None:
        """Nothing is closed."""

    breaks = (
        of_companies.test_once_a_storage_is_closed_every_call_says_so,
        of_companies.test_what_is_open_when_a_storage_is_closed_says_so,
    )


class ListsAfterItsEnd(Saboteur):
    async def companies(self) -> Sequence[str]:
        try:
            return await super().companies()
        except StorageUnavailable:
            return []

    breaks = (of_companies.test_once_a_storage_is_closed_every_call_says_so,)


class BreaksWhenClosedInTraffic(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        try:
            await asyncio.sleep(0)
            return await super().apply(backend, changes, before_commit)
        except StorageUnavailable:
            raise RuntimeError("the pool is closed") from None

    breaks = (
        of_companies.test_closing_during_traffic_finishes_each_call_or_fails_it_with_an_error_of_ours,
        of_companies.test_once_a_storage_is_closed_every_call_says_so,
        of_companies.test_what_is_open_when_a_storage_is_closed_says_so,
    )
