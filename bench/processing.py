"""
The pipeline: claims, changes of status, counts and whole workers, on files beside one SQLite table, and on PostgreSQL beside itself.

What PostgreSQL's claims, changes and counts cost beside their bare statements is measured with `bench postgres`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench import databases
from bench.bars import FILE_CLAIMED_TWICE, FILE_CLAIMS, FILE_COUNTS, FILE_STATUS, FILE_WORKER, PG_WORKER, Finding, Samples
from bench.measuring import Run, Subject, Trial, in_ms, interleaved, timed
from bench.stores import folder, opened, save
from bench.tickets import COMPANY, PLATFORM, units
from deskstore.domain.ports import Storage
from deskstore.services.holding import HeldClaim
from deskstore.services.processing import claim_tickets, complete, get_processing_progress, update_processing_status
from deskstore.services.summaries import SummaryDraft
from deskstore.services.tickets import get_ticket
from deskstore.services.working import work_off

_WORKERS: Final = 8
_BATCH: Final = 100
_CLAIMS: Final = 3  #: of each worker in a round
_UPDATES: Final = 320
_WRITERS: Final = 16
_WORKED: Final = 1_000  #: tickets that a worker works off
_LEASE: Final = timedelta(minutes=10)
_SUMMARY: Final = SummaryDraft(content={"summary": "The parcel never came."}, model="fake-1", prompt_id="short-1")

_Work = Callable[[Storage], Awaitable[None]]


async def measure(run: Run) -> list[Finding]:
    """Every figure of the pipeline."""
    return [*await _claims(run), await _status(run), await _counts(run), *await _workers(run)]


class StateTable:
    """How far tickets have come, in one SQLite table that is durable at each commit."""

    def __init__(self, path: Path, count: int) -> None:
        self._connection: Final = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("pragma journal_mode=wal")
        self._connection.execute("pragma synchronous=full")
        self._connection.execute(
            "create table state (platform text, id text, status text, claimable_us integer, worker text, primary key (platform, id))"
        )
        self._connection.execute("create index line on state (platform, claimable_us, id)")
        rows = [(PLATFORM, str(number), "pending", number) for number in range(1, count + 1)]
        with self._connection:
            self._connection.executemany("insert into state values (?, ?, ?, ?, null)", rows)

    def claim(self, worker: str) -> int:
        """Take a hundred tickets in one statement; how many there were."""
        found = self._connection.execute(
            "update state set status = 'processing', claimable_us = claimable_us + 1000000000, worker = ? where (platform, id) in "
            "(select platform, id from state where platform = ? and claimable_us <= 1000000000 order by claimable_us, id limit ?) "
            "returning platform, id",
            (worker, PLATFORM, _BATCH),
        )
        return len(found.fetchall())

    def complete(self, ticket_id: str) -> None:
        """Set the status of one ticket."""
        self._connection.execute("update state set status = 'completed' where platform = ? and id = ?", (PLATFORM, ticket_id))

    def count(self) -> list[tuple[str, int]]:
        """Count all tickets by their status."""
        return self._connection.execute("select status, count(*) from state where platform = ? group by status", (PLATFORM,)).fetchall()

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()


async def _fill(storage: Storage, run: Run, count: int) -> None:
    for unit in units(run.seed, count):
        await save(storage, unit)


# -- claims --------------------------------------------------------------------------------------------------------------------------------


async def _claims(run: Run) -> list[Finding]:
    """Eight workers who claim a hundred at a time from one company's files, beside the bare statement in SQLite."""
    tickets = _WORKERS * _CLAIMS * _BATCH * run.rounds
    given: list[str] = []
    took: dict[str, list[float]] = {"ours": [], "SQLite": []}
    with folder(run) as place:
        table = StateTable(place / "state.db", tickets)
        async with opened(place / "data") as storage:
            await _fill(storage, run, tickets)

            async def work(worker: str) -> None:
                for _ in range(_CLAIMS):
                    taken = await claim_tickets(storage, COMPANY, PLATFORM, _BATCH, worker=worker, lease=_LEASE)
                    given.extend(one.key.id for one in taken)

            async def ours() -> None:
                await asyncio.gather(*(work(f"worker {number}") for number in range(_WORKERS)))

            async def theirs() -> None:
                for number in range(_WORKERS * _CLAIMS):
                    table.claim(f"worker {number}")

            for _ in range(run.rounds):
                took["ours"].append((await timed(ours))[0])
                took["SQLite"].append((await timed(theirs))[0])
        table.close()
    mine, others = (Samples(name=name, values=tuple(values)) for name, values in took.items())
    rate = _WORKERS * _CLAIMS * _BATCH / mine.middle
    twice = Samples(name="twice", values=(float(len(given) - len(set(given))),))
    return [
        Finding(bar=FILE_CLAIMS, subject=mine, reference=others, note=f"{len(given):,} tickets given, {rate:,.0f} a second; {in_ms(run)}"),
        Finding(bar=FILE_CLAIMED_TWICE, subject=twice),
    ]


# -- status and counts ---------------------------------------------------------------------------------------------------------------------


async def _status(run: Run) -> Finding:
    """Sixteen tasks that each set the status of tickets of their own, beside as many updates in SQLite, a commit each."""

    @asynccontextmanager
    async def ours() -> AsyncGenerator[Trial]:
        with folder(run) as place:
            async with opened(place) as storage:
                await _fill(storage, run, _UPDATES)
                yield lambda: _complete_all(storage, [str(number) for number in range(1, _UPDATES + 1)])

    @asynccontextmanager
    async def theirs() -> AsyncGenerator[Trial]:
        with folder(run) as place:
            table = StateTable(place / "state.db", _UPDATES)

            async def update_all() -> None:
                for number in range(1, _UPDATES + 1):
                    table.complete(str(number))

            yield update_all
            table.close()

    taken = await interleaved({"ours": ours, "SQLite": theirs}, run.rounds)
    rate = _UPDATES / taken["ours"].middle
    return Finding(
        bar=FILE_STATUS, subject=taken["ours"], reference=taken["SQLite"], note=f"16 tasks, {rate:,.0f} updates a second; {in_ms(run)}"
    )


async def _complete_all(storage: Storage, ids: Sequence[str]) -> None:
    async def work(share: Sequence[str]) -> None:
        for ticket_id in share:
            await update_processing_status(storage, COMPANY, PLATFORM, ticket_id, "completed")

    await asyncio.gather(*(work(ids[start::_WRITERS]) for start in range(_WRITERS)))


async def _counts(run: Run) -> Finding:
    """How far all tickets have come, beside counting them."""
    tickets = run.sizes.many
    took: dict[str, list[float]] = {"progress": [], "count": []}
    with folder(run) as place:
        table = StateTable(place / "state.db", tickets)
        async with opened(place / "data") as storage:
            await _fill(storage, run, tickets)

            async def count() -> None:
                table.count()

            for _ in range(4 * run.rounds):
                took["progress"].append((await timed(lambda: get_processing_progress(storage, COMPANY, PLATFORM)))[0])
                took["count"].append((await timed(count))[0])
        table.close()
    ours, theirs = (Samples(name=name, values=tuple(values)) for name, values in took.items())
    return Finding(bar=FILE_COUNTS, subject=ours, reference=theirs, note=f"{tickets:,} tickets; reference: a group by in SQLite")


# -- whole workers -------------------------------------------------------------------------------------------------------------------------


async def _workers(run: Run) -> list[Finding]:
    """work_off() beside the same steps written out, with a model that answers at once."""
    files = await interleaved({"work_off": _on_files(run, _by_work_off), "by hand": _on_files(run, _by_hand)}, run.rounds)
    async with databases.bench_server() as bench:
        server = await interleaved(
            {"work_off": _on_postgresql(run, bench, _by_work_off), "by hand": _on_postgresql(run, bench, _by_hand)}, run.rounds
        )
    return [
        Finding(
            bar=bar,
            subject=taken["work_off"],
            reference=taken["by hand"],
            note=f"{_WORKED / taken['work_off'].middle:,.0f} tickets a second",
        )
        for bar, taken in ((FILE_WORKER, files), (PG_WORKER, server))
    ]


def _on_files(run: Run, work: _Work) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        with folder(run) as place:
            async with opened(place) as storage:
                await _fill(storage, run, _WORKED)
                yield lambda: work(storage)

    return subject


def _on_postgresql(run: Run, bench: databases.Bench, work: _Work) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        async with bench.fresh() as database, databases.opened(database) as storage:
            await _fill(storage, run, _WORKED)
            yield lambda: work(storage)

    return subject


async def _by_work_off(storage: Storage) -> None:
    async def handler(_: HeldClaim) -> SummaryDraft:
        return _SUMMARY

    await work_off(storage, COMPANY, PLATFORM, handler, concurrency=_WORKERS, until_done=True, poll=timedelta(milliseconds=5))


async def _by_hand(storage: Storage) -> None:
    async def work(worker: str) -> None:
        while taken := await claim_tickets(storage, COMPANY, PLATFORM, 1, worker=worker, lease=_LEASE):
            await get_ticket(storage, COMPANY, PLATFORM, taken[0].key.id)
            await complete(storage, COMPANY, taken[0], summary=_SUMMARY)

    await asyncio.gather(*(work(f"worker {number}") for number in range(_WORKERS)))
