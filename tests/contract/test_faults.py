"""The storage that fails on demand fails when it is told to, and only then."""

import asyncio

import pytest

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.errors import CommitOutcomeUnknown, StorageUnavailable
from deskstore.domain.outcomes import UnitOutcome
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.faults import FaultyStorage, lost_answer, slow, unavailable
from deskstore.testing.makers import a_ticket

KEY = a_ticket().key


@pytest.fixture
def storage() -> FaultyStorage:
    return FaultyStorage(MemoryStorage(ManualClock()))


@pytest.fixture
def desk(storage: FaultyStorage) -> Desk:
    return Desk(storage, "acme")


async def test_a_commit_that_could_not_reach_the_store_kept_nothing(storage: FaultyStorage, desk: Desk) -> None:
    storage.commits.extend(unavailable())

    with pytest.raises(StorageUnavailable):
        await desk.keep(a_ticket())

    assert await desk.find(KEY) is None
    await desk.keep(a_ticket())


async def test_a_commit_whose_answer_was_lost_was_kept_and_its_unit_does_not_know(storage: FaultyStorage, desk: Desk) -> None:
    storage.commits.extend(lost_answer())
    uow = desk.unit()
    uow.tickets.save(a_ticket())

    with pytest.raises(CommitOutcomeUnknown):
        await uow.commit()

    assert uow.outcome is UnitOutcome.UNKNOWN
    assert await desk.find(KEY) is not None


async def test_a_fault_may_wait_for_its_call(storage: FaultyStorage, desk: Desk) -> None:
    storage.commits.extend(unavailable(after_calls=2))

    await desk.keep(a_ticket("1"))
    await desk.keep(a_ticket("2"))

    with pytest.raises(StorageUnavailable):
        await desk.keep(a_ticket("3"))
    assert (await desk.progress()).total == 2


async def test_reads_and_claims_fail_on_demand(storage: FaultyStorage, desk: Desk) -> None:
    await desk.keep(a_ticket())
    storage.reads.extend(unavailable() * 2)
    storage.claims.extend(unavailable())

    with pytest.raises(StorageUnavailable):
        await desk.find(KEY)
    with pytest.raises(StorageUnavailable):
        await desk.processing(KEY)
    with pytest.raises(StorageUnavailable):
        await desk.claim()

    assert len(await desk.claim()) == 1


async def test_a_stream_fails_where_it_is_told_to(storage: FaultyStorage, desk: Desk) -> None:
    await desk.keep(a_ticket("1"), a_ticket("2"), a_ticket("3"))
    storage.reads.extend(unavailable(after_calls=2))
    found: list[str] = []

    with pytest.raises(StorageUnavailable):
        async for ticket in desk.unit().tickets.stream():
            found.append(ticket.ticket_id)

    assert found == ["1", "2"]


async def test_a_slow_commit_keeps_a_cancelled_unit_whole(storage: FaultyStorage, desk: Desk) -> None:
    storage.commits.extend(slow(0.01))
    uow = desk.unit()
    uow.tickets.save(a_ticket())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(uow.commit(), 0.001)

    assert uow.outcome is UnitOutcome.COMMITTED
    assert await desk.find(KEY) is not None
