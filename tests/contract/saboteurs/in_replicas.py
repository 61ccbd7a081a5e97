"""Raw copies that are not exact."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar

from attrs import evolve

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.erasures import Erasure
from deskstore.domain.errors import CompanyMoved, VersionConflict
from deskstore.domain.mirror import MIRROR, CompanyState, Copy, Debt, Owed, Part, Thing, ThingDigest
from deskstore.domain.ports import Backend, BeforeCommit, Replica
from deskstore.domain.wrapping import WrappedReplica, WrappedStorage
from deskstore.testing.contract import companies as of_companies
from deskstore.testing.contract import erasing as of_erasing
from deskstore.testing.contract import replica as of_replica
from deskstore.testing.contract import suppression as of_suppression
from tests.contract.saboteurs.base import Saboteur


class SabotagedReplica(Saboteur):
    """The replica is of another class."""

    Kind: ClassVar[type[WrappedReplica]]

    def replica(self, company_id: str) -> Replica:
        made = self.Kind(super().replica(company_id))
        vars(made).update(memory=self.memory, company_id=company_id)
        return made


class Raw(WrappedReplica):
    """A replica that can tamper with the storage beneath."""

    memory: MemoryStorage
    company_id: str

    @property
    def held(self) -> Any:  # Any: of a class that the memory storage keeps to itself
        """What the storage holds of the company, wherever that lives; where there is none, something that goes at once."""
        return self.memory.known(self.company_id) or self.memory.backend(self.company_id).company


class LivesElsewhere(SabotagedReplica):
    class Kind(Raw):
        async def state(self) -> CompanyState | None:
            found = await super().state()
            return found and (evolve(found, primary="nowhere") if found == CompanyState(primary=await self.store_id()) else found)

    breaks = (
        of_replica.test_a_backup_is_owed_what_changes_while_there_is_no_mirror,
        of_replica.test_a_claim_is_owed_to_the_mirror,
        of_replica.test_a_company_lives_in_the_store_that_kept_it_first,
        of_replica.test_a_company_that_is_moving_takes_no_commit_and_no_claim_until_it_has_moved_or_stays,
        of_replica.test_a_company_that_lives_in_another_store_takes_copies_only,
        of_replica.test_a_deletion_is_owed_and_is_newer_than_everything_it_took_along,
        of_replica.test_a_deletion_owes_only_what_was_there,
        of_replica.test_a_first_commit_and_a_first_state_never_both_count,
        of_replica.test_a_mirror_has_the_summaries_of_a_record_that_was_made_anew,
        of_replica.test_a_unit_that_fails_owes_nothing,
        of_replica.test_acknowledging_forgets_a_debt_up_to_its_version_only,
        of_replica.test_an_applied_deletion_of_a_record_takes_all_that_is_its_along,
        of_replica.test_an_applied_deletion_removes_and_stays_newer_than_older_copies,
        of_replica.test_another_primary_and_the_loss_of_a_mirror_need_a_higher_epoch,
        of_replica.test_copies_applied_to_a_primary_are_owed_to_its_mirror,
        of_replica.test_copies_of_one_company_are_not_seen_in_another,
        of_replica.test_copies_that_come_after_a_swap_are_not_kept,
        of_replica.test_debts_are_not_forgotten_for_who_knows_an_earlier_epoch,
        of_replica.test_each_consumer_has_debts_of_its_own,
        of_replica.test_nothing_is_kept_any_more_once_a_company_is_known_to_move,
        of_replica.test_the_outbox_gives_no_more_than_was_asked_for,
        of_replica.test_the_state_is_not_set_while_a_commit_is_under_way,
        of_replica.test_the_state_is_set_only_if_it_is_as_expected,
        of_replica.test_what_is_owed_comes_as_it_stands_with_where_the_company_lives,
        of_replica.test_what_is_owed_is_all_only_if_nothing_else_is,
        of_replica.test_what_is_owed_is_never_half_a_unit,
        of_replica.test_what_is_owed_to_a_consumer_goes_with_it,
        of_replica.test_what_was_deleted_is_known_until_the_last_consumer_has_gone,
        of_replica.test_who_reads_a_company_that_lives_elsewhere_is_told_where_it_lives,
        of_replica.test_who_writes_to_a_company_that_lives_elsewhere_is_told_where_it_lives,
        of_replica.test_with_a_mirror_every_commit_owes_what_it_changed_at_its_version,
        of_suppression.test_erasing_a_requester_is_told_to_whoever_follows_and_never_by_name,
    )


class ReadsWhatLivesElsewhere(Saboteur):
    def __init__(self, clock: Callable[[], datetime]) -> None:
        WrappedStorage.__init__(self, MemoryStorage(clock, reads_copies=True))

    breaks = (of_replica.test_who_reads_a_company_that_lives_elsewhere_is_told_where_it_lives,)


class SetsAnyState(SabotagedReplica):
    class Kind(Raw):
        async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
            return await super().compare_and_set_state(await self.state(), wanted)

    breaks = (
        of_replica.test_the_state_is_set_only_if_it_is_as_expected,
        of_replica.test_the_state_of_a_company_without_records_may_be_set,
    )


class ChangesSidesWithinAnEpoch(SabotagedReplica):
    class Kind(Raw):
        async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
            if expected is None or await self.state() != expected:
                return await super().compare_and_set_state(expected, wanted)
            async with self.memory.lock:
                self.memory.registered(self.company_id).become(wanted)
            return True

    breaks = (of_replica.test_another_primary_and_the_loss_of_a_mirror_need_a_higher_epoch,)


class SetsTheStateOutOfTurn(SabotagedReplica):
    class Kind(Raw):
        async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
            if not self.memory.lock.locked():
                return await super().compare_and_set_state(expected, wanted)
            self.memory.registered(self.company_id).become(wanted)
            return True

    breaks = (
        of_replica.test_a_first_commit_and_a_first_state_never_both_count,
        of_replica.test_the_state_is_not_set_while_a_commit_is_under_way,
    )


class AppliesOutOfTurn(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            if not self.memory.lock.locked():
                return await super().apply(copies, epoch=epoch)
            self.memory.registered(self.company_id).keep(copies, self.memory.clock())
            return len(copies)

    breaks = (of_replica.test_copies_are_not_applied_while_a_commit_of_the_same_record_is_under_way,)


class LooksWhetherItMayWriteBeforeItsTurn(Saboteur):
    """Who waits for the lock of a swap goes on as if there had been none."""

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        company = self.memory.known(backend.company_id)
        seen = company.state if company else None
        await asyncio.sleep(0.01)
        if company is None or seen is None or seen.swapping_to is not None or company.state.swapping_to is None:
            return await super().apply(backend, changes, before_commit)
        found, company.state = company.state, seen
        try:
            return await super().apply(backend, changes, before_commit)
        finally:
            company.state = found

    breaks = (of_replica.test_nothing_is_kept_any_more_once_a_company_is_known_to_move,)


class NeedsARecordForAState(SabotagedReplica):
    class Kind(Raw):
        async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
            known = self.memory.known(self.company_id)
            return (
                bool(known and known.values) or wanted.epoch != 3
                if expected is None and wanted.epoch == 3
                else await super().compare_and_set_state(expected, wanted)
            )

    breaks = (of_replica.test_the_state_of_a_company_without_records_may_be_set,)


class WritesWhereItIsOnlyFollowed(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        company = self.memory.known(backend.company_id)
        if company is None or company.state.primary == self.memory.store_id:
            return await super().apply(backend, changes, before_commit)
        state, company.state = company.state, evolve(company.state, primary=self.memory.store_id)
        try:
            return await super().apply(backend, changes, before_commit)
        finally:
            company.state = state

    breaks = (
        of_replica.test_a_company_that_lives_in_another_store_takes_copies_only,
        of_replica.test_who_writes_to_a_company_that_lives_elsewhere_is_told_where_it_lives,
    )


class WritesWhileItMoves(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        company = self.memory.known(backend.company_id)
        if company is None or company.state.swapping_to is None:
            return await super().apply(backend, changes, before_commit)
        state, company.state = company.state, evolve(company.state, swapping_to=None)
        try:
            return await super().apply(backend, changes, before_commit)
        finally:
            company.state = state

    breaks = (
        of_replica.test_a_company_that_is_moving_takes_no_commit_and_no_claim_until_it_has_moved_or_stays,
        of_replica.test_nothing_is_kept_any_more_once_a_company_is_known_to_move,
    )


class KeepsToItselfWhereItLives(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        try:
            return await super().apply(backend, changes, before_commit)
        except CompanyMoved as moved:
            raise CompanyMoved(moved.company_id) from moved

    breaks = (
        of_replica.test_a_company_that_is_moving_takes_no_commit_and_no_claim_until_it_has_moved_or_stays,
        of_replica.test_who_writes_to_a_company_that_lives_elsewhere_is_told_where_it_lives,
    )


class CopiesInAnyOrder(SabotagedReplica):
    class Kind(Raw):
        async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
            found = [copy async for copy in super().copies(part, after=after)]
            for copy in found if after else found[::-1]:
                yield copy

    breaks = (
        of_replica.test_a_company_copied_to_memory_and_back_is_the_same,
        of_replica.test_copies_are_the_values_that_reads_give_ascending_by_name,
        of_replica.test_copies_go_on_behind_a_name,
        of_replica.test_digests_are_those_of_the_copies,
    )


class CopiesBeginAtTheName(SabotagedReplica):
    class Kind(Raw):
        async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
            if after is not None:
                for copy in await self.read([after]):
                    yield copy
            async for copy in super().copies(part, after=after):
                yield copy

    breaks = (of_replica.test_copies_go_on_behind_a_name,)


class LeavesOutWhatIsMissing(SabotagedReplica):
    class Kind(Raw):
        async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
            return [copy for copy in await super().read(things) if copy.version]

    breaks = (
        of_replica.test_copies_that_come_after_a_mirror_has_gone_do_not_bring_deleted_records_back,
        of_replica.test_reading_names_gives_things_as_they_stand_ascending,
        of_replica.test_what_was_deleted_is_known_until_the_last_consumer_has_gone,
    )


class OwesWithoutAMirror(SabotagedReplica):
    class Kind(Raw):
        async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
            state = await self.state()
            if state is None or state.consumers:
                return await super().outbox(consumer, limit)
            return [Debt(thing, 1) for thing in self.memory.registered(self.company_id).values][:limit]

    breaks = (of_replica.test_without_a_mirror_nothing_is_owed,)


class OwesNoCheckpoints(SabotagedReplica):
    class Kind(Raw):
        async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
            return [debt for debt in await super().outbox(consumer, limit) if debt.thing.part != "checkpoint"]

    breaks = (of_replica.test_with_a_mirror_every_commit_owes_what_it_changed_at_its_version,)


class OwesNoClaims(SabotagedReplica):
    class Kind(Raw):
        async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
            found = await super().outbox(consumer, limit)
            return found if len(found) > 1 else [debt for debt in found if debt.thing.part != "processing"]

    breaks = (of_replica.test_a_claim_is_owed_to_the_mirror,)


class OwesNoDeletions(SabotagedReplica):
    class Kind(Raw):
        async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
            return [debt for debt in await super().outbox(consumer, limit) if debt.thing in self.memory.registered(self.company_id).values]

    breaks = (
        of_replica.test_a_backup_is_owed_what_changes_while_there_is_no_mirror,
        of_replica.test_a_deletion_is_owed_and_is_newer_than_everything_it_took_along,
        of_replica.test_a_deletion_owes_only_what_was_there,
        of_replica.test_a_mirror_has_the_summaries_of_a_record_that_was_made_anew,
        of_suppression.test_erasing_a_requester_is_told_to_whoever_follows_and_never_by_name,
    )


class BuriesAtOldVersions(SabotagedReplica):
    class Kind(Raw):
        async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
            found = await super().read(things)
            return [evolve(copy, version=copy.version - 1) if copy.value is None and copy.thing.number == 2 else copy for copy in found]

    breaks = (
        of_replica.test_a_deletion_is_owed_and_is_newer_than_everything_it_took_along,
        of_replica.test_a_mirror_has_the_summaries_of_a_record_that_was_made_anew,
    )


class OwesWhatFailed(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        try:
            return await super().apply(backend, changes, before_commit)
        except VersionConflict:
            company = self.memory.registered(backend.company_id)
            if company.state.mirror:
                company.debts[MIRROR] = {Thing(key.kind, *key): 1 for key in changes.keys}
            raise

    breaks = (of_replica.test_a_unit_that_fails_owes_nothing,)


class OwesSummariesThatNeverWere(SabotagedReplica):
    class Kind(Raw):
        async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
            found = await super().outbox(consumer, limit)
            there = {debt.thing for debt in found}
            before = (Debt(debt.thing._replace(number=debt.thing.number - 1), debt.version) for debt in found if debt.thing.number > 2)
            return [*found, *(debt for debt in before if debt.thing not in there)]

    breaks = (of_replica.test_a_deletion_owes_only_what_was_there,)


class GivesAllDebts(SabotagedReplica):
    class Kind(Raw):
        async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
            return await super().outbox(consumer, 1_000)

    breaks = (of_replica.test_the_outbox_gives_no_more_than_was_asked_for,)


class OwesOneByOne(SabotagedReplica):
    class Kind(Raw):
        async def owed(self, consumer: str, limit: int) -> Owed:
            owed = await super().owed(consumer, limit)
            copies: list[Copy] = []
            for copy in owed.copies:
                copies += await self.read([copy.thing])
                await asyncio.sleep(0)
            return evolve(owed, copies=copies)

    breaks = (of_replica.test_what_is_owed_is_never_half_a_unit,)


class OwesAllAtAnyLimit(SabotagedReplica):
    class Kind(Raw):
        async def owed(self, consumer: str, limit: int) -> Owed:
            return evolve(await super().owed(consumer, limit), is_all=True)

    breaks = (of_replica.test_what_is_owed_is_all_only_if_nothing_else_is,)


class OwesValuesAlone(SabotagedReplica):
    class Kind(Raw):
        async def owed(self, consumer: str, limit: int) -> Owed:
            owed = await super().owed(consumer, limit)
            return evolve(owed, copies=[copy for copy in owed.copies if copy.value is not None])

    breaks = (of_replica.test_what_is_owed_comes_as_it_stands_with_where_the_company_lives,)


class ForgivesEveryVersion(SabotagedReplica):
    class Kind(Raw):
        async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
            await super().acknowledge(consumer, [debt._replace(version=2**62) for debt in debts], epoch=epoch)

    breaks = (of_replica.test_acknowledging_forgets_a_debt_up_to_its_version_only,)


class TellsTheMirrorAlone(SabotagedReplica):
    class Kind(Raw):
        async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
            return await super().outbox(consumer, limit) if consumer == MIRROR else []

    breaks = (
        of_replica.test_a_backup_is_owed_what_changes_while_there_is_no_mirror,
        of_replica.test_each_consumer_has_debts_of_its_own,
        of_suppression.test_erasing_a_requester_is_told_to_whoever_follows_and_never_by_name,
    )


class AcknowledgesForAll(SabotagedReplica):
    class Kind(Raw):
        async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
            for one in self.held.state.consumers:
                await super().acknowledge(one, debts, epoch=epoch)
            await super().acknowledge(consumer, debts, epoch=epoch)

    breaks = (of_replica.test_each_consumer_has_debts_of_its_own,)


class OwesWhoLeft(SabotagedReplica):
    class Kind(Raw):
        async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
            debts = dict(self.held.debts)
            is_set = await super().compare_and_set_state(expected, wanted)
            self.held.debts = debts
            return is_set

    breaks = (of_replica.test_what_is_owed_to_a_consumer_goes_with_it,)


class ForgetsGravesWithTheMirror(SabotagedReplica):
    class Kind(Raw):
        async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
            is_set = await super().compare_and_set_state(expected, wanted)
            if wanted.mirror is None:
                self.held.deleted.clear()
            return is_set

    breaks = (of_replica.test_what_was_deleted_is_known_until_the_last_consumer_has_gone,)


class AcknowledgesWhateverTheEpoch(SabotagedReplica):
    class Kind(Raw):
        async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
            await super().acknowledge(consumer, debts, epoch=None)

    breaks = (
        of_replica.test_debts_are_not_forgotten_for_who_knows_an_earlier_epoch,
        of_replica.test_debts_of_an_erased_company_bring_nothing_of_it_back,
    )


class AppliesWhateverTheEpoch(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            return await super().apply(copies, epoch=None)

    breaks = (
        of_replica.test_copies_meant_for_an_erased_company_are_not_kept_in_the_next_of_its_name,
        of_replica.test_copies_that_come_after_a_mirror_has_gone_do_not_bring_deleted_records_back,
        of_replica.test_copies_that_come_after_a_swap_are_not_kept,
        of_replica.test_copies_that_come_after_an_erasure_bring_nothing_back,
    )


class BeginsAtTheSameEpoch(Saboteur):
    async def erase(self, company_id: str) -> Erasure | None:
        erasure = await super().erase(company_id)
        vars(self.memory)["_erased"].clear()
        return erasure

    breaks = (
        of_companies.test_whoever_has_an_erased_company_open_can_neither_read_nor_write_it,
        of_erasing.test_each_company_of_a_name_has_a_line_of_its_own_in_a_higher_epoch,
        of_replica.test_copies_meant_for_an_erased_company_are_not_kept_in_the_next_of_its_name,
        of_replica.test_the_epoch_grows_over_every_erasure,
    )


class BeginsInAnEpochBeforeTheErasure(SabotagedReplica):
    class Kind(Raw):
        async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
            if expected is None and await self.state() is None:
                vars(self.memory)["_erased"].clear()
            return await super().compare_and_set_state(expected, wanted)

    breaks = (of_replica.test_the_epoch_grows_over_every_erasure,)


class GivesCopiesNewVersions(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            raised = [
                evolve(copy, version=copy.version + 1, value=copy.value and evolve(copy.value, version=copy.version + 1)) for copy in copies
            ]
            return await super().apply(raised, epoch=epoch)

    breaks = (
        of_replica.test_a_company_copied_to_memory_and_back_is_the_same,
        of_replica.test_a_mirror_has_the_summaries_of_a_record_that_was_made_anew,
        of_replica.test_a_processing_or_a_summary_without_its_record_is_not_applied,
        of_replica.test_an_applied_deletion_removes_and_stays_newer_than_older_copies,
        of_replica.test_applied_copies_keep_their_versions_and_are_found_by_every_read,
        of_replica.test_copies_applied_in_any_order_and_repeatedly_end_in_the_same,
        of_replica.test_copies_applied_to_a_primary_are_owed_to_its_mirror,
        of_replica.test_copies_are_not_applied_while_a_commit_of_the_same_record_is_under_way,
        of_replica.test_digests_take_the_hash_of_a_payload_as_kept_unless_it_is_to_be_hashed_anew,
        of_replica.test_only_copies_that_are_newer_are_applied,
        of_replica.test_what_is_saved_after_copies_were_applied_is_newer_than_they_are,
    )


class AppliesOlderCopies(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            company = self.held
            for copy in copies:
                stood = company.values.get(copy.thing)
                if copy.value is not None and stood is not None and copy.version <= stood.version:
                    company.values.pop(copy.thing)
            return await super().apply(copies, epoch=epoch)

    breaks = (of_replica.test_only_copies_that_are_newer_are_applied,)


class SavesBelowAppliedCopies(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            low = [
                evolve(copy, version=7, value=evolve(copy.value, version=7)) if copy.value and copy.version == 2**60 else copy
                for copy in copies
            ]
            return await super().apply(low, epoch=epoch)

    breaks = (of_replica.test_what_is_saved_after_copies_were_applied_is_newer_than_they_are,)


class ForgetsWhatWasBuried(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            self.held.deleted.clear()
            return await super().apply(copies, epoch=epoch)

    breaks = (of_replica.test_an_applied_deletion_removes_and_stays_newer_than_older_copies,)


class AppliesNothingAsOne(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            return await super().apply(copies, epoch=epoch) if copies else 1

    breaks = (of_replica.test_applying_nothing_changes_nothing,)


class AppliesInSilence(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            debts = dict(self.held.debts)
            applied = await super().apply(copies, epoch=epoch)
            self.held.debts = debts
            return applied

    breaks = (of_replica.test_copies_applied_to_a_primary_are_owed_to_its_mirror,)


class OwesBack(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            company = self.held
            if company.state.primary != await self.store_id():
                company.owe([MIRROR], copies)
            return await super().apply(copies, epoch=epoch)

    breaks = (of_replica.test_copies_applied_to_a_mirror_are_owed_to_nobody,)


class AppliesOrphans(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            applied = await super().apply(copies, epoch=epoch)
            company = self.memory.registered(self.company_id)
            parts = [copy for copy in copies if copy.value and copy.thing.part in ("processing", "summary")]
            orphans = [copy for copy in parts if company.record(copy.thing.key) is None]
            company.values |= {copy.thing: copy.value for copy in orphans if copy.value}
            return applied + len(orphans)

    breaks = (
        of_replica.test_a_processing_or_a_summary_without_its_record_is_not_applied,
        of_replica.test_an_applied_deletion_removes_and_stays_newer_than_older_copies,
    )


class KeepsPartsOfWhatGoes(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            applied = await super().apply(copies, epoch=epoch)
            gone = {copy.thing.key for copy in copies if copy.thing.part == "ticket" and copy.value is None}
            self.held.values |= {copy.thing: copy.value for copy in copies if copy.value and copy.thing.key in gone}
            return applied

    breaks = (of_replica.test_parts_that_are_applied_together_with_the_deletion_of_their_record_go_with_it,)


class BuriesAllSummariesWithOne(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            applied = await super().apply(copies, epoch=epoch)
            gone = {copy.thing.key for copy in copies if copy.thing.part == "summary" and copy.value is None}
            values = self.held.values
            for thing in [thing for thing in values if thing.part == "summary" and thing.key in gone]:
                del values[thing]
            return applied

    breaks = (of_replica.test_a_mirror_has_the_summaries_of_a_record_that_was_made_anew,)


class BuriesRecordsAlone(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            company = self.held
            before = dict(company.values)
            applied = await super().apply(copies, epoch=epoch)
            kept = {copy.thing.key for copy in copies if copy.value is None and copy.version == 2**60 and len(copies) == 1}
            company.values |= {thing: value for thing, value in before.items() if thing.part == "processing" and thing.key in kept}
            return applied

    breaks = (of_replica.test_an_applied_deletion_of_a_record_takes_all_that_is_its_along,)


class DigestsThePayloadAlone(SabotagedReplica):
    class Kind(Raw):
        async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
            async for one in super().digests(part, after=after, rehash=rehash):
                yield one if rehash else evolve(one, digest=sha256(str(one.thing).encode()).digest())

    breaks = (
        of_replica.test_digests_are_those_of_the_copies,
        of_replica.test_digests_take_the_hash_of_a_payload_as_kept_unless_it_is_to_be_hashed_anew,
    )


class NeverHashesAnew(SabotagedReplica):
    class Kind(Raw):
        def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
            return super().digests(part, after=after)

    breaks = (of_replica.test_digests_take_the_hash_of_a_payload_as_kept_unless_it_is_to_be_hashed_anew,)


class AppliesToAllCompanies(SabotagedReplica):
    class Kind(Raw):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            if all(copy.value is None for copy in copies) and len(copies) > 2:
                for company in await self.memory.companies():
                    for copy in copies:
                        self.memory.registered(company).values.pop(copy.thing, None)
            return await super().apply(copies, epoch=epoch)

    breaks = (of_replica.test_copies_of_one_company_are_not_seen_in_another,)
