"""A backup restored into a company that has a mirror: both sides come to hold what it brought back, whether the mirror was there or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import BackupError, CompanyErased, CompanyMoved, StorageBusy, StorageUnavailable
from deskstore.domain.mirror import MIRROR, Copy, Thing
from deskstore.domain.ports import Replica, Storage
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import settle, swap
from deskstore.domain.wrapping import WrappedReplica, WrappedStorage
from deskstore.services.backup import RestoreMode, create_backup, restore_backup, undo_restore
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket
from tests.hybrid.pairs import Killed, everything_in
from tests.hybrid.switches import Switch

OURS = "acme"
SOON_S = 10.0


class Two:
    """A company in a near storage and a far one, with a backup of what it held before it went on."""

    def __init__(self, near: Storage, far: Storage, folder: Path) -> None:
        self.far_switch = Switch(far)
        self.near, self.far = Desk(near, OURS), Desk(self.far_switch, OURS)
        self.storage = HybridStorage(near, self.far_switch, patience_s=0.05)
        self.hybrid = Desk(self.storage, OURS)
        self.folder = folder

    async def backed_up(self) -> list[Copy]:
        """Fill the company and back it up; gives what the backup holds."""
        await self.hybrid.fill("안녕")
        await self.hybrid.keep(a_ticket("9"))
        await self.hybrid.summarise(a_summary(a_ticket("9").key))
        await self.hybrid.claim()
        await create_backup(self.storage, OURS, self.folder / "b.tar")
        return await everything_in(self.near)

    async def restore(self, mode: RestoreMode, into: Desk | None = None, *, keep: str = "before.tar") -> None:
        desk = into or self.hybrid
        await restore_backup(desk.storage, desk.company_id, self.folder / "b.tar", mode=mode, of=OURS, keep=self.folder / keep)

    async def sides(self) -> tuple[list[Copy], list[Copy]]:
        """What both hold once the mirror was given what it is owed."""
        await self.storage.drained(OURS)
        assert await self.near.replica().outbox(MIRROR, 1) == []
        return await everything_in(self.near), await everything_in(self.far)


@pytest.fixture(params=["memory", "file"])
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Two]:
    clock = ManualClock()
    near = (
        FileStorage(tmp_path / "data", clock=clock, reads_copies=True)
        if request.param == "file"
        else MemoryStorage(clock, reads_copies=True)
    )
    made = Two(near, MemoryStorage(clock, reads_copies=True), tmp_path)
    yield made
    made.far_switch.is_off = False
    await made.storage.aclose()


@pytest.mark.parametrize("is_behind", [False, True])
async def test_what_takes_a_companys_place_is_on_both_sides_and_nothing_late_comes_back(two: Two, is_behind: bool) -> None:
    before = await two.backed_up()
    await two.sides()
    late, state = await everything_in(two.far), await two.far.replica().state()
    two.far_switch.is_deaf = is_behind
    await two.hybrid.keep(a_ticket("since"))
    assert state is not None

    await two.restore("replace")
    two.far_switch.is_deaf = False
    with pytest.raises((CompanyErased, CompanyMoved)):
        await two.far.replica().apply(late, epoch=state.epoch)

    assert await two.sides() == (before, before)


async def test_a_company_whose_mirror_is_down_is_not_replaced_and_stays_as_it_is(two: Two) -> None:
    before = await two.backed_up()
    await two.hybrid.keep(a_ticket("since"))
    await two.sides()
    stood, state = await everything_in(two.near), await two.near.replica().state()
    two.far_switch.is_off = True

    with pytest.raises(StorageUnavailable):
        await two.restore("replace")
    now = await everything_in(two.near), await two.near.replica().state()
    two.far_switch.is_off = False
    after = await two.sides()
    await two.restore("replace", keep="again.tar")

    assert now == (stood, state)
    assert after == (stood, stood)
    assert await two.sides() == (before, before)


@pytest.mark.parametrize("mirror", ["there", "down", "behind"])
async def test_what_a_company_takes_in_reaches_its_mirror_and_is_newer_than_its_deletion(two: Two, mirror: str) -> None:
    before = await two.backed_up()
    two.far_switch.is_off, two.far_switch.is_deaf = mirror == "down", mirror == "behind"
    ticket = await two.hybrid.find(a_ticket("9").key)
    assert ticket is not None
    await two.hybrid.delete(ticket)
    await two.hybrid.keep(a_ticket("since"))

    await two.restore("merge")
    await two.restore("merge")
    two.far_switch.is_off = two.far_switch.is_deaf = False
    near, far = await two.sides()

    came_back = {copy.thing: copy.version for copy in near if copy.thing.id == "9"}
    assert near == far
    assert {copy.thing for copy in near if copy.thing.id != "since"} == {copy.thing for copy in before}
    assert len(came_back) == 3
    assert all(came_back[copy.thing] >= copy.version for copy in before if copy.thing.id == "9")
    assert came_back[Thing("ticket", *ticket.key)] > ticket.version


async def test_a_company_is_not_replaced_through_one_of_its_sides(two: Two) -> None:
    await two.backed_up()
    stood = await two.sides()

    with pytest.raises(BackupError, match=r"has a mirror.*STORAGE_TYPE=hybrid.*migrate finish.*nothing was written"):
        await two.restore("replace", two.near)

    assert await two.sides() == stood
    assert not (two.folder / "before.tar").exists()


async def test_a_restore_is_ended_by_nobody_who_waits_for_it(two: Two) -> None:
    before = await two.backed_up()
    slow = HybridStorage(_Slow(two.near.storage), two.far.storage, patience_s=0.05)
    copy = Desk(slow, "copy")

    restoring = asyncio.create_task(two.restore("empty", copy))
    await _held_up(Desk(two.near.storage, "copy"))
    with pytest.raises(CompanyMoved, match="is being restored"):
        await Desk(two.storage, "copy").keep(a_ticket("1"))
    sides = Sides("copy", primary=two.near.storage.replica("copy"), mirror=two.far.storage.replica("copy"))
    held_up = await settle(sides)
    with pytest.raises(StorageBusy, match="being restored"):
        await swap(sides)
    await restoring
    await slow.drained("copy")
    await slow.stop_draining()

    assert held_up is not None
    assert held_up.is_restored
    assert await everything_in(Desk(two.near.storage, "copy")) == await everything_in(Desk(two.far.storage, "copy")) == before


@pytest.mark.parametrize("is_undone", [False, True])
async def test_an_interrupted_restore_of_two_sides_goes_on_or_is_undone(two: Two, is_undone: bool) -> None:
    before = await two.backed_up()
    dying = HybridStorage(_Dying(two.near.storage), two.far.storage, patience_s=0.05)
    copy, again = Desk(dying, "copy"), Desk(two.storage, "copy")
    with pytest.raises(Killed):
        await two.restore("empty", copy)
    with pytest.raises(CompanyMoved, match="is being restored"):
        await again.keep(a_ticket("1"))

    if is_undone:
        await undo_restore(two.storage, "copy")
    await two.restore("empty", again)
    await two.storage.drained("copy")

    assert await everything_in(Desk(two.near.storage, "copy")) == await everything_in(Desk(two.far.storage, "copy")) == before


async def _held_up(desk: Desk) -> None:
    for _ in range(round(SOON_S / 0.01)):
        if (state := await desk.replica().state()) is not None and state.is_restored:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the restore never began")


class _Slow(WrappedStorage):
    """A storage that takes its time over what is restored."""

    def replica(self, company_id: str) -> Replica:
        return _SlowReplica(super().replica(company_id))


class _SlowReplica(WrappedReplica):
    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        if copies:
            await asyncio.sleep(0.5)
        return await super().apply(copies, epoch=epoch)


class _Dying(WrappedStorage):
    """A storage whose process ends once it was given something."""

    def replica(self, company_id: str) -> Replica:
        return _DyingReplica(super().replica(company_id))


class _DyingReplica(WrappedReplica):
    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        kept = await super().apply(copies, epoch=epoch)
        if copies:
            raise Killed
        return kept
