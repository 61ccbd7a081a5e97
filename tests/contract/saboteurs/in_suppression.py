"""Requesters who were erased and come in again, or who take others along."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping

from attrs import evolve

from deskstore.domain.changes import Changes, Committed, Lift, Suppress
from deskstore.domain.errors import RequesterSuppressed
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import Thing, Value
from deskstore.domain.paging import Filter
from deskstore.domain.ports import Backend, BeforeCommit, RecordReads, SuppressionReads
from deskstore.domain.suppressions import Suppression, name_of
from deskstore.testing.contract import suppression as of_suppression
from deskstore.testing.makers import PLATFORM
from tests.contract.saboteurs.base import R, SabotagedChanges, Saboteur


class LetsTheErasedIn(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        company = self.memory.known(backend.company_id)
        if company is None or not changes.records:
            return await super().apply(backend, changes, before_commit)
        hidden, company.suppressions = company.suppressions, set()
        try:
            return await super().apply(backend, changes, before_commit)
        finally:
            company.suppressions |= hidden

    breaks = (
        of_suppression.test_a_ticket_of_a_suppressed_requester_is_refused_with_all_of_its_unit,
        of_suppression.test_a_requester_is_known_by_the_first_hundred_characters,
        of_suppression.test_what_stands_of_a_suppressed_requester_can_be_worked_on_and_removed_but_not_replaced,
        of_suppression.test_lifting_lets_the_tickets_in_again,
        of_suppression.test_suppressions_under_several_secrets_all_hold,
        of_suppression.test_whoever_suppresses_a_requester_sees_the_tickets_of_commits_that_were_under_way,
    )


class KeepsOutOfAllPlatforms(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        company = self.memory.known(backend.company_id)
        for secret in company.secrets() if company else ():
            names = {one.key: name_of(PLATFORM, one.record.fields.requester or "", secret) for one in changes.records}
            if company and (found := company.suppressed(names.values())):
                raise RequesterSuppressed([key for key, name in names.items() if name in found])
        return await super().apply(backend, changes, before_commit)

    breaks = (of_suppression.test_tickets_of_all_others_are_kept,)


class LiftsNothing(SabotagedChanges):
    def tampered(self, company_id: str, changes: Changes) -> Changes:
        return evolve(changes, suppressions=tuple(one for one in changes.suppressions if isinstance(one, Suppress)))

    breaks = (of_suppression.test_lifting_lets_the_tickets_in_again,)


class LiftingMakesCompanies(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        if any(isinstance(one, Lift) for one in changes.suppressions):
            self.memory.registered(company_id)
        return committed

    breaks = (of_suppression.test_lifting_what_was_never_suppressed_changes_nothing,)


class KnowsOneSecret(Saboteur):
    async def secrets(self, reads: SuppressionReads) -> Collection[bytes]:
        return sorted(await reads.secrets())[:1]

    breaks = (of_suppression.test_suppressions_under_several_secrets_all_hold,)


class SuppressesOnceItHasSaved(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        if not (changes.records and changes.suppressions):
            return await super().apply(backend, changes, before_commit)
        committed = await super().apply(backend, evolve(changes, suppressions=()), before_commit)
        await super().apply(backend, Changes(suppressions=changes.suppressions))
        return committed

    breaks = (of_suppression.test_a_unit_that_suppresses_a_requester_saves_none_of_their_tickets,)


class SuppressesBesideCommits(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        if not self.memory.lock.locked() or not changes.suppresses:
            return await super().apply(backend, changes, before_commit)
        company = self.memory.registered(backend.company_id)
        for one in changes.suppressions:
            if isinstance(one, Suppress):
                thing = Thing("suppression", "", *one.suppression.name)
                company.values[thing] = evolve(one.suppression, version=1)
                company.suppressions.add(thing)
        return Committed(versions={})

    breaks = (of_suppression.test_whoever_suppresses_a_requester_sees_the_tickets_of_commits_that_were_under_way,)


class CountsTheLastRemoval(SabotagedChanges):
    def after(self, company_id: str, changes: Changes, committed: Committed, before: Mapping[Thing, Value]) -> Committed:
        for one in changes.suppressions:
            thing = Thing("suppression", "", *one.suppression.name) if isinstance(one, Suppress) else None
            kept = self.values(company_id).get(thing) if thing else None
            if isinstance(one, Suppress) and thing and isinstance(kept, Suppression):
                counted = one.suppression
                self.values(company_id)[thing] = evolve(kept, tickets=counted.tickets, summaries=counted.summaries)
        return committed

    breaks = (
        of_suppression.test_what_a_suppression_counts_adds_up,
        of_suppression.test_erasing_a_requester_removes_what_is_theirs_and_nothing_else,
        of_suppression.test_a_requester_whose_erasing_was_cut_off_is_erased_to_the_end,
    )


class StreamsOfEverybody(Saboteur):
    def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        return reads.stream(evolve(where, requester=None), after=after)

    breaks = (
        of_suppression.test_a_stream_gives_the_tickets_of_one_requester,
        of_suppression.test_erasing_a_requester_removes_what_is_theirs_and_nothing_else,
        of_suppression.test_erasing_a_requester_is_told_to_whoever_follows_and_never_by_name,
        of_suppression.test_a_requester_whose_erasing_was_cut_off_is_erased_to_the_end,
    )
