"""
Moving a company into PostgreSQL: how fast beside plain COPY, how closely it is compared, and with how much memory.

What it costs to have a mirror while others write is measured by `following`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from attrs import frozen

from bench import stores
from bench.backup import take
from bench.bars import (
    MIGRATE_AGAIN,
    MIGRATE_BACKUP,
    MIGRATE_CPU,
    MIGRATE_DLT,
    MIGRATE_GROWTH,
    MIGRATE_LINES,
    MIGRATE_ORIGINAL,
    MIGRATE_PEAK,
    MIGRATE_TREE,
    VERIFY_CONTENT,
    VERIFY_DIGESTS,
    VERIFY_REHASH,
    Finding,
    Samples,
)
from bench.databases import Bench, admin, bench_server, copy_in, opened, ready_files
from bench.loading import dlt_release, load_with_dlt
from bench.measuring import Run, Subject, Trial, interleaved, settle, timed
from bench.naive_postgres import TABLE, migrate_data
from bench.original import OriginalStorage
from bench.peaks import RECORD_BYTES, growth, peak_mib
from bench.stores import folder
from bench.tickets import COMPANY, PLATFORM, UNIT, payloads, tickets, write_lines
from bench.transfer import import_lines
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.comparing import Depth
from deskstore.domain.ports import Storage
from deskstore.formats import json
from deskstore.services.backup import restore_backup
from deskstore.services.importing import import_records
from deskstore.services.migrating import finish_migration, start_migration, verify_migration
from deskstore.services.tickets import save_ticket
from tests.servers.databases import Database

_BULK: Final = 3  #: times as many units as files are given
_FEW: Final = 200  #: tickets that the original moves
_CHANGED: Final = 1_000  #: of how many tickets one is changed before the sides are compared again

_Fill = Callable[[PostgresStorage], Awaitable[object]]


async def measure(run: Run) -> list[Finding]:
    """Every bar of migrating."""
    async with bench_server() as bench:
        with folder(run) as place:
            given = await _prepared(run, place)
            return [*await _backfills(run, bench, given), *await _verified(run, bench, given)]


@frozen(kw_only=True)
class _Given:
    """The same tickets in every form in which they are brought into the database."""

    count: int
    tree: Path
    lines: Path
    backup: Path
    original: Path  #: a few of them, as the original keeps them
    copied: tuple[bytes, bytes]  #: as COPY reads them

    def a_ticket(self, seconds: Samples, of: int | None = None) -> Samples:
        """The time that one ticket took of the time that all of them did."""
        count = of or self.count
        return Samples(
            name=seconds.name,
            values=tuple(value / count for value in seconds.values),
            cpu=tuple(value / count for value in seconds.cpu),
        )


async def _prepared(run: Run, place: Path) -> _Given:
    count = _BULK * run.sizes.bulk_units * UNIT
    await stores.fill(place / "data", run.seed, count, COMPANY)
    await take(place / "data", place / "backup.tar")
    write_lines(place / "tickets.ndjson", run.seed, count)
    original = OriginalStorage(place / "original")
    for _, payload in payloads(run.seed, _FEW):
        await original.save_ticket(COMPANY, PLATFORM, dict(json.load(payload)))
    return _Given(
        count=count,
        tree=place / "data",
        lines=place / "tickets.ndjson",
        backup=place / "backup.tar",
        original=place / "original",
        copied=ready_files(tickets(run.seed, count)),
    )


# -- filling -------------------------------------------------------------------------------------------------------------------------------


async def _backfills(run: Run, bench: Bench, given: _Given) -> list[Finding]:
    subjects: dict[str, Subject] = {
        "COPY": _copying(bench, given),
        "lines": _in_database(bench, lambda storage: _import(storage, given.lines)),
        "backup": _in_database(bench, lambda storage: restore_backup(storage, COMPANY, given.backup)),
        "tree": _from_tree(bench, given.tree),
        "original": _as_the_original(bench, given.original),
    }
    if dlt_release():
        subjects["dlt"] = _with_dlt(bench, given)
    taken = await interleaved(subjects, run.rounds)
    return _filled(given, {name: given.a_ticket(one, _FEW if name == "original" else None) for name, one in taken.items()})


def _filled(given: _Given, taken: Mapping[str, Samples]) -> list[Finding]:
    """What came of it, of the time and the processor time that a ticket took."""
    copy, tree = taken["COPY"], taken["tree"]
    note = f"{given.count:,} tickets with their processing, each hashed and guarded, as the application role behind forced policies"
    cpu = {name: Samples(name=name, values=taken[name].cpu) for name in ("lines", "backup")}
    told = f"here; from a backup, which it reads twice and compares in the end, {cpu['backup'].middle * 1e6:.0f} us"
    dlt = Samples(name=f"dlt {dlt_release()}", values=taken["dlt"].values) if "dlt" in taken else None
    return [
        Finding(bar=MIGRATE_LINES, subject=taken["lines"], reference=copy, note=note),
        Finding(bar=MIGRATE_CPU, subject=cpu["lines"], scale=1e6, note=told),
        Finding(bar=MIGRATE_BACKUP, subject=taken["backup"], reference=copy, note="looked at whole before, and compared in the end"),
        Finding(bar=MIGRATE_TREE, subject=tree, reference=copy, note="start_migration() from one file a record"),
        Finding(bar=MIGRATE_DLT, subject=tree if dlt else None, reference=dlt, note="" if dlt else "dlt is not installed"),
        Finding(bar=MIGRATE_ORIGINAL, subject=tree, reference=taken["original"], note=f"the original moved {_FEW}, without processing"),
    ]


def _copying(bench: Bench, given: _Given) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        async with bench.fresh() as database, admin(database) as connection:
            yield lambda: copy_in(connection, given.copied)

    return subject


def _in_database(bench: Bench, act: _Fill) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        async with bench.fresh() as database, opened(database) as storage:
            yield lambda: act(storage)

    return subject


def _from_tree(bench: Bench, tree: Path) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        async with bench.fresh() as database, opened(database) as target, stores.opened(tree) as source:
            yield lambda: start_migration(source, target, COMPANY)
            await finish_migration(source, target, COMPANY, without_mirror=True)

    return subject


def _with_dlt(bench: Bench, given: _Given) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        async with bench.fresh() as database:
            yield lambda: asyncio.to_thread(load_with_dlt, given.tree, database.admin_url)

    return subject


def _as_the_original(bench: Bench, few: Path) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        async with bench.fresh() as database, admin(database) as connection:
            await connection.execute(TABLE)
            await connection.execute(f"GRANT ALL ON tickets, tickets_id_seq TO {database.app_role}; GRANT USAGE ON SCHEMA public TO PUBLIC")
            yield lambda: migrate_data(few, database.app_url)

    return subject


async def _import(storage: PostgresStorage, lines: Path) -> None:
    report = await import_records(storage, COMPANY, PLATFORM, [lines], kind="ticket")
    if report.rejected or not report.created:
        raise ValueError(f"the import took {report.created} of {report.records} tickets")


# -- comparing -----------------------------------------------------------------------------------------------------------------------------


async def _verified(run: Run, bench: Bench, given: _Given) -> list[Finding]:
    """Both sides compared at each depth; then one ticket of a thousand is changed, and what changed is compared."""
    took: dict[str, list[float]] = {name: [] for name in (*Depth, "changes")}
    loaded: list[float] = []
    async with bench.fresh() as database, opened(database) as target, stores.opened(given.tree) as source:
        await start_migration(source, target, COMPANY)
        for number in range(run.rounds):
            for depth in Depth:
                settle()
                took[depth].append((await timed(partial(_compare, source, target, depth)))[0])
            await _change_some(source, run, given.count, number)
            settle()
            took["changes"].append((await timed(partial(_compare, source, target)))[0])
            loaded += await _loaded(bench, given)
        await finish_migration(source, target, COMPANY, without_mirror=True)
    return _rates(given, took, loaded)


def _rates(given: _Given, took: Mapping[str, list[float]], loaded: list[float]) -> list[Finding]:
    samples = {name: Samples(name=name, values=tuple(values)) for name, values in took.items()}
    changed = max(1, given.count // _CHANGED)
    findings = [
        Finding(
            bar=bar,
            subject=Samples(name=name, values=tuple(given.count / value for value in samples[name].values)),
            note=f"both sides, {given.count:,} tickets with their processing" + _beside(given.count / samples[name].middle, given, loaded),
        )
        for name, bar in ((Depth.DIGESTS, VERIFY_DIGESTS), (Depth.REHASH, VERIFY_REHASH), (Depth.CONTENT, VERIFY_CONTENT))
    ]
    note = f"{changed} of {given.count:,} tickets changed; full: every payload hashed anew on both sides"
    return [*findings, Finding(bar=MIGRATE_AGAIN, subject=samples["changes"], reference=samples["rehash"], note=note)]


def _beside(rate: float, given: _Given, loaded: list[float]) -> str:
    """The rate as so many times that of dlt's loading, taken in the same rounds."""
    return f"; {rate * sorted(loaded)[len(loaded) // 2] / given.count:.1f} times dlt's loading" if loaded else "; dlt is not installed"


async def _loaded(bench: Bench, given: _Given) -> list[float]:
    """What dlt takes for the same tickets, where it is here."""
    if not dlt_release():
        return []
    async with _with_dlt(bench, given)() as trial:
        settle()
        return [(await timed(trial))[0]]


async def _change_some(source: Storage, run: Run, count: int, number: int) -> None:
    """Let one ticket of a thousand say something else."""
    for place, (_, payload) in enumerate(payloads(run.seed, count)):
        if place % _CHANGED == number:
            await save_ticket(source, COMPANY, PLATFORM, payload.replace(b'"spam":false', b'"spam":true '))


async def _compare(source: Storage, target: Storage, depth: Depth | None = None) -> None:
    report = await verify_migration(source, target, COMPANY, depth=depth or Depth.REHASH, only_changes=depth is None)
    if not report.is_verified:
        raise ValueError(f"{report.different} things differ, the first is {report.differences[0]}")


# -- memory --------------------------------------------------------------------------------------------------------------------------------


async def measure_memory(run: Run) -> list[Finding]:
    """How much memory a process takes at its peak that moves a company from files to PostgreSQL, and does nothing else."""
    async with bench_server() as bench:
        return await _peaks(run, bench)


async def _peaks(run: Run, bench: Bench) -> list[Finding]:
    peaks: dict[int, list[float]] = {size: [] for size in run.sizes.remembered}
    for size in run.sizes.remembered:
        with folder(run) as place:
            write_lines(place / "tickets.ndjson", run.seed, size, size_bytes=RECORD_BYTES)
            await import_lines(place / "data", place / "tickets.ndjson")
            for _ in range(run.rounds):
                async with bench.fresh() as database:
                    peaks[size].append(await _peak(place / "data", database))
                    async with opened(database) as target, stores.opened(place / "data") as source:
                        await finish_migration(source, target, COMPANY, without_mirror=True)
    _, (many, high) = peaks.items()
    highest = Finding(bar=MIGRATE_PEAK, subject=Samples(name="peak", values=tuple(high)), note=f"{many:,} records of 2 kB")
    return [highest, growth(MIGRATE_GROWTH, peaks)]


async def _peak(data: Path, database: Database) -> float:
    """The largest resident set, in MiB."""
    address = data.parent / "address"
    address.write_text(database.app_url, encoding="utf-8")
    return await peak_mib("migrate", data, address)
