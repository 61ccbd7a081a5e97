"""PostgreSQL: bulk saves against plain COPY and the original, finds against raw asyncpg, round trips on the wire."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from statistics import median
from typing import Final

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from bench import postgres_large
from bench.bars import (
    PG_BULK,
    PG_BULK_TWO,
    PG_CHANGED,
    PG_FIND,
    PG_FIND_TRIPS,
    PG_NAIVE,
    PG_UNCHANGED,
    PG_UNIT_TRIPS,
    Finding,
    Samples,
)
from bench.databases import SCHEMA, Bench, admin, bench_server, copy_in, opened, ready_files
from bench.measuring import Run, Subject, Trial, interleaved, settle, timed
from bench.naive_postgres import TABLE, save_one_by_one
from bench.stores import save
from bench.tickets import COMPANY, NOW, PLATFORM, UNIT, payloads, tickets, units
from deskstore.adapters.postgres import PostgresStorage
from deskstore.domain.records import Incoming, Ticket, new_ticket
from deskstore.services.tickets import save_tickets
from tests.postgres.proxies import wire_to
from tests.servers.databases import Database

_BULK: Final = 3  #: times as many units as files are given
_NAIVE: Final = 200  #: tickets that the original saves
_FINDS: Final = 300  #: in a round
Batches = Sequence[Sequence[Ticket]]


async def measure(run: Run) -> list[Finding]:
    """Every bar of PostgreSQL."""
    async with bench_server() as bench:
        small = [*await _bulk(run, bench), *await _again(run, bench), *await _finds(run, bench), *await _trips(bench)]
        return [*small, *await postgres_large.measure(run, bench)]


# -- bulk ----------------------------------------------------------------------------------------------------------------------------------


async def _bulk(run: Run, bench: Bench) -> list[Finding]:
    batches = list(units(run.seed, _BULK * run.sizes.bulk_units * UNIT))
    files = ready_files(ticket for batch in batches for ticket in batch)
    few = batches[0][:_NAIVE]
    taken = await interleaved(
        {
            "COPY": _by_admin(bench, lambda connection: copy_in(connection, files)),
            "one": _in_storage(bench, partial(_save_all, batches=batches, at_once=1)),
            "two": _in_storage(bench, partial(_save_all, batches=batches, at_once=2)),
            "original": _as_the_original(bench, few),
        },
        run.rounds,
    )
    scale = len(batches) * UNIT / len(few)
    original = Samples(name="the original, as many", values=tuple(value * scale for value in taken["original"].values))
    note = f"{len(batches)} units of {UNIT:,}, hashed, as the application role behind forced policies; COPY as superuser, one transaction"
    return [
        Finding(bar=PG_BULK, subject=taken["one"], reference=taken["COPY"], note=note),
        Finding(bar=PG_BULK_TWO, subject=taken["two"], reference=taken["COPY"], note="two tasks, two connections"),
        Finding(bar=PG_NAIVE, subject=taken["one"], reference=original, note=f"the original saved {len(few)}"),
    ]


async def _save_all(storage: PostgresStorage, batches: Batches, at_once: int) -> None:
    waiting = list(reversed(batches))

    async def work() -> None:
        while waiting:
            await save(storage, _hashed(waiting.pop()))

    await asyncio.gather(*(work() for _ in range(at_once)))


def _hashed(batch: Sequence[Ticket]) -> list[Ticket]:
    """The same tickets, made anew of what was read of their payloads: the sha256 is part of what is timed."""
    read = (Incoming(key=one.key, payload=one.payload, fields=one.fields, checked=one.payload) for one in batch)
    return [new_ticket(one, now=NOW) for one in read]


def _in_storage(bench: Bench, act: Callable[[PostgresStorage], Awaitable[object]]) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        async with bench.fresh() as database, opened(database) as storage:
            yield lambda: act(storage)

    return subject


def _by_admin(bench: Bench, act: Callable[[asyncpg.Connection], Awaitable[object]]) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        async with bench.fresh() as database, admin(database) as connection:
            yield lambda: act(connection)

    return subject


def _as_the_original(bench: Bench, few: Sequence[Ticket]) -> Subject:
    @asynccontextmanager
    async def subject() -> AsyncGenerator[Trial]:
        async with bench.fresh() as database, admin(database) as connection:
            await connection.execute(TABLE)
            await connection.execute(f"GRANT ALL ON tickets, tickets_id_seq TO {database.app_role}; GRANT USAGE ON SCHEMA public TO PUBLIC")
            yield lambda: save_one_by_one(database.app_url, few)

    return subject


# -- the same again ------------------------------------------------------------------------------------------------------------------------


async def _again(run: Run, bench: Bench) -> list[Finding]:
    given = [payload for _, payload in payloads(run.seed, run.sizes.bulk_units * UNIT)]
    changed = [payload.replace(b'"spam":false', b'"spam":true') for payload in given]
    taken: dict[str, list[float]] = {"first": [], "unchanged": [], "changed": []}
    for _ in range(run.rounds):
        async with bench.fresh() as database, opened(database) as storage:
            for name, some in (("first", given), ("unchanged", given), ("changed", changed)):
                settle()
                wall, _ = await timed(partial(save_tickets, storage, COMPANY, PLATFORM, some))
                taken[name].append(wall)
    samples = {name: Samples(name=name, values=tuple(values)) for name, values in taken.items()}
    note = f"{len(given):,} payloads through save_tickets(), which reads what stands first"
    return [
        Finding(bar=PG_UNCHANGED, subject=samples["unchanged"], reference=samples["first"], note=note),
        Finding(bar=PG_CHANGED, subject=samples["changed"], reference=samples["first"]),
    ]


# -- finds and trips -----------------------------------------------------------------------------------------------------------------------


async def _finds(run: Run, bench: Bench) -> list[Finding]:
    async with bench.fresh() as database, opened(database) as storage, admin(database) as connection:
        for batch in units(run.seed, run.sizes.bulk_units * UNIT):
            await save(storage, batch)
        await _make_raw(connection, database)
        raw = await asyncpg.connect(database.app_url)
        statement = await raw.prepare("SELECT payload FROM raw WHERE company_id = $1 AND platform = $2 AND ticket_id = $3")
        chance = random.Random(run.seed)
        took: dict[str, list[float]] = {"port": [], "raw": []}
        for _ in range(run.rounds):
            ids = [str(chance.randint(1, run.sizes.bulk_units * UNIT)) for _ in range(_FINDS)]
            pairs = [(await _raw_s(statement, one), await _found_s(storage, one)) for one in ids]
            took["raw"].append(median(raw_s for raw_s, _ in pairs))
            took["port"].append(median(port_s for _, port_s in pairs))
        await raw.close()
    port, reference = (Samples(name=name, values=tuple(took[name])) for name in ("port", "raw"))
    return [
        Finding(bar=PG_FIND, subject=port, reference=reference, note="medians of single finds, taken in turn; raw: no policy, not parsed")
    ]


async def _make_raw(connection: asyncpg.Connection, database: Database) -> None:
    await connection.execute(
        f"""
        CREATE TABLE raw (company_id text, platform text, ticket_id text, payload json, PRIMARY KEY (company_id, platform, ticket_id));
        INSERT INTO raw SELECT company_id, platform, ticket_id, payload FROM {SCHEMA}.ticket;
        GRANT SELECT ON raw TO {database.app_role}; GRANT USAGE ON SCHEMA public TO PUBLIC;
        """
    )
    for table in ("raw", f"{SCHEMA}.ticket"):
        await connection.execute(f"VACUUM ANALYZE {table}")


async def _raw_s(statement: PreparedStatement[asyncpg.Record], ticket_id: str) -> float:
    return (await timed(lambda: statement.fetchrow(COMPANY, PLATFORM, ticket_id)))[0]


async def _found_s(storage: PostgresStorage, ticket_id: str) -> float:
    return (await timed(lambda: storage.unit_of_work(COMPANY).tickets.find(PLATFORM, ticket_id)))[0]


async def _trips(bench: Bench) -> list[Finding]:
    async with bench.fresh() as database, wire_to(database.app_url) as (wire, url):
        storage = PostgresStorage(url)
        found: dict[str, list[float]] = {"find": [], "unit": []}
        for ticket in tickets(2, 10):
            before = wire.trips
            await save(storage, [ticket])
            found["unit"].append(wire.trips - before)
            before = wire.trips
            await storage.unit_of_work(COMPANY).tickets.find(PLATFORM, ticket.ticket_id)
            found["find"].append(wire.trips - before)
        await storage.aclose()
    warm = {name: Samples(name=name, values=tuple(values[5:])) for name, values in found.items()}
    return [
        Finding(bar=PG_FIND_TRIPS, subject=warm["find"], note="once its statement is prepared on the connection"),
        Finding(bar=PG_UNIT_TRIPS, subject=warm["unit"], note="decided in Python: docs/adr/0011"),
    ]
