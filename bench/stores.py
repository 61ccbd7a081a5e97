"""Our own storage as the subjects use it: opened in a directory, filled, and asked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bench.measuring import Run
from bench.tickets import COMPANY, PLATFORM, STATUS, units
from deskstore.adapters.file import FileStorage
from deskstore.domain.paging import Filter
from deskstore.domain.ports import Storage
from deskstore.domain.records import Ticket


@contextmanager
def folder(run: Run) -> Generator[Path, None, None]:
    """An empty directory on the measured disk, which goes with the block."""
    path = Path(tempfile.mkdtemp(dir=run.place))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[FileStorage, None]:
    """A file storage, closed behind the block: then all that was written is durable in its files."""
    storage = FileStorage(path)
    try:
        yield storage
    finally:
        await storage.aclose()


async def save(storage: Storage, tickets: Iterable[Ticket], company_id: str = COMPANY) -> None:
    """Keep tickets in one unit of work."""
    async with storage.unit_of_work(company_id) as uow:
        for ticket in tickets:
            uow.tickets.save(ticket)
        await uow.commit()


async def save_all(path: Path, batches: Sequence[Sequence[Ticket]]) -> None:
    """Keep tickets, a unit a batch, and leave them durable in their files."""
    async with opened(path) as storage:
        for batch in batches:
            await save(storage, batch)


async def fill(path: Path, seed: int, count: int, company_id: str) -> None:
    """Give a company its tickets."""
    async with opened(path) as storage:
        for batch in units(seed, count):
            await save(storage, batch, company_id)


async def page(storage: Storage, company_id: str) -> int:
    """Read the first page of a hundred tickets with a status; how many there are."""
    async with storage.unit_of_work(company_id) as uow:
        return len((await uow.tickets.page(Filter(platform=PLATFORM, status=STATUS), limit=100)).items)


async def find(storage: Storage, company_id: str, ticket_id: str) -> bytes:
    """Read the payload of one ticket."""
    async with storage.unit_of_work(company_id) as uow:
        found = await uow.tickets.find(PLATFORM, ticket_id)
    if found is None:
        raise LookupError(ticket_id)
    return found.payload
