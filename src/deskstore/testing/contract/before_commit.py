"""What a decorator may do at the last moment before a unit is kept: it is asked once, and can still say no."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve

from deskstore.domain.changes import AddSummary, Changes, SaveCheckpoint, SaveProcessing, SaveRecord
from deskstore.domain.errors import ClaimLost, StorageError, TicketNotFound, VersionConflict
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk, Everything
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket

_KEY = a_ticket().key
_EVERYTHING = Changes(
    records=(SaveRecord(a_ticket()),),
    summaries=(AddSummary(a_summary(_KEY)),),
    checkpoints=(SaveCheckpoint(a_checkpoint()),),
)


class _NotNow(Exception):
    """What a decorator raises that is no error of ours."""


async def test_before_commit_is_called_once_with_the_changes(desk: Desk) -> None:
    seen: list[Changes] = []

    async def note(changes: Changes) -> None:
        seen.append(changes)

    await desk.storage.backend(desk.company_id).apply(_EVERYTHING, note)

    assert seen == [_EVERYTHING]
    assert await desk.find(_KEY) is not None


async def test_before_commit_is_not_called_for_a_unit_whose_guards_fail(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    taken, _ = await desk.claimed()
    refused: Sequence[tuple[Changes, type[StorageError]]] = [
        (Changes(records=(SaveRecord(evolve(stored, version=stored.version - 1)),)), VersionConflict),
        (Changes(summaries=(AddSummary(a_summary(a_ticket("none such").key)),)), TicketNotFound),
        (Changes(processing=(SaveProcessing(taken.completed(now=clock()), "another token"),)), ClaimLost),
    ]

    async def not_reached(_: Changes) -> None:
        raise _NotNow

    for changes, error in refused:
        with pytest.raises(error):
            await desk.storage.backend(desk.company_id).apply(changes, not_reached)


async def test_what_before_commit_raises_comes_out_and_keeps_nothing(desk: Desk) -> None:
    async def refuse(_: Changes) -> None:
        raise _NotNow

    with pytest.raises(_NotNow):
        await desk.storage.backend(desk.company_id).apply(_EVERYTHING, refuse)

    assert desk.company_id not in await desk.storage.companies()
    found = await desk.everything()
    assert (found.tickets, found.summaries, found.checkpoint, found.stats) == ([], [], None, [])
    await desk.storage.backend(desk.company_id).apply(_EVERYTHING)
    assert [one.number for one in await desk.history(_KEY)] == [1]


async def test_nothing_of_a_unit_is_visible_before_its_before_commit_has_returned(desk: Desk) -> None:
    stored = await desk.kept(a_ticket("1", text="old"))
    before = await desk.everything()
    seen: list[Everything] = []

    async def look(_: Changes) -> None:
        seen.append(await desk.everything())

    changes = evolve(_EVERYTHING, records=(SaveRecord(evolve(a_ticket("1"), version=stored.version)), *_EVERYTHING.records))
    await desk.storage.backend(desk.company_id).apply(changes, look)

    assert seen == [before]
    assert (await desk.everything()).stats != before.stats
