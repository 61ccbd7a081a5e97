"""Reading: a page of many, a listing as the original makes it, and single finds."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from bench import opening
from bench.bars import FIND, LISTING, PAGE_LARGE, PAGE_SQLITE, Finding
from bench.measuring import Run, interleaved, ready, warm
from bench.original import OriginalStorage
from bench.references import SqliteTable
from bench.stores import fill, find, folder, opened, page
from bench.tickets import PLATFORM, STATUS, payloads, units
from deskstore.adapters.file import FileStorage
from deskstore.adapters.file.readers import Readers

FINDS: Final = 100  #: in a round
_MORE_ROUNDS: Final = 6  #: times as many rounds, where one takes milliseconds


async def measure(run: Run) -> list[Finding]:
    """Every bar of reading, and those of opening, which ask for the same large companies."""
    with folder(run) as place:
        data = place / "data"
        await _fill(run, data)
        table = await asyncio.to_thread(_sqlite, run, place)
        async with opened(data) as storage:
            both = _Both(storage=storage, table=table)
            findings = [*await _pages(run, both), await _finds(run, both), await _listings(run, place, storage)]
        table.close()
        return [*findings, *await opening.measure(run, data)]


@frozen(kw_only=True)
class _Both:
    """The same tickets in our storage and in SQLite's table."""

    storage: FileStorage
    table: SqliteTable

    async def table_page(self) -> None:
        self.table.page(STATUS)


async def _fill(run: Run, data: Path) -> None:
    for company_id, size in opening.companies(run).items():
        await fill(data, run.seed, size, company_id)


def _sqlite(run: Run, place: Path) -> SqliteTable:
    table = SqliteTable(place / "tickets.sqlite3")
    for unit in units(run.seed, run.sizes.many):
        table.save(unit)
    return table


async def _pages(run: Run, both: _Both) -> list[Finding]:
    subjects = {
        "deskstore": ready(lambda: page(both.storage, opening.MANY)),
        "SQLite": ready(both.table_page),
        "of a thousand": ready(lambda: page(both.storage, opening.FEW)),
    }
    taken = await interleaved(subjects, run.rounds * _MORE_ROUNDS)
    note = f"of {run.sizes.many:,} tickets; a fifth of them have the status"
    return [
        Finding(bar=PAGE_SQLITE, subject=taken["deskstore"], reference=taken["SQLite"], note=note),
        Finding(bar=PAGE_LARGE, subject=taken["deskstore"], reference=taken["of a thousand"], note=note),
    ]


async def _finds(run: Run, both: _Both) -> Finding:
    chance = random.Random(run.seed)
    wanted = [str(chance.randint(1, run.sizes.many)) for _ in range(FINDS)]
    threads = Readers(1, "bench-read")

    async def ours() -> None:
        for ticket_id in wanted:
            await find(both.storage, opening.MANY, ticket_id)

    async def theirs() -> None:
        for ticket_id in wanted:
            await threads.run(partial(both.table.find, ticket_id))

    try:
        await ours()
        taken = await interleaved({"deskstore": ready(ours), "SQLite": ready(theirs)}, run.rounds * _MORE_ROUNDS)
    finally:
        threads.shutdown()
    return Finding(bar=FIND, subject=taken["deskstore"], reference=taken["SQLite"], note=f"{FINDS} finds a round, warm")


async def _listings(run: Run, place: Path, storage: FileStorage) -> Finding:
    original = OriginalStorage(place / "original")
    for _, payload in payloads(run.seed, run.sizes.listed):
        await original.save_ticket("bench", PLATFORM, orjson.loads(payload))
    subjects = {
        "deskstore": warm(lambda: page(storage, opening.LISTED)),
        "original": ready(lambda: original.list_tickets("bench", PLATFORM, int(STATUS))),
    }
    taken = await interleaved(subjects, run.rounds)
    note = f"{run.sizes.listed:,} tickets; the original takes {taken['original'].middle:.1f} s"
    return Finding(bar=LISTING, subject=taken["deskstore"], reference=taken["original"], note=note)
