"""A unit of work keeps all of its changes or none, and nothing before commit()."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest
from attrs import evolve

from deskstore.domain.errors import InvalidRecord, UncommittedChanges, UnitOfWorkMisuse, VersionConflict
from deskstore.domain.outcomes import UnitOutcome
from deskstore.domain.paging import EVERYTHING
from deskstore.domain.pending import MOST_BYTES, MOST_CHANGES
from deskstore.domain.processing import COMPLETED, PENDING, PROCESSING, Progress
from deskstore.domain.records import Ticket
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk, token_of
from deskstore.testing.makers import PLATFORM, a_checkpoint, a_summary, a_ticket, an_article


async def test_all_that_was_committed_is_there(desk: Desk) -> None:
    ticket, article = a_ticket(), an_article()

    async with desk.unit() as uow:
        uow.tickets.save(ticket)
        uow.articles.save(article)
        uow.summaries.add(a_summary(ticket.key))
        uow.progress.save_checkpoint(a_checkpoint())
        await uow.commit()

    found = await desk.everything()
    assert [one.key for one in found.tickets] == [ticket.key]
    assert [one.key for one in found.articles] == [article.key]
    assert [one.key for one in found.summaries] == [ticket.key]
    assert found.checkpoint is not None


async def test_a_commit_says_what_it_assigned(desk: Desk) -> None:
    async with desk.unit() as uow:
        uow.tickets.save(a_ticket())
        uow.summaries.add(a_summary(a_ticket().key))
        committed = await uow.commit()

    found = await desk.everything()
    assert committed.versions == {one.key: one.version for one in found.tickets}
    assert list(committed.summaries) == found.summaries
    assert list(committed.processing.values()) == found.processing


async def test_a_commit_gives_versions_of_what_it_saved_and_of_nothing_it_deleted(desk: Desk) -> None:
    deleted = await desk.kept(a_ticket("1"))

    async with desk.unit() as uow:
        uow.tickets.delete(deleted.key, version=deleted.version)
        uow.tickets.save(a_ticket("2"))
        uow.articles.save(an_article())
        committed = await uow.commit()

    assert set(committed.versions) == {a_ticket("2").key, an_article().key}


async def test_leaving_with_changes_and_without_commit_is_an_error(desk: Desk) -> None:
    uow = desk.unit()

    with pytest.raises(UncommittedChanges, match="2 changes"):
        async with uow:
            uow.tickets.save(a_ticket())
            uow.articles.save(an_article())

    assert uow.outcome is UnitOutcome.DISCARDED


async def test_leaving_without_commit_keeps_nothing(desk: Desk) -> None:
    before = await desk.everything()

    with pytest.raises(UncommittedChanges):
        async with desk.unit() as uow:
            uow.tickets.save(a_ticket())
            uow.progress.save_checkpoint(a_checkpoint())

    assert await desk.everything() == before


async def test_an_error_inside_the_block_discards_and_comes_out_as_it_is(desk: Desk) -> None:
    error = RuntimeError("the caller's own")

    uow = desk.unit()

    with pytest.raises(RuntimeError) as raised:
        async with uow:
            uow.tickets.save(a_ticket())
            raise error

    assert raised.value is error
    assert uow.outcome is UnitOutcome.DISCARDED
    assert await desk.find(a_ticket().key) is None


async def test_a_cancellation_inside_the_block_discards(desk: Desk) -> None:
    saved = asyncio.Event()

    async def work() -> None:
        async with desk.unit() as uow:
            uow.tickets.save(a_ticket())
            saved.set()
            await asyncio.sleep(3_600)

    task = asyncio.create_task(work())
    await saved.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await desk.find(a_ticket().key) is None


async def test_a_unit_without_changes_may_be_left_or_committed(desk: Desk) -> None:
    async with desk.unit() as left:
        await left.tickets.find(PLATFORM, "1")

    async with desk.unit() as committed:
        await committed.commit()

    assert left.outcome is UnitOutcome.DISCARDED
    assert committed.outcome is UnitOutcome.COMMITTED


async def test_a_unit_knows_its_company_and_that_it_is_open(desk: Desk) -> None:
    async with desk.unit() as uow:
        assert uow.company_id == desk.company_id
        assert uow.outcome is UnitOutcome.OPEN


async def test_reads_by_key_see_what_the_unit_saved(desk: Desk) -> None:
    stored = await desk.kept(a_ticket("1", text="old"))
    changed = evolve(a_ticket("1", text="new"), version=stored.version)

    async with desk.unit() as uow:
        uow.tickets.save(changed)
        uow.tickets.save(a_ticket("2"))
        uow.articles.save(an_article(locale="ko"))
        assert await uow.tickets.find(PLATFORM, "1") == changed
        assert await uow.tickets.find_many([changed.key, a_ticket("2").key]) == {changed.key: changed, a_ticket("2").key: a_ticket("2")}
        assert await uow.articles.find(PLATFORM, "42", "ko") == an_article(locale="ko")
        assert await uow.articles.find(PLATFORM, "42") is None
        await uow.commit()


async def test_reads_by_key_see_what_the_unit_deleted(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.summarise(a_summary(stored.key))

    async with desk.unit() as uow:
        uow.tickets.delete(stored.key, version=stored.version)
        assert await uow.tickets.find(PLATFORM, "42") is None
        assert await uow.progress.find(PLATFORM, "42") is None
        assert await uow.summaries.history(stored.key) == []
        assert await uow.summaries.current(stored.key) is None
        assert await uow.summaries.current_many([stored.key]) == {}
        await uow.commit()


async def test_reads_by_key_see_summaries_with_the_numbers_they_will_get(desk: Desk) -> None:
    key = (await desk.kept(a_ticket())).key
    await desk.summarise(a_summary(key))

    async with desk.unit() as uow:
        uow.summaries.add(a_summary(key, pinned=True))
        uow.summaries.add(a_summary(key))
        assert [one.number for one in await uow.summaries.history(key)] == [1, 2, 3]
        assert await uow.summaries.find(key, 3) == evolve(a_summary(key), number=3)
        current = await uow.summaries.current(key)
        assert current is not None
        assert (current.number, await uow.summaries.current_many([key])) == (2, {key: current})
        await uow.commit()

    assert [one.number for one in await desk.history(key)] == [1, 2, 3]


async def test_reads_by_key_see_processing_and_checkpoints_that_the_unit_saved(desk: Desk) -> None:
    key = (await desk.kept(a_ticket("1"))).key
    done = (await desk.processing(key)).completed(now=desk.storage.clock())

    async with desk.unit() as uow:
        uow.tickets.save(a_ticket("2"))
        uow.progress.save(done)
        uow.progress.save_checkpoint(a_checkpoint("page 9"))
        seen = await uow.progress.find_many([key, a_ticket("2").key])
        assert [one.status for _, one in sorted(seen.items())] == [COMPLETED, PENDING]
        assert await uow.progress.checkpoint(PLATFORM, "tickets") == a_checkpoint("page 9")
        await uow.commit()


async def test_reads_by_key_see_what_becomes_of_a_processing_whose_text_the_unit_changes(desk: Desk, clock: ManualClock) -> None:
    done, held, ended = [await desk.kept(a_ticket(number)) for number in "123"]
    await desk.settle((await desk.processing(done.key)).completed(now=clock()))
    _, taken = await desk.claim(2)

    async with desk.unit() as uow:
        for stored in (done, held, ended):
            uow.tickets.save(evolve(a_ticket(stored.ticket_id, text="new"), version=stored.version))
        uow.progress.save(taken.completed(now=clock()), token=token_of(taken))
        inside = await uow.progress.find_many([done.key, held.key, ended.key])
        await uow.commit()

    after = {key: await desk.processing(key) for key in inside}
    assert [one.status for _, one in sorted(inside.items())] == [PENDING, PROCESSING, PENDING]
    assert {key: (one.status, one.claim) for key, one in inside.items()} == {key: (one.status, one.claim) for key, one in after.items()}


async def test_pages_streams_and_counts_do_not_see_what_the_unit_changed(desk: Desk) -> None:
    stored = await desk.kept(a_ticket("1"))

    async with desk.unit() as uow:
        uow.tickets.save(a_ticket("2"))
        uow.tickets.delete(stored.key, version=stored.version)
        assert (await uow.tickets.page(EVERYTHING)).items == (stored,)
        assert (await uow.tickets.page_at(EVERYTHING, offset=0)).items == (stored,)
        assert [one async for one in uow.tickets.stream()] == [stored]
        assert (await uow.progress.progress(PLATFORM)).total == 1
        assert [one.tickets for one in await uow.progress.stats()] == [1]
        await uow.commit()


async def test_one_conflict_among_many_changes_keeps_none_of_them(desk: Desk) -> None:
    stored = await desk.kept(a_ticket("5"))
    await desk.received(stored, "somebody was faster")
    before = await desk.everything()

    uow = desk.unit()

    with pytest.raises(VersionConflict):
        async with uow:
            for number in range(10):
                uow.tickets.save(evolve(a_ticket(str(number)), version=stored.version if number == 5 else 0))
            uow.articles.save(an_article())
            uow.summaries.add(a_summary(stored.key))
            uow.progress.save_checkpoint(a_checkpoint())
            await uow.commit()

    assert await desk.everything() == before
    assert uow.outcome is UnitOutcome.DISCARDED


async def test_a_conflict_names_every_record_that_must_be_read_again(desk: Desk) -> None:
    stored = [await desk.kept(a_ticket(str(number))) for number in range(4)]
    await desk.keep(*(evolve(one, saved_at=desk.storage.clock()) for one in stored[:3]))

    with pytest.raises(VersionConflict) as conflict:
        async with desk.unit() as uow:
            uow.tickets.save(stored[0])
            uow.tickets.delete(stored[1].key, version=stored[1].version)
            uow.tickets.save(stored[3])
            uow.tickets.save(evolve(stored[2], version=0))
            await uow.commit()

    assert conflict.value.keys == tuple(one.key for one in stored[:3])


async def test_a_unit_commits_once(desk: Desk) -> None:
    async with desk.unit() as uow:
        uow.tickets.save(a_ticket())
        await uow.commit()
        with pytest.raises(UnitOfWorkMisuse):
            await uow.commit()

    assert uow.outcome is UnitOutcome.COMMITTED


async def test_a_unit_that_is_over_cannot_be_used(desk: Desk) -> None:
    async with desk.unit() as uow:
        await uow.commit()

    with pytest.raises(UnitOfWorkMisuse):
        uow.tickets.save(a_ticket())
    with pytest.raises(UnitOfWorkMisuse):
        await uow.tickets.find(PLATFORM, "1")
    with pytest.raises(UnitOfWorkMisuse):
        await anext(aiter(uow.tickets.stream()))


async def test_of_two_tasks_in_one_unit_the_second_is_refused(desk: Desk) -> None:
    async with desk.unit() as uow:
        uow.tickets.save(a_ticket())
        committing = asyncio.create_task(uow.commit())
        await asyncio.sleep(0)
        with pytest.raises(UnitOfWorkMisuse):
            await uow.tickets.find(PLATFORM, "42")
        await committing

    assert uow.outcome is UnitOutcome.COMMITTED


async def test_a_commit_may_be_waited_for_with_a_time_limit(desk: Desk) -> None:
    async with desk.unit() as uow:
        uow.tickets.save(a_ticket())
        # up to Python 3.11 wait_for runs what it is given in another task
        await asyncio.wait_for(asyncio.create_task(uow.commit()), 60)

    assert await desk.find(a_ticket().key) is not None


async def test_several_units_may_be_open_in_one_task(desk: Desk) -> None:
    async with desk.unit() as one, desk.unit() as other:
        one.tickets.save(a_ticket("1"))
        other.tickets.save(a_ticket("2"))
        await other.commit()
        await one.commit()

    assert (await desk.progress()).total == 2


async def test_what_is_saved_twice_in_a_unit_is_kept_as_it_was_saved_last(desk: Desk) -> None:
    async with desk.unit() as uow:
        uow.tickets.save(a_ticket(text="first"))
        uow.tickets.save(a_ticket(text="second"))
        uow.progress.save_checkpoint(a_checkpoint("1"))
        uow.progress.save_checkpoint(a_checkpoint("2"))
        await uow.commit()

    found = await desk.everything()
    assert [one.payload for one in found.tickets] == [a_ticket(text="second").payload]
    assert found.checkpoint is not None
    assert found.checkpoint.cursor == "2"


async def test_what_a_unit_saves_and_deletes_was_never_there(desk: Desk) -> None:
    async with desk.unit() as uow:
        uow.tickets.save(a_ticket())
        uow.summaries.add(a_summary(a_ticket().key))
        uow.tickets.delete(a_ticket().key, version=0)
        await uow.commit()

    assert await desk.progress() == Progress(platform=PLATFORM)
    assert await desk.find(a_ticket().key) is None


async def test_what_is_stored_is_deleted_whatever_the_unit_saved_before(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())

    async with desk.unit() as uow:
        uow.tickets.save(evolve(stored, version=0))
        uow.tickets.delete(stored.key, version=stored.version)
        await uow.commit()

    assert await desk.find(stored.key) is None


async def test_what_a_unit_deletes_it_cannot_save(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    processing = await desk.processing(stored.key)

    async with desk.unit() as uow:
        uow.tickets.delete(stored.key, version=stored.version)
        for save in (
            lambda: uow.tickets.save(a_ticket()),
            lambda: uow.summaries.add(a_summary(stored.key)),
            lambda: uow.progress.save(processing),
        ):
            with pytest.raises(UnitOfWorkMisuse):
                save()
        await uow.commit()

    assert await desk.find(stored.key) is None


async def test_a_unit_of_ten_thousand_changes_is_kept_whole(desk: Desk) -> None:
    tickets = [a_ticket(str(number)) for number in range(MOST_CHANGES)]

    committed = await desk.keep(*tickets)

    assert committed.versions.keys() == {ticket.key for ticket in tickets}
    assert (await desk.progress()).total == MOST_CHANGES


async def test_a_unit_refuses_more_than_ten_thousand_changes(desk: Desk) -> None:
    uow = desk.unit()
    for number in range(MOST_CHANGES):
        uow.progress.save_checkpoint(a_checkpoint(stream=str(number)))

    with pytest.raises(UnitOfWorkMisuse, match="10,000"):
        uow.progress.save_checkpoint(a_checkpoint())


async def test_a_unit_holds_sixty_four_megabytes(desk: Desk) -> None:
    quarter = _a_quarter_of_a_unit()

    with pytest.raises(UncommittedChanges):
        async with desk.unit() as uow:
            for number in range(4):
                uow.tickets.save(evolve(quarter, ticket_id=str(number)))
            with pytest.raises(UnitOfWorkMisuse, match="64 MB"):
                uow.tickets.save(a_ticket("4"))
            with pytest.raises(UnitOfWorkMisuse, match="64 MB"):
                uow.summaries.add(a_summary(quarter.key))


@cache
def _a_quarter_of_a_unit() -> Ticket:
    return a_ticket("1", payload=b'{"a": "' + b"x" * (MOST_BYTES // 4 - 9) + b'"}')


async def test_what_a_unit_saves_again_or_takes_back_counts_once(desk: Desk) -> None:
    quarters = [evolve(_a_quarter_of_a_unit(), ticket_id=str(number)) for number in range(4)]
    uow = desk.unit()

    for quarter in quarters * 2:
        uow.tickets.save(quarter)
    uow.tickets.delete(quarters[1].key, version=0)
    uow.tickets.save(quarters[1])

    with pytest.raises(UnitOfWorkMisuse, match="64 MB"):
        uow.tickets.save(a_ticket("4"))


async def test_each_repository_takes_records_of_its_own_kind(desk: Desk) -> None:
    async with desk.unit() as uow:
        with pytest.raises(InvalidRecord):
            await uow.tickets.find_many([an_article().key])
        with pytest.raises(InvalidRecord):
            await uow.articles.heads([a_ticket().key])
        with pytest.raises(InvalidRecord):
            uow.tickets.delete(an_article().key, version=1)


async def test_a_summary_that_was_saved_cannot_be_saved_again(desk: Desk) -> None:
    await desk.keep(a_ticket())
    (kept,) = await desk.summarise(a_summary(a_ticket().key))

    with pytest.raises(InvalidRecord):
        await desk.summarise(kept)
    assert await desk.history(kept.key) == [kept]
