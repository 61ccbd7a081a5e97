"""Primary and mirror change places: nothing is lost, nobody writes twice, and whatever was left half done is ended by whoever comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

import pytest
from attrs import evolve, frozen

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain import swapping
from deskstore.domain.draining import drain
from deskstore.domain.errors import CompanyErased, CompanyMoved, MigrationError, StorageBusy, StorageUnavailable
from deskstore.domain.mirror import MIRROR, CompanyState, Copy, MirrorStatus
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import Step, flipped, given_up, settle, swap
from deskstore.domain.wrapping import WrappedReplica
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.hybrid.pairs import Deaths, Killed, Pair, everything_in

Written = Callable[[], Awaitable[None]]  #: waits until something was kept that nobody had asked for before
Swap = Callable[[Sides, Written], Awaitable[CompanyState]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def pair(clock: ManualClock) -> Pair:
    return await _a_pair(clock)


async def _a_pair(clock: ManualClock) -> Pair:
    made = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await made.attach()
    await made.one.fill("text")
    await made.one.claim()
    return made


async def _states(pair: Pair) -> list[CompanyState | None]:
    return [await pair.one.replica().state(), await pair.other.replica().state()]


async def test_after_a_swap_the_mirror_is_the_primary_and_holds_the_same(pair: Pair) -> None:
    before = await everything_in(pair.one)

    state = await swap(pair.sides())

    assert await _states(pair) == [state, state]
    assert (state.primary, state.mirror) == (await pair.other.replica().store_id(), await pair.one.replica().store_id())
    assert (state.mirror_status, state.swapping_to) == (MirrorStatus.VERIFIED, None)
    assert await everything_in(pair.other) == before


async def test_who_still_writes_to_the_old_primary_is_refused_and_loses_nothing(pair: Pair) -> None:
    await swap(pair.sides())
    before = await everything_in(pair.other)

    for write in (lambda: pair.one.keep(a_ticket("late")), pair.one.claim):
        with pytest.raises(CompanyMoved) as moved:
            await write()
        assert moved.value.primary == await pair.other.replica().store_id()

    await drain(pair.sides().reversed())
    assert await everything_in(pair.one) == await everything_in(pair.other) == before


async def test_there_and_back_with_writes_in_between_loses_nothing(pair: Pair) -> None:
    stored = await pair.one.find(a_ticket("1").key)
    assert stored is not None
    await swap(pair.sides())
    await pair.other.keep(a_ticket("there"))
    await pair.other.delete(stored)

    await swap(pair.sides().reversed())

    assert await pair.one.find(a_ticket("there").key) is not None
    assert await pair.one.find(stored.key) is None
    assert (await pair.one.kept(a_ticket("1"))).version > stored.version
    await drain(pair.sides())
    assert await everything_in(pair.other) == await everything_in(pair.one)


async def test_claims_go_along_and_their_tokens_stay_good(pair: Pair) -> None:
    taken, token = await pair.one.claimed()

    await swap(pair.sides())

    settled = await pair.other.settle(taken.completed(now=pair.other.storage.clock()), token)
    assert settled.status == "completed"


@pytest.mark.parametrize("after", [False, True])
async def test_a_swap_killed_at_any_call_is_ended_by_whoever_comes_next(after: bool, clock: ManualClock) -> None:
    counting = Deaths()
    await swap((await _a_pair(clock)).sides(counting))
    assert counting.calls > 10

    ends = set[bool]()
    for at in range(1, counting.calls + 1):
        pair = await _a_pair(clock)
        with pytest.raises(Killed):
            await swap(pair.sides(Deaths(at, after=after)))
        await settle(pair.sides())
        after_it = await _after(pair)
        ends.add(after_it.lives_in_the_old_mirror)

        assert after_it.is_whole, (at, after_it)

    assert ends == {False, True}


@pytest.mark.parametrize("after", [False, True])
async def test_settling_killed_at_any_call_is_ended_by_whoever_comes_next(after: bool, clock: ManualClock) -> None:
    for left in (_left_fenced, _left_flipped, _left_given_up):
        for at in range(1, 9):
            pair = await _a_pair(clock)
            await left(pair)
            with suppress(Killed):
                await settle(pair.sides(Deaths(at, after=after)))
            await settle(pair.sides().reversed())
            after_it = await _after(pair)

            assert after_it.is_whole, (at, after_it)


@frozen(kw_only=True)
class After:
    """What became of a company whose swap was cut off, once somebody had written to it again."""

    states: list[CompanyState | None]
    lives_in_the_old_mirror: bool
    things: int  #: in its primary
    is_equal: bool  #: whether both sides hold the same

    @property
    def is_whole(self) -> bool:
        """Whether both agree where it lives, and nothing of it was lost."""
        first, second = self.states
        is_agreed = first == second and first is not None and first.mirror_status is MirrorStatus.VERIFIED
        return is_agreed and self.is_equal and self.things == 3 * 2 + 3 + 4 + 1 + 1 + 2


async def _after(pair: Pair) -> After:
    """Write where the company lives now, let the other side follow, and look at both."""
    primary, states = await pair.primary(), await _states(pair)
    await primary.keep(a_ticket("after"))
    await drain(pair.sides() if primary is pair.one else pair.sides().reversed())
    one, other = await everything_in(pair.one), await everything_in(pair.other)
    return After(states=states, lives_in_the_old_mirror=primary is pair.other, things=len(one), is_equal=one == other)


async def _fence(pair: Pair) -> CompanyState:
    """Leave a swap after its fence."""
    await drain(pair.sides())
    state = await pair.one.replica().state()
    assert state is not None
    fenced = evolve(state, swapping_to=await pair.other.replica().store_id(), epoch=state.epoch + 1)
    assert await pair.one.replica().compare_and_set_state(state, fenced)
    return fenced


async def _left_fenced(pair: Pair) -> None:
    await _fence(pair)


async def _left_flipped(pair: Pair) -> None:
    fenced = await _fence(pair)
    assert await pair.other.replica().compare_and_set_state(await pair.other.replica().state(), flipped(fenced))


async def _left_given_up(pair: Pair) -> None:
    fenced, followed = await _fence(pair), await pair.other.replica().state()
    assert followed is not None
    assert await pair.other.replica().compare_and_set_state(followed, given_up(fenced, followed))


async def test_a_swap_that_was_given_up_cannot_flip_however_late_it_wakes_up(pair: Pair) -> None:
    asleep, woken = asyncio.Event(), asyncio.Event()

    async def reached(step: Step) -> None:
        if step == "flip":
            asleep.set()
            await woken.wait()

    late = asyncio.ensure_future(swap(pair.sides(), reached=reached, fenced_s=60))
    await asleep.wait()
    await settle(pair.sides())
    await pair.one.keep(a_ticket("meanwhile"))
    woken.set()

    with pytest.raises(StorageBusy):
        await late

    assert await pair.primary() is pair.one
    assert await pair.one.find(a_ticket("meanwhile").key) is not None


async def test_a_swap_that_holds_writers_up_too_long_is_given_up(pair: Pair) -> None:
    async def reached(step: Step) -> None:
        if step == "drain the rest":
            await asyncio.sleep(60)

    with pytest.raises(StorageBusy, match="took too long"):
        await swap(pair.sides(), reached=reached, fenced_s=0.05)

    await pair.one.keep(a_ticket("after"))
    assert await pair.primary() is pair.one


async def test_no_commit_passes_between_the_fence_and_the_flip(pair: Pair) -> None:
    refused: list[Step] = []

    async def reached(step: Step) -> None:
        for desk in (pair.one, pair.other):
            try:
                await desk.keep(a_ticket(f"during {step} {desk is pair.one}"))
            except CompanyMoved:
                if desk is pair.one:
                    refused.append(step)

    await swap(pair.sides(), reached=reached)

    assert refused == ["drain the rest", "flip", "mark"]
    found = {copy.thing.id for copy in await everything_in(pair.other) if copy.thing.part == "ticket"}
    assert found == {"1", "2", "3", "during drain True", "during fence True", "during mark False"}


async def test_writers_at_work_lose_nothing_while_it_goes_there_and_back(pair: Pair) -> None:
    assert await _lost(pair, lambda sides, _: swap(sides)) == set()


async def test_a_swap_without_a_fence_is_found_out(pair: Pair) -> None:
    async def carelessly(sides: Sides, written: Written) -> CompanyState:
        await drain(sides)
        state, followed = await sides.checked()
        await written()
        wanted = flipped(evolve(state, swapping_to=await sides.mirror.store_id()))
        await sides.mirror.compare_and_set_state(followed, wanted)
        await sides.primary.compare_and_set_state(state, wanted)
        return wanted

    assert await _lost(pair, carelessly)


async def _lost(pair: Pair, exchange: Swap) -> set[str]:
    """What eight writers were told is kept, and is not, after the sides changed places again and again."""
    kept: set[str] = set()
    is_over, told = asyncio.Event(), asyncio.Event()

    async def write(number: int) -> None:
        turn = 0
        while not is_over.is_set():
            turn += 1
            for desk in (pair.one, pair.other):
                with suppress(CompanyMoved):
                    await desk.keep(a_ticket(f"{number}-{turn}"))
                    kept.add(f"{number}-{turn}")
                    told.set()
                    break
            await asyncio.sleep(0.001)

    async def written() -> None:
        for _ in range(9):  # eight may have been kept before and told of now
            told.clear()
            await told.wait()

    writers = [asyncio.ensure_future(write(number)) for number in range(8)]
    sides = pair.sides()
    for _ in range(6):
        await written()
        await exchange(sides, written)
        sides = sides.reversed()
    is_over.set()
    await asyncio.gather(*writers)
    primary = await pair.primary()
    found = {copy.thing.id for copy in await everything_in(primary) if copy.thing.part == "ticket"}
    return kept - found


async def test_a_mirror_that_is_not_verified_does_not_become_the_primary(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    state = await pair.attach(MirrorStatus.FILLING)

    with pytest.raises(MigrationError, match="not verified"):
        await swap(pair.sides())

    assert await _states(pair) == [state, state]


async def test_a_company_that_is_being_backed_up_does_not_change_its_primary(pair: Pair) -> None:
    state = await pair.one.replica().state()
    assert state is not None
    assert await pair.one.replica().compare_and_set_state(state, evolve(state, backups=("backup 1",)))

    with pytest.raises(StorageBusy, match="backup"):
        await swap(pair.sides())

    assert await pair.primary() is pair.one


async def test_what_cannot_be_copied_stops_the_swap_before_anybody_is_held_up(pair: Pair) -> None:
    class Forgetful(WrappedReplica):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            return len(copies)

    with pytest.raises(MigrationError, match="cannot be copied"):
        await swap(Sides(pair.one.company_id, primary=pair.one.replica(), mirror=Forgetful(pair.other.replica())))

    await pair.one.keep(a_ticket("after"))
    assert await pair.one.replica().outbox(MIRROR, 10)


async def test_a_mirror_that_goes_down_behind_the_fence_leaves_the_company_held_up_until_it_is_back(pair: Pair) -> None:
    down = _GoesDown(pair.other.replica())

    async def reached(step: Step) -> None:
        down.is_down = step in ("drain the rest", "flip")

    with pytest.raises(StorageUnavailable):
        await swap(Sides(pair.one.company_id, primary=pair.one.replica(), mirror=down), reached=reached)
    with pytest.raises(CompanyMoved) as moved:
        await pair.one.keep(a_ticket("after"))
    await settle(pair.sides())

    assert moved.value.swapping_to == await pair.other.replica().store_id()
    after = await _after(pair)
    assert after.is_whole, after


class _GoesDown(WrappedReplica):
    """A mirror that stops answering."""

    is_down = False

    async def state(self) -> CompanyState | None:
        if self.is_down:
            raise StorageUnavailable("it is down")
        return await super().state()

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        if self.is_down:
            raise StorageUnavailable("it is down")
        return await super().compare_and_set_state(expected, wanted)


async def test_a_flip_whose_answer_is_lost_counts(pair: Pair) -> None:
    class LosesAnswers(WrappedReplica):
        async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
            await super().compare_and_set_state(expected, wanted)
            raise StorageUnavailable("the answer was lost")

    sides = Sides(pair.one.company_id, primary=pair.one.replica(), mirror=LosesAnswers(pair.other.replica()))

    state = await swap(sides)

    assert state.primary == await pair.other.replica().store_id()
    assert await _states(pair) == [state, state]


async def test_a_side_that_lost_its_database_during_a_swap_is_not_taken_for_verified(clock: ManualClock) -> None:
    for lost in ("primary", "mirror"):
        pair = await _a_pair(clock)
        await _fence(pair)
        desk = pair.one if lost == "primary" else pair.other
        state = await desk.replica().state()
        assert state is not None
        rebuilt = evolve(state, mirror_status=MirrorStatus.FILLING, epoch=state.epoch + 1)
        assert await desk.replica().compare_and_set_state(state, rebuilt)

        settled = await settle(pair.sides())

        assert settled is not None
        assert settled.mirror_status is MirrorStatus.FILLING
        assert settled.swapping_to == (settled.primary if lost == "primary" else None)
        assert await _states(pair) == [settled, settled]


async def test_the_state_of_the_later_epoch_is_taken_over(pair: Pair) -> None:
    for desk in (pair.one, pair.other):
        state = await desk.replica().state()
        assert state is not None
        wanted = evolve(state, mirror_status=MirrorStatus.FILLING, epoch=state.epoch + 1)
        assert await desk.replica().compare_and_set_state(state, wanted)

        assert await settle(pair.sides()) == wanted

        assert await _states(pair) == [wanted, wanted]


async def test_what_the_primary_says_counts_within_an_epoch(pair: Pair) -> None:
    state = await pair.one.replica().state()
    assert state is not None
    told = evolve(state, backups=("backup 1",))
    assert await pair.one.replica().compare_and_set_state(state, told)

    settled = await settle(pair.sides().reversed())

    assert settled == evolve(told, epoch=told.epoch + 1)
    assert await _states(pair) == [settled, settled]


async def test_a_store_that_was_detached_meanwhile_learns_of_it(pair: Pair) -> None:
    state = await pair.one.replica().state()
    assert state is not None
    alone = evolve(state, mirror=None, mirror_status=MirrorStatus.NONE, epoch=state.epoch + 1)
    assert await pair.one.replica().compare_and_set_state(state, alone)

    assert await settle(pair.sides()) == alone

    with pytest.raises(CompanyMoved):
        await pair.other.keep(a_ticket("late"))


async def test_two_companies_of_one_name_are_not_made_one(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(a_ticket("one"))
    await pair.other.keep(a_ticket("other"))
    before = await _states(pair)

    with pytest.raises(MigrationError, match="as another one"):
        await settle(pair.sides())

    assert await _states(pair) == before


async def test_a_company_that_nobody_knows_lives_nowhere(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))

    assert await settle(pair.sides()) is None


async def test_a_swap_between_strangers_is_refused(pair: Pair, clock: ManualClock) -> None:
    stranger = Desk(MemoryStorage(clock), pair.one.company_id)

    with pytest.raises(CompanyErased):
        await swap(Sides(pair.one.company_id, primary=pair.one.replica(), mirror=stranger.replica()))

    assert await pair.primary() is pair.one
    assert swapping.FENCED_S < 5
