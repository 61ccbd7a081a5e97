"""Links, pipes and directories that somebody plants where records belong, while the storage is at work."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any, Final

from attrs import evolve

from deskstore.adapters.file import FileStorage
from deskstore.adapters.file.names import encode
from deskstore.domain.errors import StorageError
from deskstore.domain.records import Ticket
from deskstore.testing.makers import PLATFORM, a_ticket
from tests.chaos.parts import Finding, Orders

COMPANY: Final = "acme"
_TICKETS: Final = 40
_LONGEST_S: Final = 5.0  #: for an operation, on a busy machine
_WORDS: Final = "nothing that belongs to the company"


def live_among_strangers(folder: Path, orders: Orders) -> Finding:
    """Each operation succeeds or is refused in time, and what lies outside the company is as before."""
    return asyncio.run(_live(folder, Random(orders.seed), 1_500))


async def _live(folder: Path, random: Random, operations: int) -> Finding:
    outside = folder / "outside"
    outside.mkdir()
    (outside / "theirs.json").write_text(_WORDS, encoding="utf-8")
    storage, failures = FileStorage(folder / "data", checkpoint_rows=20), list[str]()
    for number in range(operations):
        ticket_id = str(random.randrange(_TICKETS))
        if number > _TICKETS and random.random() < 0.3:
            _plant(folder / "data" / encode(COMPANY) / PLATFORM, ticket_id, outside, random)
        failures += await _timed(_use(storage, ticket_id, number, random), f"operation {number} on {ticket_id}")
    await storage.aclose()
    if (
        sorted(path.name for path in outside.iterdir()) != ["theirs.json"]
        or (outside / "theirs.json").read_text(encoding="utf-8") != _WORDS
    ):
        failures.append(f"something outside was touched: {sorted(outside.iterdir())}")
    return Finding(states=operations, failures=failures)


async def _timed(operation: Coroutine[Any, Any, str | None], what: str) -> list[str]:  # Any: nothing is sent in
    began = time.monotonic()
    said = await operation
    took_s = time.monotonic() - began
    return [f"{what}: {said}"] if said else [f"{what} took {took_s:.1f} s"] if took_s > _LONGEST_S else []


async def _use(storage: FileStorage, ticket_id: str, number: int, random: Random) -> str | None:
    """Read or write a ticket; says what is wrong with what came back."""
    try:
        async with storage.unit_of_work(COMPANY) as uow:
            if number > _TICKETS and random.random() < 0.5:
                found = await uow.tickets.find(PLATFORM, ticket_id)
                return "what was found is no ticket of ours" if found and found.data["id"] != ticket_id else None
            heads = await uow.tickets.heads([a_ticket(ticket_id).key])
            version = next((head.version for head in heads.values()), 0)
            uow.tickets.save(_ticket(ticket_id, number, version))
            await uow.commit()
    except StorageError:
        return None
    return None


def _ticket(ticket_id: str, number: int, version: int) -> Ticket:
    return evolve(a_ticket(ticket_id, text=str(number)), version=version)


def _plant(platform: Path, ticket_id: str, outside: Path, random: Random) -> None:
    """Put something in the place of a ticket's file, or of the directory it lies in."""
    directory, file = platform / "tickets", platform / "tickets" / f"{ticket_id}.json"
    if directory.is_symlink():
        directory.unlink()
        return
    try:
        match random.randrange(5):
            case 0:
                _remove(file)
                file.symlink_to(outside / "theirs.json")
            case 1:
                _remove(file)
                os.mkfifo(file)
            case 2:
                _remove(file)
                file.mkdir()
            case 3:
                directory.rename(platform / f"tickets-{random.randrange(10**9)}")
                directory.symlink_to(outside)
            case _:
                _remove(file)
                file.symlink_to("/dev/zero")
    except OSError:
        return  # the storage was faster


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
