"""The last moment before a unit is kept comes too often, too early, too late, or counts for nothing."""

from __future__ import annotations

from contextlib import suppress

from deskstore.domain.changes import Changes, Committed
from deskstore.domain.ports import Backend, BeforeCommit
from deskstore.testing.contract import before_commit as of_before_commit
from deskstore.testing.contract import replica as of_replica
from deskstore.testing.contract import suppression as of_suppression
from tests.contract.saboteurs.base import Saboteur


class AsksTwice(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        async def twice(changes: Changes) -> None:
            if before_commit is not None:
                await before_commit(changes)
                await before_commit(changes)

        return await super().apply(backend, changes, twice)

    breaks = (
        of_before_commit.test_before_commit_is_called_once_with_the_changes,
        of_before_commit.test_nothing_of_a_unit_is_visible_before_its_before_commit_has_returned,
    )


class AsksBeforeTheGuards(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        if before_commit is not None:
            await before_commit(changes)
        return await super().apply(backend, changes)

    breaks = (
        of_before_commit.test_before_commit_is_not_called_for_a_unit_whose_guards_fail,
        of_replica.test_a_first_commit_and_a_first_state_never_both_count,
        of_replica.test_copies_are_not_applied_while_a_commit_of_the_same_record_is_under_way,
        of_replica.test_the_state_is_not_set_while_a_commit_is_under_way,
        of_suppression.test_whoever_suppresses_a_requester_sees_the_tickets_of_commits_that_were_under_way,
    )


class AsksAfterwards(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        committed = await super().apply(backend, changes)
        if before_commit is not None:
            await before_commit(changes)
        return committed

    breaks = (
        of_before_commit.test_nothing_of_a_unit_is_visible_before_its_before_commit_has_returned,
        of_before_commit.test_what_before_commit_raises_comes_out_and_keeps_nothing,
        of_replica.test_copies_are_not_applied_while_a_commit_of_the_same_record_is_under_way,
        of_replica.test_the_state_is_not_set_while_a_commit_is_under_way,
        of_suppression.test_whoever_suppresses_a_requester_sees_the_tickets_of_commits_that_were_under_way,
    )


class TakesNoForYes(Saboteur):
    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        async def unheard(changes: Changes) -> None:
            with suppress(Exception):
                if before_commit is not None:
                    await before_commit(changes)

        return await super().apply(backend, changes, unheard)

    breaks = (of_before_commit.test_what_before_commit_raises_comes_out_and_keeps_nothing,)
