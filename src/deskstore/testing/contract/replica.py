"""
A company as raw copies, versions kept: what a side of hybrid, migration, verification or backup promises.

Not part of `from deskstore.testing.contract import *`: a storage without Replica is a storage all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.changes import Changes, SaveRecord
from deskstore.domain.errors import CompanyErased, CompanyMoved, MigrationError, VersionConflict
from deskstore.domain.mirror import MIRROR, PARTS, CompanyState, Copy, Debt, MirrorStatus, Part, Thing, Value, copy_of, digest_of, thing_of
from deskstore.domain.paging import EVERYTHING, Filter
from deskstore.domain.ports import Replica
from deskstore.domain.processing import COMPLETED
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import PROPERTY
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_checkpoint, a_summary, a_ticket, an_article, digest

_KEY = a_ticket().key
_A_WHILE_S = 0.05  #: in which whatever does not wait for its turn is done


async def _copies(desk: Desk, part: Part, after: Thing | None = None) -> Sequence[Copy]:
    return [copy async for copy in desk.replica().copies(part, after=after)]


async def _all_copies(desk: Desk) -> Sequence[Copy]:
    return [copy for part in PARTS for copy in await _copies(desk, part)]


async def _debts(desk: Desk, consumer: str = MIRROR) -> dict[Thing, int]:
    return {debt.thing: debt.version for debt in await desk.replica().outbox(consumer, 1_000)}


async def _attach(desk: Desk, *backups: str, mirror: str | None = None) -> None:
    """Let these be the consumers of the outbox, and no others."""
    state = await _state(desk)
    wanted = evolve(state, mirror=mirror, backups=backups, epoch=state.epoch + 1)
    assert await desk.replica().compare_and_set_state(state, wanted)
    assert await _state(desk) == wanted


async def _state(desk: Desk) -> CompanyState:
    state = await desk.replica().state()
    assert state is not None, "nobody knows the company"
    return state


async def _epoch(desk: Desk) -> int | None:
    state = await desk.replica().state()
    return state.epoch if state else None


async def _apply(desk: Desk, copies: Collection[Copy]) -> int:
    """Apply copies as who has just read the state; to a company that nobody knows yet, as a restore does."""
    return await desk.replica().apply(copies, epoch=await _epoch(desk))


async def _acknowledge(desk: Desk, debts: Collection[Debt]) -> None:
    await desk.replica().acknowledge(MIRROR, debts, epoch=await _epoch(desk))


async def _versions(replica: Replica, things: Collection[Thing]) -> dict[Thing, int]:
    return {copy.thing: copy.version for copy in await replica.read(things)}


async def test_a_company_lives_in_the_store_that_kept_it_first(desk: Desk) -> None:
    unknown = await desk.replica().state()

    await desk.keep(a_ticket())

    state = await desk.replica().state()
    assert unknown is None
    assert state is not None
    assert state == CompanyState(primary=await desk.replica().store_id(), epoch=state.epoch)
    assert state.epoch >= 1


async def test_the_state_is_set_only_if_it_is_as_expected(desk: Desk) -> None:
    replica = desk.replica()
    await desk.keep(a_ticket())
    first = await replica.state()
    assert first is not None
    wanted = evolve(first, mirror="another store", mirror_status=MirrorStatus.VERIFIED, epoch=first.epoch + 6)

    assert not await replica.compare_and_set_state(None, wanted)
    assert not await replica.compare_and_set_state(evolve(first, epoch=99), wanted)
    assert await replica.state() == first
    assert await replica.compare_and_set_state(first, wanted)
    assert not await replica.compare_and_set_state(first, wanted)
    assert await desk.replica().state() == wanted


async def test_a_first_commit_and_a_first_state_never_both_count(desk: Desk) -> None:
    under_way: list[asyncio.Future[bool]] = []

    async def meanwhile(_: Changes) -> None:
        elsewhere = CompanyState(primary="another store", epoch=7)
        under_way.append(asyncio.ensure_future(desk.replica().compare_and_set_state(None, elsewhere)))
        await asyncio.sleep(_A_WHILE_S)

    await desk.storage.backend(desk.company_id).apply(Changes(records=(SaveRecord(a_ticket()),)), meanwhile)

    assert not await under_way[0]
    assert (await _state(desk)).primary == await desk.replica().store_id()


async def test_the_state_is_not_set_while_a_commit_is_under_way(desk: Desk) -> None:
    await desk.keep(a_ticket("before"))
    state = await _state(desk)
    under_way: list[asyncio.Future[bool]] = []

    async def meanwhile(_: Changes) -> None:
        elsewhere = evolve(state, primary="another store", epoch=state.epoch + 1)
        under_way.append(asyncio.ensure_future(desk.replica().compare_and_set_state(state, elsewhere)))
        await asyncio.sleep(_A_WHILE_S)
        assert await _state(desk) == state

    await desk.storage.backend(desk.company_id).apply(Changes(records=(SaveRecord(a_ticket()),)), meanwhile)

    assert await under_way[0]
    assert (await _state(desk)).primary == "another store"


async def test_copies_are_not_applied_while_a_commit_of_the_same_record_is_under_way(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    newer = evolve(stored, version=stored.version + 10**9)
    under_way: list[asyncio.Future[int]] = []

    async def meanwhile(_: Changes) -> None:
        under_way.append(asyncio.ensure_future(_apply(desk, [copy_of(newer)])))
        await asyncio.sleep(_A_WHILE_S)
        assert await desk.find(_KEY) == stored

    await desk.storage.backend(desk.company_id).apply(Changes(records=(SaveRecord(stored),)), meanwhile)

    assert await under_way[0] == 1
    assert await desk.find(_KEY) == newer


async def test_another_primary_and_the_loss_of_a_mirror_need_a_higher_epoch(desk: Desk) -> None:
    await desk.keep(a_ticket())
    await desk.attach_mirror()
    state = await _state(desk)

    others = [evolve(state, primary="a third store"), evolve(state, mirror="a third store"), evolve(state, mirror=None)]
    for wanted in (*others, evolve(state, epoch=state.epoch - 1)):
        with pytest.raises(MigrationError):
            await desk.replica().compare_and_set_state(state, wanted)

    assert await _state(desk) == state


async def test_the_state_of_a_company_without_records_may_be_set(desk: Desk) -> None:
    replica = desk.replica()
    wanted = CompanyState(primary="another store", mirror=await replica.store_id(), epoch=3)
    before = await replica.state()

    assert not await replica.compare_and_set_state(wanted, wanted)
    assert await replica.compare_and_set_state(before, wanted)

    assert await desk.replica().state() == wanted
    assert desk.company_id in await desk.storage.companies()


async def test_a_company_that_lives_in_another_store_takes_copies_only(desk: Desk, other_desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    latest = await other_desk.kept(evolve(stored, version=0))
    await _follow_another_store(desk)

    for write in (lambda: desk.keep(stored), lambda: desk.delete(stored), lambda: desk.keep_checkpoint(a_checkpoint()), desk.claim):
        with pytest.raises(CompanyMoved):
            await write()

    assert await desk.copied(_KEY) == stored
    assert await _apply(desk, [copy_of(evolve(latest, version=stored.version + 1))]) == 1


async def test_who_writes_to_a_company_that_lives_elsewhere_is_told_where_it_lives(desk: Desk) -> None:
    await desk.keep(a_ticket())
    await _follow_another_store(desk)

    for write in (lambda: desk.keep(a_ticket("2")), desk.claim):
        with pytest.raises(CompanyMoved) as moved:
            await write()
        told = moved.value
        assert (told.company_id, told.primary, told.epoch, told.swapping_to) == (desk.company_id, "another store", 5, None)
        assert "another store" in str(told)


async def test_who_reads_a_company_that_lives_elsewhere_is_told_where_it_lives(desk: Desk) -> None:
    await desk.fill("text")
    await _follow_another_store(desk)

    for name, read in _reads(desk).items():
        with pytest.raises(CompanyMoved) as moved:
            pytest.fail(f"{name} gave {await read()}")
        assert (moved.value.company_id, moved.value.primary, moved.value.epoch) == (desk.company_id, "another store", 5)

    await _come_home(desk)
    for read in _reads(desk).values():
        await read()


def _reads(desk: Desk) -> dict[str, Callable[[], Awaitable[object]]]:
    """One of every kind of read, each in a unit that saw nothing of the company before."""

    async def stream() -> object:
        async with desk.unit() as uow:
            return [one async for one in uow.tickets.stream()]

    async def page() -> object:
        async with desk.unit() as uow:
            return await uow.articles.page(EVERYTHING)

    async def heads() -> object:
        async with desk.unit() as uow:
            return await uow.tickets.heads([a_ticket("1").key, a_ticket("2").key])

    async def suppressions() -> object:
        async with desk.unit() as uow:
            return await uow.suppressions.secrets()

    return {
        "find": lambda: desk.find(a_ticket("1").key),
        "find an article": lambda: desk.find(an_article("1").key),
        "find what is not there": lambda: desk.find(a_ticket("nobody").key),
        "heads": heads,
        "page": page,
        "stream": stream,
        "processing": lambda: desk.processing(a_ticket("1").key),
        "history": lambda: desk.history(a_ticket("1").key),
        "current": lambda: desk.current(a_ticket("1").key),
        "stale": desk.stale,
        "progress": desk.progress,
        "checkpoint": desk.checkpoint,
        "suppressions": suppressions,
        "everything": desk.everything,
    }


async def test_a_company_that_is_moving_takes_no_commit_and_no_claim_until_it_has_moved_or_stays(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    replica, state = desk.replica(), await desk.replica().state()
    assert state is not None
    moving = evolve(state, swapping_to="another store")
    assert await replica.compare_and_set_state(state, moving)

    for write in (lambda: desk.keep(stored), lambda: desk.delete(stored), lambda: desk.keep_checkpoint(a_checkpoint()), desk.claim):
        with pytest.raises(CompanyMoved) as moved:
            await write()
        assert (moved.value.primary, moved.value.swapping_to) == (state.primary, "another store")

    assert await desk.find(_KEY) == stored
    assert await replica.compare_and_set_state(moving, state)
    await desk.keep(a_ticket("2"))


async def test_nothing_is_kept_any_more_once_a_company_is_known_to_move(desk: Desk) -> None:
    await desk.keep(a_ticket("before"))
    state = await _state(desk)
    writers = [asyncio.ensure_future(_keep_on(desk, number)) for number in range(4)]
    await asyncio.sleep(_A_WHILE_S / 10)

    moving = evolve(state, swapping_to="another store", epoch=state.epoch + 1)
    assert await desk.replica().compare_and_set_state(state, moving)
    kept = await _all_copies(desk)

    told = await asyncio.gather(*writers)
    assert await _all_copies(desk) == kept
    assert {copy.thing.id for copy in kept if copy.thing.part == "ticket"} == {"before"}.union(*told)


async def _keep_on(desk: Desk, number: int) -> set[str]:
    """Save one ticket after the other until that is refused, and say which were kept."""
    kept: set[str] = set()
    for turn in range(1_000):
        try:
            await desk.keep(a_ticket(f"{number}-{turn}"))
        except CompanyMoved:
            return kept
        kept.add(f"{number}-{turn}")
        await asyncio.sleep(0)
    return kept


async def test_copies_are_the_values_that_reads_give_ascending_by_name(desk: Desk) -> None:
    await desk.fill("text")
    await desk.keep(a_ticket("0", platform="Jira"), an_article("1", "ko"))
    await desk.claim()
    found = await desk.everything()
    assert found.checkpoint is not None
    assert found.suppression is not None

    values: list[Value] = [*found.tickets, *found.articles, *found.processing, *found.summaries, found.checkpoint, found.suppression]
    copies = sorted((copy_of(one) for one in values), key=lambda copy: copy.thing)
    for part in PARTS:
        assert await _copies(desk, part) == [copy for copy in copies if copy.thing.part == part]


async def test_copies_go_on_behind_a_name(desk: Desk) -> None:
    await desk.fill("text")

    for part in PARTS:
        copies = await _copies(desk, part)
        for place, copy in enumerate(copies, 1):
            assert await _copies(desk, part, copy.thing) == copies[place:]


async def test_reading_names_gives_things_as_they_stand_ascending(desk: Desk) -> None:
    await desk.fill("text")
    copies = sorted(await _all_copies(desk), key=lambda copy: copy.thing)
    missing = Thing("ticket", "ticket", PLATFORM, "none such")

    found = await desk.replica().read([missing, *(copy.thing for copy in reversed(copies))])

    assert list(found) == sorted([*copies, Copy(missing, 0, None)], key=lambda copy: copy.thing)


async def test_without_a_mirror_nothing_is_owed(desk: Desk) -> None:
    await desk.fill("text")

    assert await _debts(desk) == {}


async def test_with_a_mirror_every_commit_owes_what_it_changed_at_its_version(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(a_ticket("before"))
    await desk.attach_mirror()

    stored = await desk.kept(a_ticket())
    await desk.keep(an_article(locale="ko"))
    await desk.summarise(a_summary(_KEY))
    await desk.settle((await desk.processing(_KEY)).completed(now=clock()))
    await desk.keep_checkpoint(a_checkpoint())
    await desk.received(stored, "new text")

    changed = [copy for copy in await _all_copies(desk) if copy.thing.id != "before"]
    assert await _debts(desk) == {copy.thing: copy.version for copy in changed}


async def test_a_claim_is_owed_to_the_mirror(desk: Desk) -> None:
    await desk.keep(a_ticket())
    await desk.attach_mirror()

    taken, _ = await desk.claimed()

    assert await _debts(desk) == {thing_of(taken): taken.version}


async def test_a_deletion_is_owed_and_is_newer_than_everything_it_took_along(desk: Desk, clock: ManualClock) -> None:
    stored = await desk.kept(a_ticket())
    await desk.attach_mirror()
    clock.move(timedelta(hours=1))
    await desk.summarise(a_summary(_KEY), a_summary(_KEY))
    await desk.settle(await desk.processing(_KEY))
    before = {copy.thing: copy.version for copy in await _all_copies(desk)}

    clock.move(timedelta(hours=-1))
    await desk.delete(stored)

    tombstones = await desk.replica().read(list(before))
    assert {copy.thing for copy in tombstones} == set(before)
    for copy in tombstones:
        assert copy.value is None
        assert copy.version > before[copy.thing]
    assert await _debts(desk) == {copy.thing: copy.version for copy in tombstones}


async def test_a_deletion_owes_only_what_was_there(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await _apply(desk, [copy_of(evolve(a_summary(_KEY), number=7, version=stored.version))])
    there = {copy.thing for copy in await _all_copies(desk)}
    await desk.attach_mirror()

    await desk.delete(stored)

    assert set(await _debts(desk)) == there


async def test_a_unit_that_fails_owes_nothing(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.kept(stored)
    await desk.attach_mirror()

    with pytest.raises(VersionConflict):
        await desk.keep(a_ticket("other"), stored)

    assert await _debts(desk) == {}


async def test_the_outbox_gives_no_more_than_was_asked_for(desk: Desk) -> None:
    await desk.keep(a_ticket())
    await desk.attach_mirror()
    await desk.keep(*(a_ticket(str(number)) for number in range(5)))

    assert len(await desk.replica().outbox(MIRROR, 3)) == 3
    assert len(await desk.replica().outbox(MIRROR, 100)) == 10


async def test_acknowledging_forgets_a_debt_up_to_its_version_only(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.attach_mirror()
    thing = thing_of(stored)
    first = await desk.kept(stored)
    second = await desk.kept(first)

    await _acknowledge(desk, [Debt(thing, first.version)])
    still_owed = await _debts(desk)
    await _acknowledge(desk, [Debt(thing, second.version), Debt(thing_of(an_article()), 7)])

    assert still_owed == {thing: second.version}
    assert await _debts(desk) == {}


async def test_what_is_owed_comes_as_it_stands_with_where_the_company_lives(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await _attach(desk, "backup 1", mirror="another store")
    article = await desk.kept(an_article("1", "ko"))
    await desk.summarise(a_summary(article.key))
    await desk.delete(stored)
    await desk.keep_checkpoint(a_checkpoint())

    owed = await desk.replica().owed("backup 1", 100)

    gone = Thing("ticket", *_KEY)
    things = [gone, Thing("processing", *_KEY), thing_of(article), Thing("summary", *article.key, 1), thing_of(a_checkpoint())]
    assert list(owed.copies) == list(await desk.replica().read(things))
    assert gone in [copy.thing for copy in owed.copies if copy.value is None]
    assert (owed.state, owed.is_all) == (await _state(desk), True)


async def test_what_is_owed_is_all_only_if_nothing_else_is(desk: Desk) -> None:
    unknown = await desk.replica().owed("backup 1", 3)
    await desk.keep(a_ticket())
    await _attach(desk, "backup 1")
    nothing = await desk.replica().owed("backup 1", 3)
    await desk.keep(*(an_article(str(number)) for number in range(4)))

    some, rest, stranger = [await desk.replica().owed(consumer, limit) for consumer, limit in (("backup 1", 3), ("backup 1", 4), ("x", 1))]

    assert [(len(one.copies), one.is_all) for one in (unknown, nothing, some, rest, stranger)] == [
        *[(0, True), (0, True), (3, False), (4, True), (0, True)]
    ]
    assert unknown.state is None
    assert nothing.state == stranger.state == await _state(desk)


async def test_what_is_owed_is_never_half_a_unit(desk: Desk) -> None:
    await desk.keep(a_ticket("1"), a_ticket("2"))
    await _attach(desk, "backup 1")
    found: list[dict[str, int]] = []

    async def write() -> None:
        async with desk.unit() as uow:
            tickets = [ticket async for ticket in uow.tickets.stream()]
        await desk.keep(*tickets)

    async def look() -> None:
        owed = await desk.replica().owed("backup 1", 100)
        found.append({copy.thing.id: copy.version for copy in owed.copies if copy.thing.part == "ticket"})

    await write()
    for _ in range(10):
        await asyncio.gather(write(), look(), look())

    assert all(set(one) == {"1", "2"} and one["1"] == one["2"] for one in found), found


async def test_a_backup_is_owed_what_changes_while_there_is_no_mirror(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await _attach(desk, "backup 1")

    await desk.keep(a_ticket("2"))
    await desk.delete(stored)

    things = [Thing(part, *key) for key in (_KEY, a_ticket("2").key) for part in ("ticket", "processing")]
    owed = await _debts(desk, "backup 1")
    assert set(owed) == set(things)
    assert owed == await _versions(desk.replica(), things)
    assert await _debts(desk) == {}


async def test_each_consumer_has_debts_of_its_own(desk: Desk) -> None:
    await desk.keep(a_ticket())
    await _attach(desk, "backup 1", "backup 2", mirror="another store")
    await desk.keep(a_ticket("2"))
    owed = await _debts(desk)
    state, consumers = await _state(desk), ("backup 1", "backup 2", MIRROR)
    assert [await _debts(desk, consumer) for consumer in consumers] == [owed] * 3

    await desk.replica().acknowledge("backup 1", [Debt(*one) for one in owed.items()], epoch=state.epoch)

    assert [await _debts(desk, consumer) for consumer in consumers] == [{}, owed, owed]


async def test_what_is_owed_to_a_consumer_goes_with_it(desk: Desk) -> None:
    await desk.keep(a_ticket())
    await _attach(desk, "backup 1", mirror="another store")
    await desk.keep(a_ticket("2"))
    owed = await _debts(desk)

    await _attach(desk, mirror="another store")
    await _attach(desk, "backup 1", mirror="another store")

    assert await _debts(desk, "backup 1") == {}
    assert await _debts(desk) == owed
    await _attach(desk, "backup 1")
    await _attach(desk, mirror="another store")
    assert await _debts(desk) == {}


async def test_what_was_deleted_is_known_until_the_last_consumer_has_gone(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await _attach(desk, "backup 1", mirror="another store")
    await desk.delete(stored)
    gone = await desk.replica().read([thing_of(stored)])

    await _attach(desk, "backup 1")
    with_the_backup = await desk.replica().read([thing_of(stored)])
    await _attach(desk)

    assert gone[0].version > stored.version
    assert with_the_backup == gone
    assert await desk.replica().read([thing_of(stored)]) == [Copy(thing_of(stored), 0, None)]
    assert (await desk.kept(a_ticket())).version > gone[0].version


async def test_debts_are_not_forgotten_for_who_knows_an_earlier_epoch(desk: Desk) -> None:
    await desk.keep(a_ticket())
    await desk.attach_mirror()
    await desk.keep(a_ticket("2"))
    debts, state = await desk.replica().outbox(MIRROR, 100), await _state(desk)
    assert await desk.replica().compare_and_set_state(state, evolve(state, epoch=state.epoch + 1))

    with pytest.raises(CompanyMoved):
        await desk.replica().acknowledge(MIRROR, debts, epoch=state.epoch)

    assert await _debts(desk) == {debt.thing: debt.version for debt in debts}


async def test_debts_of_an_erased_company_bring_nothing_of_it_back(desk: Desk) -> None:
    await desk.keep(a_ticket())
    state = await _state(desk)
    await desk.storage.erase(desk.company_id)

    with pytest.raises(CompanyErased):
        await desk.replica().acknowledge(MIRROR, [Debt(Thing("ticket", *_KEY), 1)], epoch=state.epoch)

    assert desk.company_id not in await desk.storage.companies()


async def test_copies_that_come_after_an_erasure_bring_nothing_back(desk: Desk) -> None:
    await desk.fill("text")
    copies, state = await _all_copies(desk), await _state(desk)
    await desk.storage.erase(desk.company_id)

    with pytest.raises(CompanyErased):
        await desk.replica().apply(copies, epoch=state.epoch)

    assert desk.company_id not in await desk.storage.companies()
    assert await _all_copies(desk) == []


async def test_copies_meant_for_an_erased_company_are_not_kept_in_the_next_of_its_name(desk: Desk) -> None:
    await desk.fill("text")
    copies, state = await _all_copies(desk), await _state(desk)
    await desk.storage.erase(desk.company_id)
    anew = await desk.kept(a_ticket("anew"))

    with pytest.raises((CompanyErased, CompanyMoved)):
        await desk.replica().apply(copies, epoch=state.epoch)

    assert (await desk.everything()).tickets == [anew]


async def test_the_epoch_grows_over_every_erasure(desk: Desk) -> None:
    epochs: list[int] = []
    for _ in range(3):
        await desk.keep(a_ticket())
        epochs.append((await _state(desk)).epoch)
        await desk.storage.erase(desk.company_id)

    with pytest.raises(MigrationError):
        await desk.replica().compare_and_set_state(None, CompanyState(primary="another store", epoch=epochs[-1]))

    assert epochs[0] < epochs[1] < epochs[2]
    assert desk.company_id not in await desk.storage.companies()
    assert await desk.replica().compare_and_set_state(None, CompanyState(primary="another store", epoch=epochs[-1] + 2))


async def test_copies_that_come_after_a_swap_are_not_kept(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    state = await _state(desk)
    await _follow_another_store(desk)

    with pytest.raises(CompanyMoved) as moved:
        await desk.replica().apply([copy_of(evolve(stored, version=stored.version + 1))], epoch=state.epoch)

    told = moved.value
    assert (told.primary, told.epoch, told.expected_epoch) == ("another store", 5, state.epoch)
    assert await desk.copied(_KEY) == stored


async def test_copies_that_come_after_a_mirror_has_gone_do_not_bring_deleted_records_back(desk: Desk) -> None:
    await _follow_another_store(desk)
    old = copy_of(evolve(a_ticket(), version=7))
    await _apply(desk, [old])
    await _apply(desk, [Copy(old.thing, 9, None)])
    state = await _state(desk)
    assert await desk.replica().compare_and_set_state(state, evolve(state, mirror=None, epoch=state.epoch + 1))

    with pytest.raises(CompanyMoved):
        await desk.replica().apply([old], epoch=state.epoch)

    assert await desk.copied(_KEY) is None


async def test_applied_copies_keep_their_versions_and_are_found_by_every_read(desk: Desk, other_desk: Desk, clock: ManualClock) -> None:
    await desk.fill("text")
    await desk.keep(an_article("1", "ko", text="text"))
    await desk.settle((await desk.processing(a_ticket("1").key)).completed(now=clock()))
    await desk.claim()
    copies = await _all_copies(desk)

    applied = await _apply(other_desk, copies)

    ours, theirs = await desk.everything(), await other_desk.everything()
    assert applied == len(copies)
    assert (theirs.tickets, theirs.articles, theirs.summaries) == (ours.tickets, ours.articles, ours.summaries)
    assert (theirs.processing, theirs.checkpoint, theirs.stats) == (ours.processing, ours.checkpoint, ours.stats)
    assert [evolve(one, last_updated=None) for one in theirs.progress] == [evolve(one, last_updated=None) for one in ours.progress]
    async with other_desk.unit() as uow:
        assert [one.ticket_id for one in (await uow.tickets.page(Filter(processing=COMPLETED))).items] == ["1"]
        assert list(await uow.articles.locales(PLATFORM, "1")) == ["", "ko"]
        assert len((await uow.articles.page(EVERYTHING)).items) == 4
    assert [one.key for one in await other_desk.claim(10)] == [a_ticket("3").key]


async def test_only_copies_that_are_newer_are_applied(desk: Desk, other_desk: Desk) -> None:
    first = await desk.kept(a_ticket(text="first"))
    second = await desk.received(first, "second")
    await _apply(other_desk, [copy_of(second)])

    assert await _apply(other_desk, [copy_of(first)]) == 0
    assert await _apply(other_desk, [copy_of(second)]) == 0

    assert await other_desk.find(_KEY) == second
    assert await _apply(other_desk, [copy_of(evolve(first, version=second.version + 1))]) == 1


async def test_what_is_saved_after_copies_were_applied_is_newer_than_they_are(desk: Desk) -> None:
    far_ahead = evolve(a_ticket(), version=2**60)
    await _apply(desk, [copy_of(far_ahead)])

    stored = await desk.kept(far_ahead)

    assert stored.version > far_ahead.version


async def test_an_applied_deletion_removes_and_stays_newer_than_older_copies(desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.attach_mirror()
    ticket, processing = copy_of(stored), copy_of(await desk.processing(_KEY))

    gone = [evolve(ticket, version=ticket.version + 9, value=None), evolve(processing, version=processing.version + 9, value=None)]
    assert await _apply(desk, gone) == 2
    assert await _apply(desk, [ticket, processing]) == 0

    assert await desk.find(_KEY) is None
    assert (await desk.progress()).total == 0
    assert await _versions(desk.replica(), [ticket.thing]) == {ticket.thing: ticket.version + 9}
    assert (await desk.kept(a_ticket())).version > ticket.version + 9


async def test_applying_nothing_changes_nothing(desk: Desk) -> None:
    before = await (await desk.fill("text")).everything()

    assert await _apply(desk, []) == 0

    assert await desk.everything() == before


async def test_copies_applied_to_a_primary_are_owed_to_its_mirror(desk: Desk, other_desk: Desk) -> None:
    await other_desk.keep(a_ticket())
    await desk.keep(a_ticket("here"))
    await desk.attach_mirror()
    copies = await _all_copies(other_desk)

    await _apply(desk, copies)

    assert await _debts(desk) == {copy.thing: copy.version for copy in copies}


async def test_copies_applied_to_a_mirror_are_owed_to_nobody(desk: Desk, other_desk: Desk) -> None:
    await other_desk.keep(a_ticket())
    await _follow_another_store(desk)

    await _apply(desk, await _all_copies(other_desk))

    assert await desk.copied(_KEY) is not None
    assert await _debts(desk) == {}


async def test_a_processing_or_a_summary_without_its_record_is_not_applied(desk: Desk, other_desk: Desk) -> None:
    await desk.fill("text")
    copies = await _all_copies(desk)
    parts = [copy for copy in copies if copy.thing.part in ("processing", "summary")]

    assert await _apply(other_desk, parts) == 0
    assert await _apply(other_desk, copies[::-1]) == len(copies)

    assert await _all_copies(other_desk) == copies


async def test_parts_that_are_applied_together_with_the_deletion_of_their_record_go_with_it(desk: Desk) -> None:
    await desk.keep(a_ticket())
    await desk.summarise(a_summary(_KEY))
    parts: list[Value] = [await desk.processing(_KEY), *await desk.history(_KEY)]
    later = [copy_of(evolve(value, version=value.version + 1)) for value in parts]
    await _follow_another_store(desk)

    assert await _apply(desk, [*later, Copy(Thing("ticket", *_KEY), 2**60, None)]) == 1

    await _come_home(desk)
    assert await _all_copies(desk) == []
    assert await desk.copied(_KEY) is None
    assert await desk.history(_KEY) == []


async def test_an_applied_deletion_of_a_record_takes_all_that_is_its_along(desk: Desk) -> None:
    await desk.fill("text")
    await _follow_another_store(desk)
    gone = Thing("ticket", *a_ticket("1").key)

    assert await _apply(desk, [Copy(gone, 2**60, None)]) == 1
    await _come_home(desk)

    found = await desk.everything()
    assert {one.key for one in found.processing} == {a_ticket("2").key, a_ticket("3").key}
    assert (await desk.progress()).total == 2
    assert await desk.history(a_ticket("1").key) == []


async def test_a_mirror_has_the_summaries_of_a_record_that_was_made_anew(desk: Desk, other_desk: Desk) -> None:
    stored = await desk.kept(a_ticket())
    await desk.summarise(a_summary(_KEY, "first"), a_summary(_KEY, "second"))
    await desk.attach_mirror()
    await _follow_another_store(other_desk)
    await _apply(other_desk, await _all_copies(desk))

    await desk.delete(stored)
    await desk.keep(a_ticket())
    await desk.summarise(a_summary(_KEY, "anew"))
    await _apply(other_desk, await desk.replica().read(list(await _debts(desk))))
    await _come_home(other_desk)

    assert [one.source_digest for one in await desk.history(_KEY)] == [digest("anew")]
    assert await other_desk.history(_KEY) == await desk.history(_KEY)
    assert await other_desk.current(_KEY) == await desk.current(_KEY)


async def _follow_another_store(desk: Desk) -> None:
    replica = desk.replica()
    wanted = CompanyState(primary="another store", mirror=await replica.store_id(), epoch=5)
    assert await replica.compare_and_set_state(await replica.state(), wanted)


async def _come_home(desk: Desk) -> None:
    """Let a company that lived elsewhere live in the store that followed."""
    state = await _state(desk)
    assert await desk.replica().compare_and_set_state(state, CompanyState(primary=await desk.replica().store_id(), epoch=state.epoch + 1))


@PROPERTY
@given(order=st.permutations(range(6)), repeats=st.lists(st.integers(0, 5), max_size=4))
@example(order=[5, 4, 3, 2, 1, 0], repeats=[0, 5])
async def test_copies_applied_in_any_order_and_repeatedly_end_in_the_same(
    new_desk: Callable[[], Desk], order: list[int], repeats: list[int]
) -> None:
    target = new_desk()
    history = [copy_of(evolve(a_ticket(text=f"text {version}"), version=version)) for version in range(1, 6)]
    history.append(Copy(history[0].thing, 6, None))
    await _follow_another_store(target)

    for place in [*order, *repeats]:
        await _apply(target, [history[place]])

    assert await target.replica().read([history[0].thing]) == [history[5]]
    assert await target.copied(_KEY) is None


async def test_digests_are_those_of_the_copies(desk: Desk) -> None:
    await desk.fill("text")
    await desk.claim()

    for part in PARTS:
        copies = await _copies(desk, part)
        digests = [one async for one in desk.replica().digests(part)]
        assert digests == [digest_of(copy.value) for copy in copies if copy.value is not None]
        assert [one async for one in desk.replica().digests(part, after=copies[0].thing)] == digests[1:]


async def test_digests_take_the_hash_of_a_payload_as_kept_unless_it_is_to_be_hashed_anew(desk: Desk) -> None:
    damaged = [evolve(one, version=7, sha256=bytes(32)) for one in (a_ticket(), an_article())]
    await _apply(desk, [copy_of(one) for one in damaged])

    replica = desk.replica()
    as_kept = [one for part in PARTS async for one in replica.digests(part)]
    anew = [one for part in PARTS async for one in replica.digests(part, rehash=True)]

    assert as_kept == [digest_of(one) for one in damaged]
    assert anew == [digest_of(one, rehash=True) for one in damaged]


async def test_a_company_copied_to_memory_and_back_is_the_same(desk: Desk, other_desk: Desk) -> None:
    await desk.fill("안녕 🙂")
    await desk.claim()
    memory = Desk(MemoryStorage(), "acme")

    await _apply(memory, await _all_copies(desk))
    await _apply(other_desk, await _all_copies(memory))

    assert await _all_copies(other_desk) == await _all_copies(memory) == await _all_copies(desk)


async def test_copies_of_one_company_are_not_seen_in_another(desk: Desk, other_desk: Desk) -> None:
    await desk.fill("ours")
    before = await (await other_desk.fill("theirs")).everything()
    await other_desk.attach_mirror()
    things = [copy.thing for copy in await _all_copies(desk)]

    await _apply(desk, [Copy(thing, 2**60, None) for thing in things])

    assert await _all_copies(desk) == []
    assert await other_desk.everything() == before
    assert await _debts(other_desk) == {}


__all__ = [name for name in dir() if name.startswith("test_")]  # pyright: ignore[reportUnsupportedDunderAll] - a list kept by hand would miss one
