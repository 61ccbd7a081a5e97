"""Opening: a company that was closed cleanly, and one whose database is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.bars import OPEN, OPEN_LARGE, REBUILD, Finding
from bench.measuring import Run, Subject, Trial, interleaved, ready
from bench.references import read_and_parse
from bench.tickets import PLATFORM
from deskstore.adapters.file import FileStorage

MANY: Final = "many"
LISTED: Final = "listed"
FEW: Final = "few"
_MORE_ROUNDS: Final = 4  #: times as many rounds, where one takes milliseconds


def companies(run: Run) -> Mapping[str, int]:
    """The companies that reading and opening are measured on, with their numbers of tickets."""
    return {MANY: run.sizes.many, LISTED: run.sizes.listed, FEW: 1_000}


async def measure(run: Run, data: Path) -> list[Finding]:
    """Every bar of opening, on companies that nobody has open."""
    return [*await _clean(run, data), await _rebuilt(run, data)]


async def _clean(run: Run, data: Path) -> list[Finding]:
    taken = await interleaved({name: _opening(data, name) for name in (MANY, FEW)}, run.rounds * _MORE_ROUNDS)
    note = f"{run.sizes.many:,} tickets; from a new storage to its first answer"
    return [
        Finding(bar=OPEN, subject=taken[MANY], note=note, scale=1_000),
        Finding(bar=OPEN_LARGE, subject=taken[MANY], reference=taken[FEW], note=note),
    ]


def _opening(data: Path, company_id: str) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        storage = FileStorage(data)
        try:
            yield lambda: _answer(storage, company_id)
        finally:
            await storage.aclose()

    return subject


async def _answer(storage: FileStorage, company_id: str) -> None:
    async with storage.unit_of_work(company_id) as uow:
        if not (await uow.progress.progress(PLATFORM)).total:
            raise LookupError(f"company {company_id} lost its tickets")


async def _rebuilt(run: Run, data: Path) -> Finding:
    files = data / LISTED / PLATFORM / "tickets"
    parsing = ready(lambda: asyncio.to_thread(read_and_parse, files))
    taken = await interleaved({"deskstore": _losing(data, LISTED), "parsing": parsing}, run.rounds)
    return Finding(bar=REBUILD, subject=taken["deskstore"], reference=taken["parsing"], note=f"{run.sizes.listed:,} tickets")


def _losing(data: Path, company_id: str) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        for part in (data / company_id / ".deskstore").glob("state.sqlite3*"):
            part.unlink()
        async with _opening(data, company_id)() as trial:
            yield trial

    return subject
