"""Tickets and articles that are not kept as they should be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from attrs import evolve

from deskstore.domain import times
from deskstore.domain.changes import Changes, Committed, DeleteRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.mirror import Thing, Value
from deskstore.domain.ports import ArticleReads, RecordReads
from deskstore.domain.processing import fresh
from deskstore.domain.receiving import Head
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.testing.contract import articles as of_articles
from deskstore.testing.contract import before_commit as of_before_commit
from deskstore.testing.contract import concurrency as of_concurrency
from deskstore.testing.contract import isolation as of_isolation
from deskstore.testing.contract import progress as of_progress
from deskstore.testing.contract import replica as of_replica
from deskstore.testing.contract import suppression as of_suppression
from deskstore.testing.contract import tickets as of_tickets
from deskstore.testing.contract import units as of_units
from tests.contract.saboteurs.base import R, SabotagedChanges, Saboteur, with_records


class IgnoresVersionsOfTickets(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(
            changes, lambda record: self._current(company_id, record) if record.key.kind == TICKET and record.version else record
        )

    def _current(self, company_id: str, record: Ticket | Article) -> Ticket | Article:
        stored = self.record_of(company_id, record.key)
        return evolve(record, version=stored.version) if stored else record

    breaks = (
        of_before_commit.test_before_commit_is_not_called_for_a_unit_whose_guards_fail,
        of_concurrency.test_of_fifty_concurrent_updates_each_is_kept_or_is_a_conflict,
        of_isolation.test_errors_of_one_company_never_name_anothers_ids,
        of_isolation.test_versions_of_one_company_are_no_guard_in_another,
        of_replica.test_a_unit_that_fails_owes_nothing,
        of_tickets.test_a_reader_of_the_deleted_ticket_cannot_overwrite_the_re_created_one,
        of_tickets.test_a_ticket_saved_since_it_was_read_is_a_conflict,
        of_units.test_a_conflict_names_every_record_that_must_be_read_again,
        of_units.test_one_conflict_among_many_changes_keeps_none_of_them,
    )


class IgnoresVersionsOfArticles(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: self._current(company_id, record) if record.key.kind == ARTICLE else record)

    def _current(self, company_id: str, record: Ticket | Article) -> Ticket | Article:
        stored = self.record_of(company_id, record.key)
        return evolve(record, version=stored.version) if stored else record

    breaks = (of_articles.test_an_article_saved_since_it_was_read_is_a_conflict,)


class IgnoresVersionsOfDeletes(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return evolve(changes, deletes=tuple(self._current(company_id, delete) for delete in changes.deletes))

    def _current(self, company_id: str, delete: DeleteRecord) -> DeleteRecord:
        stored = self.record_of(company_id, delete.key)
        return evolve(delete, version=stored.version) if stored else delete

    breaks = (
        of_isolation.test_errors_of_one_company_never_name_anothers_ids,
        of_tickets.test_a_ticket_saved_since_it_was_read_is_not_deleted,
        of_units.test_a_conflict_names_every_record_that_must_be_read_again,
    )


class OverwritesWhatExists(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: record if record.version else self._over(company_id, record))

    def _over(self, company_id: str, record: Ticket | Article) -> Ticket | Article:
        stored = self.record_of(company_id, record.key)
        return evolve(record, version=stored.version) if stored else record

    breaks = (
        of_concurrency.test_concurrent_creations_of_one_record_leave_one_winner,
        of_progress.test_a_checkpoint_is_kept_with_its_batch_or_not_at_all,
        of_tickets.test_a_new_ticket_must_not_exist_yet,
        of_units.test_a_conflict_names_every_record_that_must_be_read_again,
    )


class RevivesWhatWasDeleted(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: record if self.record_of(company_id, record.key) else evolve(record, version=0))

    breaks = (
        of_isolation.test_a_record_may_be_moved_to_another_company_only_as_a_new_one,
        of_tickets.test_a_ticket_that_is_gone_cannot_be_saved_or_deleted,
    )


class DeletesNothingSilently(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return evolve(changes, deletes=tuple(one for one in changes.deletes if self.record_of(company_id, one.key)))

    breaks = (of_tickets.test_a_ticket_that_is_gone_cannot_be_saved_or_deleted,)


class MergesPayloads(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: self._merged(company_id, record))

    def _merged(self, company_id: str, record: Ticket | Article) -> Ticket | Article:
        stored = self.record_of(company_id, record.key)
        if stored is None or stored.data.keys() <= record.data.keys():
            return record
        return evolve(record, payload=stored.payload.rstrip()[:-1] + b", " + record.payload.lstrip()[1:])

    breaks = (of_tickets.test_a_payload_replaces_the_one_before_and_never_merges_with_it,)


class LosesTheSourceVersion(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: evolve(record, fields=evolve(record.fields, source_version=None)))

    breaks = (of_tickets.test_a_ticket_comes_back_as_it_was_saved_but_for_its_version,)


class LosesTheArticlesSubject(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return with_records(changes, lambda record: self._without(record) if record.key.locale == "pt-BR" else record)

    def _without(self, record: Ticket | Article) -> Ticket | Article:
        return evolve(record, fields=evolve(record.fields, subject=None))

    breaks = (of_articles.test_an_article_comes_back_as_it_was_saved_but_for_its_version,)


class VersionsIgnoreTheClock(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        versions = dict(committed.versions)
        for record in (change.record for change in changes.records if not change.record.version):
            if times.microseconds(self.clock()) > versions[record.key] - 1:
                stored = self.record_of(company_id, record.key)
                assert stored is not None
                versions[record.key] = times.microseconds(record.saved_at)
                self.values(company_id)[Thing(record.key.kind, *record.key)] = evolve(stored, version=versions[record.key])
        return evolve(committed, versions=versions)

    breaks = (of_tickets.test_versions_follow_the_clock_so_that_what_is_saved_after_a_restore_is_newer,)


class VersionsFollowTheClockAlone(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        versions = dict(committed.versions)
        for record in (change.record for change in changes.records):
            stored = self.record_of(company_id, record.key)
            assert stored is not None
            versions[record.key] = times.microseconds(self.clock())
            self.values(company_id)[Thing(record.key.kind, *record.key)] = evolve(stored, version=versions[record.key])
        return evolve(committed, versions=versions)

    breaks = (
        of_articles.test_an_article_saved_since_it_was_read_is_a_conflict,
        of_concurrency.test_of_fifty_concurrent_updates_each_is_kept_or_is_a_conflict,
        of_isolation.test_errors_of_one_company_never_name_anothers_ids,
        of_isolation.test_versions_of_one_company_are_no_guard_in_another,
        of_replica.test_a_unit_that_fails_owes_nothing,
        of_replica.test_acknowledging_forgets_a_debt_up_to_its_version_only,
        of_replica.test_an_applied_deletion_removes_and_stays_newer_than_older_copies,
        of_replica.test_what_is_saved_after_copies_were_applied_is_newer_than_they_are,
        of_replica.test_what_was_deleted_is_known_until_the_last_consumer_has_gone,
        of_replica.test_with_a_mirror_every_commit_owes_what_it_changed_at_its_version,
        of_tickets.test_a_re_created_ticket_is_newer_than_the_deleted_one,
        of_tickets.test_a_reader_of_the_deleted_ticket_cannot_overwrite_the_re_created_one,
        of_tickets.test_a_ticket_saved_since_it_was_read_is_a_conflict,
        of_tickets.test_a_ticket_saved_since_it_was_read_is_not_deleted,
        of_tickets.test_a_version_is_given_to_each_save_and_grows,
        of_tickets.test_versions_never_repeat_when_the_clock_stands_still_or_goes_back,
        of_units.test_a_conflict_names_every_record_that_must_be_read_again,
        of_units.test_one_conflict_among_many_changes_keeps_none_of_them,
    )


class VersionsRestartAfterADelete(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        if changes.deletes:
            self.memory.registered(company_id).floor = 0
        return committed

    breaks = (
        of_replica.test_a_mirror_has_the_summaries_of_a_record_that_was_made_anew,
        of_replica.test_what_was_deleted_is_known_until_the_last_consumer_has_gone,
        of_tickets.test_a_re_created_ticket_is_newer_than_the_deleted_one,
        of_tickets.test_a_reader_of_the_deleted_ticket_cannot_overwrite_the_re_created_one,
    )


class KeepsSummariesOfTheDeleted(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        for delete in changes.deletes:
            for thing, value in before.items():
                if isinstance(value, Summary) and value.key == delete.key:
                    self.values(company_id)[thing] = value
                    self.memory.registered(company_id).summaries[delete.key] = thing.number
        return committed

    breaks = (
        of_articles.test_deleting_one_locale_leaves_the_others_with_their_summaries,
        of_replica.test_a_deletion_is_owed_and_is_newer_than_everything_it_took_along,
        of_replica.test_a_mirror_has_the_summaries_of_a_record_that_was_made_anew,
        of_tickets.test_a_re_created_ticket_begins_anew,
        of_tickets.test_deleting_a_ticket_takes_its_processing_claim_and_summaries_along,
        of_suppression.test_erasing_a_requester_removes_what_is_theirs_and_nothing_else,
        of_suppression.test_erasing_a_requester_is_told_to_whoever_follows_and_never_by_name,
    )


class KeepsProcessingOfTheDeleted(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        kept = [Thing("processing", *delete.key) for delete in changes.deletes if delete.key.kind == TICKET]
        self.values(company_id).update({thing: before[thing] for thing in kept if thing in before})
        return committed

    breaks = (
        of_progress.test_progress_equals_a_recount_after_any_steps,
        of_progress.test_progress_falls_when_a_ticket_is_deleted,
        of_replica.test_a_backup_is_owed_what_changes_while_there_is_no_mirror,
        of_replica.test_a_deletion_is_owed_and_is_newer_than_everything_it_took_along,
        of_suppression.test_erasing_a_requester_removes_what_is_theirs_and_nothing_else,
        of_suppression.test_erasing_a_requester_is_told_to_whoever_follows_and_never_by_name,
    )


class DeletesEveryPlatform(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        ids = {delete.key.id for delete in changes.deletes if delete.key.kind == TICKET}
        keys = {delete.key for delete in changes.deletes} | {change.key for change in changes.records}
        others = [value for value in self.values(company_id).values() if isinstance(value, Ticket) and value.ticket_id in ids]
        more = [DeleteRecord(one.key, one.version) for one in others if one.key not in keys]
        return evolve(changes, deletes=tuple(sorted([*changes.deletes, *more], key=lambda one: one.key)))

    breaks = (of_tickets.test_deleting_a_ticket_leaves_the_article_and_the_other_platform_of_that_id_alone,)


class DeletesEveryLocale(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        ids = {delete.key[:3] for delete in changes.deletes if delete.key.kind == ARTICLE}
        keys = {delete.key for delete in changes.deletes}
        others = [value for value in self.values(company_id).values() if isinstance(value, Article) and value.key[:3] in ids]
        more = [DeleteRecord(one.key, one.version) for one in others if one.key not in keys]
        return evolve(changes, deletes=tuple(sorted([*changes.deletes, *more], key=lambda one: one.key)))

    breaks = (of_articles.test_deleting_one_locale_leaves_the_others_with_their_summaries,)


class FindsOnOtherPlatforms(Saboteur):
    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        found = dict(await reads.find_many(keys))
        for key in set(keys) - found.keys():
            if key.platform == "jira" and (other := await reads.find_many([key._replace(platform="zendesk")])):
                found[key] = next(iter(other.values()))
        return found

    breaks = (of_tickets.test_a_ticket_that_does_not_exist_is_none,)


class FindsTheFirstOnly(Saboteur):
    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        return await reads.find_many(list(keys)[:2])

    breaks = (
        of_isolation.test_every_read_gives_the_companys_own_records,
        of_tickets.test_find_many_gives_those_that_exist,
    )


class HeadsHaveTheWrongDigest(Saboteur):
    async def heads(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, Head]:
        return {key: evolve(head, sha256=head.text_digest) for key, head in (await reads.heads(keys)).items()}

    breaks = (
        of_articles.test_articles_are_not_processed,
        of_isolation.test_every_read_gives_the_companys_own_records,
        of_tickets.test_heads_tell_of_a_ticket_what_a_decision_needs,
    )


class HeadsHaveNoProcessing(Saboteur):
    async def heads(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, Head]:
        return {key: evolve(head, processing=None) for key, head in (await reads.heads(keys)).items()}

    breaks = (
        of_tickets.test_heads_tell_of_a_ticket_what_a_decision_needs,
        of_units.test_reads_by_key_see_what_becomes_of_a_processing_whose_text_the_unit_changes,
    )


class ProcessesArticles(Saboteur):
    async def heads(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, Head]:
        found = await reads.heads(keys)
        return {key: evolve(head, processing=head.processing or fresh(key, now=self.clock())) for key, head in found.items()}

    breaks = (of_articles.test_articles_are_not_processed,)


class FallsBackToNoLocale(Saboteur):
    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        found = dict(await reads.find_many(keys))
        for key in set(keys) - found.keys():
            if key.locale == "de" and (other := await reads.find_many([key._replace(locale="")])):
                found[key] = next(iter(other.values()))
        return found

    breaks = (of_articles.test_each_locale_of_an_article_is_a_record_of_its_own,)


class GivesLocalesInAnyOrder(Saboteur):
    async def locales(self, reads: ArticleReads, platform: str, article_id: str) -> Sequence[str]:
        return sorted(await reads.locales(platform, article_id), key=str.casefold)

    breaks = (of_articles.test_the_locales_of_an_article_ascend_by_code_points,)


class MixesTicketsAndArticles(Saboteur):
    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        found = await reads.find_many(keys)
        mixed = {key: record for key, record in found.items() if key.kind == ARTICLE and key.id == "7"}
        return {**found, **{key: evolve(record, version=record.version + 1) for key, record in mixed.items()}}

    breaks = (of_articles.test_a_ticket_and_an_article_with_the_same_id_are_two_records,)
