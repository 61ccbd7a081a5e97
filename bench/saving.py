"""Saving: bulk units against the floor, SQLite and per-record writes; small units; and many tasks at once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from attrs import evolve

from bench.bars import BULK_FLOOR, BULK_PER_RECORD, BULK_SQLITE, GROUP_COMMIT, UNIT_OF_3, Finding, Samples
from bench.measuring import Run, Subject, Trial, in_ms, interleaved, ready, settle, timed
from bench.references import SqliteTable, write_floor, write_per_record
from bench.stores import folder, opened, save, save_all
from bench.tickets import UNIT, units
from deskstore.domain.records import Ticket

TASKS: Final = 16
_WORTH_SHARING_MS: Final = 1.0  #: below it a sync costs too little for tasks to gain by sharing one

Batches = Sequence[Sequence[Ticket]]


async def measure(run: Run) -> list[Finding]:
    """Every bar of saving."""
    return [*await _bulk(run), await _small(run), await _together(run)]


# -- bulk ----------------------------------------------------------------------------------------------------------------------------------


async def _bulk(run: Run) -> list[Finding]:
    batches = list(units(run.seed, run.sizes.bulk_units * UNIT))
    subjects = {
        "deskstore": _in_folder(run, lambda place: save_all(place, batches)),
        "floor": _in_folder(run, lambda place: asyncio.to_thread(_each, write_floor, place, batches)),
        "SQLite": _in_folder(run, lambda place: asyncio.to_thread(_into_sqlite, place, batches)),
        "per record": _in_folder(run, lambda place: asyncio.to_thread(_each, write_per_record, place, batches)),
    }
    taken = await interleaved(subjects, run.rounds)
    note = f"{run.sizes.bulk_units} units of {UNIT:,} a round, all durable in their files at its end"
    floor = f"the floor itself takes {taken['floor'].middle / taken['SQLite'].middle:.1f} times SQLite's time"
    return [
        Finding(bar=BULK_FLOOR, subject=taken["deskstore"], reference=taken["floor"], note=note),
        Finding(bar=BULK_SQLITE, subject=taken["deskstore"], reference=taken["SQLite"], note=floor),
        Finding(bar=BULK_PER_RECORD, subject=taken["deskstore"], reference=taken["per record"], note=in_ms(run)),
    ]


def _in_folder(run: Run, write: Callable[[Path], Awaitable[object]]) -> Subject:
    """
    Writes to a folder that stays until the end of the run.

    At each new file ext4 looks past the inodes that were freed in the last seconds: behind a round that was tidied up, that took 40 % of
    the processor time of the next one.
    """

    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial, None]:
        place = Path(tempfile.mkdtemp(dir=run.place))
        yield lambda: write(place)

    return subject


def _each(write: Callable[[Path, Sequence[Ticket]], None], place: Path, batches: Batches) -> None:
    for batch in batches:
        write(place, batch)


def _into_sqlite(place: Path, batches: Batches) -> None:
    table = SqliteTable(place / "tickets.sqlite3")
    for batch in batches:
        table.save(batch)
    table.close()


# -- small units ---------------------------------------------------------------------------------------------------------------------------


async def _small(run: Run) -> Finding:
    """Unit by unit in turn, since one takes so little time that a round of many would only measure the neighbours."""
    batches = list(_threes(run.seed, run.sizes.small_units))
    ours: list[float] = []
    theirs: list[float] = []
    with folder(run) as place:
        table = SqliteTable(place / "tickets.sqlite3")
        async with opened(place / "data") as storage:
            await save(storage, [_renamed(batches[0][0], "first")])
            settle()
            for batch in batches:
                ours.append((await timed(partial(save, storage, batch)))[0])
                theirs.append((await timed(partial(_saved, table, batch)))[0])
        table.close()
    return Finding(
        bar=UNIT_OF_3,
        subject=Samples(name="deskstore", values=tuple(ours)),
        reference=Samples(name="SQLite", values=tuple(theirs)),
        note=f"{len(batches)} units in turn; {in_ms(run)}",
    )


def _threes(seed: int, number: int) -> Iterator[Sequence[Ticket]]:
    tickets = [ticket for unit in units(seed, number * 3) for ticket in unit]
    return (tickets[start : start + 3] for start in range(0, len(tickets), 3))


async def _saved(table: SqliteTable, batch: Sequence[Ticket]) -> None:
    table.save(batch)


# -- group commit --------------------------------------------------------------------------------------------------------------------------


async def _together(run: Run) -> Finding:
    if run.fsync_ms < _WORTH_SHARING_MS:
        figure = await _throughputs(run)
        told = (
            f"{figure.measured or 0:.1f}x here, but {in_ms(run)}: the bar speaks of disks where it takes {_WORTH_SHARING_MS:g} ms or more"
        )
        return Finding(bar=GROUP_COMMIT, note=told)
    return await _throughputs(run)


async def _throughputs(run: Run) -> Finding:
    tickets = [ticket for unit in units(run.seed, run.sizes.small_units * 4) for ticket in unit]
    name = count()
    with folder(run) as place:
        async with opened(place) as storage:

            async def in_turn(share: Sequence[Ticket], mark: int) -> None:
                for ticket in share:
                    await save(storage, [_renamed(ticket, f"{ticket.ticket_id}-{mark}")])

            async def one_task() -> None:
                await in_turn(tickets, next(name))

            async def many_tasks() -> None:
                mark = next(name)
                await asyncio.gather(*(in_turn(tickets[start::TASKS], mark) for start in range(TASKS)))

            taken = await interleaved({"16 tasks": ready(many_tasks), "one task": ready(one_task)}, run.rounds)
    return Finding(bar=GROUP_COMMIT, subject=taken["16 tasks"], reference=taken["one task"], note=in_ms(run))


def _renamed(ticket: Ticket, ticket_id: str) -> Ticket:
    return evolve(ticket, ticket_id=ticket_id)
