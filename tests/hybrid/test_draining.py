"""A mirror gets what it is owed: all of it, in any order, from any number of drainers, whatever happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest
from attrs import evolve

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain import draining
from deskstore.domain.draining import Refusal, drain
from deskstore.domain.errors import (
    ClaimLost,
    CompanyErased,
    CompanyMoved,
    CorruptRecord,
    InvalidRecord,
    StorageBusy,
    StorageUnavailable,
    TicketNotFound,
    VersionConflict,
)
from deskstore.domain.mirror import MIRROR, Copy, Debt, MirrorStatus, Thing, thing_of
from deskstore.domain.ports import Replica
from deskstore.domain.sides import Sides
from deskstore.domain.wrapping import WrappedReplica
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import token_of
from deskstore.testing.makers import a_checkpoint, a_summary, a_ticket, an_article
from tests.hybrid.pairs import Deaths, Killed, Pair, everything_in


@pytest.fixture
async def pair(clock: ManualClock) -> Pair:
    made = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await made.attach()
    return made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_mirror_gets_all_there_is_versions_and_claims_included(pair: Pair) -> None:
    await pair.one.fill("text")
    await pair.one.claim(2)

    drained = await drain(pair.sides())

    assert drained.refusals == ()
    assert drained.mirrored > 0
    assert await everything_in(pair.other) == await everything_in(pair.one)
    assert await pair.one.replica().outbox(MIRROR, 10) == []


async def test_a_deletion_and_what_is_made_anew_after_it_reach_the_mirror(pair: Pair) -> None:
    stored = await pair.one.kept(a_ticket())
    await pair.one.summarise(a_summary(stored.key, "first"), a_summary(stored.key, "second"))
    await drain(pair.sides())
    await pair.one.delete(stored)
    await pair.one.keep(a_ticket())
    await pair.one.summarise(a_summary(stored.key, "anew"))
    await pair.one.delete(await pair.one.kept(an_article()))

    await drain(pair.sides())

    assert await everything_in(pair.other) == await everything_in(pair.one)
    assert [copy.thing.number for copy in await everything_in(pair.other) if copy.thing.part == "summary"] == [1]


async def test_draining_again_changes_nothing(pair: Pair) -> None:
    await pair.one.fill("text")
    await drain(pair.sides())
    before = await everything_in(pair.other)

    again = await drain(pair.sides())

    assert again.mirrored == 0
    assert await everything_in(pair.other) == before


async def test_a_part_takes_its_record_along_when_the_outbox_gives_it_first(pair: Pair) -> None:
    stored = await pair.one.kept(a_ticket())
    await pair.one.summarise(a_summary(stored.key))
    sides = Sides("acme", primary=_PartsFirst(pair.one.replica()), mirror=pair.other.replica())

    await drain(sides)

    assert await everything_in(pair.other) == await everything_in(pair.one)


class _PartsFirst(WrappedReplica):
    """An outbox that gives one thing at a time, records last."""

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        found = sorted(await super().outbox(consumer, 1_000), key=lambda debt: debt.thing.part in ("ticket", "article"))
        return found[:1] if limit < len(found) else found


async def test_a_change_made_while_a_batch_is_on_its_way_stays_owed(pair: Pair) -> None:
    stored = await pair.one.kept(a_ticket(text="first"))
    sides = Sides("acme", primary=pair.one.replica(), mirror=_Meanwhile(pair, stored.version))

    await drain(sides)

    changed = {copy.thing: copy.version for copy in await everything_in(pair.one)}
    assert {debt.thing: debt.version for debt in await pair.one.replica().outbox(MIRROR, 10)} == changed
    await drain(sides)
    assert await pair.one.replica().outbox(MIRROR, 10) == []
    assert await everything_in(pair.other) == await everything_in(pair.one)


class _Meanwhile(WrappedReplica):
    """A mirror during whose first apply the primary changes the record."""

    def __init__(self, pair: Pair, version: int) -> None:
        super().__init__(pair.other.replica())
        self._pair = pair
        self._version = version

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        stored = await self._pair.one.find(a_ticket().key)
        if stored is not None and stored.version == self._version:
            await self._pair.one.received(stored, "second")
        return await super().apply(copies, epoch=epoch)


async def test_a_late_drainer_takes_nothing_of_a_record_that_was_made_anew(pair: Pair) -> None:
    stored = await pair.one.kept(a_ticket(text="old"))
    await drain(pair.sides())
    await pair.one.delete(stored)
    late = await draining.copies_of(pair.sides(), [thing_of(stored), Thing("processing", *stored.key)])
    await pair.one.keep(a_ticket(text="new"))
    await pair.one.claim()
    state = await pair.other.replica().state()
    assert state is not None

    await drain(pair.sides())
    await pair.other.replica().apply(late, epoch=state.epoch)

    assert await everything_in(pair.other) == await everything_in(pair.one)


async def test_a_late_drainer_brings_no_deleted_record_back(pair: Pair) -> None:
    stored = await pair.one.kept(a_ticket())
    late = await draining.copies_of(pair.sides(), [thing_of(stored), Thing("processing", *stored.key)])
    await pair.one.delete(stored)
    state = await pair.other.replica().state()
    assert state is not None

    await drain(pair.sides())
    await pair.other.replica().apply(late, epoch=state.epoch)

    assert await everything_in(pair.other) == []


@pytest.mark.parametrize("is_forgetful", [False, True])
async def test_a_mirror_that_remembers_no_deletion_is_found_out(pair: Pair, is_forgetful: bool) -> None:
    stored = await pair.one.kept(a_ticket())
    late = await draining.copies_of(pair.sides(), [thing_of(stored)])
    await drain(pair.sides())
    await pair.one.delete(stored)
    await drain(pair.sides())
    assert isinstance(pair.other.storage, MemoryStorage)
    company, state = pair.other.storage.known(pair.other.company_id), await pair.other.replica().state()
    assert company is not None
    assert state is not None

    if is_forgetful:
        company.deleted.clear()
    await pair.other.replica().apply(late, epoch=state.epoch)

    assert (await everything_in(pair.other) == await everything_in(pair.one)) is not is_forgetful


@pytest.mark.parametrize("goes_onward", [False, True])
async def test_an_outbox_that_is_read_onward_from_the_last_number_is_found_out(pair: Pair, clock: ManualClock, goes_onward: bool) -> None:
    primary = _Onward(pair.one.replica()) if goes_onward else pair.one.replica()
    sides = Sides("acme", primary=primary, mirror=pair.other.replica())
    await pair.one.keep(a_ticket("first"))
    await drain(sides)

    clock.move(timedelta(hours=-1))
    await pair.one.keep(a_ticket("of a clock that went back"))
    await drain(sides)

    assert (await everything_in(pair.other) == await everything_in(pair.one)) is not goes_onward


class _Onward(WrappedReplica):
    """An outbox of which only what has a higher number than all before is given."""

    last = 0

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        found = [debt for debt in await super().outbox(consumer, limit) if debt.version > self.last]
        self.last = max([self.last, *(debt.version for debt in found)])
        return found


async def test_a_mirror_that_is_down_leaves_every_debt(pair: Pair) -> None:
    await pair.one.keep(a_ticket())
    owed = await pair.one.replica().outbox(MIRROR, 10)
    sides = Sides("acme", primary=pair.one.replica(), mirror=_Down(pair.other.replica()))

    with pytest.raises(StorageUnavailable):
        await drain(sides)

    assert await pair.one.replica().outbox(MIRROR, 10) == owed
    assert (await drain(pair.sides())).mirrored == len(owed)


class _Down(WrappedReplica):
    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        raise StorageUnavailable("it is down")


async def test_a_damaged_record_is_named_and_holds_nothing_else_up(pair: Pair) -> None:
    await pair.one.keep(*(a_ticket(str(number)) for number in range(5)))
    sides = Sides("acme", primary=_Damaged(pair.one.replica()), mirror=pair.other.replica())

    drained = await drain(sides)

    assert {one.thing.id for one in drained.refusals} == {"3"}
    assert all("3.json" in one.reason for one in drained.refusals)
    assert [copy.thing.id for copy in await everything_in(pair.other) if copy.thing.part == "ticket"] == ["0", "1", "2", "4"]
    assert {debt.thing.id for debt in await pair.one.replica().outbox(MIRROR, 100)} == {"3"}


class _Damaged(WrappedReplica):
    """A primary in which one file cannot be trusted."""

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        if any(thing.id == "3" and thing.part == "ticket" for thing in things):
            raise CorruptRecord(a_ticket("3").key, "3.json", "it was edited")
        return await super().read(things)


async def test_a_record_that_the_mirror_refuses_is_named_and_holds_nothing_else_up(pair: Pair) -> None:
    await pair.one.keep(*(a_ticket(str(number)) for number in range(9)))
    sides = Sides("acme", primary=pair.one.replica(), mirror=_Choosy(pair.other.replica()))

    drained = await drain(sides)

    refused = [Refusal(thing=Thing(part, *a_ticket("4").key), reason="it is a four") for part in ("processing", "ticket")]
    assert list(drained.refusals) == refused
    assert len(await everything_in(pair.other)) == 2 * 8
    assert {debt.thing.id for debt in await pair.one.replica().outbox(MIRROR, 100)} == {"4"}


class _Choosy(WrappedReplica):
    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        if any(copy.thing.id == "4" for copy in copies):
            raise InvalidRecord("it is a four")
        return await super().apply(copies, epoch=epoch)


async def test_a_mirror_that_is_too_busy_for_many_things_at_once_is_given_fewer(pair: Pair) -> None:
    await pair.one.keep(*(a_ticket(str(number)) for number in range(40)))
    sides = Sides("acme", primary=pair.one.replica(), mirror=_Busy(pair.other.replica(), most=10))

    drained = await drain(sides)

    assert drained.refusals == ()
    assert await everything_in(pair.other) == await everything_in(pair.one)


async def test_a_mirror_that_is_too_busy_for_anything_is_no_refusal(pair: Pair) -> None:
    await pair.one.keep(a_ticket())
    sides = Sides("acme", primary=pair.one.replica(), mirror=_Busy(pair.other.replica(), most=0))

    with pytest.raises(StorageBusy):
        await drain(sides)

    assert len(await pair.one.replica().outbox(MIRROR, 10)) == 2


class _Busy(WrappedReplica):
    """A mirror in which others are faster than whoever brings much."""

    def __init__(self, beneath: Replica, *, most: int) -> None:
        super().__init__(beneath)
        self._most = most

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        if len(copies) > self._most:
            raise StorageBusy("somebody else was faster")
        return await super().apply(copies, epoch=epoch)


async def test_a_mirror_that_does_not_keep_what_it_acknowledges_is_found(pair: Pair) -> None:
    await pair.one.keep(a_ticket())
    sides = Sides("acme", primary=pair.one.replica(), mirror=_Forgetful(pair.other.replica()))

    drained = await drain(sides)

    assert drained.mirrored == 0
    assert len(drained.refusals) == 2
    assert len(await pair.one.replica().outbox(MIRROR, 10)) == 2


class _Forgetful(WrappedReplica):
    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        return len(copies)


async def test_a_mirror_that_holds_something_else_at_the_same_version_is_found(pair: Pair) -> None:
    stored = await pair.one.kept(a_ticket())
    flipped = evolve(stored, payload=stored.payload.replace(b"start", b"stArt"))
    state = await pair.other.replica().state()
    assert state is not None
    await pair.other.replica().apply([Copy(thing_of(stored), stored.version, flipped)], epoch=state.epoch)

    drained = await drain(pair.sides())

    assert [one.thing for one in drained.refusals] == [thing_of(stored)]
    assert "something else" in drained.refusals[0].reason


@pytest.mark.parametrize("after", [False, True])
async def test_a_drainer_killed_at_any_call_leaves_nothing_behind(after: bool, clock: ManualClock) -> None:
    counting = Deaths()
    await drain((await _busy(clock)).sides(counting))

    for at in range(1, counting.calls + 1):
        pair = await _busy(clock)
        with pytest.raises(Killed):
            await drain(pair.sides(Deaths(at, after=after)))
        await drain(pair.sides())

        assert await everything_in(pair.other) == await everything_in(pair.one), at
        assert await pair.one.replica().outbox(MIRROR, 10) == [], at


async def _busy(clock: ManualClock) -> Pair:
    """A pair in which everything there is is owed, deletions among it."""
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.attach()
    stored = await pair.one.kept(a_ticket("gone"))
    await drain(pair.sides())
    await pair.one.fill("text")
    await pair.one.claim(2)
    await pair.one.delete(stored)
    return pair


async def test_eight_writers_and_four_drainers_at_once_miss_nothing(pair: Pair, seed: int) -> None:
    async def write(number: int) -> None:
        random = Random(f"{seed} {number}")
        for turn in range(150):
            with suppress(ClaimLost, TicketNotFound, VersionConflict):  # another writer was faster
                await _anything(pair, random, f"{turn % 20}-{number}")
            await asyncio.sleep(0)

    writers = asyncio.gather(*(write(number) for number in range(8)))
    while not writers.done():
        await asyncio.gather(*(drain(pair.sides()) for _ in range(4)))
    await writers
    await drain(pair.sides())

    assert await everything_in(pair.other) == await everything_in(pair.one)
    assert await pair.one.replica().outbox(MIRROR, 10) == []


async def _anything(pair: Pair, random: Random, name: str) -> None:
    stored = await pair.one.find(a_ticket(name).key)
    if stored is None:
        await pair.one.keep(a_ticket(name, text=f"text {random.random()}"))
    elif random.random() < 0.3:
        await pair.one.delete(stored)
    elif random.random() < 0.5:
        await pair.one.received(stored, f"text {random.random()}")
        await pair.one.summarise(a_summary(stored.key, f"of {random.random()}"))
    else:
        for taken in await pair.one.claim(2):
            async with pair.one.unit() as uow:
                uow.progress.save(taken.completed(now=pair.one.storage.clock()), token=token_of(taken))
                await uow.commit()
        await pair.one.keep_checkpoint(a_checkpoint(f"page {random.random()}"))


async def test_a_large_outbox_is_paid_in_batches(pair: Pair) -> None:
    await pair.one.keep(*(a_ticket(str(number)) for number in range(1_500)))

    drained = await drain(pair.sides())

    assert drained.mirrored == 3_000
    assert await everything_in(pair.other) == await everything_in(pair.one)


async def test_heavy_batches_become_smaller(pair: Pair) -> None:
    weights: list[int] = []

    class Weighed(WrappedReplica):
        async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
            weights.append(draining.size_bytes(copies))
            return await super().apply(copies, epoch=epoch)

    payload = b'{"text": "' + b"x" * 2**20 + b'"}'
    for number in range(80):
        await pair.one.keep(a_ticket(str(number), payload=payload))

    await drain(Sides("acme", primary=pair.one.replica(), mirror=Weighed(pair.other.replica())))

    assert max(weights[2:]) <= 16 * 2**20
    assert await everything_in(pair.other) == await everything_in(pair.one)


async def test_only_the_primary_is_drained_and_only_into_its_mirror(pair: Pair) -> None:
    await pair.one.keep(a_ticket())
    stranger = Pair.of(MemoryStorage(), MemoryStorage(), pair.one.company_id)

    with pytest.raises(CompanyMoved):
        await drain(pair.sides().reversed())
    with pytest.raises(CompanyErased):
        await drain(Sides("acme", primary=pair.one.replica(), mirror=stranger.other.replica()))
    await stranger.attach(MirrorStatus.FILLING)
    with pytest.raises(CompanyMoved):
        await drain(Sides("acme", primary=pair.one.replica(), mirror=stranger.other.replica()))

    assert await everything_in(pair.other) == await everything_in(stranger.other) == []
