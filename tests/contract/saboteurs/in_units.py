"""Units of work that are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar

from attrs import evolve

from deskstore.domain.changes import Changes, Committed
from deskstore.domain.errors import ClaimLost, StorageBusy, UnitOfWorkMisuse, VersionConflict
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import Thing, Value
from deskstore.domain.outcomes import UnitOutcome
from deskstore.domain.paging import EVERYTHING, Filter, Page
from deskstore.domain.ports import Backend, BeforeCommit, UnitOfWork
from deskstore.domain.processing import Checkpoint, Processing, Progress
from deskstore.domain.records import Article, Ticket, check_record
from deskstore.domain.summaries import Summary
from deskstore.domain.unit import BufferedArticles, BufferedProgress, BufferedSummaries, BufferedTickets, BufferedUnit
from deskstore.testing.contract import before_commit as of_before_commit
from deskstore.testing.contract import claims as of_claims
from deskstore.testing.contract import companies as of_companies
from deskstore.testing.contract import concurrency as of_concurrency
from deskstore.testing.contract import documents as of_documents
from deskstore.testing.contract import isolation as of_isolation
from deskstore.testing.contract import pages as of_pages
from deskstore.testing.contract import replica as of_replica
from deskstore.testing.contract import suppression as of_suppression
from deskstore.testing.contract import units as of_units
from tests.contract.saboteurs.base import SabotagedChanges, SabotagedParts, SabotagedUnits, Saboteur


class LeavesSilently(SabotagedUnits):
    class Unit(BufferedUnit):
        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
        ) -> None:
            await super().__aexit__(kind or KeyError, error, traceback)

    breaks = (
        of_units.test_a_unit_holds_sixty_four_megabytes,
        of_units.test_leaving_with_changes_and_without_commit_is_an_error,
        of_units.test_leaving_without_commit_keeps_nothing,
    )


class CommitsWhenLeft(SabotagedUnits):
    class Unit(BufferedUnit):
        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
        ) -> None:
            if kind is None and self.outcome is UnitOutcome.OPEN:
                await self.commit()

    breaks = (
        of_units.test_a_unit_holds_sixty_four_megabytes,
        of_units.test_a_unit_without_changes_may_be_left_or_committed,
        of_units.test_an_error_inside_the_block_discards_and_comes_out_as_it_is,
        of_units.test_leaving_with_changes_and_without_commit_is_an_error,
        of_units.test_leaving_without_commit_keeps_nothing,
    )


class CommitsWhenAnErrorComesOut(SabotagedUnits):
    class Unit(BufferedUnit):
        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
        ) -> None:
            if kind is not None and self.outcome is UnitOutcome.OPEN:
                await self.commit()
            await super().__aexit__(kind, error, traceback)

    breaks = (
        of_units.test_a_cancellation_inside_the_block_discards,
        of_units.test_an_error_inside_the_block_discards_and_comes_out_as_it_is,
    )


class HidesTheCallersError(SabotagedUnits):
    class Unit(BufferedUnit):
        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
        ) -> None:
            await super().__aexit__(kind, error, traceback)
            if kind is RuntimeError:
                raise UnitOfWorkMisuse("something went wrong inside the block") from error

    breaks = (of_units.test_an_error_inside_the_block_discards_and_comes_out_as_it_is,)


class AppliesHalfAUnit(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        new = tuple(one for one in changes.records if not one.record.version) if len(changes.records) > 1 else ()
        first = await super().apply(backend, Changes(records=new), before_commit)
        rest = await super().apply(backend, evolve(changes, records=tuple(one for one in changes.records if one not in new)), before_commit)
        return evolve(rest, versions={**first.versions, **rest.versions}, processing={**first.processing, **rest.processing})

    breaks = (
        of_before_commit.test_before_commit_is_called_once_with_the_changes,
        of_before_commit.test_before_commit_is_not_called_for_a_unit_whose_guards_fail,
        of_before_commit.test_nothing_of_a_unit_is_visible_before_its_before_commit_has_returned,
        of_replica.test_a_first_commit_and_a_first_state_never_both_count,
        of_replica.test_a_unit_that_fails_owes_nothing,
        of_replica.test_copies_are_not_applied_while_a_commit_of_the_same_record_is_under_way,
        of_replica.test_the_state_is_not_set_while_a_commit_is_under_way,
        of_units.test_a_conflict_names_every_record_that_must_be_read_again,
        of_units.test_one_conflict_among_many_changes_keeps_none_of_them,
    )


class NamesOneConflict(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        try:
            return await super().apply(backend, changes, before_commit)
        except VersionConflict as conflict:
            raise VersionConflict(conflict.keys[:1]) from conflict

    breaks = (of_units.test_a_conflict_names_every_record_that_must_be_read_again,)


class NamesOneLostClaim(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        try:
            return await super().apply(backend, changes, before_commit)
        except ClaimLost as lost:
            raise ClaimLost(lost.keys[:1]) from lost

    breaks = (of_claims.test_a_lost_claim_names_every_ticket_that_was_lost,)


class CommitsAgain(SabotagedUnits):
    class Unit(BufferedUnit):
        async def commit(self) -> Committed:
            if self.outcome is UnitOutcome.COMMITTED:
                return Committed(versions={})
            return await super().commit()

    breaks = (of_units.test_a_unit_commits_once,)


class NeverEnds(SabotagedUnits):
    class Unit(BufferedUnit):
        async def commit(self) -> Committed:
            if self.outcome is not UnitOutcome.OPEN:
                raise UnitOfWorkMisuse("once is enough")
            return await super().commit()

        @contextmanager
        def alone(self, operation: str | None) -> Generator[Any, None, None]:  # Any: what a unit holds back is its own affair
            outcome, self._outcome = self._outcome, UnitOutcome.OPEN
            with super().alone(operation) as pending:
                yield pending
            if self._outcome is UnitOutcome.OPEN:
                self._outcome = outcome

    breaks = (of_units.test_a_unit_that_is_over_cannot_be_used,)


class LetsTwoTasksIn(SabotagedUnits):
    class Unit(BufferedUnit):
        @contextmanager
        def alone(self, operation: str | None) -> Generator[Any, None, None]:  # Any: what a unit holds back is its own affair
            if self._outcome is UnitOutcome.UNKNOWN:
                yield self._call.pending
                return
            with super().alone(operation) as pending:
                yield pending

    breaks = (of_units.test_of_two_tasks_in_one_unit_the_second_is_refused,)


class BelongsToOneTask(SabotagedUnits):
    class Unit(BufferedUnit):
        def __init__(self, backend: Backend) -> None:
            super().__init__(backend)
            self._task = asyncio.current_task()

        async def commit(self) -> Committed:
            if self._task is not asyncio.current_task() and self._call.pending.records.keys() == {Key("ticket", "zendesk", "42")}:
                raise UnitOfWorkMisuse("the task that opened a unit must commit it")
            return await super().commit()

    breaks = (
        of_units.test_a_commit_may_be_waited_for_with_a_time_limit,
        of_units.test_of_two_tasks_in_one_unit_the_second_is_refused,
    )


class OneUnitATask(Saboteur):
    """The unit opened last is the only one that commits."""

    latest: UnitOfWork | None = None

    def unit_of_work(self, company_id: str) -> UnitOfWork:
        self.latest = BufferedUnit(self.backend(company_id))
        return self.latest

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        if self.latest is not None and self.latest.company_id == backend.company_id and self.latest.outcome is UnitOutcome.COMMITTED:
            raise UnitOfWorkMisuse("another unit was committed meanwhile")
        return await super().apply(backend, changes, before_commit)

    breaks = (
        of_replica.test_the_state_is_not_set_while_a_commit_is_under_way,
        of_units.test_several_units_may_be_open_in_one_task,
        of_suppression.test_whoever_suppresses_a_requester_sees_the_tickets_of_commits_that_were_under_way,
        of_suppression.test_a_requester_whose_erasing_was_cut_off_is_erased_to_the_end,
    )


class ForgetsWhatBecameOfIt(SabotagedUnits):
    class Unit(BufferedUnit):
        @property
        def outcome(self) -> UnitOutcome:
            return UnitOutcome.COMMITTED if self._outcome is not UnitOutcome.OPEN else UnitOutcome.OPEN

    breaks = (
        of_companies.test_what_is_open_when_a_storage_is_closed_says_so,
        of_units.test_a_unit_without_changes_may_be_left_or_committed,
        of_units.test_an_error_inside_the_block_discards_and_comes_out_as_it_is,
        of_units.test_leaving_with_changes_and_without_commit_is_an_error,
        of_units.test_one_conflict_among_many_changes_keeps_none_of_them,
    )


class NamesAnotherCompany(SabotagedUnits):
    class Unit(BufferedUnit):
        @property
        def company_id(self) -> str:
            return super().company_id.upper()

    breaks = (
        of_isolation.test_units_of_several_companies_open_at_once_each_touch_their_own,
        of_units.test_a_unit_knows_its_company_and_that_it_is_open,
    )


class CannotCommitNothing(SabotagedUnits):
    class Unit(BufferedUnit):
        async def commit(self) -> Committed:
            if not self._call.pending.changes():
                raise UnitOfWorkMisuse("there is nothing to commit")
            return await super().commit()

    breaks = (
        of_documents.test_a_document_that_is_received_is_kept_byte_for_byte_and_known_when_it_comes_again,
        of_companies.test_a_company_that_was_only_read_is_not_listed,
        of_units.test_a_unit_that_is_over_cannot_be_used,
        of_units.test_a_unit_without_changes_may_be_left_or_committed,
        of_units.test_what_a_unit_saves_and_deletes_was_never_there,
    )


class TellsNothing(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: object) -> Committed:
        return evolve(committed, versions={key: version + 1 for key, version in committed.versions.items()})

    breaks = (
        of_documents.test_a_document_that_is_received_is_kept_byte_for_byte_and_known_when_it_comes_again,
        of_units.test_a_commit_says_what_it_assigned,
    )


class LosesArticles(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        if not changes.checkpoints:
            return changes
        return evolve(changes, records=tuple(one for one in changes.records if one.key.kind == "ticket"))

    breaks = (of_units.test_all_that_was_committed_is_there,)


class BlindTickets(SabotagedParts):
    class Tickets(BufferedTickets):
        async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Ticket]:
            with self._unit.alone(None):
                return await self._reads.find_many([self._checked(key) for key in keys])

        async def _find(self, key: Key) -> Ticket | None:
            return (await self.find_many([key])).get(key)

    parts: ClassVar = {"tickets": Tickets}
    breaks = (
        of_units.test_reads_by_key_see_what_the_unit_deleted,
        of_units.test_reads_by_key_see_what_the_unit_saved,
    )


class BlindArticles(SabotagedParts):
    class Articles(BufferedArticles):
        async def find(self, platform: str, article_id: str, locale: str = "") -> Article | None:
            found = await super().find(platform, article_id, locale)
            return found if found and found.version else None

    parts: ClassVar = {"articles": Articles}
    breaks = (of_units.test_reads_by_key_see_what_the_unit_saved,)


class SeesDeletedSummaries(SabotagedParts):
    class Summaries(BufferedSummaries):
        async def _history(self, key: Key, pending: object) -> Sequence[Summary]:
            return list(await self._reads.history(key))

    parts: ClassVar = {"summaries": Summaries}
    breaks = (
        of_units.test_reads_by_key_see_summaries_with_the_numbers_they_will_get,
        of_units.test_reads_by_key_see_what_the_unit_deleted,
    )


class BlindProgress(SabotagedParts):
    class Progress(BufferedProgress):
        async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
            found = await super().find_many(keys)
            with self._unit.alone(None):
                return found if len(keys) == 1 else await self._reads.find_many(keys)

    parts: ClassVar = {"progress": Progress}
    breaks = (
        of_units.test_reads_by_key_see_processing_and_checkpoints_that_the_unit_saved,
        of_units.test_reads_by_key_see_what_becomes_of_a_processing_whose_text_the_unit_changes,
    )


class BlindToNewText(SabotagedParts):
    class Progress(BufferedProgress):
        async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
            found = await super().find_many(keys)
            with self._unit.alone(None) as pending:
                stored = await self._reads.find_many(keys)
                return {
                    key: pending.processing[key].processing if key in pending.processing else stored.get(key, found[key]) for key in found
                }

    parts: ClassVar = {"progress": Progress}
    breaks = (of_units.test_reads_by_key_see_what_becomes_of_a_processing_whose_text_the_unit_changes,)


class TellsVersionsOfWhatIsGone(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        return evolve(committed, versions={**committed.versions, **{gone.key: gone.version + 1 for gone in changes.deletes}})

    breaks = (of_units.test_a_commit_gives_versions_of_what_it_saved_and_of_nothing_it_deleted,)


class BlindCheckpoints(SabotagedParts):
    class Progress(BufferedProgress):
        async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
            found = await super().checkpoint(platform, stream)
            return found if found and found.version else None

    parts: ClassVar = {"progress": Progress}
    breaks = (of_units.test_reads_by_key_see_processing_and_checkpoints_that_the_unit_saved,)


class PagesSeePending(SabotagedParts):
    class Tickets(BufferedTickets):
        async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[Ticket]:
            found = await super().page(where, after=after, limit=limit)
            with self._unit.alone(None) as pending:
                return evolve(found, items=tuple(one for one in found.items if one.key not in pending.deleted))

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_units.test_pages_streams_and_counts_do_not_see_what_the_unit_changed,)


class TakesAnyOffset(SabotagedParts):
    class Tickets(BufferedTickets):
        async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[Ticket]:
            return await super().page_at(where, offset=min(offset, 2**63 - 1), limit=limit)

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_pages.test_an_offset_is_a_number_of_64_bits,)


class StreamsSeePending(SabotagedParts):
    class Tickets(BufferedTickets):
        async def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[Ticket]:
            async for ticket in super().stream(where, after=after):
                with self._unit.alone(None) as pending:
                    is_deleted = ticket.key in pending.deleted
                if not is_deleted:
                    yield ticket

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_units.test_pages_streams_and_counts_do_not_see_what_the_unit_changed,)


class CountsSeePending(SabotagedParts):
    class Progress(BufferedProgress):
        async def progress(self, platform: str) -> Progress:
            found = await super().progress(platform)
            with self._unit.alone(None) as pending:
                return evolve(found, pending=found.pending + len(pending.records))

    parts: ClassVar = {"progress": Progress}
    breaks = (of_units.test_pages_streams_and_counts_do_not_see_what_the_unit_changed,)


class KeepsWhatWasSavedFirst(SabotagedParts):
    class Tickets(BufferedTickets):
        def save(self, record: Ticket) -> Ticket:
            with self._unit.alone(None) as pending:
                known = pending.records.get(record.key)
            return record if known else super().save(record)

    parts: ClassVar = {"tickets": Tickets}
    breaks = (
        of_pages.test_any_tickets_are_paged_in_order,
        of_units.test_what_is_saved_twice_in_a_unit_is_kept_as_it_was_saved_last,
    )


class KeepsTheFirstCheckpoint(SabotagedParts):
    class Progress(BufferedProgress):
        def save_checkpoint(self, checkpoint: Checkpoint) -> None:
            with self._unit.alone(None) as pending:
                known = (checkpoint.platform, checkpoint.stream) in pending.checkpoints
            if not known:
                super().save_checkpoint(checkpoint)

    parts: ClassVar = {"progress": Progress}
    breaks = (of_units.test_what_is_saved_twice_in_a_unit_is_kept_as_it_was_saved_last,)


class CannotTakeBackANewRecord(SabotagedParts):
    class Tickets(BufferedTickets):
        def delete(self, key: Key, *, version: int) -> None:
            if version:
                super().delete(key, version=version)

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_units.test_what_a_unit_saves_and_deletes_was_never_there,)


class OnlyTakesBackANewRecord(SabotagedParts):
    class Tickets(BufferedTickets):
        def delete(self, key: Key, *, version: int) -> None:
            with self._unit.alone(None) as pending:
                saved = pending.records.get(key)
            super().delete(key, version=version if saved is None else saved.version)

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_units.test_what_is_stored_is_deleted_whatever_the_unit_saved_before,)


class SavesWhatItDeletes(SabotagedParts):
    class Tickets(BufferedTickets):
        def save(self, record: Ticket) -> Ticket:
            with self._unit.alone(None) as pending:
                pending.deleted.pop(record.key, None)
            return super().save(record)

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_units.test_what_a_unit_deletes_it_cannot_save,)


class TakesAnyNumberOfChanges(SabotagedParts):
    class Progress(BufferedProgress):
        def save_checkpoint(self, checkpoint: Checkpoint) -> None:
            with self._unit.alone(None) as pending:
                many = len(pending.checkpoints) >= 10_000
            if not many:
                super().save_checkpoint(checkpoint)

    parts: ClassVar = {"progress": Progress}
    breaks = (of_units.test_a_unit_refuses_more_than_ten_thousand_changes,)


class KeepsFewerChangesThanAUnitHolds(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return evolve(changes, records=changes.records[:9_999])

    breaks = (of_units.test_a_unit_of_ten_thousand_changes_is_kept_whole,)


class TakesAnyNumberOfBytes(SabotagedParts):
    class Tickets(BufferedTickets):
        def save(self, record: Ticket) -> Ticket:
            if len(record.payload) < 2**24:
                return super().save(record)
            check_record(record)
            with self._unit.alone(None) as pending:
                pending.records[record.key] = record
            return record

    parts: ClassVar = {"tickets": Tickets}
    breaks = (
        of_units.test_a_unit_holds_sixty_four_megabytes,
        of_units.test_what_a_unit_saves_again_or_takes_back_counts_once,
    )


class CountsWhatIsReplaced(SabotagedParts):
    class Tickets(BufferedTickets):
        def save(self, record: Ticket) -> Ticket:
            with self._unit.alone(None) as pending:
                pending.records.pop(record.key, None)
            return super().save(record)

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_units.test_what_a_unit_saves_again_or_takes_back_counts_once,)


class TakesArticlesForTickets(SabotagedParts):
    class Tickets(BufferedTickets):
        def _checked(self, key: Key) -> Key:
            return key if key.kind == "article" else super()._checked(key)

    parts: ClassVar = {"tickets": Tickets}
    breaks = (of_units.test_each_repository_takes_records_of_its_own_kind,)


class SavesSummariesAgain(SabotagedParts):
    class Summaries(BufferedSummaries):
        def add(self, summary: Summary) -> None:
            super().add(evolve(summary, number=0, version=0))

    parts: ClassVar = {"summaries": Summaries}
    breaks = (of_units.test_a_summary_that_was_saved_cannot_be_saved_again,)


class SwallowsCancellation(SabotagedUnits):
    class Unit(BufferedUnit):
        async def commit(self) -> Committed:
            try:
                return await super().commit()
            except asyncio.CancelledError:
                return Committed(versions={})

    breaks = (of_concurrency.test_a_cancelled_commit_is_whole_or_absent_and_says_which,)


class CanBeCancelledHalfWay(SabotagedUnits):
    class Unit(BufferedUnit):
        async def commit(self) -> Committed:
            changes = self._call.pending.changes()
            if not changes.checkpoints or not changes.records:
                return await super().commit()
            with self.alone(None):
                self._outcome = UnitOutcome.COMMITTED
                committed = await self._backend.apply(evolve(changes, checkpoints=()))
                await asyncio.sleep(0)
                await self._backend.apply(Changes(checkpoints=changes.checkpoints))
                return committed

    breaks = (
        of_concurrency.test_a_cancelled_commit_is_whole_or_absent_and_says_which,
        of_units.test_one_conflict_among_many_changes_keeps_none_of_them,
    )


class ForgetsTheOutcomeWhenCancelled(SabotagedUnits):
    class Unit(BufferedUnit):
        async def commit(self) -> Committed:
            try:
                return await super().commit()
            except asyncio.CancelledError:
                self._outcome = UnitOutcome.UNKNOWN
                raise

    breaks = (
        of_concurrency.test_a_cancelled_commit_is_whole_or_absent_and_says_which,
        of_concurrency.test_a_commit_that_ran_out_of_time_is_whole_or_absent,
    )


class StaysLockedWhenCancelled(SabotagedUnits):
    locked: ClassVar[set[str]] = set()

    class Unit(BufferedUnit):
        async def commit(self) -> Committed:
            if self.company_id in StaysLockedWhenCancelled.locked and self._call.pending.count:
                raise StorageBusy("somebody holds the company's lock")
            try:
                return await super().commit()
            except asyncio.CancelledError:
                StaysLockedWhenCancelled.locked.add(self.company_id)
                raise

    breaks = (of_concurrency.test_a_commit_that_was_cancelled_leaves_the_company_usable,)
