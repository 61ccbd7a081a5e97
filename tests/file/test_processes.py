"""Any number of processes share a company: no update is lost, no file is torn, and nothing is written into the void."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage, erasing, names
from deskstore.adapters.file.tree import Tree
from deskstore.domain.errors import CompanyErased, StoreReplaced
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.mirror import MIRROR
from tests.file.workers import (
    COMPANY,
    PLATFORM,
    Group,
    come_and_go,
    count,
    count_once,
    counted,
    keep_pairs,
    opened,
    save,
    seen_pair,
    take_and_hang,
    taken_by,
    work_off,
)


async def test_four_processes_and_two_that_are_killed_lose_no_update(tmp_path: Path) -> None:
    group = Group(tmp_path)
    for worker in range(4):
        group.start(f"w{worker}", count, 25)
    for victim in range(2):
        group.start(f"victim{victim}", count, 10_000)
        await asyncio.sleep(1.0)

    for victim in range(2):
        group.kill(f"victim{victim}")
    codes = await asyncio.to_thread(group.join)

    storage = opened(tmp_path)
    counter, tickets = await counted(storage)
    await storage.aclose()
    assert set(codes.values()) == {0}
    assert set(group.acked()) <= tickets
    assert len(tickets) <= len(group.acked()) + 2
    assert counter == len(tickets)


async def test_sixteen_tasks_lose_no_update(tmp_path: Path) -> None:
    storage = opened(tmp_path)

    async def work(task: int) -> None:
        for number in range(6):
            await count_once(storage, f"{task}-{number}")

    await asyncio.gather(*(work(task) for task in range(16)))

    counter, tickets = await counted(storage)
    await storage.aclose()
    assert (counter, len(tickets)) == (96, 96)


async def test_processes_that_come_and_go_lose_no_update(tmp_path: Path) -> None:
    group = Group(tmp_path)
    for worker in range(3):
        group.start(f"w{worker}", come_and_go, 12)

    codes = await asyncio.to_thread(group.join)

    storage = opened(tmp_path)
    counter, tickets = await counted(storage)
    await storage.aclose()
    assert set(codes.values()) == {0}
    assert counter == len(tickets) == 36


async def test_eight_processes_take_each_ticket_once_and_those_of_a_killed_one_come_back(tmp_path: Path) -> None:
    ids = [str(number) for number in range(120)]
    storage, group = opened(tmp_path), Group(tmp_path)
    async with storage.unit_of_work(COMPANY) as uow:
        for ticket_id in ids:
            save(uow, None, ticket_key(PLATFORM, ticket_id), 1)
        await uow.commit()
    group.start("victim", take_and_hang, 15)
    victims = await asyncio.to_thread(group.wait_until_it_took, "victim", 15)

    group.kill("victim")
    workers = [f"w{number}" for number in range(8)]
    for worker in workers:
        group.start(worker, work_off, 7)
    codes = await asyncio.to_thread(group.join)

    handed_out = Counter(ticket_id for worker in workers for ticket_id in taken_by(tmp_path, worker))
    async with storage.unit_of_work(COMPANY) as uow:
        histories = [await uow.summaries.history(ticket_key(PLATFORM, ticket_id)) for ticket_id in ids]
    await storage.aclose()
    assert set(codes.values()) == {0}
    assert handed_out == Counter(ids)
    assert set(victims) < set(handed_out)
    assert sorted(group.acked()) == sorted(ids)
    assert {len(history) for history in histories} == {1}


async def test_a_reader_beside_writers_never_sees_half_a_unit(tmp_path: Path) -> None:
    group = Group(tmp_path)
    group.start("writer", keep_pairs, 150)
    storage, looks, seen = opened(tmp_path), 0, set[tuple[object, ...]]()

    while group.is_busy():
        numbers = await seen_pair(storage)
        seen.add(tuple(numbers))
        looks += 1
        assert len(numbers) in (0, 2)
        assert len(set(numbers)) <= 1

    await storage.aclose()
    assert group.join() == {"writer": 0}
    assert len(seen) > 2


async def test_a_company_removed_under_a_running_process_takes_nothing_more(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    await count_once(storage, "before")
    await _written(storage)
    shutil.rmtree(tmp_path / "data" / names.encode(COMPANY))

    with pytest.raises(StoreReplaced):
        await count_once(storage, "into the void")

    await storage.aclose()


async def test_a_company_replaced_under_a_running_process_takes_nothing_more(tmp_path: Path) -> None:
    storage, place = opened(tmp_path), tmp_path / "data" / names.encode(COMPANY)
    await count_once(storage, "before")
    await _written(storage)
    shutil.copytree(place, tmp_path / "copy")
    place.rename(tmp_path / "away")
    (tmp_path / "copy").rename(place)

    with pytest.raises(StoreReplaced):
        await count_once(storage, "into the void")

    await storage.aclose()
    again = opened(tmp_path)
    assert await counted(again) == (1, {"before"})
    await again.aclose()


async def test_whoever_has_a_company_open_that_another_process_erases_is_told(tmp_path: Path) -> None:
    here, there = opened(tmp_path), opened(tmp_path)
    await count_once(here, "erased")

    await there.erase(COMPANY)

    with pytest.raises((CompanyErased, StoreReplaced)):
        await count_once(here, "into the void")
    await count_once(there, "anew")
    assert await counted(there) == (1, {"anew"})
    await here.aclose()
    await there.aclose()


async def test_an_erasure_that_two_finish_takes_nothing_that_came_after(tmp_path: Path) -> None:
    storage, place = opened(tmp_path), tmp_path / "data" / names.encode(COMPANY)
    await count_once(storage, "erased")
    with closing(Tree.open(place)) as erased:
        await storage.erase(COMPANY)
        await count_once(storage, "anew")

        erasing.remove(place, erased)

    assert await counted(storage) == (1, {"anew"})
    await storage.aclose()


async def test_a_company_is_erased_while_others_never_cease_to_read(tmp_path: Path) -> None:
    storage, over = opened(tmp_path), asyncio.Event()
    await count_once(storage, "erased")

    async def read() -> None:
        while not over.is_set():
            try:
                await counted(storage)
            except CompanyErased:
                continue

    readers = [asyncio.ensure_future(read()) for _ in range(12)]
    await asyncio.sleep(0.05)
    await asyncio.wait_for(storage.erase(COMPANY), timeout=30)

    over.set()
    await asyncio.gather(*readers)
    assert await storage.companies() == []
    await storage.aclose()


async def test_an_erasure_beside_a_writing_process_keeps_what_was_acknowledged_after_it(tmp_path: Path) -> None:
    group, storage = Group(tmp_path), opened(tmp_path)
    await count_once(storage, "first")
    group.start("writer", come_and_go, 20)
    await asyncio.to_thread(group.wait_for_an_acknowledgement)

    await storage.erase(COMPANY)

    before = set(group.acked())
    await asyncio.to_thread(group.join)
    counter, tickets = await counted(storage)
    await storage.aclose()
    assert "first" not in tickets
    assert counter == len(tickets)
    assert set(group.acked()) - before <= tickets


FORK = """
import asyncio, os, sys
from pathlib import Path
from deskstore.domain.errors import StorageUnavailable
from tests.file.workers import count_once, opened

storage = opened(Path(sys.argv[1]))
asyncio.run(count_once(storage, "parent"))
child = os.fork()
if not child:
    try:
        asyncio.run(count_once(storage, "child"))
    except StorageUnavailable as refusal:
        os._exit(3 if "fork" in str(refusal) else 4)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
asyncio.run(count_once(storage, "parent again"))
asyncio.run(storage.aclose())
"""


async def test_a_storage_that_was_opened_before_a_fork_refuses_the_child(tmp_path: Path) -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "ignore", "-c", FORK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )

    storage = opened(tmp_path)
    assert ended.stdout.strip() == "3"
    assert await counted(storage) == (2, {"parent", "parent again"})
    await storage.aclose()


async def _written(storage: FileStorage) -> None:
    """Wait until the files of what was acknowledged are written: the thread that does it takes one thing after another."""
    await storage.replica(COMPANY).acknowledge(MIRROR, [], epoch=None)
