"""Two storages as one: where a company begins, where it is written and read, and what becomes of it when one side is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from attrs import evolve, frozen

from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.hybrid.company import HybridCompany, Whereabouts
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import (
    CompanyErased,
    CompanyMoved,
    MigrationError,
    StorageUnavailable,
    TicketNotFound,
    VersionConflict,
)
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import MIRROR, CompanyState, MirrorStatus, Thing
from deskstore.domain.ports import Backend, Storage
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import Step, settle, swap
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket, incoming
from tests.hybrid.pairs import Killed, everything_in
from tests.hybrid.switches import Switch

SOON_S = 10.0
T = TypeVar("T")


@frozen(kw_only=True)
class Desks:
    """One company as the hybrid storage has it, and as each of its sides has it."""

    hybrid: Desk
    near: Desk
    far: Desk

    @property
    def storage(self) -> HybridStorage:
        """The hybrid storage."""
        assert isinstance(self.hybrid.storage, HybridStorage)
        return self.hybrid.storage

    def switch(self, desk: Desk) -> Switch:
        """What switches one side off."""
        assert isinstance(desk.storage, Switch)
        return desk.storage

    def sides(self) -> Sides:
        """The near side as the primary."""
        return Sides(self.near.company_id, primary=self.near.replica(), mirror=self.far.replica())

    async def are_equal(self) -> bool:
        """Whether both sides hold the same, once the mirror was given what it was owed."""
        await self.storage.drained(self.hybrid.company_id)
        return await everything_in(self.near) == await everything_in(self.far)


def _desks(near: Storage, far: Storage, company_id: str, *, prefers_far: bool = False) -> Desks:
    storage = HybridStorage(near, far, prefers_far=prefers_far, patience_s=0.3)
    return Desks(hybrid=Desk(storage, company_id), near=Desk(near, company_id), far=Desk(far, company_id))


def _side(clock: ManualClock) -> Switch:
    return Switch(MemoryStorage(clock, reads_copies=True))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def desks(clock: ManualClock) -> AsyncIterator[Desks]:
    made = _desks(_side(clock), _side(clock), a_new_company())
    yield made
    await made.storage.aclose()


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(round(SOON_S / 0.01)):
        if await holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came to hold")


# -- where a company begins ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefers_far", [False, True])
async def test_a_new_company_begins_on_both_sides_and_lives_where_it_was_asked_for(clock: ManualClock, prefers_far: bool) -> None:
    desks = _desks(MemoryStorage(clock), MemoryStorage(clock), a_new_company(), prefers_far=prefers_far)

    await desks.hybrid.keep(a_ticket())

    states = [await desk.replica().state() for desk in (desks.near, desks.far)]
    primary, mirror = (desks.far, desks.near) if prefers_far else (desks.near, desks.far)
    begun = CompanyState(
        primary=await primary.replica().store_id(), mirror=await mirror.replica().store_id(), mirror_status=MirrorStatus.VERIFIED
    )
    assert states == [begun, begun]
    assert await primary.find(a_ticket().key) == await desks.hybrid.find(a_ticket().key)
    assert await desks.are_equal()
    await desks.storage.aclose()


async def test_a_new_company_is_refused_while_the_far_side_is_down_and_nothing_is_kept(desks: Desks) -> None:
    desks.switch(desks.far).is_off = True

    for call in (lambda: desks.hybrid.keep(a_ticket()), lambda: desks.hybrid.find(a_ticket().key)):
        with pytest.raises(StorageUnavailable):
            await call()

    desks.switch(desks.far).is_off = False
    assert await desks.storage.companies() == []
    assert await desks.near.replica().state() is None
    await desks.hybrid.keep(a_ticket())


async def test_a_company_whose_beginning_was_cut_off_begins_where_it_was_meant_to(desks: Desks) -> None:
    for prefers_far in (False, True):
        meant = _desks(desks.near.storage, desks.far.storage, a_new_company(), prefers_far=prefers_far)
        primary, mirror = (desks.far, desks.near) if prefers_far else (desks.near, desks.far)
        state = CompanyState(
            primary=await primary.replica().store_id(), mirror=await mirror.replica().store_id(), mirror_status=MirrorStatus.VERIFIED
        )
        assert await meant.far.replica().compare_and_set_state(None, state)

        await meant.hybrid.keep(a_ticket())

        assert await meant.are_equal()
        assert [await meant.near.replica().state(), await meant.far.replica().state()] == [state, state]


async def test_a_unit_that_would_be_refused_begins_no_company(desks: Desks) -> None:
    with pytest.raises(VersionConflict):
        await desks.hybrid.keep(evolve(a_ticket(), version=7))
    with pytest.raises(TicketNotFound):
        await desks.hybrid.summarise(a_summary(a_ticket().key))

    assert await desks.storage.companies() == []


async def test_two_processes_begin_one_company(desks: Desks) -> None:
    others = [_desks(desks.near.storage, desks.far.storage, desks.hybrid.company_id) for _ in range(4)]

    await asyncio.gather(*(other.hybrid.keep(a_ticket(str(number))) for number, other in enumerate(others)))

    state = await desks.near.replica().state()
    assert state == await desks.far.replica().state()
    assert state is not None
    assert state.epoch == 1
    assert {one.ticket_id for one in (await desks.hybrid.everything()).tickets} == {"0", "1", "2", "3"}
    assert await desks.are_equal()


async def test_a_company_begins_above_whatever_was_erased_on_either_side(desks: Desks) -> None:
    for desk in (desks.near, desks.far):
        for _ in range(3):
            await desk.keep(a_ticket())
            await desk.storage.erase(desk.company_id)
        await desks.near.storage.erase(desks.near.company_id)

    await desks.hybrid.keep(a_ticket())

    state = await desks.near.replica().state()
    assert state == await desks.far.replica().state()
    assert state is not None
    assert state.epoch > max(one.epoch for one in await desks.storage.erasures())


# -- writes and the mirror -----------------------------------------------------------------------------------------------------------------


async def test_the_mirror_follows_by_itself(desks: Desks) -> None:
    await desks.hybrid.fill("text")
    await desks.hybrid.claim(2)
    await desks.hybrid.delete(await desks.hybrid.kept(a_ticket("gone")))

    async def follows() -> bool:
        return await everything_in(desks.near) == await everything_in(desks.far)

    await _until(follows)


async def test_a_mirror_follows_what_a_process_of_one_storage_alone_writes(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket("first"))
    await desks.near.keep(a_ticket("second"))

    async def follows() -> bool:
        return await desks.far.copied(a_ticket("second").key) is not None

    await _until(follows)


async def test_a_mirror_that_is_down_for_the_whole_run_costs_no_write_and_catches_up(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket("first"))
    desks.switch(desks.far).is_off = True

    stored = await desks.hybrid.kept(a_ticket("gone"))
    await desks.hybrid.fill("text")
    await desks.hybrid.delete(stored)
    await desks.hybrid.claim(2)
    lag = await desks.storage.lag(desks.hybrid.company_id)

    assert lag.debts > 10
    assert (await desks.hybrid.everything()).tickets
    desks.switch(desks.far).is_off = False
    assert await desks.are_equal()
    assert (await desks.storage.lag(desks.hybrid.company_id)).debts == 0


async def test_a_mirror_that_is_down_is_spared(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket("first"))
    assert await desks.are_equal()
    desks.switch(desks.far).is_off = True
    await desks.hybrid.keep(a_ticket("second"))

    async def is_known() -> bool:
        return (await desks.storage.lag(desks.hybrid.company_id)).is_mirror_down

    await _until(is_known)
    tried = desks.switch(desks.far).calls
    for number in range(100):
        await desks.hybrid.keep(a_ticket(str(number)))

    assert desks.switch(desks.far).calls - tried < 5


async def test_a_commit_that_ends_after_the_storage_was_closed_wakes_nobody(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket())
    await desks.storage.aclose()
    others = asyncio.all_tasks()

    desks.storage.note_commit(desks.hybrid.company_id)

    assert asyncio.all_tasks() <= others


async def test_a_primary_that_is_down_is_never_replaced_by_its_mirror(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket())
    assert await desks.are_equal()
    desks.switch(desks.near).is_off = True

    for call in (lambda: desks.hybrid.find(a_ticket().key), lambda: desks.hybrid.keep(a_ticket("2")), desks.hybrid.claim):
        assert await _is_refused(call)


async def test_a_reader_that_falls_back_silently_is_found_out(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket())
    assert await desks.are_equal()
    careless = Desk(_FallsBack(desks.near.storage, desks.far.storage), desks.hybrid.company_id)
    desks.switch(desks.near).is_off = True

    assert not await _is_refused(lambda: careless.find(a_ticket().key))


async def _is_refused(call: Callable[[], Awaitable[object]]) -> bool:
    try:
        await call()
    except StorageUnavailable:
        return True
    return False


class _FallsBack(HybridStorage):
    def company(self, company_id: str) -> HybridCompany:
        return _FallsBackSilently(
            company_id, {"near": self.near, "far": self.far}, super().company(company_id).memory, prefers_far=False, patience_s=1
        )


class _FallsBackSilently(HybridCompany):
    async def read(self, look: Callable[[Backend], Awaitable[T]]) -> T:
        try:
            return await super().read(look)
        except StorageUnavailable:
            return await look(self.backends["far"])


# -- swaps under a running application -----------------------------------------------------------------------------------------------------


async def test_a_writer_that_meets_a_swap_waits_and_is_kept_by_the_new_primary(desks: Desks) -> None:
    stored = await desks.hybrid.kept(a_ticket())
    waiting: list[asyncio.Task[Any]] = []  # Any: what each of them gives

    async def reached(step: Step) -> None:
        if step == "drain the rest":
            waiting.append(asyncio.create_task(desks.hybrid.received(stored, "another text")))
            waiting.append(asyncio.create_task(_claim(desks.hybrid)))
            await asyncio.sleep(0.05)

    await swap(desks.sides(), reached=reached)
    await asyncio.gather(*waiting)

    found = await desks.far.copied(stored.key)
    assert found is not None
    assert found.fields.subject == "another text"
    assert await desks.are_equal()


async def _claim(desk: Desk) -> None:
    await desk.claim()


async def test_a_swap_that_was_left_behind_is_ended_by_a_writer(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket())
    await _leave_a_swap(desks, at="flip")

    await desks.hybrid.keep(a_ticket("after"))

    assert await desks.near.copied(a_ticket("after").key) is not None
    assert await desks.are_equal()


async def test_a_swap_that_was_left_behind_is_ended_though_nobody_writes(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket())
    await _leave_a_swap(desks, at="flip")

    async def is_over() -> bool:
        state = await desks.near.replica().state()
        return state is not None and state.swapping_to is None

    await _until(is_over)


async def test_a_swap_left_behind_after_its_commit_point_is_where_it_says(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket())
    await _leave_a_swap(desks, at="mark")

    assert await desks.hybrid.find(a_ticket().key) is not None
    await desks.hybrid.keep(a_ticket("after"))

    assert await desks.far.copied(a_ticket("after").key) is not None
    assert await desks.are_equal()


async def _leave_a_swap(desks: Desks, *, at: Step) -> None:
    async def reached(step: Step) -> None:
        if step == at:
            raise Killed

    with pytest.raises(Killed):
        await swap(desks.sides(), reached=reached)


async def test_no_reader_goes_back_in_time_while_the_sides_change_places_under_load(desks: Desks) -> None:
    assert await _steps_back(desks) == []


async def _change_places(desks: Desks) -> None:
    """Let the sides change places again and again, and end as they began."""
    sides = desks.sides()
    for _ in range(8):
        await asyncio.sleep(0.02)
        await swap(sides)
        sides = sides.reversed()


async def _steps_back(desks: Desks) -> list[tuple[int, int]]:
    """The versions that a reader was given after a later one, while a company was written and its sides changed places."""
    stored = await desks.hybrid.kept(a_ticket())
    reading = [_desks(desks.near.storage, desks.far.storage, desks.hybrid.company_id, prefers_far=far) for far in (False, True)]
    is_over = asyncio.Event()
    readers = [asyncio.ensure_future(_read_back(one.hybrid, stored.key, is_over)) for one in reading]
    writer = asyncio.ensure_future(_rewrite(desks.hybrid, stored.key, is_over))
    await _change_places(desks)
    is_over.set()
    await writer
    back = [step for steps in await asyncio.gather(*readers) for step in steps]
    for one in reading:
        await one.storage.stop_draining()  # its sides are shared, and stay open
    return back


async def _read_back(desk: Desk, key: Key, is_over: asyncio.Event) -> list[tuple[int, int]]:
    back: list[tuple[int, int]] = []
    last = 0
    while not is_over.is_set():
        found = await desk.find(key)
        version = found.version if found else 0
        if version < last:
            back.append((last, version))
        last = max(last, version)
        await asyncio.sleep(0)
    return back


async def _rewrite(desk: Desk, key: Key, is_over: asyncio.Event) -> None:
    number = 0
    while not is_over.is_set():
        number += 1
        with suppress(VersionConflict):
            found = await desk.find(key)
            assert found is not None
            await desk.received(found, f"text {number}")
        await asyncio.sleep(0.001)


async def test_eight_writers_lose_nothing_while_the_sides_change_places(desks: Desks) -> None:
    kept: set[str] = set()
    is_over = asyncio.Event()
    await desks.hybrid.keep(a_ticket("first"))

    async def write(number: int) -> None:
        turn = 0
        while not is_over.is_set():
            turn += 1
            await desks.hybrid.keep(a_ticket(f"{number}-{turn}"))
            kept.add(f"{number}-{turn}")
            await asyncio.sleep(0.001)

    writers = [asyncio.ensure_future(write(number)) for number in range(8)]
    await _change_places(desks)
    is_over.set()
    await asyncio.gather(*writers)

    found = {one.ticket_id for one in (await desks.hybrid.everything()).tickets}
    assert kept <= found
    assert len(kept) > 20
    assert await desks.are_equal()


async def test_a_stream_goes_on_where_the_company_lives_by_then(desks: Desks) -> None:
    await desks.hybrid.keep(*(a_ticket(f"{number:04}") for number in range(900)))
    last = await desks.hybrid.find(a_ticket("0899").key)
    assert last is not None
    seen: list[tuple[str, str | None]] = []

    async with desks.hybrid.unit() as uow:
        async for ticket in uow.tickets.stream():
            seen.append((ticket.ticket_id, ticket.fields.subject))
            if len(seen) == 10:
                await swap(desks.sides())
                await desks.hybrid.received(last, "after the swap")

    assert [one for one, _ in seen] == [f"{number:04}" for number in range(900)]
    assert seen[-1] == ("0899", "after the swap")


# -- reads from the far side ---------------------------------------------------------------------------------------------------------------


async def test_reads_go_to_the_far_side_as_long_as_it_has_everything(clock: ManualClock) -> None:
    desks = await _near_but_read_far(clock)
    stored = await desks.hybrid.kept(a_ticket())
    assert await desks.are_equal()
    near, far = desks.switch(desks.near).calls, desks.switch(desks.far).calls

    assert await desks.hybrid.find(stored.key) == stored

    assert desks.switch(desks.far).calls - far == 1
    assert desks.switch(desks.near).calls - near == 2  # where it lives, and whether anything is owed
    await desks.storage.aclose()


async def test_reads_see_what_the_far_side_has_not_been_given_yet(clock: ManualClock) -> None:
    desks = await _near_but_read_far(clock)

    assert await _reads_its_own_writes(desks)
    await desks.storage.aclose()


async def test_a_reader_that_takes_whatever_the_mirror_has_is_found_out(clock: ManualClock) -> None:
    desks = await _near_but_read_far(clock, _ReadsWhateverIsFar)

    assert not await _reads_its_own_writes(desks)
    await desks.storage.aclose()


async def _reads_its_own_writes(desks: Desks) -> bool:
    """Whether a read sees what was acknowledged while the far side answers reads, and takes no copies."""
    stored = await desks.hybrid.kept(a_ticket(text="first"))
    assert await desks.are_equal()
    desks.switch(desks.far).is_deaf = True
    await desks.hybrid.keep(stored.receive(incoming(stored.key, "second"), now=desks.storage.clock()))
    found = await desks.hybrid.find(stored.key)
    assert found is not None
    return found.fields.subject == "second"


class _ReadsWhateverIsFar(HybridStorage):
    def company(self, company_id: str) -> HybridCompany:
        return _WhateverIsFar(
            company_id, {"near": self.near, "far": self.far}, super().company(company_id).memory, prefers_far=True, patience_s=1
        )


class _WhateverIsFar(HybridCompany):
    async def _may_read_far(self, found: Whereabouts) -> bool:
        return found.primary == "near"


async def test_a_read_of_a_far_side_that_is_down_is_answered_by_the_primary(clock: ManualClock) -> None:
    desks = await _near_but_read_far(clock)
    stored = await desks.hybrid.kept(a_ticket())
    assert await desks.are_equal()
    desks.switch(desks.far).is_off = True

    assert await desks.hybrid.find(stored.key) == stored
    await desks.storage.aclose()


async def test_a_mirror_that_is_not_verified_is_not_read(clock: ManualClock) -> None:
    desks = await _near_but_read_far(clock)
    await desks.hybrid.keep(a_ticket())
    assert await desks.are_equal()
    state = await desks.near.replica().state()
    assert state is not None
    filling = evolve(state, mirror_status=MirrorStatus.FILLING, epoch=state.epoch + 1)
    assert await desks.near.replica().compare_and_set_state(state, filling)
    before = desks.switch(desks.far).calls

    await desks.hybrid.find(a_ticket().key)

    assert desks.switch(desks.far).calls - before <= 1  # who sees another state looks whose mirror it is
    await desks.storage.aclose()


async def _near_but_read_far(clock: ManualClock, kind: type[HybridStorage] = HybridStorage) -> Desks:
    """A company that lives near, in a storage that reads from afar where it may."""
    near, far, company_id = _side(clock), _side(clock), a_new_company()
    first = _desks(near, far, company_id)
    await first.hybrid.keep(a_ticket("0"))
    assert await first.are_equal()
    await first.storage.stop_draining()  # its sides are shared, and stay open
    return Desks(hybrid=Desk(kind(near, far, prefers_far=True), company_id), near=Desk(near, company_id), far=Desk(far, company_id))


# -- strangers -----------------------------------------------------------------------------------------------------------------------------


async def test_a_host_with_other_files_is_refused_and_changes_nothing(desks: Desks, clock: ManualClock) -> None:
    await desks.hybrid.keep(a_ticket())
    stranger = _desks(MemoryStorage(clock), desks.far.storage, desks.hybrid.company_id)

    for call in (lambda: stranger.hybrid.find(a_ticket().key), lambda: stranger.hybrid.keep(a_ticket("2")), stranger.hybrid.claim):
        with pytest.raises(CompanyMoved) as moved:
            await call()
        assert moved.value.primary == await desks.near.replica().store_id()

    assert await stranger.near.storage.companies() == []
    assert await desks.are_equal()


async def test_a_host_with_another_database_is_refused(desks: Desks, clock: ManualClock) -> None:
    await desks.hybrid.keep(a_ticket())
    stranger = _desks(desks.near.storage, MemoryStorage(clock), desks.hybrid.company_id)

    with pytest.raises(CompanyMoved):
        await stranger.hybrid.find(a_ticket().key)


async def test_a_company_that_lives_far_with_its_mirror_on_another_host_is_refused(clock: ManualClock) -> None:
    desks = _desks(MemoryStorage(clock), MemoryStorage(clock), a_new_company(), prefers_far=True)
    await desks.hybrid.keep(a_ticket())
    stranger = _desks(MemoryStorage(clock), desks.far.storage, desks.hybrid.company_id)

    with pytest.raises(CompanyMoved):
        await stranger.hybrid.keep(a_ticket("2"))

    assert await desks.hybrid.find(a_ticket("2").key) is None
    await desks.storage.aclose()


async def test_a_process_of_one_storage_alone_is_refused_what_lives_in_the_other(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket())
    assert await desks.are_equal()

    with pytest.raises(CompanyMoved):
        await desks.far.keep(a_ticket("2"))

    await swap(desks.sides())
    with pytest.raises(CompanyMoved):
        await desks.near.keep(a_ticket("2"))


async def test_a_hybrid_storage_reads_its_sides_also_where_neither_gives_copies(clock: ManualClock) -> None:
    near, far = Switch(MemoryStorage(clock)), Switch(MemoryStorage(clock))
    desks = _desks(near, far, a_new_company(), prefers_far=True)
    await desks.hybrid.fill("text")
    assert await desks.are_equal()
    sides = desks.sides().reversed()
    before = await desks.hybrid.everything()

    for _ in range(4):
        await swap(sides)
        sides = sides.reversed()

        assert await desks.hybrid.everything() == before
    await desks.storage.aclose()


async def test_two_companies_of_one_name_are_not_taken_for_one(desks: Desks) -> None:
    await desks.near.keep(a_ticket("near"))
    await desks.far.keep(a_ticket("far"))

    with pytest.raises(MigrationError, match="as another one"):
        await desks.hybrid.find(a_ticket("near").key)


async def test_a_company_of_one_side_is_used_where_it_is(desks: Desks) -> None:
    for desk in (desks.near, desks.far):
        one = _desks(desks.near.storage, desks.far.storage, a_new_company())
        alone = Desk(desk.storage, one.hybrid.company_id)
        await alone.keep(a_ticket("1"))

        await one.hybrid.keep(a_ticket("2"))

        assert [ticket.ticket_id for ticket in (await alone.everything()).tickets] == ["1", "2"]
        state = await alone.replica().state()
        assert state is not None
        assert state.mirror is None


# -- erasing -------------------------------------------------------------------------------------------------------------------------------


async def test_erasing_removes_both_sides_and_nothing_late_comes_back(desks: Desks) -> None:
    await desks.hybrid.fill("text")
    late = await desks.near.replica().read([Thing("ticket", *a_ticket("1").key)])
    state = await desks.far.replica().state()
    assert state is not None

    await desks.storage.erase(desks.hybrid.company_id)

    assert await desks.storage.companies() == []
    with pytest.raises(CompanyErased):
        await desks.far.replica().apply(late, epoch=state.epoch)
    stored = await desks.hybrid.kept(a_ticket("anew"))
    assert (await desks.hybrid.everything()).tickets == [stored]
    assert await desks.are_equal()


@pytest.mark.parametrize("side", ["near", "far"])
async def test_an_erasure_that_was_cut_off_is_finished_by_the_next(desks: Desks, side: str) -> None:
    await desks.hybrid.fill("text")
    assert await desks.are_equal()
    switch = desks.switch(desks.near if side == "near" else desks.far)
    alone = await desks.near.replica().state()
    assert alone is not None
    parted = evolve(alone, mirror=None, mirror_status=MirrorStatus.NONE, epoch=alone.epoch + 1)
    assert await desks.near.replica().compare_and_set_state(alone, parted)
    assert await settle(desks.sides()) == parted
    if side == "near":
        await desks.far.storage.erase(desks.far.company_id)
    assert not switch.is_off

    await desks.storage.erase(desks.hybrid.company_id)

    assert await desks.storage.companies() == []
    assert await everything_in(desks.near) == await everything_in(desks.far) == []


async def test_a_company_is_not_half_erased_while_one_side_is_down(desks: Desks) -> None:
    await desks.hybrid.fill("text")
    assert await desks.are_equal()
    before = await everything_in(desks.near)
    desks.switch(desks.far).is_off = True

    with pytest.raises(StorageUnavailable):
        await desks.storage.erase(desks.hybrid.company_id)

    assert await everything_in(desks.near) == before
    desks.switch(desks.far).is_off = False
    await desks.storage.erase(desks.hybrid.company_id)
    assert await desks.storage.companies() == []
    assert await desks.near.replica().outbox(MIRROR, 10) == []


async def test_who_settles_patiently_leaves_a_swap_alone_that_is_under_way(desks: Desks) -> None:
    await desks.hybrid.keep(a_ticket())
    settled: list[CompanyState | None] = []

    async def reached(step: Step) -> None:
        if step == "flip":
            settled.append(await settle(desks.sides(), patience_s=None))

    state = await swap(desks.sides(), reached=reached)

    assert settled[0] is not None
    assert settled[0].swapping_to == state.primary
    assert state.primary == await desks.far.replica().store_id()
