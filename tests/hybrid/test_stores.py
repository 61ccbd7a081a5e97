"""Files and PostgreSQL as sides: what was proved between two memories holds between real stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage
from deskstore.adapters.file.layout import DATABASE
from deskstore.adapters.file.names import encode
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.comparing import Depth
from deskstore.domain.draining import drain
from deskstore.domain.mirror import MirrorStatus
from deskstore.domain.ports import Storage
from deskstore.domain.swapping import settle, swap
from deskstore.services.migrating import cut_over, finish_migration, roll_back, start_migration, verify_migration
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket
from tests.hybrid.machine import take_any_steps_between
from tests.hybrid.pairs import Deaths, Killed, Pair, everything_in


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def open_pair(far_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Callable[[], Pair]]:
    """Gives companies whose first side is on files."""
    one: Storage = FileStorage(tmp_path / "one", clock=clock)
    other: Storage = PostgresStorage(far_url, clock=clock) if far_url else FileStorage(tmp_path / "other", clock=clock)
    yield lambda: Pair.of(one, other)
    await asyncio.gather(one.aclose(), other.aclose())


async def _filled(pair: Pair) -> Pair:
    await pair.attach()
    await pair.one.fill("안녕 🙂")
    await pair.one.claim()
    await pair.one.delete(await pair.one.kept(a_ticket("gone")))
    return pair


async def test_a_company_moves_between_real_stores_and_back_byte_for_byte(open_pair: Callable[[], Pair]) -> None:
    pair = open_pair()
    await pair.one.fill("안녕 🙂")
    await pair.one.claim()
    before = await everything_in(pair.one)
    between = (pair.one.storage, pair.other.storage, pair.one.company_id)

    await start_migration(*between)
    verified = await verify_migration(*between, depth=Depth.CONTENT)
    await cut_over(*between)
    there = await everything_in(pair.other)
    stored = await pair.other.kept(a_ticket("there"))
    await roll_back(*between)
    again = await verify_migration(*between, depth=Depth.REHASH)
    await finish_migration(*between, delete=True)

    assert verified.is_verified, verified.differences
    assert again.is_verified, again.differences
    assert there == before
    assert await pair.one.find(stored.key) == stored
    assert [copy for copy in await everything_in(pair.one) if copy.thing.id != "there"] == before


@pytest.mark.parametrize("after", [False, True])
async def test_a_swap_between_real_stores_killed_at_any_call_loses_nothing(open_pair: Callable[[], Pair], after: bool) -> None:
    counting = Deaths()
    await swap((await _filled(open_pair())).sides(counting))

    for at in range(1, counting.calls + 1, 2 if after else 3):
        pair = await _filled(open_pair())
        with pytest.raises(Killed):
            await swap(pair.sides(Deaths(at, after=after)))
        state = await settle(pair.sides())
        assert state is not None
        primary = await pair.primary()
        await primary.keep(a_ticket("after"))
        await drain(pair.sides() if primary is pair.one else pair.sides().reversed())

        assert await everything_in(pair.one) == await everything_in(pair.other), at
        assert len(await everything_in(primary)) >= 3 * 2 + 3 + 4 + 1 + 2


async def test_a_lost_database_of_a_primary_is_healed_from_its_mirror(tmp_path: Path, clock: ManualClock) -> None:
    company_id, far = a_new_company(), FileStorage(tmp_path / "far", clock=clock)
    before = HybridStorage(FileStorage(tmp_path / "near", clock=clock), far)
    desk = Desk(before, company_id)
    await desk.fill("text")
    gone = await desk.kept(a_ticket("gone"))
    await desk.delete(gone)
    await before.drained(company_id)
    await before.stop_draining()
    await before.near.aclose()
    _lose_database(tmp_path / "near", company_id)

    near = FileStorage(tmp_path / "near", clock=clock)
    after = HybridStorage(near, far)
    after.start_draining()
    await Desk(after, company_id).keep(a_ticket("after"))
    state = await near.replica(company_id).state()

    assert state is not None
    assert (state.mirror_status, state.swapping_to) == (MirrorStatus.FILLING, None)
    assert await Desk(after, company_id).find(gone.key) is None
    assert len((await Desk(after, company_id).everything()).tickets) == 4
    await after.drained(company_id)
    assert await everything_in(Desk(near, company_id)) == await everything_in(Desk(far, company_id))
    assert (await verify_migration(near, far, company_id)).is_verified
    await after.aclose()


def _lose_database(path: Path, company_id: str) -> None:
    for suffix in ("", "-wal", "-shm"):
        (path / encode(company_id) / f"{DATABASE}{suffix}").unlink(missing_ok=True)


def test_any_steps_between_two_trees_of_files_leave_what_the_rules_say(tmp_path: Path) -> None:
    numbers = iter(range(1_000_000))

    def sides(clock: ManualClock) -> tuple[Storage, Storage]:
        number = next(numbers)
        return FileStorage(tmp_path / f"{number} near", clock=clock), FileStorage(tmp_path / f"{number} far", clock=clock)

    take_any_steps_between(sides, share=20)


def test_any_steps_between_files_and_postgresql_leave_what_the_rules_say(tmp_path: Path, shared_postgres_url: str) -> None:
    numbers = iter(range(1_000_000))

    def sides(clock: ManualClock) -> tuple[Storage, Storage]:
        return FileStorage(tmp_path / str(next(numbers)), clock=clock), PostgresStorage(shared_postgres_url, clock=clock)

    take_any_steps_between(sides, share=25)
