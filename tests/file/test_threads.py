"""Units of many tasks are committed together, and stay each for itself."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from deskstore.adapters.file import FileStorage
from deskstore.adapters.file.company import OpenCompany
from deskstore.domain.changes import Changes, SaveRecord
from deskstore.domain.errors import StorageBusy, StorageError, VersionConflict
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.processing import COMPLETED, ProcessingStatus
from deskstore.domain.records import Ticket
from deskstore.services.attempts import until_saved
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import PLATFORM, a_summary, a_ticket, incoming
from tests.file.conftest import Settle

TASKS = 16


def _saves(*tickets: Ticket) -> Changes:
    return Changes(records=tuple(SaveRecord(ticket) for ticket in tickets))


async def _nothing(_: Changes) -> None:
    """A before_commit that lets everything pass."""


async def _behind_a_slow_one(desk: Desk, calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """What calls give that all wait for one commit, since the company's writer is busy with another unit."""
    # Any: each call has a result of its own kind
    began, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: Changes) -> None:
        began.set()
        await go_on.wait()

    slow = asyncio.create_task(_apply(desk, _saves(a_ticket("slow")), hold))
    await began.wait()
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0.05)
    go_on.set()
    await slow
    return await asyncio.gather(*tasks, return_exceptions=True)


async def _apply(desk: Desk, changes: Changes, before_commit: Callable[[Changes], Coroutine[Any, Any, None]] = _nothing) -> object:
    return await desk.storage.backend(desk.company_id).apply(changes, before_commit)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd" if os.path.exists("/proc/self/fd") else "/dev/fd"))


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("deskstore")}


async def _commits(desk: Desk) -> Callable[[], int]:
    """Counts the transactions that reach the disk from now on."""
    assert isinstance(desk.storage, FileStorage)
    seen: list[str] = []

    def trace(statement: str) -> None:
        seen.append(statement.lower())

    await desk.storage.write(desk.company_id, 0, lambda company, _: company.writer.set_trace_callback(trace))

    def count() -> int:
        synced = [place for place, statement in enumerate(seen) if statement == "pragma synchronous=full"]
        ends = [*synced[1:], len(seen)]
        return sum("commit" in seen[start:end] for start, end in zip(synced, ends, strict=True))

    return count


async def test_units_that_wait_at_the_same_time_share_one_sync(desk: Desk) -> None:
    await desk.keep(a_ticket("first"))
    count = await _commits(desk)

    await _behind_a_slow_one(desk, [desk.keep(a_ticket(str(number))) for number in range(TASKS)])

    assert len((await desk.everything()).tickets) == TASKS + 2
    assert count() == 2


@pytest.mark.parametrize("error", [OverflowError("too large"), AttributeError("no such thing"), ValueError("odd"), KeyError("gone")])
async def test_a_job_of_a_group_that_goes_wrong_fails_alone(desk: Desk, error: Exception) -> None:
    def fail(_: OpenCompany, __: datetime) -> None:
        raise error

    assert isinstance(desk.storage, FileStorage)
    calls = [desk.keep(a_ticket("1")), desk.storage.write("acme", 0, fail), desk.keep(a_ticket("2"))]

    outcomes = await _behind_a_slow_one(desk, calls)

    assert outcomes[1] is error
    assert len((await desk.everything()).tickets) == 3


async def test_one_conflict_in_a_group_fails_alone(desk: Desk, settle: Settle) -> None:
    await desk.keep(a_ticket("first"))
    calls = [desk.keep(a_ticket(str(number))) for number in range(TASKS - 1)]
    calls.insert(7, desk.keep(a_ticket("beside the conflict"), evolve(a_ticket("conflict"), version=5)))

    outcomes = await _behind_a_slow_one(desk, calls)

    (conflict,) = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert isinstance(conflict, VersionConflict)
    assert conflict.keys == (ticket_key(PLATFORM, "conflict"),)
    assert outcomes.index(conflict) == 7
    kept = {ticket.ticket_id for ticket in (await (await settle(desk)).everything()).tickets}
    assert kept == {"first", "slow", *map(str, range(TASKS - 1))}


@pytest.mark.parametrize(
    "error", [RuntimeError("no"), ConnectionError("no"), TimeoutError("no"), StorageBusy("no"), KeyError("no")], ids=repr
)
async def test_a_before_commit_that_raises_keeps_nothing_of_its_own_unit_only(desk: Desk, error: Exception) -> None:
    async def refuse(_: Changes) -> None:
        raise error

    calls = [desk.keep(a_ticket("1")), _apply(desk, _saves(a_ticket("refused")), refuse), desk.keep(a_ticket("2"))]
    one, refused, two = await _behind_a_slow_one(desk, calls)

    assert (type(refused), str(refused)) == (type(error), str(error))
    assert not isinstance(one, BaseException)
    assert not isinstance(two, BaseException)
    assert {ticket.ticket_id for ticket in (await desk.everything()).tickets} == {"slow", "1", "2"}


async def test_a_first_unit_that_is_refused_leaves_no_company(desk: Desk) -> None:
    async def refuse(_: Changes) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await _apply(desk, _saves(a_ticket()), refuse)

    assert await desk.storage.companies() == []


async def test_while_a_before_commit_runs_nobody_else_can_write_and_nothing_is_seen(
    storage: FileStorage, base: Any, clock: ManualClock
) -> None:
    # Any: pytest gives a path
    other = FileStorage(base, clock=clock, busy_s=0.1)
    desk, impatient = Desk(storage, "acme"), Desk(other, "acme")
    await desk.keep(a_ticket("first"))
    seen: list[object] = []

    async def look(_: Changes) -> None:
        seen.append(await impatient.find(ticket_key(PLATFORM, "held")))
        began = time.monotonic()
        with pytest.raises(StorageBusy, match="acme"):
            await impatient.keep(a_ticket("theirs"))
        seen.append(time.monotonic() - began < 2)

    await _apply(desk, _saves(a_ticket("held")), look)

    assert seen == [None, True]
    assert await impatient.find(ticket_key(PLATFORM, "held")) is not None
    await impatient.keep(a_ticket("theirs"))
    await other.aclose()


async def test_fifty_concurrent_updates_of_one_ticket_lose_nothing(desk: Desk, clock: ManualClock) -> None:
    key = (await desk.kept(a_ticket())).key

    async def save(number: int) -> None:
        async def attempt() -> None:
            stored = await desk.find(key)
            assert isinstance(stored, Ticket)
            payload = stored.payload[:-1] + f',"{number}":1}}'.encode()
            await desk.keep(stored.receive(incoming(stored.key, payload=payload), now=stored.saved_at))

        await until_saved(attempt)

    async def settle_it() -> None:
        async def attempt() -> None:
            await desk.settle((await desk.processing(key)).completed(now=clock()))

        await until_saved(attempt)

    work = [save(number) for number in range(12)] + [settle_it() for _ in range(3)] + [desk.summarise(a_summary(key)) for _ in range(35)]
    await asyncio.gather(*work)

    stored = await desk.find(key)
    assert stored is not None
    assert {name for name in stored.data if name.isdigit()} == {str(number) for number in range(12)}
    assert [summary.number for summary in await desk.history(key)] == list(range(1, 36))
    assert (await desk.processing(key)).status == COMPLETED


async def test_a_claim_that_nobody_waits_for_any_more_is_whole_or_absent(desk: Desk) -> None:
    await desk.keep(*(a_ticket(str(number)) for number in range(5)))

    task = asyncio.create_task(desk.claim(5))
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await desk.keep(a_ticket("behind it"))

    assert (await desk.progress()).processing in (0, 5)


async def test_a_commit_that_is_cancelled_is_delivered_and_says_what_became_of_it(desk: Desk) -> None:
    uow = desk.unit()
    uow.tickets.save(a_ticket())
    task = asyncio.create_task(uow.commit())
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert uow.outcome == "committed"
    assert await desk.find(a_ticket().key) is not None


async def test_cancelled_calls_leave_no_thread_descriptor_or_lock_behind(base: Path, clock: ManualClock, seed: int) -> None:
    gc.collect()
    chance, before = random.Random(seed), (_open_files(), _threads())
    storage = FileStorage(base, clock=clock)
    desk = await Desk(storage, "acme").fill("ours")
    calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [  # Any: each call has a result of its own kind
        lambda: desk.keep(a_ticket(str(chance.random()))),
        lambda: desk.claim(2),
        desk.everything,
        lambda: desk.summarise(a_summary(a_ticket("1").key)),
        storage.companies,
    ]

    for _ in range(300):
        task = asyncio.create_task(chance.choice(calls)())
        await asyncio.sleep(chance.choice([0, 0, 0.000_1, 0.001, 0.003]))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(desk.keep(a_ticket("afterwards")), 10)

    found = await desk.everything()
    assert found.progress[0].total == len(found.tickets) == found.stats[0].tickets
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert _open_files() < before[0] + 30  # those of one open company, however many calls were cancelled
    await storage.aclose()
    assert (_open_files(), _threads()) == before


async def test_progress_equals_a_recount_after_concurrent_writers(desk: Desk, clock: ManualClock) -> None:
    await desk.keep(*(a_ticket(str(number)) for number in range(12)))

    async def settle(number: int) -> None:
        with suppress(StorageError):
            stood = await desk.processing(a_ticket(str(number)).key)
            await desk.settle(stood.failed("no", now=clock(), retry_at=None) if number % 2 else stood.completed(now=clock()))

    async def change(number: int) -> None:
        with suppress(StorageError):
            ticket = await desk.find(a_ticket(str(number)).key)
            assert ticket is not None
            await (desk.delete(ticket) if number % 5 == 0 else desk.received(ticket, "changed"))

    work = [change(number) for number in range(12)] + [settle(number) for number in range(12) if number % 5]
    await asyncio.gather(*work, *(desk.claim(2, worker=str(number)) for number in range(4)), desk.keep(a_ticket("new")))

    found = await desk.everything()
    recount = Counter(processing.status for processing in found.processing)
    (progress,) = found.progress
    assert progress.total == len(found.tickets) == found.stats[0].tickets
    assert [progress.pending, progress.processing, progress.completed, progress.failed] == [recount[status] for status in ProcessingStatus]


async def test_readers_beside_a_writer_see_only_whole_states(desk: Desk) -> None:
    await desk.keep(a_ticket("a"), a_ticket("b"))
    keys = [ticket_key(PLATFORM, "a"), ticket_key(PLATFORM, "b")]
    stop = asyncio.Event()

    async def write() -> None:
        for number in range(40):
            found = await desk.unit().tickets.find_many(keys)
            came = [incoming(key, payload=b'{"n":%d}' % number) for key in keys]
            await desk.keep(*(found[one.key].receive(one, now=found[one.key].saved_at) for one in came))
        stop.set()

    async def read() -> int:
        looks = 0
        while not stop.is_set():
            for key in keys:
                assert await desk.find(key) is not None
            page = await desk.unit().tickets.find_many(keys)
            assert len(page) == 2
            looks += 1
        return looks

    _, *looks = await asyncio.gather(write(), read(), read(), read())

    assert min(looks) > 0
    assert {ticket.payload for ticket in (await desk.everything()).tickets} == {b'{"n":39}'}
