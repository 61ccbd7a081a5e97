"""Two sides are compared by all that both hold; what differs is named, and mended; a side that lost its database is healed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from attrs import evolve

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.comparing import Depth, DifferenceKind, compare
from deskstore.domain.draining import drain
from deskstore.domain.errors import CompanyMoved, CorruptRecord
from deskstore.domain.healing import heal, mend
from deskstore.domain.mirror import PARTS, Copy, MirrorStatus, Part, Thing, ThingDigest, Value, copy_of, thing_of
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import flipped, settle
from deskstore.domain.things import after_loss
from deskstore.domain.wrapping import WrappedReplica
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket
from tests.hybrid.pairs import Pair, everything_in

KEY = a_ticket("2").key
NAME = Thing("ticket", *KEY)
Damage = Callable[[Pair], Awaitable[Thing]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def pair(clock: ManualClock) -> Pair:
    made = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await made.attach()
    await made.one.fill("text")
    await made.one.claim()
    await drain(made.sides())
    return made


def _values(desk: Desk) -> dict[Thing, Value]:
    """What a memory storage holds, open to tampering."""
    assert isinstance(desk.storage, MemoryStorage)
    company = desk.storage.known(desk.company_id)
    assert company is not None
    return company.values


async def _flip_a_byte(pair: Pair) -> Thing:
    stored = await pair.other.copied(KEY)
    assert stored is not None
    _values(pair.other)[NAME] = evolve(stored, payload=stored.payload.replace(b"text", b"teXt"))
    return NAME


async def _lose(pair: Pair) -> Thing:
    del _values(pair.other)[NAME]
    return NAME


async def _lose_a_summary(pair: Pair) -> Thing:
    summary = Thing("summary", *KEY, 1)
    del _values(pair.other)[summary]
    return summary


async def _add(pair: Pair) -> Thing:
    _values(pair.other)[Thing("ticket", *a_ticket("4").key)] = evolve(a_ticket("4"), version=7)
    return Thing("ticket", *a_ticket("4").key)


async def _make_stale(pair: Pair) -> Thing:
    stored = await pair.other.copied(KEY)
    assert stored is not None
    _values(pair.other)[NAME] = evolve(stored, version=stored.version - 1)
    return NAME


async def _put_ahead(pair: Pair) -> Thing:
    stored = await pair.other.copied(KEY)
    assert stored is not None
    _values(pair.other)[NAME] = evolve(stored, version=stored.version + 5)
    return NAME


CASES: list[tuple[Damage, DifferenceKind]] = [
    (_flip_a_byte, DifferenceKind.CHANGED),
    (_lose, DifferenceKind.MISSING),
    (_lose_a_summary, DifferenceKind.MISSING),
    (_add, DifferenceKind.EXTRA),
    (_make_stale, DifferenceKind.STALE),
    (_put_ahead, DifferenceKind.AHEAD),
]


@pytest.mark.parametrize("depth", Depth)
async def test_equal_sides_do_not_differ(pair: Pair, depth: Depth) -> None:
    result = await compare(pair.sides(), depth=depth)

    assert result.differences == []
    assert result.counts == dict.fromkeys(PARTS, (0, 0)) | {
        "ticket": (3, 3),
        "article": (3, 3),
        "processing": (3, 3),
        "summary": (4, 4),
        "checkpoint": (1, 1),
        "suppression": (1, 1),
    }


@pytest.mark.parametrize("depth", [Depth.REHASH, Depth.CONTENT])
@pytest.mark.parametrize(("damage", "kind"), CASES, ids=[kind for _, kind in CASES])
async def test_each_single_difference_is_found_and_named(pair: Pair, damage: Damage, kind: DifferenceKind, depth: Depth) -> None:
    thing = await damage(pair)

    result = await compare(pair.sides(), depth=depth)

    assert [(one.thing, one.kind) for one in result.differences] == [(thing, kind)]
    assert result.different == 1


async def test_who_compares_counts_alone_finds_nothing(pair: Pair) -> None:
    await _flip_a_byte(pair)
    await _lose(pair)
    await _add(pair)

    result = await compare(pair.sides())

    assert result.counts["ticket"] == (3, 3)
    assert {one.kind for one in result.differences} == {DifferenceKind.MISSING, DifferenceKind.EXTRA}


@pytest.mark.parametrize("damage", [damage for damage, _ in CASES], ids=[kind for _, kind in CASES])
async def test_what_differs_is_mended_from_the_primary(pair: Pair, damage: Damage) -> None:
    before = [(copy.thing, evolve(copy.value, version=0) if copy.value else None) for copy in await everything_in(pair.one)]
    await damage(pair)
    found = await compare(pair.sides())

    mended = await mend(pair.sides(), found.differences)

    assert mended == 1
    assert (await compare(pair.sides(), depth=Depth.CONTENT)).differences == []
    assert await everything_in(pair.other) == await everything_in(pair.one)
    assert [(copy.thing, evolve(copy.value, version=0) if copy.value else None) for copy in await everything_in(pair.one)] == before


async def test_writers_at_work_are_no_difference(pair: Pair) -> None:
    class Writes(WrappedReplica):
        """A primary that is written while it is enumerated."""

        async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
            async for digest in super().digests(part, after=after, rehash=rehash):
                yield digest
                if part == "ticket" and digest.thing.id in ("1", "2", "3"):
                    await _write(pair, digest.thing.id)

    sides = Sides(pair.one.company_id, primary=Writes(pair.one.replica()), mirror=pair.other.replica())

    result = await compare(sides)

    assert result.differences == []
    await drain(pair.sides())
    assert await everything_in(pair.other) == await everything_in(pair.one)


async def _write(pair: Pair, ticket_id: str) -> None:
    stored = await pair.one.find(a_ticket(ticket_id).key)
    assert stored is not None
    if ticket_id == "1":
        await pair.one.delete(stored)
    else:
        await pair.one.received(stored, f"changed {stored.version}")
        await pair.one.summarise(a_summary(stored.key))
    await pair.one.keep(a_ticket(f"new {ticket_id}"))


async def test_what_cannot_be_trusted_is_named_and_the_rest_is_compared(pair: Pair) -> None:
    class Damaged(WrappedReplica):
        async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
            async for digest in super().digests(part, after=after, rehash=rehash):
                if digest.thing == NAME:
                    raise CorruptRecord(KEY, "2.json", "it was edited")
                yield digest

    thing = await _put_ahead(pair)
    _values(pair.other)[Thing("ticket", *a_ticket("3").key)] = evolve(a_ticket("3"), version=1)
    sides = Sides(pair.one.company_id, primary=Damaged(pair.one.replica()), mirror=pair.other.replica())

    result = await compare(sides)

    assert {(one.thing.id, one.kind) for one in result.differences} >= {("2", DifferenceKind.DAMAGED), ("3", DifferenceKind.STALE)}
    assert thing == NAME


# -- a lost database -----------------------------------------------------------------------------------------------------------------------


async def _lose_database(desk: Desk, *things: Thing) -> None:
    """Let one side forget what it owed and what it knows of deletions, and these things, as a file storage does that is rebuilt."""
    replica = desk.replica()
    state = await replica.state()
    assert state is not None
    lost = after_loss(state, await replica.store_id())
    for thing in things:
        _values(desk).pop(thing, None)
    for consumerless in (evolve(lost, mirror=None, epoch=lost.epoch), lost):
        company = desk.storage.known(desk.company_id) if isinstance(desk.storage, MemoryStorage) else None
        assert company is not None
        company.become(consumerless)


async def test_a_primary_that_lost_its_database_asks_its_mirror_before_it_takes_writes(pair: Pair) -> None:
    kept = await pair.one.kept(a_ticket("mirrored"))
    gone = await pair.one.find(a_ticket("1").key)
    assert gone is not None
    await pair.one.delete(gone)
    await drain(pair.sides())
    unmirrored = await pair.one.kept(a_ticket("not mirrored"))
    await _lose_database(pair.one, thing_of(kept), Thing("processing", *kept.key))
    _values(pair.one)[thing_of(gone)] = gone  # its file was still there

    with pytest.raises(CompanyMoved, match="lost its database"):
        await pair.one.keep(a_ticket("late"))
    healed = await heal(pair.sides())
    await pair.one.keep(a_ticket("after"))

    assert healed.pulled >= 2
    assert await pair.one.find(kept.key) == kept
    assert await pair.one.find(gone.key) is None
    assert await pair.other.copied(unmirrored.key) == unmirrored
    await drain(pair.sides())
    assert await everything_in(pair.other) == await everything_in(pair.one)
    state = await pair.one.replica().state()
    assert state is not None
    assert state.mirror_status is MirrorStatus.FILLING


async def test_a_mirror_that_lost_its_database_is_not_verified_any_more(pair: Pair) -> None:
    stored = await pair.one.kept(a_ticket("mirrored"))
    await drain(pair.sides())
    await _lose_database(pair.other, thing_of(stored))

    state = await settle(pair.sides())

    assert state is not None
    assert (state.mirror_status, state.swapping_to) == (MirrorStatus.FILLING, None)
    await heal(pair.sides())
    assert await pair.other.copied(stored.key) == stored


async def test_an_old_primary_that_lost_its_database_behind_the_commit_point_of_a_swap_does_not_come_back(pair: Pair) -> None:
    state = await pair.one.replica().state()
    assert state is not None
    fenced = evolve(state, swapping_to=await pair.other.replica().store_id(), epoch=state.epoch + 1)
    assert await pair.one.replica().compare_and_set_state(state, fenced)
    assert await pair.other.replica().compare_and_set_state(await pair.other.replica().state(), flipped(fenced))
    kept = await pair.other.kept(a_ticket("after the swap"))
    await _lose_database(pair.one, NAME)

    settled = await settle(pair.sides())

    assert settled is not None
    assert settled.primary == await pair.other.replica().store_id()
    assert settled.mirror_status is MirrorStatus.FILLING
    await heal(pair.sides().reversed())
    assert await pair.one.copied(kept.key) == kept
    assert await pair.one.copied(KEY) == await pair.other.copied(KEY) is not None


async def test_a_deletion_that_the_mirror_alone_remembers_counts(pair: Pair) -> None:
    stored = await pair.one.find(KEY)
    assert stored is not None
    await pair.one.delete(stored)
    await drain(pair.sides())
    await _lose_database(pair.one)
    _values(pair.one)[NAME] = stored
    assert [copy.thing for copy in await everything_in(pair.one) if copy.thing == NAME]

    await heal(pair.sides())

    assert await pair.one.find(KEY) is None
    assert copy_of(stored) != Copy(NAME, stored.version, None)
