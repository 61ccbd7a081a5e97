"""What changed since both sides were compared is compared alone, and no more than that is claimed."""

from __future__ import annotations

import pytest
from attrs import evolve

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.comparing import DifferenceKind, compare_changes
from deskstore.domain.draining import drain
from deskstore.domain.errors import MigrationError
from deskstore.domain.mirror import PARTS, MirrorStatus, Thing
from deskstore.services.migrating import verify_migration
from deskstore.testing.clock import ManualClock
from deskstore.testing.makers import a_ticket
from tests.hybrid.pairs import Pair, everything_in

NAME = Thing("ticket", *a_ticket("2").key)


@pytest.fixture
async def pair() -> Pair:
    clock = ManualClock()
    made = Pair.of(MemoryStorage(clock), MemoryStorage(clock))
    await made.attach()
    await made.one.fill("text")
    await drain(made.sides())
    return made


async def test_what_changed_is_given_to_the_mirror_and_compared(pair: Pair) -> None:
    await pair.one.keep(a_ticket("new"))

    result = await compare_changes(pair.sides())

    assert result.differences == []
    assert result.counts == dict.fromkeys(PARTS, (0, 0)) | {"ticket": (1, 1), "processing": (1, 1)}
    assert await everything_in(pair.other) == await everything_in(pair.one)


async def test_a_change_that_the_mirror_does_not_hold_is_a_difference_and_it_is_not_verified_any_more(pair: Pair) -> None:
    stored = await pair.one.find(a_ticket("2").key)
    assert stored is not None
    await pair.one.received(stored, "changed")
    company = pair.other.storage.known(pair.other.company_id) if isinstance(pair.other.storage, MemoryStorage) else None
    changed = await pair.one.find(stored.key)
    assert company is not None
    assert changed is not None
    company.values[NAME] = evolve(changed, payload=b'{"id": "another"}')  # at that version, so that it is not taken

    report = await verify_migration(pair.one.storage, pair.other.storage, pair.one.company_id, only_changes=True)

    assert [(one.thing, one.kind) for one in report.differences] == [(NAME, DifferenceKind.CHANGED)]
    assert not report.is_verified
    state = await pair.one.replica().state()
    assert state is not None
    assert state.mirror_status is MirrorStatus.FILLING


async def test_of_a_mirror_that_is_not_verified_changes_alone_say_nothing(pair: Pair) -> None:
    state = await pair.one.replica().state()
    assert state is not None
    assert await pair.one.replica().compare_and_set_state(state, evolve(state, mirror_status=MirrorStatus.FILLING, epoch=state.epoch + 1))

    with pytest.raises(MigrationError, match="compare everything first"):
        await compare_changes(pair.sides())
