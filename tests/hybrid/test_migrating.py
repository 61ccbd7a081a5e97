"""A company moves from one storage to another while it is written, and back; whatever is interrupted goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve

from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.comparing import Depth, DifferenceKind
from deskstore.domain.draining import drain
from deskstore.domain.errors import CompanyMoved, InvalidRecord, MigrationError, StorageBusy, StorageUnavailable
from deskstore.domain.filling import Batch
from deskstore.domain.marks import mark_in
from deskstore.domain.mirror import Copy, MirrorStatus, Thing
from deskstore.domain.ports import Replica, Storage
from deskstore.domain.wrapping import WrappedReplica, WrappedStorage
from deskstore.services.migrating import (
    Pace,
    cut_over,
    finish_migration,
    migration_status,
    plan_migration,
    repair_migration,
    roll_back,
    start_migration,
    verify_migration,
)
from deskstore.services.migrating.audit import AuditFile
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket
from tests.hybrid.pairs import Killed, Pair, everything_in
from tests.hybrid.switches import Switch


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "file"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Pair]:
    """A company in a source, and a target that does not know it."""
    is_memory = request.param == "memory"
    source: Storage = MemoryStorage(clock) if is_memory else FileStorage(tmp_path / "source", clock=clock)
    target: Storage = MemoryStorage(clock) if is_memory else FileStorage(tmp_path / "target", clock=clock)
    made = Pair.of(source, target)
    await made.one.fill("text")
    await made.one.claim()
    yield made
    await asyncio.gather(source.aclose(), target.aclose())


def _between(pair: Pair) -> tuple[Storage, Storage, str]:
    return pair.one.storage, pair.other.storage, pair.one.company_id


async def _verified(pair: Pair) -> None:
    await start_migration(*_between(pair))
    assert (await verify_migration(*_between(pair))).is_verified


async def test_a_company_moves_there_and_back_and_is_the_same(pair: Pair) -> None:
    before = await everything_in(pair.one)

    started = await start_migration(*_between(pair))
    verified = await verify_migration(*_between(pair), depth=Depth.CONTENT)
    there = await cut_over(*_between(pair))
    away = await everything_in(pair.other)
    back = await roll_back(*_between(pair))
    finished = await finish_migration(*_between(pair), delete=True)

    assert (started.is_complete, started.kept, verified.is_verified) == (True, len(before), True)
    assert (there.lives_in, back.lives_in, finished.lives_in) == ("target", "source", "source")
    assert away == await everything_in(pair.one) == before
    assert await pair.other.storage.companies() == []
    assert (await migration_status(*_between(pair))).mirror is MirrorStatus.NONE
    await pair.one.keep(a_ticket("after"))


async def test_a_rehearsal_under_load_ends_where_it_was_meant_to(pair: Pair) -> None:
    hybrid = Desk(HybridStorage(pair.one.storage, pair.other.storage), pair.one.company_id)
    kept: set[str] = set()
    is_over = asyncio.Event()

    async def write(number: int) -> None:
        turn = 0
        while not is_over.is_set():
            turn += 1
            await hybrid.keep(a_ticket(f"{number}-{turn}"))
            kept.add(f"{number}-{turn}")
            await asyncio.sleep(0.005)

    writers = [asyncio.ensure_future(write(number)) for number in range(4)]
    await start_migration(*_between(pair))
    assert (await verify_migration(*_between(pair))).is_verified
    await cut_over(*_between(pair))
    await asyncio.sleep(0.1)
    await roll_back(*_between(pair))  # a problem was found
    await asyncio.sleep(0.1)
    await cut_over(*_between(pair))
    is_over.set()
    await asyncio.gather(*writers)
    await hybrid.storage.drained(hybrid.company_id) if isinstance(hybrid.storage, HybridStorage) else None
    again = await verify_migration(*_between(pair), depth=Depth.CONTENT)
    await finish_migration(*_between(pair))

    found = {one.ticket_id for one in (await pair.other.everything()).tickets}
    assert again.is_verified
    assert kept <= found
    with pytest.raises(CompanyMoved):
        await pair.one.keep(a_ticket("late"))


async def test_a_start_that_is_killed_at_any_batch_goes_on_behind_it(pair: Pair) -> None:
    for at in (1, 2, 3, 4, 5, 6):
        batches: list[Batch] = []

        async def pace(batch: Batch, at: int = at, batches: list[Batch] = batches) -> None:
            batches.append(batch)
            if len(batches) == at:
                raise Killed

        try:
            report = await start_migration(*_between(pair), pace=pace)
        except Killed:
            assert batches[-1].kept == batches[-1].things
        else:
            assert report.was_resumed
            assert sum(batch.things for batch in batches) < 14

    assert (await verify_migration(*_between(pair), depth=Depth.CONTENT)).is_verified
    assert await everything_in(pair.other) == await everything_in(pair.one)


async def test_a_start_never_goes_on_behind_a_batch_that_did_not_arrive(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(*(a_ticket(f"{number:05}") for number in range(2_500)))
    arrived: list[Batch] = []

    for stuck_at in ("00300", "01500"):
        with pytest.raises(Killed):
            await start_migration(pair.one.storage, _Wrapped(pair.other.storage, partial(_Stuck, at=stuck_at)), pair.one.company_id)
    await start_migration(*_between(pair), progress=arrived.append)

    assert sum(batch.things for batch in arrived) < 2 * 2_500
    assert (await verify_migration(*_between(pair), depth=Depth.CONTENT)).is_verified


class _Stuck(WrappedReplica):
    """A mirror whose process dies over a batch, once all that followed it has arrived."""

    def __init__(self, beneath: Replica, *, at: str) -> None:
        super().__init__(beneath)
        self._at = at

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        if any(copy.thing.id == self._at for copy in copies):
            for _ in range(5_000):
                await asyncio.sleep(0)
            raise Killed
        return await super().apply(copies, epoch=epoch)


async def test_writers_during_a_start_are_neither_undone_nor_repeated(pair: Pair) -> None:
    gone = await pair.one.find(a_ticket("1").key)
    changed = await pair.one.find(a_ticket("3").key)
    assert gone is not None
    assert changed is not None

    async def pace(batch: Batch) -> None:
        if batch.part == "ticket":
            await pair.one.delete(gone)
            await pair.one.received(changed, "changed meanwhile")
            await pair.one.summarise(a_summary(changed.key))
            await pair.one.keep(a_ticket("0"), a_ticket("9"))

    await start_migration(*_between(pair), pace=pace)

    assert (await verify_migration(*_between(pair), depth=Depth.CONTENT)).is_verified
    assert await everything_in(pair.other) == await everything_in(pair.one)
    assert await pair.other.copied(gone.key) is None


@pytest.mark.parametrize("is_blind", [False, True])
async def test_a_backfill_that_upserts_blindly_is_found_out(clock: ManualClock, is_blind: bool) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(a_ticket("1"), a_ticket("2"))
    stored = await pair.one.find(a_ticket("1").key)
    assert stored is not None

    async def overtake(copies: Collection[Copy]) -> None:
        """Another process copies a newer version while a batch with the old one is on its way."""
        if any(copy.value == stored for copy in copies):
            await pair.one.received(stored, "changed meanwhile")
            await drain(pair.sides())

    target = _Wrapped(pair.other.storage, lambda replica: _Overtaken(replica, overtake, is_blind=is_blind))
    await start_migration(pair.one.storage, target, pair.one.company_id)
    report = await verify_migration(*_between(pair))

    stale = {(part, "1", DifferenceKind.STALE) for part in ("ticket", "processing")}
    assert {(one.thing.part, one.thing.id, one.kind) for one in report.differences} == (stale if is_blind else set())


class _Wrapped(WrappedStorage):
    """Another storage with replicas of another kind."""

    def __init__(self, beneath: Storage, kind: Callable[[Replica], Replica]) -> None:
        super().__init__(beneath)
        self._kind = kind

    def replica(self, company_id: str) -> Replica:
        return self._kind(super().replica(company_id))


class _Overtaken(WrappedReplica):
    """A mirror that something newer comes to first; a blind one keeps whatever comes last."""

    def __init__(self, beneath: Replica, overtake: Callable[[Collection[Copy]], Awaitable[None]], *, is_blind: bool) -> None:
        super().__init__(beneath)
        self._overtake = overtake
        self._is_blind = is_blind

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        await self._overtake(copies)
        kept = await super().apply(copies, epoch=epoch)
        values = vars(self.beneath)["_storage"].known(vars(self.beneath)["_company_id"]).values
        if self._is_blind:
            values.update({copy.thing: copy.value for copy in copies if copy.value is not None})
        return kept


async def test_a_record_that_fails_is_named_and_keeps_the_company_from_being_verified(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(*(a_ticket(str(number)) for number in range(9)))
    choosy = _Wrapped(pair.other.storage, _Choosy)
    between = (pair.one.storage, choosy, pair.one.company_id)

    started = await start_migration(*between)
    verified = await verify_migration(*between)
    with pytest.raises(MigrationError, match="not verified"):
        await cut_over(*between)
    accepted = await verify_migration(*between, accept=[Thing("ticket", *a_ticket("4").key)])

    assert not started.is_complete
    assert {(one.thing.part, one.thing.id, one.reason) for one in started.rejects} == {("ticket", "4", "it is a four")}
    assert not verified.is_verified
    assert {(one.thing.part, one.thing.id, one.kind) for one in verified.differences} == {
        ("ticket", "4", DifferenceKind.MISSING),
        ("processing", "4", DifferenceKind.MISSING),
    }
    assert (accepted.is_verified, accepted.accepted) == (True, 2)


@pytest.mark.parametrize("killed_at", [None, 2])
async def test_what_was_left_out_is_tried_and_told_again_until_it_is_copied(clock: ManualClock, killed_at: int | None) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(*(a_ticket(str(number)) for number in range(300)))
    between = (pair.one.storage, _Wrapped(pair.other.storage, _Choosy), pair.one.company_id)
    with suppress(Killed):
        await start_migration(*between, pace=_killing_at(killed_at))

    again, once_more = [await start_migration(*between) for _ in range(2)]
    mended = await start_migration(*_between(pair))
    after = await start_migration(*between)

    assert [[(one.thing.id, one.reason) for one in report.rejects] for report in (again, once_more)] == [[("4", "it is a four")]] * 2
    assert (mended.is_complete, mended.kept, after.is_complete, after.things) == (True, 2, True, 0)
    assert (await verify_migration(*_between(pair))).is_verified


async def test_what_was_accepted_is_not_told_again(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(*(a_ticket(str(number)) for number in range(9)))
    between = (pair.one.storage, _Wrapped(pair.other.storage, _Choosy), pair.one.company_id)
    assert not (await start_migration(*between)).is_complete
    assert (await verify_migration(*between, accept=[Thing("ticket", *a_ticket("4").key)])).is_verified

    again = await start_migration(*between)

    assert again.is_complete


async def test_what_cannot_be_copied_of_what_is_owed_is_told_of_by_a_start(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(a_ticket("1"))
    between = (pair.one.storage, _Wrapped(pair.other.storage, _Choosy), pair.one.company_id)
    assert (await start_migration(*between)).is_complete
    await pair.one.keep(a_ticket("4"))

    again = await start_migration(*between)

    assert ("ticket", "4", "it is a four") in {(one.thing.part, one.thing.id, one.reason) for one in again.rejects}


@pytest.mark.parametrize("left_out", [[Thing("ticket", "", "", "a file of no name")], [Thing("ticket", "ticket", "zendesk", "1")] * 1_000])
async def test_what_was_left_out_and_is_not_all_known_by_name_is_found_by_beginning_anew(clock: ManualClock, left_out: list[Thing]) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(*(a_ticket(str(number)) for number in range(9)))
    first = await start_migration(*_between(pair))
    found = await mark_in(pair.other.replica())
    kept = evolve(found, left_out=left_out, version=found.version + 1)
    await pair.other.replica().apply([kept.copy()], epoch=None)

    again = await start_migration(*_between(pair))
    after = await start_migration(*_between(pair))

    assert [*(await mark_in(pair.other.replica())).left_out] == []
    assert (again.things, again.kept) == (first.things, 0)
    assert after.things == 0


def _killing_at(number: int | None) -> Callable[[Batch], Awaitable[None]]:
    """Ends the process at a batch."""
    batches: list[Batch] = []

    async def pace(batch: Batch) -> None:
        batches.append(batch)
        if len(batches) == number:
            raise Killed

    return pace


class _Choosy(WrappedReplica):
    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        if any(copy.thing.id == "4" and copy.thing.part == "ticket" for copy in copies):
            raise InvalidRecord("it is a four")
        return await super().apply(copies, epoch=epoch)


async def test_a_mirror_that_is_too_busy_for_large_batches_is_filled_all_the_same(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(*(a_ticket(str(number)) for number in range(300)))

    started = await start_migration(pair.one.storage, _Wrapped(pair.other.storage, _Busy), pair.one.company_id)

    assert started.is_complete
    assert (await verify_migration(*_between(pair), depth=Depth.CONTENT)).is_verified


class _Busy(WrappedReplica):
    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        if len(copies) > 30:
            raise StorageBusy("somebody else was faster")
        return await super().apply(copies, epoch=epoch)


async def test_a_target_that_holds_the_company_is_refused_unless_it_is_to_be_replaced(pair: Pair) -> None:
    await pair.other.keep(a_ticket("theirs"))

    with pytest.raises(MigrationError, match="replace-target"):
        await start_migration(*_between(pair))
    assert await pair.other.copied(a_ticket("theirs").key) is not None
    await start_migration(*_between(pair), replace_target=True)

    assert (await verify_migration(*_between(pair))).is_verified
    assert await pair.other.copied(a_ticket("theirs").key) is None


async def test_a_backup_comes_first(pair: Pair) -> None:
    taken: list[str] = []

    async def backup(company_id: str) -> None:
        state = await pair.one.replica().state()
        assert state is not None
        assert state.mirror is None
        taken.append(company_id)

    await start_migration(*_between(pair), backup=backup)
    await start_migration(*_between(pair), backup=backup)

    assert taken == [pair.one.company_id]


async def test_a_company_that_nobody_knows_is_not_moved(pair: Pair) -> None:
    nobody = a_new_company()

    for step in (start_migration, verify_migration, cut_over, roll_back, finish_migration, repair_migration):
        with pytest.raises(MigrationError):
            await step(pair.one.storage, pair.other.storage, nobody)

    assert (await migration_status(pair.one.storage, pair.other.storage, nobody)).lives_in == "neither"
    assert nobody not in [*await pair.one.storage.companies(), *await pair.other.storage.companies()]


async def test_each_step_called_again_does_nothing_again(pair: Pair) -> None:
    await _verified(pair)
    before = await everything_in(pair.other)

    again = await start_migration(*_between(pair))
    for step, place in ((cut_over, "target"), (roll_back, "source")):
        assert not (await step(*_between(pair))).was_there
        repeated = await step(*_between(pair))
        assert (repeated.was_there, repeated.lives_in) == (True, place)

    assert (again.was_resumed, again.things) == (True, 0)
    assert await everything_in(pair.other) == before


async def test_what_differs_is_repaired_and_can_be_verified_then(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.fill("text")
    await _verified(pair)
    stored = await pair.other.copied(a_ticket("2").key)
    assert stored is not None
    assert isinstance(pair.other.storage, MemoryStorage)
    company = pair.other.storage.known(pair.other.company_id)
    assert company is not None
    company.values[Thing("ticket", *stored.key)] = evolve(stored, payload=b"{}")

    found = await verify_migration(*_between(pair))
    status = await migration_status(*_between(pair))
    repaired = await repair_migration(*_between(pair))

    assert [(one.thing.id, one.kind) for one in found.differences] == [("2", DifferenceKind.CHANGED)]
    assert status.mirror is MirrorStatus.FILLING
    assert (repaired.mended, repaired.left) == (1, 0)
    assert (await verify_migration(*_between(pair), depth=Depth.CONTENT)).is_verified


async def test_a_repair_of_what_the_mirror_refuses_comes_to_an_end_and_names_it(clock: ManualClock) -> None:
    pair = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await pair.one.keep(*(a_ticket(str(number)) for number in range(6)))
    between = (pair.one.storage, _Wrapped(pair.other.storage, _Choosy), pair.one.company_id)
    await start_migration(*between)

    repaired = await repair_migration(*between)

    assert repaired.left == 2
    assert {(one.thing.id, one.kind) for one in repaired.differences} == {("4", DifferenceKind.MISSING)}


async def test_a_plan_tells_what_would_move_and_what_is_in_its_way(pair: Pair) -> None:
    plan = await plan_migration(*_between(pair))
    await pair.other.keep(a_ticket("theirs"))
    hindered = await plan_migration(*_between(pair))

    assert plan.things == {"ticket": 3, "article": 3, "processing": 3, "summary": 4, "checkpoint": 1, "suppression": 1}
    assert plan.size_bytes > 0
    assert plan.obstacles == ()
    assert len(hindered.obstacles) == 1


async def test_a_mirror_that_is_lost_can_be_parted_from_without_asking_it(clock: ManualClock) -> None:
    far = Switch(MemoryStorage(clock))
    pair = Pair.of(MemoryStorage(clock), far)
    await pair.one.fill("text")
    await _verified(pair)
    far.is_off = True

    with pytest.raises(StorageUnavailable):
        await finish_migration(*_between(pair))
    report = await finish_migration(*_between(pair), without_mirror=True)

    state = await pair.one.replica().state()
    assert report.lives_in == "source"
    assert state is not None
    assert state.mirror is None
    await pair.one.keep(a_ticket("after"))


@pytest.mark.parametrize("has_moved", [False, True])
async def test_the_status_of_a_company_is_told_though_its_mirror_is_down(clock: ManualClock, has_moved: bool) -> None:
    near, far = Switch(MemoryStorage(clock)), Switch(MemoryStorage(clock))
    pair = Pair.of(near, far)
    await pair.one.keep(a_ticket())
    await _verified(pair)
    if has_moved:
        await cut_over(*_between(pair))
    primary, mirror = (pair.other, near) if has_moved else (pair.one, far)
    mirror.is_off = True
    await primary.keep(a_ticket("owed"))

    status = await migration_status(*_between(pair))
    near.is_off = far.is_off = True
    with pytest.raises(StorageUnavailable):
        await migration_status(*_between(pair))

    assert status.lives_in == ("target" if has_moved else "source")
    assert (status.mirror, status.debts, status.is_other_side_down) == (MirrorStatus.VERIFIED, 2, True)


async def test_every_step_leaves_a_line(pair: Pair, tmp_path: Path) -> None:
    note = AuditFile(tmp_path / "migrations.ndjson")

    await start_migration(*_between(pair), note=note)
    await verify_migration(*_between(pair), note=note)
    await cut_over(*_between(pair), note=note)
    await roll_back(*_between(pair), note=note)
    await finish_migration(*_between(pair), note=note)

    lines = [json.loads(line) for line in (tmp_path / "migrations.ndjson").read_bytes().splitlines()]
    assert [line["step"] for line in lines] == ["start", "verify", "cutover", "rollback", "finish"]
    assert {line["company_id"] for line in lines} == {pair.one.company_id}


async def test_a_start_can_be_slowed_down_and_paused(pair: Pair) -> None:
    asked: list[bool] = []

    def is_paused() -> bool:
        asked.append(len(asked) == 0)
        return asked[-1]

    report = await start_migration(*_between(pair), pace=Pace(most_per_s=200, is_paused=is_paused))

    assert report.seconds >= 0.2
    assert report.is_complete
    assert len(asked) > 1
