"""
A process in which some tasks write a company through the hybrid storage until somebody ends it; prints what tests.chaos.ledger reads.

    python -m tests.chaos.writer FOLDER DATABASE COMPANY NAME TASKS SEED
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

from attrs import evolve

from deskstore.adapters.hybrid import HybridStorage
from deskstore.domain.errors import ClaimLost, StorageError, TicketNotFound
from deskstore.domain.identifiers import Key, ticket_key
from deskstore.domain.ports import UnitOfWork
from deskstore.domain.records import Ticket
from deskstore.testing.desk import Desk, token_of
from deskstore.testing.makers import a_summary, a_ticket, incoming
from tests.chaos.cargo import LIVE
from tests.chaos.ledger import Told
from tests.hybrid.mover import sides

_TICKETS: Final = 40  #: of each task
_PAUSE_S: Final = 0.01
_PATIENCE_S: Final = 1.5  #: with a swap: the process that was at it may have been killed


class Writer:
    """One task, which alone saves its tickets."""

    def __init__(self, desk: Desk, name: str, random: Random) -> None:
        self._desk: Final = desk
        self._name: Final = name
        self._random: Final = random
        self._told: Final[dict[str, Told]] = {}

    async def write(self) -> None:
        """Do one thing after the other, for ever."""
        while True:
            name = self._any()
            try:
                await self._do_something(name)
            except StorageError as error:
                _tell(f"refused {type(error).__name__}")
            await asyncio.sleep(_PAUSE_S * self._random.random())

    async def _do_something(self, name: str) -> None:
        stored, draw = await self._read(name), self._random.random()
        if stored is None or draw < 0.4:
            await self._save({name})
        elif draw < 0.55:
            await self._save({name, self._any(), self._any()})
        elif draw < 0.75:
            await self._delete(stored)
        elif draw < 0.9:
            await self._desk.summarise(a_summary(stored.key, f"text {draw}"))
        else:
            await self._work()

    async def _read(self, name: str) -> Ticket | None:
        """A ticket as it is read; whether that is as late as what was acknowledged is looked at here."""
        async with self._desk.unit() as uow:
            return await self._seen(uow, name)

    async def _seen(self, uow: UnitOfWork, name: str) -> Ticket | None:
        found = await uow.tickets.find(LIVE, name)
        version = found.version if found else 0
        if (told := self._told.get(name)) is not None and not told.agrees(version):
            _tell(f"back {name} from {told.version} (tried: {sorted(told.tried)}) to {version}")
        self._told[name] = Told(version)  # what was tried before is over, as far as a reader can tell
        return found

    async def _save(self, names: set[str]) -> None:
        """Save some tickets in one unit."""
        async with self._desk.unit() as uow:
            for name in sorted(names):
                stored = await self._seen(uow, name)
                self._try("save", name)
                uow.tickets.save(self._changed(_key(name), stored))
            committed = await uow.commit()
        for key, version in committed.versions.items():
            self._told[key.id] = Told(version)
            _tell(f"kept {key.id} {version}")

    def _changed(self, key: Key, stored: Ticket | None) -> Ticket:
        text, now = f"text {self._random.random()}", self._desk.storage.clock()
        if stored is None:
            return a_ticket(key.id, platform=LIVE, text=text, now=now)
        return evolve(stored.receive(incoming(key, text), now=now), version=stored.version)

    async def _delete(self, stored: Ticket) -> None:
        self._try("delete", stored.ticket_id)
        await self._desk.delete(stored)
        self._told[stored.ticket_id] = Told()
        _tell(f"gone {stored.ticket_id}")

    async def _work(self) -> None:
        """Take tickets of anybody, and be done with them."""
        for taken in await self._desk.claim(3, worker=self._name, platform=LIVE):
            with suppress(ClaimLost, TicketNotFound):  # somebody deleted it meanwhile
                async with self._desk.unit() as uow:
                    uow.progress.save(taken.completed(now=self._desk.storage.clock()), token=token_of(taken))
                    await uow.commit()

    def _try(self, what: str, name: str) -> None:
        self._told.setdefault(name, Told()).tried.add(what)
        _tell(f"try {what} {name}")

    def _any(self) -> str:
        return f"{self._name}-{self._random.randrange(_TICKETS)}"


def _key(name: str) -> Key:
    return ticket_key(LIVE, name)


def _tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def _write(folder: Path, database: str, company_id: str, name: str, tasks: int, seed: int) -> None:
    near, far = sides(folder, database)
    hybrid = HybridStorage(near, far, patience_s=_PATIENCE_S)
    writers = [Writer(Desk(hybrid, company_id), f"{name}-{number}", Random(f"{seed} {name} {number}")) for number in range(tasks)]
    work = asyncio.gather(*(writer.write() for writer in writers))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    with suppress(asyncio.CancelledError):
        await work
    await hybrid.aclose()


if __name__ == "__main__":
    asyncio.run(_write(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])))
