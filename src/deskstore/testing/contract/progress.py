"""Counts always equal a recount; checkpoints go with the batch they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.domain.errors import StorageError, VersionConflict
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING, PlatformStats, ProcessingStatus, Progress
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import PROPERTY
from deskstore.testing.desk import LEASE, Desk
from deskstore.testing.makers import PLATFORM, a_checkpoint, a_summary, a_ticket, an_article

_Step = tuple[str, str]


async def test_progress_counts_the_tickets_of_one_platform_by_status(desk: Desk, clock: ManualClock) -> None:
    for number, status in enumerate([PENDING, PROCESSING, PROCESSING, COMPLETED, COMPLETED, COMPLETED, FAILED]):
        await desk.keep(a_ticket(str(number)), a_ticket(str(number), platform="jira"))
        await desk.settle((await desk.processing(a_ticket(str(number)).key)).to(status, now=clock()))

    progress = await desk.progress()

    assert (progress.pending, progress.processing, progress.completed, progress.failed) == (1, 2, 3, 1)
    assert (await desk.progress("jira")).pending == 7


async def test_a_platform_without_tickets_has_no_progress(desk: Desk) -> None:
    await desk.keep(an_article())

    assert await desk.progress("jira") == Progress(platform="jira")
    assert await desk.progress() == Progress(platform=PLATFORM)


async def test_progress_falls_when_a_ticket_is_deleted(desk: Desk) -> None:
    stored = await desk.kept(a_ticket("1"))
    await desk.keep(a_ticket("2"))

    await desk.delete(stored)

    assert (await desk.progress()).total == 1


async def test_progress_says_when_something_last_changed(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    came_at = clock()
    first = await desk.progress()

    clock.move(timedelta(minutes=1))
    await desk.settle((await desk.processing(a_ticket().key)).completed(now=clock()))

    assert first.last_updated == came_at
    assert (await desk.progress()).last_updated == clock()


async def test_a_deletion_and_a_return_to_pending_move_when_progress_last_changed(desk: Desk, clock: ManualClock) -> None:
    kept, deleted = await desk.kept(a_ticket("1")), await desk.kept(a_ticket("2"))
    await desk.settle((await desk.processing(kept.key)).completed(now=clock()))

    clock.move(timedelta(minutes=1))
    await desk.delete(deleted)
    went_at, after_deletion = clock(), await desk.progress()
    clock.move(timedelta(minutes=1))
    await desk.received(kept, "new text")

    assert after_deletion.last_updated == went_at
    assert (await desk.progress()).last_updated == clock()


async def test_what_leaves_every_status_as_it_is_leaves_when_progress_last_changed(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    came_at = clock()

    for text in ("It does not start", "new text"):
        clock.move(timedelta(minutes=1))
        stored = await desk.received(stored, text, note=f"at {clock()}")
    await desk.summarise(a_summary(stored.key))
    await desk.keep(an_article())

    assert (await desk.progress()).last_updated == came_at


async def test_a_renewal_leaves_when_progress_last_changed(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket())
    clock.move(timedelta(minutes=1))
    taken, token = await desk.claimed()
    taken_at = clock()

    clock.move(timedelta(seconds=30))
    await desk.settle(taken.renewed(clock() + LEASE), token)

    assert (await desk.progress()).last_updated == taken_at


async def test_stats_count_tickets_and_articles_by_platform_ascending(desk: Desk) -> None:
    await desk.keep(a_ticket("1"), a_ticket("2"), an_article("1"), an_article("1", "ko"))
    await desk.keep(a_ticket("1", platform="한국"), an_article("1", platform="Zendesk"))

    async with desk.unit() as uow:
        stats = list(await uow.progress.stats())

    assert stats == [
        PlatformStats(platform="Zendesk", articles=1),
        PlatformStats(platform=PLATFORM, tickets=2, articles=2),
        PlatformStats(platform="한국", tickets=1),
    ]


@PROPERTY
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["save", "change", "delete", "claim", *ProcessingStatus]), st.sampled_from("abc")), max_size=12
    )
)
@example(steps=[("save", "a"), ("save", "b"), ("claim", "a"), ("completed", "b"), ("change", "b"), ("save", "c"), ("delete", "c")])
async def test_progress_equals_a_recount_after_any_steps(new_desk: Callable[[], Desk], steps: list[_Step]) -> None:
    desk = new_desk()

    for what, ticket_id in steps:
        await _step(desk, what, ticket_id)

    found = await desk.everything()
    recount = Counter(processing.status for processing in found.processing)
    progress = await desk.progress()
    assert (progress.pending, progress.processing) == (recount[PENDING], recount[PROCESSING])
    assert (progress.completed, progress.failed) == (recount[COMPLETED], recount[FAILED])
    assert progress.total == len(found.tickets) == sum(one.tickets for one in found.stats)


async def _step(desk: Desk, what: str, ticket_id: str) -> None:
    stored = await desk.find(a_ticket(ticket_id).key)
    match what:
        case "claim":
            await desk.claim()
        case "save" | "change" if stored is None:
            await desk.keep(a_ticket(ticket_id))
        case _ if stored is None:
            return
        case "save":
            await desk.keep(stored)
        case "change":
            await desk.received(stored, f"text {stored.version}")
        case "delete":
            await desk.delete(stored)
        case status:
            await _try_to_settle(desk, ticket_id, ProcessingStatus(status))


async def _try_to_settle(desk: Desk, ticket_id: str, status: ProcessingStatus) -> None:
    stood = await desk.processing(a_ticket(ticket_id).key)
    try:
        await desk.settle(stood.to(status, now=desk.storage.clock()))
    except StorageError:
        assert await desk.processing(stood.key) == stood


async def test_a_checkpoint_comes_back_as_it_was_saved_last(desk: Desk) -> None:
    for cursor in ("page 2", 'page 3 {"after": "한국 🙂"}', ""):
        await desk.keep_checkpoint(a_checkpoint(cursor))
        found = await desk.checkpoint()
        assert found is not None
        assert found == evolve(a_checkpoint(cursor), version=found.version)


async def test_each_platform_and_stream_has_a_checkpoint_of_its_own(desk: Desk) -> None:
    await desk.keep_checkpoint(a_checkpoint("1"))
    await desk.keep_checkpoint(a_checkpoint("2", stream="articles"))
    await desk.keep_checkpoint(a_checkpoint("3", platform="jira"))

    names = [(PLATFORM, "tickets"), (PLATFORM, "articles"), ("jira", "tickets")]
    found = [await desk.checkpoint(*name) for name in names]
    assert [one.cursor for one in found if one] == ["1", "2", "3"]
    assert await desk.checkpoint("jira", "articles") is None


async def test_the_version_of_a_checkpoint_grows(desk: Desk) -> None:
    versions: list[int] = []
    for cursor in "abc":
        await desk.keep_checkpoint(a_checkpoint(cursor))
        found = await desk.checkpoint()
        versions.append(found.version if found else 0)

    assert 0 < versions[0] < versions[1] < versions[2]


async def test_a_checkpoint_is_kept_with_its_batch_or_not_at_all(desk: Desk) -> None:
    await desk.keep_checkpoint(a_checkpoint("before"))
    await desk.keep(a_ticket("1"))

    with pytest.raises(VersionConflict):
        async with desk.unit() as uow:
            uow.tickets.save(a_ticket("1"))
            uow.progress.save_checkpoint(a_checkpoint("after"))
            await uow.commit()

    found = await desk.checkpoint()
    assert found is not None
    assert found.cursor == "before"
