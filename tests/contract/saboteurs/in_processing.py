"""Processing, claims, summaries and counts that go astray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from attrs import evolve

from deskstore.domain import times
from deskstore.domain.changes import AddSummary, Changes, Committed, SaveProcessing
from deskstore.domain.errors import ClaimLost, VersionConflict
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.mirror import Thing, Value
from deskstore.domain.ports import Backend, BeforeCommit, ProgressReads, SummaryReads
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING, Checkpoint, PlatformStats, Processing, Progress, fresh
from deskstore.domain.summaries import StaleSummary, Summary
from deskstore.domain.unit import BufferedProgress
from deskstore.testing.contract import before_commit as of_before_commit
from deskstore.testing.contract import claims as of_claims
from deskstore.testing.contract import concurrency as of_concurrency
from deskstore.testing.contract import isolation as of_isolation
from deskstore.testing.contract import pages as of_pages
from deskstore.testing.contract import payloads as of_payloads
from deskstore.testing.contract import processing as of_processing
from deskstore.testing.contract import progress as of_progress
from deskstore.testing.contract import replica as of_replica
from deskstore.testing.contract import summaries as of_summaries
from deskstore.testing.contract import suppression as of_suppression
from deskstore.testing.contract import tickets as of_tickets
from deskstore.testing.contract import units as of_units
from deskstore.testing.makers import a_summary
from tests.contract.saboteurs.base import SabotagedChanges, SabotagedParts, Saboteur, with_processing


class TamperedProcessing(SabotagedChanges):
    """Processing is kept differently from how it was decided."""

    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        kept = {
            key: self.kept(company_id, value, before.get(Thing("processing", *key)), changes) for key, value in committed.processing.items()
        }
        self.values(company_id).update({Thing("processing", *key): value for key, value in kept.items()})
        return evolve(committed, processing=kept)

    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        raise NotImplementedError


def was_saved(value: Processing, changes: Changes) -> bool:
    """Whether a unit saved this processing itself."""
    return value.key in {change.key for change in changes.processing}


class IsClaimableOnlyFromTheCommit(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        return value if was_saved(value, changes) or before else evolve(value, claimable_at=max(self.clock(), value.changed_at))

    breaks = (
        of_claims.test_tickets_that_wait_longest_are_handed_out_first,
        of_processing.test_a_new_ticket_is_pending_and_may_be_taken_from_when_it_was_received,
    )


class NeverResets(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        if was_saved(value, changes) or not isinstance(before, Processing) or before.claim is not None:
            return value
        return evolve(before, version=value.version)

    breaks = (
        of_processing.test_changed_text_makes_a_ticket_pending_again_whatever_became_of_it,
        of_units.test_reads_by_key_see_what_becomes_of_a_processing_whose_text_the_unit_changes,
    )


class ResetKeepsAttempts(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        if was_saved(value, changes) or not isinstance(before, Processing):
            return value
        return evolve(value, attempts=before.attempts)

    breaks = (
        of_claims.test_text_that_changes_after_a_claim_ran_out_ends_the_claim,
        of_processing.test_changed_text_makes_a_ticket_pending_again_whatever_became_of_it,
    )


class LosesTheError(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        return evolve(value, error=None)

    breaks = (
        of_claims.test_a_ticket_that_failed_for_good_is_not_handed_out,
        of_processing.test_processing_comes_back_as_it_was_saved_but_for_its_version,
    )


class CannotBeProcessingWithoutAClaim(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        return value if value.status != PROCESSING or value.claim else evolve(value, status=PENDING)

    breaks = (
        of_pages.test_every_filter_by_processing_agrees_with_progress,
        of_processing.test_every_status_leads_only_where_the_rules_allow,
        of_progress.test_progress_counts_the_tickets_of_one_platform_by_status,
    )


class HandsOutWhatSomebodyWorksOn(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        return value if value.status != PROCESSING or value.claim else evolve(value, claimable_at=self.clock())

    breaks = (of_claims.test_a_ticket_that_is_processing_without_a_claim_is_handed_out_after_the_longest_lease,)


class KeepsWhatNobodyWaitsFor(Saboteur):
    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        taken = await super().claim(company_id, platform, n, worker=worker, lease=lease)
        await asyncio.sleep(0)
        return taken

    breaks = (of_claims.test_a_claim_that_is_cancelled_leaves_its_tickets_to_others,)


class TakesAnyStep(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        for change in changes.processing:
            stood = self.processing_of(company_id, change.key)
            if stood is not None and stood.claim is None and stood.version == change.processing.version:
                self.values(company_id)[Thing("processing", *change.key)] = evolve(stood, status=PENDING)
        return changes

    breaks = (of_processing.test_no_status_is_kept_past_the_rules_whoever_made_it_up,)


class TakesAnyNumberOfAttempts(SabotagedParts):
    class Progress(BufferedProgress):
        def save(self, processing: Processing, *, token: str | None = None) -> Processing:
            return super().save(evolve(processing, attempts=min(max(0, processing.attempts), 2**31 - 1)), token=token)

    parts: ClassVar = {"progress": Progress}
    breaks = (of_processing.test_attempts_that_not_every_storage_can_count_are_refused,)


class HandsOutWhatIsCompleted(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        asked = next((change.processing for change in changes.processing if change.key == value.key), value)
        return evolve(value, claimable_at=asked.claimable_at) if value.status == COMPLETED else value

    breaks = (of_claims.test_a_completed_ticket_is_never_handed_out_whatever_was_saved_with_it,)


class RenewsForAsLongAsAsked(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        asked = next((change.processing for change in changes.processing if change.key == value.key), value)
        return evolve(value, claim=asked.claim) if value.claim else value

    breaks = (of_claims.test_no_renewal_holds_a_ticket_beyond_the_longest_lease,)


class CompletesChangedText(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        asked = next((change.processing for change in changes.processing if change.key == value.key), None)
        if asked is None or asked.status != COMPLETED:
            return value
        return evolve(asked, version=value.version)

    breaks = (
        of_claims.test_a_completed_ticket_is_never_handed_out_whatever_was_saved_with_it,
        of_claims.test_completing_a_ticket_whose_text_changed_keeps_the_summary_and_makes_it_pending,
        of_units.test_reads_by_key_see_what_becomes_of_a_processing_whose_text_the_unit_changes,
    )


class ReleasedTicketsWait(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        if isinstance(before, Processing) and before.claim and was_saved(value, changes) and value.status == PENDING and value.attempts:
            return evolve(value, claimable_at=self.clock() + timedelta(hours=1))
        return value

    breaks = (
        of_claims.test_a_released_ticket_may_be_taken_at_once,
        of_claims.test_failed_and_expired_tickets_wait_in_the_same_line_as_pending_ones,
    )


class CountsAttemptsThatWereGivenBack(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        if isinstance(before, Processing) and before.claim and was_saved(value, changes) and value.status == PENDING and not value.attempts:
            return evolve(value, attempts=before.attempts)
        return value

    breaks = (
        of_claims.test_a_claim_that_is_cancelled_leaves_its_tickets_to_others,
        of_claims.test_a_claim_that_was_taken_back_is_worth_nothing_to_its_worker,
    )


class CompletedTicketsComeBack(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        return evolve(value, claimable_at=self.clock() + timedelta(days=30)) if value.status == COMPLETED and not value.attempts else value

    breaks = (of_claims.test_completed_tickets_are_never_handed_out,)


class FailedForGoodComesBack(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        for_good = value.status == FAILED and value.claimable_at is None
        return evolve(value, claimable_at=self.clock() + timedelta(days=30)) if for_good else value

    breaks = (of_claims.test_a_ticket_that_failed_for_good_is_not_handed_out,)


class NoBackOff(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        return evolve(value, claimable_at=self.clock()) if value.status == FAILED and value.claimable_at and value.attempts else value

    breaks = (
        of_claims.test_a_failed_ticket_is_handed_out_after_its_back_off,
        of_claims.test_failed_and_expired_tickets_wait_in_the_same_line_as_pending_ones,
        of_processing.test_processing_comes_back_as_it_was_saved_but_for_its_version,
    )


class RenewalsAreShort(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        return value if value.claim is None else evolve(value, claimable_at=value.claim.lease_until)

    breaks = (
        of_claims.test_no_renewal_holds_a_ticket_beyond_the_longest_lease,
        of_claims.test_the_token_may_renew_and_complete_even_late,
    )


class ResetsOnAnyChange(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        for record in (change.record for change in changes.records if change.record.version and change.key.kind == "ticket"):
            stood = self.processing_of(company_id, record.key)
            if stood is not None and stood.status == COMPLETED:
                again = fresh(record.key, now=record.saved_at, version=stood.version + 1)
                self.values(company_id)[Thing("processing", *record.key)] = again
        return committed

    breaks = (
        of_pages.test_a_filter_sees_what_a_ticket_has_become,
        of_processing.test_a_change_of_anything_but_the_text_leaves_processing_alone,
    )


class ResetsUnderAClaim(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        for record in (change.record for change in changes.records if change.record.version and change.key.kind == "ticket"):
            stood = self.processing_of(company_id, record.key)
            if stood is not None and stood.is_claimed(self.clock()):
                again = fresh(record.key, now=record.saved_at, version=stood.version + 1)
                self.values(company_id)[Thing("processing", *record.key)] = again
        return committed

    breaks = (
        of_claims.test_completing_a_ticket_whose_text_changed_keeps_the_summary_and_makes_it_pending,
        of_claims.test_text_that_changed_and_changed_back_may_be_completed,
        of_claims.test_text_that_changes_under_a_claim_leaves_the_claim_alone,
        of_units.test_reads_by_key_see_what_becomes_of_a_processing_whose_text_the_unit_changes,
    )


class ExpiredClaimsSurviveNewText(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        for change in changes.records:
            stood = before.get(Thing("processing", *change.key))
            if isinstance(stood, Processing) and stood.claim and not stood.is_claimed(self.clock()):
                self.values(company_id)[Thing("processing", *change.key)] = stood
        return committed

    breaks = (of_claims.test_text_that_changes_after_a_claim_ran_out_ends_the_claim,)


class SavingATicketTouchesItsProcessing(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        for change in changes.records:
            stood = self.processing_of(company_id, change.key)
            if stood is not None and change.key not in committed.processing and stood.claim is None and stood.status == PENDING:
                self.values(company_id)[Thing("processing", *change.key)] = evolve(stood, version=stood.version + 1)
        return committed

    breaks = (
        of_concurrency.test_concurrent_updates_of_text_status_and_summaries_lose_no_field,
        of_processing.test_saving_a_ticket_again_does_not_disturb_whoever_read_its_processing,
    )


class IgnoresVersionsOfProcessing(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_processing(changes, lambda change: self._current(company_id, change))

    def _current(self, company_id: str, change: SaveProcessing) -> SaveProcessing:
        stood = self.processing_of(company_id, change.key)
        if stood is None or change.token is not None:
            return change
        return SaveProcessing(evolve(change.processing, version=stood.version))

    breaks = (of_processing.test_processing_saved_since_it_was_read_is_a_conflict,)


class LeavesOutMissingTickets(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        known = [change for change in changes.processing if self.record_of(company_id, change.key) or change.processing.version]
        return evolve(changes, processing=tuple(known))

    breaks = (of_processing.test_the_processing_of_a_missing_ticket_cannot_be_saved,)


class LeavesOutDeletedTickets(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        known = [change for change in changes.processing if self.record_of(company_id, change.key) or not change.processing.version]
        return evolve(changes, processing=tuple(known))

    breaks = (of_processing.test_the_processing_of_a_deleted_ticket_cannot_be_saved,)


class NeedsNoTokenUnderAClaim(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_processing(changes, lambda change: self._opened(company_id, change))

    def _opened(self, company_id: str, change: SaveProcessing) -> SaveProcessing:
        stood = self.processing_of(company_id, change.key)
        lives = stood is not None and stood.is_claimed(self.clock()) and stood.claim is not None
        return SaveProcessing(change.processing, stood.claim.token) if change.token is None and lives and stood and stood.claim else change

    breaks = (
        of_isolation.test_errors_of_one_company_never_name_anothers_ids,
        of_processing.test_a_lost_claim_keeps_nothing_of_its_unit,
        of_processing.test_while_a_claim_lives_nobody_else_changes_the_status,
    )


class TakesAnyToken(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_processing(changes, lambda change: self._opened(company_id, change))

    def _opened(self, company_id: str, change: SaveProcessing) -> SaveProcessing:
        stood = self.processing_of(company_id, change.key)
        if change.token is None or stood is None or stood.claim is None:
            return change
        return SaveProcessing(change.processing, stood.claim.token)

    breaks = (
        of_before_commit.test_before_commit_is_not_called_for_a_unit_whose_guards_fail,
        of_claims.test_a_lost_claim_names_every_ticket_that_was_lost,
        of_claims.test_after_a_take_over_the_late_worker_has_lost_its_claim,
        of_isolation.test_a_token_of_one_company_opens_nothing_in_another,
        of_processing.test_while_a_claim_lives_nobody_else_changes_the_status,
    )


class TakesTokensOfNoClaim(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_processing(changes, lambda change: self._opened(company_id, change))

    def _opened(self, company_id: str, change: SaveProcessing) -> SaveProcessing:
        stood = self.processing_of(company_id, change.key)
        if change.token is None or stood is None or stood.claim is not None:
            return change
        return SaveProcessing(evolve(change.processing, version=stood.version))

    breaks = (
        of_claims.test_a_claim_is_over_once_it_was_settled,
        of_claims.test_a_claim_that_was_taken_back_is_worth_nothing_to_its_worker,
        of_claims.test_a_deleted_ticket_takes_its_claim_along,
        of_claims.test_a_pending_ticket_under_no_claim_knows_no_token,
        of_claims.test_text_that_changes_after_a_claim_ran_out_ends_the_claim,
    )


class ExpiredClaimsBind(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        stood = [self.processing_of(company_id, change.key) for change in changes.processing if change.token is None]
        if claimed := [one.key for one in stood if one and one.claim]:
            raise ClaimLost(claimed)
        return changes

    breaks = (of_processing.test_once_a_claim_ran_out_the_status_may_be_changed_without_its_token,)


class LateIsLost(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        stood = [self.processing_of(company_id, change.key) for change in changes.processing if change.token is not None]
        if late := [one.key for one in stood if one and one.claim and one.claim.lease_until < self.clock()]:
            raise ClaimLost(late)
        return changes

    breaks = (of_claims.test_the_token_may_renew_and_complete_even_late,)


class RenewalsConflict(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        for change in changes.processing:
            stood = self.processing_of(company_id, change.key)
            if change.token and stood and stood.claim and stood.claim.token == change.token and stood.version != change.processing.version:
                raise VersionConflict([change.key])
        return changes

    breaks = (
        of_claims.test_no_renewal_holds_a_ticket_beyond_the_longest_lease,
        of_claims.test_a_renewal_does_not_get_in_the_way_of_the_completion,
        of_claims.test_the_token_may_renew_and_complete_even_late,
    )


class AnyChangeOfTextCounts(TamperedProcessing):
    def kept(self, company_id: str, value: Processing, before: Value | None, changes: Changes) -> Processing:
        record = self.record_of(company_id, value.key)
        changed = isinstance(before, Processing) and before.claim and record and record.version > before.version
        return fresh(value.key, now=self.clock(), version=value.version) if changed and value.status == COMPLETED else value

    breaks = (of_claims.test_text_that_changed_and_changed_back_may_be_completed,)


class TamperedClaims(Saboteur):
    """Tickets that were handed out are kept differently."""

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        before = dict(self.values(company_id))
        taken = [self.kept(one, before) for one in await super().claim(company_id, platform, n, worker=worker, lease=lease)]
        self.values(company_id).update({Thing("processing", *one.key): one for one in taken})
        return taken

    def kept(self, taken: Processing, before: Mapping[Thing, Value]) -> Processing:
        raise NotImplementedError


class HandsOutTwice(TamperedClaims):
    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        taken = await Saboteur.claim(self, company_id, platform, n, worker=worker, lease=lease)
        if n in (2, 3):
            again = [evolve(one, claimable_at=self.clock()) for one in taken[:1]]
            self.values(company_id).update({Thing("processing", *one.key): one for one in again})
        return taken

    breaks = (
        of_claims.test_a_claimed_ticket_is_not_handed_out_again,
        of_concurrency.test_concurrent_claims_hand_out_each_ticket_once,
        of_units.test_reads_by_key_see_what_becomes_of_a_processing_whose_text_the_unit_changes,
    )


class CountsNoAttempts(TamperedClaims):
    def kept(self, taken: Processing, before: Mapping[Thing, Value]) -> Processing:
        return evolve(taken, attempts=1)

    breaks = (
        of_claims.test_a_claim_that_ran_out_is_handed_out_after_five_seconds_for_skew,
        of_claims.test_a_failed_ticket_is_handed_out_after_its_back_off,
        of_claims.test_a_released_ticket_may_be_taken_at_once,
    )


class ForgetsTheWorker(TamperedClaims):
    def kept(self, taken: Processing, before: Mapping[Thing, Value]) -> Processing:
        assert taken.claim is not None
        return evolve(taken, claim=evolve(taken.claim, worker=ascii(taken.claim.worker)))

    breaks = (of_claims.test_a_claim_says_who_holds_the_ticket_and_until_when,)


class AllowsNoSkew(TamperedClaims):
    def kept(self, taken: Processing, before: Mapping[Thing, Value]) -> Processing:
        assert taken.claim is not None
        return evolve(taken, claimable_at=taken.claim.lease_until)

    breaks = (
        of_claims.test_a_claim_says_who_holds_the_ticket_and_until_when,
        of_claims.test_a_claim_that_ran_out_is_handed_out_after_five_seconds_for_skew,
    )


class HasOneToken(TamperedClaims):
    def kept(self, taken: Processing, before: Mapping[Thing, Value]) -> Processing:
        assert taken.claim is not None
        return evolve(taken, claim=evolve(taken.claim, token="0" * 32))

    breaks = (
        of_claims.test_a_claim_that_ran_out_is_handed_out_after_five_seconds_for_skew,
        of_claims.test_a_claimed_ticket_is_not_handed_out_again,
        of_claims.test_after_a_take_over_the_late_worker_has_lost_its_claim,
        of_isolation.test_a_token_of_one_company_opens_nothing_in_another,
    )


class ReordersClaims(Saboteur):
    """Hands out in another order."""

    def rank(self, one: Processing) -> tuple[Any, ...]:  # Any: whatever can be compared
        raise NotImplementedError

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        if self.memory.known(company_id) is None or not 0 < n < 11 or not worker.startswith("worker"):
            return await super().claim(company_id, platform, n, worker=worker, lease=lease)
        before = {value.key: value for value in self.values(company_id).values() if isinstance(value, Processing)}
        taken = await super().claim(company_id, platform, 1_000, worker=worker, lease=lease)
        ordered = sorted(taken, key=lambda one: self.rank(before[one.key]))
        self.values(company_id).update({Thing("processing", *one.key): before[one.key] for one in ordered[n:]})
        return ordered[:n]


class HandsOutByKey(ReordersClaims):
    def rank(self, one: Processing) -> tuple[Any, ...]:  # Any: whatever can be compared
        return one.key

    breaks = (
        of_claims.test_failed_and_expired_tickets_wait_in_the_same_line_as_pending_ones,
        of_claims.test_tickets_that_wait_longest_are_handed_out_first,
    )


class HandsOutPendingFirst(ReordersClaims):
    def rank(self, one: Processing) -> tuple[Any, ...]:  # Any: whatever can be compared
        return (one.status != PENDING, times.microseconds(one.claimable_at), one.key)

    breaks = (of_claims.test_failed_and_expired_tickets_wait_in_the_same_line_as_pending_ones,)


class BreaksTiesByCase(ReordersClaims):
    def rank(self, one: Processing) -> tuple[Any, ...]:  # Any: whatever can be compared
        return (times.microseconds(one.claimable_at), one.key.id.casefold())

    breaks = (of_claims.test_tickets_of_the_same_moment_are_handed_out_by_key,)


class HandsOutTooMany(Saboteur):
    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        return await super().claim(company_id, platform, n + 1 if n == 3 and worker == "worker 1" else n, worker=worker, lease=lease)

    breaks = (of_claims.test_a_claim_takes_no_more_tickets_than_were_asked_for,)


class HandsOutOtherPlatforms(Saboteur):
    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        taken = await super().claim(company_id, platform, n, worker=worker, lease=lease)
        return taken or await super().claim(company_id, "jira", n, worker=worker, lease=lease)

    breaks = (of_claims.test_only_tickets_of_the_platform_asked_for_are_handed_out,)


class HandsOutEarly(Saboteur):
    """Pending tickets are handed out before their time."""

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        for thing, value in list(self.values(company_id).items()):
            if isinstance(value, Processing) and value.status == PENDING and value.claimable_at and value.claimable_at > self.clock():
                self.values(company_id)[thing] = evolve(value, claimable_at=self.clock())
        return await super().claim(company_id, platform, n, worker=worker, lease=lease)

    breaks = (of_claims.test_a_ticket_is_not_handed_out_before_its_time,)


class TakesAnyClaim(Saboteur):
    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        limited = min(max(lease, timedelta(seconds=1)), timedelta(minutes=15))
        return await super().claim(company_id, platform, min(max(n, 1), 1_000), worker=worker, lease=limited)

    breaks = (of_claims.test_a_claim_that_breaks_the_rules_takes_nothing,)


class ClaimsMakeCompanies(Saboteur):
    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        taken = await super().claim(company_id, platform, n, worker=worker, lease=lease)
        if n == 10:
            self.memory.registered(company_id)
        return taken

    breaks = (of_claims.test_a_claim_on_nothing_takes_nothing,)


class TamperedProgress(Saboteur):
    """Progress is told differently."""

    def told(self, found: Progress, stands: Sequence[Processing]) -> Progress:
        raise NotImplementedError

    async def progress(self, reads: ProgressReads, platform: str) -> Progress:
        found = await super().progress(reads, platform)
        values = [value for company in await self.companies() for value in self.values(company).values()]
        return self.told(found, [value for value in values if isinstance(value, Processing) and value.key.platform == platform])


class ExpiredCountsAsPending(TamperedProgress):
    def told(self, found: Progress, stands: Sequence[Processing]) -> Progress:
        expired = sum(1 for one in stands if one.claim and not one.is_claimed(self.clock()))
        return evolve(found, pending=found.pending + expired, processing=found.processing - expired)

    breaks = (of_claims.test_a_claim_that_ran_out_counts_as_processing_until_it_is_taken,)


class ClaimedCountsAsPending(TamperedProgress):
    def told(self, found: Progress, stands: Sequence[Processing]) -> Progress:
        claimed = sum(1 for one in stands if one.is_claimed(self.clock()))
        return evolve(found, pending=found.pending + claimed, processing=found.processing - claimed)

    breaks = (
        of_claims.test_a_claim_counts_at_once,
        of_isolation.test_claims_take_the_companys_own_tickets,
        of_progress.test_progress_equals_a_recount_after_any_steps,
    )


class FailedCountsAsCompleted(TamperedProgress):
    def told(self, found: Progress, stands: Sequence[Processing]) -> Progress:
        return evolve(found, completed=found.completed + found.failed, failed=0)

    breaks = (
        of_pages.test_every_filter_by_processing_agrees_with_progress,
        of_progress.test_progress_counts_the_tickets_of_one_platform_by_status,
    )


class InventsProgress(TamperedProgress):
    def told(self, found: Progress, stands: Sequence[Processing]) -> Progress:
        return found if found.total else evolve(found, last_updated=self.clock())

    breaks = (
        of_progress.test_a_platform_without_tickets_has_no_progress,
        of_units.test_what_a_unit_saves_and_deletes_was_never_there,
    )


class EverySaveMovesProgress(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        keys = [one.key for one in changes.records] + [one.key for one in changes.processing]
        self.memory.registered(company_id).changed_at.update({key.platform: self.clock() for key in keys if key.kind == TICKET})
        return committed

    breaks = (
        of_progress.test_a_renewal_leaves_when_progress_last_changed,
        of_progress.test_what_leaves_every_status_as_it_is_leaves_when_progress_last_changed,
        of_suppression.test_lifting_what_was_never_suppressed_changes_nothing,
    )


class DeletionsDoNotMoveProgress(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        company = self.memory.known(backend.company_id)
        before = dict(company.changed_at) if company else {}
        committed = await super().apply(backend, changes, before_commit)
        if changes.deletes:
            self.memory.registered(backend.company_id).changed_at = before
        return committed

    breaks = (of_progress.test_a_deletion_and_a_return_to_pending_move_when_progress_last_changed,)


class NeverSaysWhen(TamperedProgress):
    def told(self, found: Progress, stands: Sequence[Processing]) -> Progress:
        return evolve(found, last_updated=None)

    breaks = (
        of_progress.test_a_deletion_and_a_return_to_pending_move_when_progress_last_changed,
        of_progress.test_a_renewal_leaves_when_progress_last_changed,
        of_progress.test_progress_says_when_something_last_changed,
        of_progress.test_what_leaves_every_status_as_it_is_leaves_when_progress_last_changed,
    )


class CountsTheDeleted(Saboteur):
    """A count that was never taken back."""

    most = 0

    async def progress(self, reads: ProgressReads, platform: str) -> Progress:
        found = await super().progress(reads, platform)
        forgotten = sum(1 for company in await self.companies() if self.memory.registered(company).floor)
        return evolve(found, pending=found.pending + forgotten)

    breaks = (
        of_isolation.test_no_write_touches_another_company,
        of_progress.test_progress_equals_a_recount_after_any_steps,
        of_progress.test_progress_falls_when_a_ticket_is_deleted,
        of_replica.test_an_applied_deletion_of_a_record_takes_all_that_is_its_along,
        of_replica.test_an_applied_deletion_removes_and_stays_newer_than_older_copies,
        of_replica.test_copies_of_one_company_are_not_seen_in_another,
    )


class StatsInAnyOrder(Saboteur):
    async def stats(self, reads: ProgressReads) -> Sequence[PlatformStats]:
        return (await reads.stats())[::-1]

    breaks = (of_progress.test_stats_count_tickets_and_articles_by_platform_ascending,)


class StatsLeaveOutLocales(Saboteur):
    async def stats(self, reads: ProgressReads) -> Sequence[PlatformStats]:
        return [evolve(one, articles=1) if one.articles == 2 and one.tickets == 2 else one for one in await reads.stats()]

    breaks = (of_progress.test_stats_count_tickets_and_articles_by_platform_ascending,)


class OneCheckpointAPlatform(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        wanted = [change.checkpoint for change in changes.checkpoints]
        if any(one.stream == "articles" for one in wanted):
            self.values(company_id)[Thing("checkpoint", "", "zendesk", "tickets")] = evolve(wanted[0], stream="tickets", version=1)
        return changes

    breaks = (of_progress.test_each_platform_and_stream_has_a_checkpoint_of_its_own,)


class CheckpointsAreStripped(Saboteur):
    async def checkpoint(self, reads: ProgressReads, platform: str, stream: str) -> Checkpoint | None:
        found = await reads.checkpoint(platform, stream)
        return found if found is None or found.cursor else None

    breaks = (of_progress.test_a_checkpoint_comes_back_as_it_was_saved_last,)


class CheckpointsHaveOneVersion(Saboteur):
    async def checkpoint(self, reads: ProgressReads, platform: str, stream: str) -> Checkpoint | None:
        found = await reads.checkpoint(platform, stream)
        return found and evolve(found, version=1)

    breaks = (
        of_progress.test_the_version_of_a_checkpoint_grows,
        of_replica.test_copies_are_the_values_that_reads_give_ascending_by_name,
    )


class KeepsCheckpointsOfFailedUnits(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        if changes.checkpoints and changes.records:
            await backend.apply(Changes(checkpoints=changes.checkpoints))
        return await super().apply(backend, changes, before_commit)

    breaks = (
        of_before_commit.test_nothing_of_a_unit_is_visible_before_its_before_commit_has_returned,
        of_before_commit.test_what_before_commit_raises_comes_out_and_keeps_nothing,
        of_processing.test_a_lost_claim_keeps_nothing_of_its_unit,
        of_progress.test_a_checkpoint_is_kept_with_its_batch_or_not_at_all,
        of_units.test_one_conflict_among_many_changes_keeps_none_of_them,
    )


class LosesEarlierSummaries(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        for summary in committed.summaries:
            if summary.number == 2 and not summary.pinned:
                self.values(company_id).pop(Thing("summary", *summary.key, 1), None)
        return committed

    breaks = (
        of_concurrency.test_concurrent_updates_of_text_status_and_summaries_lose_no_field,
        of_payloads.test_a_hostile_summary_comes_back_byte_for_byte,
        of_replica.test_a_deletion_is_owed_and_is_newer_than_everything_it_took_along,
        of_summaries.test_earlier_summaries_stay_readable,
        of_summaries.test_only_the_current_summary_makes_a_record_stale,
        of_summaries.test_records_with_the_same_id_have_summaries_of_their_own,
        of_summaries.test_saving_a_record_again_keeps_its_summaries,
        of_summaries.test_summaries_are_numbered_in_the_order_they_were_added,
        of_summaries.test_the_current_summary_is_the_highest_pinned_one_else_the_highest,
        of_suppression.test_erasing_a_requester_removes_what_is_theirs_and_nothing_else,
        of_suppression.test_erasing_a_requester_is_told_to_whoever_follows_and_never_by_name,
        of_suppression.test_a_requester_whose_erasing_was_cut_off_is_erased_to_the_end,
    )


class LosesTheSummaryOfACompletion(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return evolve(changes, summaries=()) if any(one.token for one in changes.processing) else changes

    breaks = (
        of_claims.test_completing_a_claim_with_its_summary_is_one_unit,
        of_claims.test_completing_a_ticket_whose_text_changed_keeps_the_summary_and_makes_it_pending,
    )


class InventsSummaries(Saboteur):
    async def history(self, reads: SummaryReads, key: Key) -> Sequence[Summary]:
        found = await reads.history(key)
        known = any(self.record_of(company, key) for company in await self.companies())
        return found or ([evolve(a_summary(key), number=1, version=1)] if known else [])

    breaks = (
        of_claims.test_after_a_take_over_the_late_worker_has_lost_its_claim,
        of_replica.test_copies_are_the_values_that_reads_give_ascending_by_name,
        of_summaries.test_a_record_without_summaries_has_none,
        of_summaries.test_a_summary_of_a_missing_record_is_an_error,
        of_tickets.test_a_re_created_ticket_begins_anew,
        of_units.test_all_that_was_committed_is_there,
    )


class FindsOneProcessing(Saboteur):
    async def processing(self, reads: ProgressReads, keys: Collection[Key]) -> Mapping[Key, Processing]:
        found = await reads.find_many(keys)
        return dict(list(found.items())[: max(1, len(found) - (len(keys) == 3))])

    breaks = (of_processing.test_find_many_gives_the_processing_of_tickets_that_exist,)


class TakesArticlesToProcess(SabotagedParts):
    class Repository(BufferedProgress):
        def save(self, processing: Processing, *, token: str | None = None) -> Processing:
            return processing if processing.key.kind == "article" else super().save(processing, token=token)

    parts: ClassVar = {"progress": Repository}
    breaks = (of_processing.test_an_article_cannot_be_processed,)


class NumbersBackwards(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return evolve(changes, summaries=changes.summaries[::-1])

    breaks = (
        of_payloads.test_a_hostile_summary_comes_back_byte_for_byte,
        of_summaries.test_only_the_current_summary_makes_a_record_stale,
        of_summaries.test_records_with_the_same_id_have_summaries_of_their_own,
        of_summaries.test_summaries_are_numbered_in_the_order_they_were_added,
        of_summaries.test_the_current_summary_is_the_highest_pinned_one_else_the_highest,
    )


class LastSummaryIsCurrent(Saboteur):
    async def current_many(self, reads: SummaryReads, keys: Collection[Key]) -> Mapping[Key, Summary]:
        found = {key: await reads.history(key) for key in keys}
        return {key: history[-1] for key, history in found.items() if history}

    breaks = (of_summaries.test_the_current_summary_is_the_highest_pinned_one_else_the_highest,)


class LeavesOutSummariesOfNothing(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        saved = {change.key for change in changes.records}
        return evolve(changes, summaries=tuple(one for one in changes.summaries if one.key in saved or self.record_of(company_id, one.key)))

    breaks = (
        of_before_commit.test_before_commit_is_not_called_for_a_unit_whose_guards_fail,
        of_isolation.test_errors_of_one_company_never_name_anothers_ids,
        of_summaries.test_a_summary_of_a_missing_record_is_an_error,
    )


class NeedsTheRecordBefore(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        known = tuple(one for one in changes.summaries if self.record_of(company_id, one.key) or len(changes.records) != 1)
        return evolve(changes, summaries=known)

    breaks = (
        of_before_commit.test_before_commit_is_called_once_with_the_changes,
        of_before_commit.test_what_before_commit_raises_comes_out_and_keeps_nothing,
        of_concurrency.test_a_cancelled_commit_is_whole_or_absent_and_says_which,
        of_summaries.test_a_record_and_its_summary_may_come_in_one_unit,
    )


class SharesSummariesOfTicketsAndArticles(Saboteur):
    async def history(self, reads: SummaryReads, key: Key) -> Sequence[Summary]:
        found = await reads.history(key)
        if key.kind == "article" and key.locale == "":
            return found[:1] and [*await reads.history(key._replace(kind="ticket")), *found][: len(found)]
        return found

    breaks = (
        of_replica.test_copies_are_the_values_that_reads_give_ascending_by_name,
        of_summaries.test_records_with_the_same_id_have_summaries_of_their_own,
    )


class LosesSummariesOnASave(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        for change in changes.records:
            if change.record.version:
                self.values(company_id).pop(Thing("summary", *change.key, 2), None)
        return committed

    breaks = (of_summaries.test_saving_a_record_again_keeps_its_summaries,)


class SummariesNeverGoStale(Saboteur):
    async def stale(self, reads: SummaryReads, platform: str | None) -> AsyncIterator[StaleSummary]:
        for one in [one async for one in reads.stale(platform)][:0]:
            yield one

    breaks = (
        of_claims.test_completing_a_ticket_whose_text_changed_keeps_the_summary_and_makes_it_pending,
        of_summaries.test_a_summary_is_stale_once_the_text_it_was_written_of_changed,
        of_summaries.test_only_the_current_summary_makes_a_record_stale,
        of_summaries.test_stale_summaries_ascend_by_key_and_may_be_asked_for_by_platform,
    )


class AnySummaryMakesStale(Saboteur):
    async def stale(self, reads: SummaryReads, platform: str | None) -> AsyncIterator[StaleSummary]:
        found = {one.key: one async for one in reads.stale(platform)}
        for company in await self.companies():
            for value in self.values(company).values():
                record = self.record_of(company, value.key) if isinstance(value, Summary) else None
                if isinstance(value, Summary) and record and value.is_stale(record.fields.text_digest):
                    found.setdefault(value.key, StaleSummary(key=value.key, summary=value, text_digest=record.fields.text_digest))
        for _, one in sorted(found.items(), key=lambda item: item[0]):
            if platform in (None, one.key.platform):
                yield one

    breaks = (of_summaries.test_only_the_current_summary_makes_a_record_stale,)


class StaleOfEveryPlatform(Saboteur):
    def stale(self, reads: SummaryReads, platform: str | None) -> AsyncIterator[StaleSummary]:
        return reads.stale(None if platform == "jira" else platform)

    breaks = (of_summaries.test_stale_summaries_ascend_by_key_and_may_be_asked_for_by_platform,)


class RewritesSummaries(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        rewritten = (AddSummary(evolve(one.summary, content=one.summary.content.replace(b"  ", b" ").strip())) for one in changes.summaries)
        return evolve(changes, summaries=tuple(rewritten))

    breaks = (
        of_payloads.test_a_hostile_summary_comes_back_byte_for_byte,
        of_payloads.test_any_summary_comes_back_as_it_was_given,
        of_summaries.test_a_summary_comes_back_as_it_was_given_with_its_number,
    )
