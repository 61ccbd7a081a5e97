"""Units of work that are cancelled at random moments."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

from deskstore.adapters.file import FileStorage
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.outcomes import UnitOutcome
from deskstore.domain.ports import Storage, UnitOfWork
from deskstore.testing.makers import a_summary, a_ticket
from tests.file.workers import COMPANY

_AT_ONCE: Final = 20
_LONGEST_S: Final = 0.03  #: about what a unit takes beside so many others


def open_things() -> tuple[int, int]:
    """How many threads and descriptors this process has; those of the event loop's own executor come and stay."""
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return len(threads), len(os.listdir("/proc/self/fd"))


async def cancel_units(folder: Path, *, times: int, random: Random) -> int:
    """
    Cancel so many units at random moments, and say how many did not come to their end.

    Raises:
        AssertionError: A unit is there that said it is not, or the other way round, or in part.
    """
    storage = FileStorage(folder / "data", checkpoint_rows=50)
    kept, ended = set[str](), 0
    for first in range(0, times, _AT_ONCE):
        outcomes = await asyncio.gather(*(_cancelled(storage, str(first + n), random.random()) for n in range(_AT_ONCE)))
        kept |= {ticket_id for ticket_id, outcome in outcomes if outcome == UnitOutcome.COMMITTED}
        ended += len([outcome for _, outcome in outcomes if outcome != UnitOutcome.COMMITTED])
        assert UnitOutcome.UNKNOWN not in {outcome for _, outcome in outcomes}
    assert await _found(storage) == kept
    await storage.aclose()
    return ended


async def _cancelled(storage: Storage, ticket_id: str, when: float) -> tuple[str, UnitOutcome]:
    unit = storage.unit_of_work(COMPANY)
    task = asyncio.ensure_future(_work(unit, ticket_id))
    if when < 0.5:
        for _ in range(int(when * 20)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep((when - 0.5) * 2 * _LONGEST_S)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return ticket_id, unit.outcome


async def _work(unit: UnitOfWork, ticket_id: str) -> None:
    async with unit:
        await unit.tickets.find(a_ticket().platform, ticket_id)
        await unit.progress.stats()
        unit.tickets.save(a_ticket(ticket_id))
        unit.summaries.add(a_summary(ticket_key(a_ticket().platform, ticket_id)))
        await unit.commit()


async def _found(storage: Storage) -> set[str]:
    """The tickets that are there, each with its summary."""
    async with storage.unit_of_work(COMPANY) as uow:
        tickets = [ticket async for ticket in uow.tickets.stream()]
        summaries = await uow.summaries.current_many([ticket.key for ticket in tickets])
    assert set(summaries) == {ticket.key for ticket in tickets}
    return {ticket.ticket_id for ticket in tickets}
