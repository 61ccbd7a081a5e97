"""The doctor is told how every company stands between two sides, and what to do; what one side lost it fetches from the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve, frozen

from deskstore.adapters.file import FileStorage
from deskstore.adapters.file.layout import EDITED
from deskstore.adapters.file.names import encode
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import ConfigurationError, CorruptRecord
from deskstore.domain.findings import Check, Remedy
from deskstore.domain.mirror import MirrorStatus
from deskstore.domain.records import Ticket
from deskstore.domain.swapping import Step, swap
from deskstore.services.doctoring import accept_edits, repair_company
from deskstore.services.migrating import cut_over, finish_migration
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_summary, a_ticket
from tests.hybrid.pairs import Killed, everything_in
from tests.hybrid.switches import Switch


class Side(Switch):
    """A tree of files that can be switched off."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        self.files = FileStorage(path, clock=clock)
        super().__init__(self.files)
        self.inspection = self.files.inspection


@frozen(kw_only=True)
class Two:
    """A company in two trees of files."""

    hybrid: HybridStorage
    near: Side
    far: Side
    desk: Desk

    async def standing(self) -> Check:
        """What is told of the company."""
        (found,) = [check for check in await self.hybrid.inspection().checks() if check.name == f"sides of {self.desk.company_id}"]
        return found

    def file_of(self, side: Side, ticket: Ticket) -> Path:
        """Where a side keeps a ticket."""
        return side.files.path / encode(self.desk.company_id) / ticket.platform / "tickets" / f"{ticket.ticket_id}.json"

    async def opened_again(self) -> Two:
        """The same after a clean end of the process: no journal holds what the files do."""
        await self.hybrid.aclose()
        return _opened(self.near.files.path.parent, self.desk.company_id)

    async def is_equal(self) -> bool:
        """Whether both sides hold the same."""
        await self.hybrid.drained(self.desk.company_id)
        near, far = [await everything_in(Desk(side, self.desk.company_id)) for side in (self.near, self.far)]
        return near == far


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    made = _opened(tmp_path, a_new_company())
    await made.desk.fill("text")
    await made.hybrid.drained(made.desk.company_id)
    yield made
    made.near.is_off = made.far.is_off = False
    await made.hybrid.aclose()


def _opened(folder: Path, company_id: str) -> Two:
    near, far = (Side(folder / name, ManualClock()) for name in ("near", "far"))
    hybrid = HybridStorage(near, far, patience_s=0.3, names=("files", "database"))
    return Two(hybrid=hybrid, near=near, far=far, desk=Desk(hybrid, company_id))


async def test_both_places_are_told_of_each_by_its_name(two: Two) -> None:
    checks = await two.hybrid.inspection().checks()

    assert {"files: directory", "files: writable", "database: directory", "database: writable"} <= {check.name for check in checks}
    assert all(check.is_fine for check in checks), checks
    assert await two.hybrid.inspection().companies() == [two.desk.company_id]
    assert [finding async for finding in two.hybrid.inspection().findings(two.desk.company_id) if finding.is_fault] == []


async def test_a_company_is_told_with_its_place_its_mirror_and_its_next_step(two: Two) -> None:
    verified = await two.standing()
    await _be_filling(two)
    filling = await two.standing()
    await finish_migration(two.near, two.far, two.desk.company_id)
    alone = await two.standing()

    assert verified.is_fine
    for word in ("lives in the files", "epoch 1", "mirror in the database is verified", "0 things behind", "migrate cutover"):
        assert word in verified.detail
    assert "filling" in filling.detail
    assert "migrate start" in filling.detail
    assert "alone" in alone.detail
    assert "migrate start" in alone.detail


async def _be_filling(two: Two) -> None:
    replica = two.near.replica(two.desk.company_id)
    state = await replica.state()
    assert state is not None
    assert await replica.compare_and_set_state(state, evolve(state, mirror_status=MirrorStatus.FILLING, epoch=state.epoch + 1))


async def test_a_mirror_that_is_down_is_named_with_what_it_is_behind(two: Two) -> None:
    two.far.is_off = True
    await two.desk.keep(a_ticket("9"))

    told = await two.standing()

    assert not told.is_fine
    for word in ("lives in the files", "2 things behind", "does not answer", "writes go on"):
        assert word in told.detail


async def test_a_swap_that_was_left_behind_is_named(two: Two) -> None:
    async def reached(step: Step) -> None:
        if step == "flip":
            raise Killed

    await two.hybrid.stop_draining()
    found = await two.hybrid.company(two.desk.company_id).locate()
    assert found.primary is not None
    with pytest.raises(Killed):
        await swap(two.hybrid.company(two.desk.company_id).sides(found.primary), reached=reached)

    told = await two.standing()

    assert not told.is_fine
    assert "takes no writes" in told.detail
    assert "migrate repair" in told.detail


@pytest.mark.parametrize("lives_far", [False, True])
@pytest.mark.parametrize("is_near", [False, True])
async def test_a_damaged_record_is_fetched_from_the_other_side_and_its_old_file_is_kept(two: Two, lives_far: bool, is_near: bool) -> None:
    if lives_far:
        await cut_over(two.near, two.far, two.desk.company_id)
    stored = await two.desk.kept(a_ticket("5", text="five"))
    await two.desk.summarise(a_summary(stored.key, "five"))
    await two.hybrid.drained(two.desk.company_id)
    two = await two.opened_again()
    side = two.near if is_near else two.far
    file = two.file_of(side, stored)
    file.write_bytes(file.read_bytes().replace(b"five", b"f1ve"))

    mended = [one async for one in repair_company(two.hybrid, two.desk.company_id)]

    assert [(one.remedy, one.finding.key) for one in mended] == [(Remedy.HEALED, stored.key)]
    assert "fetched from the other side" in mended[0].detail
    assert EDITED in mended[0].detail
    found = await two.desk.find(stored.key)
    assert found is not None
    assert found.payload == stored.payload
    assert await two.is_equal()
    assert [one.source_digest for one in await two.desk.history(stored.key)] == [a_summary(stored.key, "five").source_digest]
    await two.hybrid.aclose()


async def test_what_the_mirror_was_not_given_yet_is_not_fetched_from_it(two: Two) -> None:
    stored = await two.desk.kept(a_ticket("5", text="old"))
    await two.hybrid.drained(two.desk.company_id)
    two.far.is_off = True
    changed = await two.desk.received(stored, "changed")
    two = await two.opened_again()
    two.file_of(two.near, changed).unlink()

    mended = [one async for one in repair_company(two.hybrid, two.desk.company_id)]

    assert [one.remedy for one in mended] == [Remedy.LEFT]
    with pytest.raises(CorruptRecord):
        await two.desk.find(stored.key)
    await two.hybrid.aclose()


async def test_an_edit_is_taken_in_where_the_company_lives_and_nowhere_else(two: Two) -> None:
    stored = await two.desk.find(a_ticket("1").key)
    assert isinstance(stored, Ticket)
    for side in (two.far, two.near):
        file = two.file_of(side, stored)
        file.write_bytes(file.read_bytes().replace(b'"note": ""', b'"note": "by hand"'))

    taken = {one.finding.place: one async for one in accept_edits(two.hybrid, two.desk.company_id)}
    found = await two.desk.find(stored.key)

    assert found is not None
    assert b"by hand" in found.payload
    assert {one.remedy for one in taken.values()} <= {Remedy.TAKEN_IN, Remedy.LEFT}
    assert await two.is_equal()


async def test_storages_that_cannot_be_looked_through_are_named(clock: ManualClock) -> None:
    storage = HybridStorage(MemoryStorage(clock), MemoryStorage(clock))

    with pytest.raises(ConfigurationError, match="cannot be looked through"):
        storage.inspection()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
