"""Memory, files, PostgreSQL, and two of them at once, are given the same steps and the same clock, and say and keep the same."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve, fields_dict
from hypothesis import given, settings
from hypothesis import strategies as st

from deskstore.adapters.file import FileStorage
from deskstore.adapters.hybrid import HybridStorage
from deskstore.adapters.memory import MemoryStorage
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.changes import Committed
from deskstore.domain.errors import MigrationError, StorageError
from deskstore.domain.mirror import PARTS
from deskstore.domain.ports import Storage
from deskstore.domain.processing import Claim, Processing
from deskstore.services.migrating import cut_over, roll_back
from deskstore.services.requeuing import failed_tickets, list_claims, requeue, take_back
from deskstore.services.summaries import stale_summaries
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import PROPERTY, a_new_company
from deskstore.testing.desk import LEASE, Desk, Everything, token_of
from deskstore.testing.makers import a_checkpoint, a_summary, a_suppression, a_ticket, incoming

Step = tuple[str, str, int]
Sides = tuple[Sequence[Storage], ManualClock]
STEPS = st.tuples(
    st.sampled_from(
        [
            "receive",
            "receive",
            "claim",
            "claim",
            "renew",
            "complete",
            "fail",
            "release",
            "take_back",
            "requeue",
            "look",
            "delete",
            "summarise",
            "checkpoint",
            "suppress",
            "lift",
            "wait",
        ]
    ),
    st.sampled_from("ab"),
    st.integers(0, 3),
)
SWAPS = st.tuples(st.just("swap"), st.just(""), st.integers(0, 1))
_asked = cast(Any, settings()).max_examples  # Any: Hypothesis leaves the type of its numbers open
HALF = settings(PROPERTY, max_examples=max(5, _asked // 2))
KIM = "kim@example.com"  #: of whom all these tickets are
WAITS = (timedelta(seconds=1), LEASE, LEASE + timedelta(seconds=5), timedelta(seconds=-1))


class Side:
    """One of the storages, with the claims it handed out."""

    def __init__(self, desk: Desk, clock: ManualClock) -> None:
        self.desk = desk
        self.clock = clock
        self.taken: list[Processing] = []

    async def take(self, step: Step) -> object:
        """What came of a step, or the error it ended in."""
        what, ticket_id, number = step
        try:
            return _comparable(await getattr(self, what)(ticket_id, number))
        except StorageError as error:
            return (type(error), str(error))

    async def receive(self, ticket_id: str, number: int) -> object:
        new = a_ticket(ticket_id, text=f"text {number % 2}", now=self.clock())
        stored = await self.desk.find(new.key)
        came = incoming(new.key, f"text {number % 2}", note=str(number))
        return await self.desk.keep(new if stored is None else stored.receive(came, now=self.clock()))

    async def claim(self, ticket_id: str, number: int) -> object:
        taken = await self.desk.claim(number + 1, worker=ticket_id)
        self.taken += taken
        return taken

    async def renew(self, _: str, number: int) -> object:
        taken = self._claimed(number)
        return taken and await self.desk.settle(taken.renewed(self.clock() + LEASE), token_of(taken))

    async def complete(self, _: str, number: int) -> object:
        taken = self._claimed(number)
        if taken is None:
            return None
        async with self.desk.unit() as uow:
            uow.summaries.add(a_summary(taken.key, "text 0"))
            uow.progress.save(taken.completed(now=self.clock()), token=token_of(taken))
            return await uow.commit()

    async def fail(self, _: str, number: int) -> object:
        taken = self._claimed(number)
        return taken and await self.desk.settle(taken.failed("no answer", now=self.clock(), retry_at=self.clock() + LEASE), token_of(taken))

    async def release(self, _: str, number: int) -> object:
        taken = self._claimed(number)
        return taken and await self.desk.settle(taken.released(now=self.clock()), token_of(taken))

    async def take_back(self, _: str, number: int) -> object:
        taken = self._claimed(number)
        return taken and await take_back(self.desk.storage, self.desk.company_id, [taken])

    async def requeue(self, ticket_id: str, _: int) -> object:
        return await requeue(self.desk.storage, self.desk.company_id, [a_ticket(ticket_id).key])

    async def look(self, ticket_id: str, _: int) -> object:
        """What an operator sees: who holds what, what failed, and which summaries are outdated."""
        where = (self.desk.storage, self.desk.company_id)
        held = [one async for one in list_claims(*where, worker=ticket_id)]
        failed = [one async for one in failed_tickets(*where)]
        return [held, failed, [one async for one in stale_summaries(*where, model="another-model")]]

    async def delete(self, ticket_id: str, _: int) -> object:
        stored = await self.desk.find(a_ticket(ticket_id).key)
        if stored is not None:
            await self.desk.delete(stored)
        return stored

    async def summarise(self, ticket_id: str, number: int) -> object:
        return await self.desk.summarise(a_summary(a_ticket(ticket_id).key, f"text {number % 2}", pinned=number == 3))

    async def checkpoint(self, _: str, number: int) -> object:
        await self.desk.keep_checkpoint(a_checkpoint(str(number)))
        return await self.desk.checkpoint()

    async def suppress(self, _: str, number: int) -> None:
        await self.desk.suppress(evolve(a_suppression(KIM, now=self.clock()), tickets=number, summaries=1))

    async def lift(self, _: str, number: int) -> None:
        await self.desk.lift(a_suppression(KIM))

    async def wait(self, _: str, number: int) -> object:
        """The clock was moved for all."""

    async def swap(self, _: str, number: int) -> None:
        """Where there are two sides of the company, they change places."""
        if isinstance(storage := self.desk.storage, HybridStorage):
            with suppress(MigrationError):  # nobody knows the company yet
                await (cut_over if number % 2 else roll_back)(storage.near, storage.far, self.desk.company_id)

    def _claimed(self, number: int) -> Processing | None:
        return self.taken[number % len(self.taken)] if self.taken else None

    async def all(self, *, with_times_of_counts: bool = True) -> list[object]:
        """All that can be read, and all raw copies with their versions; no mirror knows when the counts of its primary last changed."""
        replica, everything = self.desk.replica(), await self.desk.everything()
        copies = [_comparable(copy.value) for part in PARTS async for copy in replica.copies(part)]
        if not with_times_of_counts:
            everything = evolve(everything, progress=[evolve(one, last_updated=None) for one in everything.progress])
        return [_comparable(everything), await self.desk.stale(), *copies]


def _comparable(value: Any) -> Any:  # Any: whatever a step gives
    """The same without tokens, which are random."""
    match value:
        case Processing(claim=Claim() as claim):
            return evolve(value, claim=evolve(claim, token=""))
        case Committed() | Everything():
            return [_comparable(getattr(value, name)) for name in fields_dict(type(value))]
        case dict():
            return _comparable(list(cast(dict[object, object], value).items()))
        case list() | tuple():
            return [_comparable(one) for one in cast(Sequence[object], value)]
        case _:
            return value


@pytest.fixture
async def sides(tmp_path: Path, postgres_url: str) -> AsyncIterator[Sides]:
    clock = ManualClock()
    storages = (MemoryStorage(clock), FileStorage(tmp_path, clock=clock), PostgresStorage(postgres_url, clock=clock))
    yield storages, clock
    for storage in storages:
        await storage.aclose()


@pytest.fixture
async def hybrids(tmp_path: Path, shared_postgres_url: str) -> AsyncIterator[Sides]:
    clock = ManualClock()
    near = HybridStorage(FileStorage(tmp_path, clock=clock), PostgresStorage(shared_postgres_url, clock=clock))
    far = HybridStorage(MemoryStorage(clock), FileStorage(tmp_path / "far", clock=clock), prefers_far=True)
    storages = (MemoryStorage(clock), near, far)
    yield storages, clock
    for storage in storages:
        await storage.aclose()


@PROPERTY
@given(steps=st.lists(STEPS, max_size=25))
async def test_the_same_steps_end_in_the_same(sides: Sides, steps: list[Step]) -> None:
    first, others = await _taken(sides, steps)

    everything = await first.all()

    for other in others:
        assert await other.all() == everything, other.desk.storage


@HALF
@given(steps=st.lists(STEPS | SWAPS, max_size=25))
async def test_that_a_company_has_two_sides_which_change_places_shows_in_nothing_it_gives(hybrids: Sides, steps: list[Step]) -> None:
    first, others = await _taken(hybrids, steps)

    everything = await first.all(with_times_of_counts=False)

    for other in others:
        assert await other.all(with_times_of_counts=False) == everything, other.desk.storage


async def _taken(sides: Sides, steps: list[Step]) -> tuple[Side, list[Side]]:
    """The first side and the others, which gave the same in each step."""
    storages, clock = sides
    company = a_new_company()
    first, *others = [Side(Desk(storage, company), clock) for storage in storages]

    for step in steps:
        if step[0] == "wait":
            clock.move(WAITS[step[2]])
        taken = await first.take(step)
        for other in others:
            assert await other.take(step) == taken, (step, other.desk.storage)
    return first, others
