"""What processes do that share one company: count together, read while others write, come and go, and die."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, cast

from deskstore.adapters.file import FileStorage
from deskstore.domain import times
from deskstore.domain.errors import VersionConflict
from deskstore.domain.identifiers import Key, ticket_key
from deskstore.domain.paging import Filter
from deskstore.domain.ports import UnitOfWork
from deskstore.domain.processing import Processing
from deskstore.domain.records import Fields, Incoming, Ticket, new_ticket
from deskstore.testing.desk import token_of
from deskstore.testing.makers import a_summary

COMPANY: Final = "공동/shared"
PLATFORM: Final = "freshdesk"
COUNTER: Final = ticket_key(PLATFORM, "Counter")
PAIR: Final = (ticket_key(PLATFORM, "left"), ticket_key(PLATFORM, "right"))
CHECKPOINT_ROWS: Final = 9
_SPAWN: Final = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang


class Group:
    """Processes at work in one folder, each with a file of what it got acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, BaseProcess] = {}

    def start(self, name: str, work: Callable[[Path, str, int], None], n: int) -> None:
        """Let another process work, n times over."""
        process = _SPAWN.Process(target=work, args=(self.folder, name, n), daemon=True)
        process.start()
        self._processes[name] = process

    def kill(self, name: str) -> None:
        """Kill a process at once."""
        pid = self._processes.pop(name)
        os.kill(cast(int, pid.pid), signal.SIGKILL)
        pid.join()

    def is_busy(self) -> bool:
        """Whether anybody is at work."""
        return any(process.is_alive() for process in self._processes.values())

    def join(self, timeout_s: float = 120.0) -> Mapping[str, int | None]:
        """Wait for all, and say with which code each ended; None for one that had to be killed."""
        last = time.monotonic() + timeout_s
        for process in self._processes.values():
            process.join(max(0.0, last - time.monotonic()))
        codes = {name: process.exitcode for name, process in self._processes.items()}
        for process in self._processes.values():
            process.kill()
        return codes

    def acked(self) -> list[str]:
        """The ids of all tickets whose units were acknowledged."""
        return [line for path in sorted(self.folder.glob("*.acked")) for line in path.read_text(encoding="utf-8").splitlines()]

    def wait_for_an_acknowledgement(self) -> None:
        """Come back once anybody got anything acknowledged."""
        while not self.acked():
            time.sleep(0.01)

    def wait_for_an_acknowledgement_of(self, name: str, most_s: float) -> None:
        """Come back once that process got one, or the time is up."""
        last = time.monotonic() + most_s
        while time.monotonic() < last and not (self.folder / f"{name}.acked").exists():
            time.sleep(0.005)

    def wait_until_it_took(self, name: str, n: int) -> list[str]:
        """The ids of the first n tickets that were handed out to that process, once they were."""
        last = time.monotonic() + 120
        while len(taken := taken_by(self.folder, name)) < n:
            assert time.monotonic() < last, f"{name} took {len(taken)} tickets within two minutes"
            time.sleep(0.01)
        return taken


def acknowledge(folder: Path, name: str, ticket_id: str) -> None:
    """Write down that a unit was acknowledged."""
    with (folder / f"{name}.acked").open("a", encoding="utf-8") as file:
        file.write(f"{ticket_id}\n")


def opened(folder: Path, busy_s: float = 60.0) -> FileStorage:
    """The storage that all share."""
    return FileStorage(folder / "data", checkpoint_rows=CHECKPOINT_ROWS, busy_s=busy_s)


def incoming(key: Key, number: int) -> Incoming:
    """A ticket that says a number, and is the longer the smaller it is."""
    payload = json.dumps({"id": key.id, "n": number, "body": "글" * (900 - 150 * (number % 6))}, ensure_ascii=False).encode()
    return Incoming(key=key, payload=payload, fields=Fields(subject=str(number), text_digest=number.to_bytes(32)))


async def put(uow: UnitOfWork, key: Key, number: int) -> None:
    """Save a ticket over whatever stands there."""
    save(uow, await uow.tickets.find(key.platform, key.id), key, number)


def save(uow: UnitOfWork, stood: Ticket | None, key: Key, number: int) -> None:
    """Save a ticket over the one that was read."""
    came, now = incoming(key, number), times.now()
    uow.tickets.save(stood.receive(came, now=now) if stood else new_ticket(came, now=now))


async def count_once(storage: FileStorage, ticket_id: str) -> None:
    """Add one to the counter and make a ticket, in one unit; once more whenever somebody else was faster."""
    while True:
        try:
            async with storage.unit_of_work(COMPANY) as uow:
                counter = await uow.tickets.find(COUNTER.platform, COUNTER.id)
                save(uow, counter, COUNTER, 1 + (cast(int, counter.data["n"]) if counter else 0))
                save(uow, None, ticket_key(PLATFORM, ticket_id), 0)
                await uow.commit()
                return
        except VersionConflict:
            continue


async def counted(storage: FileStorage) -> tuple[int, set[str]]:
    """What the counter says, and the tickets beside it."""
    async with storage.unit_of_work(COMPANY) as uow:
        found = {ticket.ticket_id: ticket async for ticket in uow.tickets.stream(Filter(platform=PLATFORM))}
    counter = found.pop(COUNTER.id, None)
    return (cast(int, counter.data["n"]) if counter else 0), set(found)


def count(folder: Path, name: str, n: int) -> None:
    """Work that counts n times and notes each acknowledgement."""

    async def run() -> None:
        storage = opened(folder)
        for number in range(n):
            await count_once(storage, f"{name}-{number}")
            acknowledge(folder, name, f"{name}-{number}")
        await storage.aclose()

    asyncio.run(run())


def come_and_go(folder: Path, name: str, n: int) -> None:
    """Work that counts n times, each time over a storage of its own."""

    async def run(number: int) -> None:
        storage = opened(folder)
        await count_once(storage, f"{name}-{number}")
        acknowledge(folder, name, f"{name}-{number}")
        await storage.aclose()

    for number in range(n):
        asyncio.run(run(number))


def work_off(folder: Path, name: str, n: int) -> None:
    """Work that takes tickets, n at a time, and completes each with a summary, until all are completed; notes both."""

    async def run() -> None:
        storage = opened(folder)
        while not await _is_worked_off(storage):
            for taken in await _taken(storage, folder, name, n, lease=timedelta(minutes=5)):
                async with storage.unit_of_work(COMPANY) as uow:
                    uow.progress.save(taken.completed(now=times.now()), token=token_of(taken))
                    uow.summaries.add(a_summary(taken.key))
                    await uow.commit()
                acknowledge(folder, name, taken.key.id)
        await storage.aclose()

    asyncio.run(run())


def take_and_hang(folder: Path, name: str, n: int) -> None:
    """Work that takes n tickets for a second and does nothing more."""

    async def run() -> None:
        await _taken(opened(folder), folder, name, n, lease=timedelta(seconds=1))
        await asyncio.sleep(600)

    asyncio.run(run())


def taken_by(folder: Path, name: str) -> list[str]:
    """The ids of all tickets that were handed out to a process."""
    path = folder / f"{name}.taken"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


async def _taken(storage: FileStorage, folder: Path, name: str, n: int, *, lease: timedelta) -> Sequence[Processing]:
    taken = await storage.claim(COMPANY, PLATFORM, n, worker=name, lease=lease)
    with (folder / f"{name}.taken").open("a", encoding="utf-8") as file:
        file.writelines(f"{one.key.id}\n" for one in taken)
    if not taken:
        await asyncio.sleep(0.2)
    return taken


async def _is_worked_off(storage: FileStorage) -> bool:
    async with storage.unit_of_work(COMPANY) as uow:
        progress = await uow.progress.progress(PLATFORM)
    return progress.completed == progress.total


def keep_pairs(folder: Path, name: str, n: int) -> None:
    """Work that gives two tickets the same number in each unit, and now and then deletes both."""
    del name  # nobody asks what was acknowledged

    async def run() -> None:
        storage = opened(folder)
        for number in range(1, n + 1):
            async with storage.unit_of_work(COMPANY) as uow:
                if number % 5:
                    for key in PAIR:
                        await put(uow, key, number)
                else:
                    for key, ticket in (await uow.tickets.find_many(PAIR)).items():
                        uow.tickets.delete(key, version=ticket.version)
                await uow.commit()
        await storage.aclose()

    asyncio.run(run())


async def seen_pair(storage: FileStorage) -> list[object]:
    """The numbers of both tickets as one page shows them; raises whatever a reader must never see."""
    async with storage.unit_of_work(COMPANY) as uow:
        page = await uow.tickets.page(Filter(platform=PLATFORM))
        found = await uow.tickets.find_many(PAIR)
        streamed = [ticket.data["n"] async for ticket in uow.tickets.stream()]
    assert len({ticket.data["n"] for ticket in found.values()}) <= 1, "half a unit was found"
    assert len(set(streamed)) <= 1, "half a unit was streamed"
    return [ticket.data["n"] for ticket in page.items]
