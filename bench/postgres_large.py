"""PostgreSQL with a large company: pages, what policies cost, counts; then many writers at once, and workers who claim."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import asyncpg

from bench.bars import (
    PG_CLAIMED_TWICE,
    PG_CLAIMS,
    PG_COUNTS,
    PG_DEEP,
    PG_DEEP_BUFFERS,
    PG_FILTERED,
    PG_FILTERED_KEYS,
    PG_FOREIGN,
    PG_NONE,
    PG_SEALED,
    PG_SEALED_BUFFERS,
    PG_STATUS,
    PG_WAL,
    Finding,
    Samples,
)
from bench.databases import NOW_US, SCHEMA, Bench, admin, opened
from bench.measuring import Run, timed
from bench.tickets import COMPANY, PLATFORM
from deskstore.adapters.postgres import PostgresStorage
from deskstore.adapters.postgres.calls import Calls
from deskstore.adapters.postgres.reads import PostgresTickets
from deskstore.domain.identifiers import ticket_key
from deskstore.domain.paging import EVERYTHING, Filter
from deskstore.domain.processing import COMPLETED, Processing
from tests.servers.databases import Database

_LARGE: Final = 10  #: times as many tickets as files are given
_RARE, _NOBODYS = "rare", "nobody's"
_UPDATES: Final = 2_000
_SCANS: Final = 6  #: pairs of full scans in a round
_WRITERS: Final = 16
_WORKERS: Final = 8
_CLAIMS: Final = 5  #: of each worker in a round
_CLAIM_ROUNDS: Final = 5
_BARE_CLAIM: Final = f"""
    UPDATE {SCHEMA}.ticket_state s SET status = 'processing', claimable_us = {NOW_US} * 2 FROM (
        SELECT company_id, platform, ticket_id FROM {SCHEMA}.ticket_state
        WHERE company_id = $1 AND platform = $2 AND claimable_us <= {NOW_US}
        ORDER BY claimable_us, ticket_id LIMIT 100 FOR UPDATE SKIP LOCKED
    ) k WHERE s.company_id = k.company_id AND s.platform = k.platform AND s.ticket_id = k.ticket_id RETURNING s.*
"""
_FILL: Final = f"""
    INSERT INTO {SCHEMA}.company VALUES ('{COMPANY}');
    INSERT INTO {SCHEMA}.company_state (company_id, state, primary_store, is_home, epoch, born, erased, floor)
    SELECT '{COMPANY}', json_build_object('primary', id, 'mirror_status', 'none', 'epoch', 1), id, true, 1, 1, false, 0 FROM {SCHEMA}.store;
    INSERT INTO {SCHEMA}.ticket (
        company_id, platform, ticket_id, version, created_us, saved_us, subject, status, text_digest, sha256, payload
    )
    SELECT '{COMPANY}', '{PLATFORM}', n::text, 1, 1600000000000000 + n::bigint * 7919 % 1000003 * 1000000, {NOW_US} - n, 'subject ' || n,
        CASE WHEN n % 100 = 1 THEN '{_RARE}' ELSE (n % 5)::text END, sha256(n::text::bytea), sha256(n::text::bytea),
        json_build_object('id', n, 'text', md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text) || md5((n + 3)::text))
    FROM generate_series(1, :count) n;
    INSERT INTO {SCHEMA}.ticket_state (company_id, platform, ticket_id, created_us, status, attempts, claimable_us, changed_us, version)
    SELECT company_id, platform, ticket_id, created_us, 'pending', 0, saved_us, saved_us, 1 FROM {SCHEMA}.ticket;
"""
_TOUCHED: Final = f"""
    SELECT
        coalesce(sum(pg_stat_get_xact_blocks_fetched(c.oid)) FILTER (WHERE c.relname NOT IN ('company_state', 'company_state_pkey')), 0),
        coalesce(sum(pg_stat_get_xact_blocks_fetched(c.oid)) FILTER (WHERE c.relname = 'ticket_by_status'), 0)
    FROM pg_class c WHERE c.relnamespace = '{SCHEMA}'::regnamespace
"""


async def measure(run: Run, bench: Bench) -> list[Finding]:
    """Every bar of PostgreSQL that needs a large company."""
    async with bench.fresh() as database, admin(database) as connection:
        count = _LARGE * run.sizes.many
        await connection.execute(_FILL.replace(":count", str(count)))
        for table in ("ticket", "ticket_state"):
            await connection.execute(f"VACUUM ANALYZE {SCHEMA}.{table}")
        async with opened(database) as storage:
            found = [
                *await _pages(run, database, storage),
                *await _sealed(run, database, connection),
                *await _counts(run, connection, storage),
            ]
            found += await _claims(storage, database)
    return [*found, *await _wal(run, bench), await _status(run, bench)]


# -- pages ---------------------------------------------------------------------------------------------------------------------------------


async def _pages(run: Run, database: Database, storage: PostgresStorage) -> list[Finding]:
    reads = storage.backend(COMPANY).tickets
    middle = (await reads.page_at(EVERYTHING, offset=_LARGE * run.sizes.many // 2, limit=1)).next
    times: dict[str, list[float]] = {"first": [], "middle": []}
    for _ in range(6 * run.rounds):
        for name, after in (("first", None), ("middle", middle)):
            times[name].append((await timed(lambda after=after: reads.page(EVERYTHING, after=after)))[0])  # type: ignore[misc]  # bound here
    first, deep = (Samples(name=name, values=tuple(values)) for name, values in times.items())
    asked = {
        "first": _touched(database, EVERYTHING),
        "middle": _touched(database, EVERYTHING, middle),
        "rare": _touched(database, Filter(status=_RARE)),
        "none": _touched(database, Filter(status=_NOBODYS)),
    }
    touched = {name: await answer for name, answer in asked.items()}
    figures = {name: Samples(name=name, values=(whole,)) for name, (whole, _) in touched.items()}
    keys = Samples(name="keys", values=(touched["rare"][1],))
    return [
        Finding(bar=PG_DEEP, subject=deep, reference=first, note=f"of {_LARGE * run.sizes.many:,} tickets"),
        Finding(bar=PG_DEEP_BUFFERS, subject=figures["middle"], reference=figures["first"]),
        Finding(bar=PG_FILTERED_KEYS, subject=keys, note="blocks of the index that leads with the status"),
        Finding(bar=PG_FILTERED, subject=figures["rare"], note="blocks of all tables and indexes that the page touched"),
        Finding(bar=PG_NONE, subject=figures["none"]),
        Finding(bar=PG_FOREIGN, subject=await _foreign(database), note="another company is bound, and asks for this one's keys"),
    ]


class _Looker:
    """Calls functions as a storage does, over a connection of its own, and notes which blocks each call touches."""

    def __init__(self, driver: asyncpg.Connection, company_id: str) -> None:
        self._driver: Final = driver
        self._company_id: Final = company_id
        self.whole = self.keys = 0.0

    async def rows(self, function: str, *values: object) -> Sequence[Any]:  # Any: columns of every type
        """The rows the function gives; twice, since a first call reads the catalog."""
        found: Sequence[Any] = []  # Any: columns of every type
        text = Calls(SCHEMA).reading(function, 2 + len(values))
        for _ in range(2):
            async with self._driver.transaction():
                (before,) = await self._driver.fetch(_TOUCHED)
                found = await self._driver.fetch(text, self._company_id, 0, *values)
                (after,) = await self._driver.fetch(_TOUCHED)
                self.whole, self.keys = (float(after[place] - before[place]) for place in (0, 1))
        return [row[1:] for row in found]


async def _foreign(database: Database) -> Samples:
    """Blocks that are touched by whoever is bound to another company and asks for this one."""
    driver = await asyncpg.connect(database.app_url)
    async with driver.transaction():
        await driver.execute("SELECT set_config('app.current_company_id', 'another company', true)")
        asked = f"SELECT ticket_id FROM {SCHEMA}.ticket WHERE company_id = '{COMPANY}' ORDER BY created_us DESC LIMIT 100"
        ((plan,),) = await driver.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {asked}")
    await driver.close()
    return Samples(name="foreign", values=(_blocks(json.loads(plan)[0]["Plan"]),))


def _blocks(plan: Mapping[str, Any]) -> float:  # Any: whatever a plan tells
    return float(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def _touched(database: Database, where: Filter, after: str | None = None) -> tuple[float, float]:
    """Blocks that a page touches: of all tables and indexes, and of the index by status."""
    driver = await asyncpg.connect(database.app_url)
    await driver.set_type_codec("json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
    looker = _Looker(driver, COMPANY)
    await PostgresTickets(looker).page(where, after=after)
    await driver.close()
    return looker.whole, looker.keys


# -- policies and counts -------------------------------------------------------------------------------------------------------------------


async def _sealed(run: Run, database: Database, connection: asyncpg.Connection) -> list[Finding]:
    """A scan of everything, narrowed by the policy or, past it, by the company's predicate: many of each, in changing order."""
    scan = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT sum(version) FROM {SCHEMA}.ticket_state"
    named = f"{scan} WHERE company_id = '{COMPANY}'"
    app = await asyncpg.connect(database.app_url)
    subjects = [("sealed", app, scan), ("open", connection, named), ("both", app, named)]
    took: dict[str, list[tuple[float, float]]] = {name: [] for name, _, _ in subjects}
    for number in range(_SCANS * run.rounds):
        for name, driver, text in subjects if number % 2 else reversed(subjects):
            took[name].append(await _scanned(driver, text))
    await app.close()
    sealed, unsealed, both = (
        [Samples(name=name, values=values) for values in zip(*took[name], strict=True)] for name in ("sealed", "open", "both")
    )
    more = both[0].middle / unsealed[0].middle
    return [
        Finding(bar=PG_SEALED, subject=sealed[0], reference=unsealed[0], note=f"one process; by policy and predicate at once: {more:.2f}"),
        Finding(bar=PG_SEALED_BUFFERS, subject=sealed[1], reference=unsealed[1]),
    ]


async def _scanned(driver: asyncpg.Connection, text: str) -> tuple[float, float]:
    """What a scan in one process took, and how many blocks it touched."""
    async with driver.transaction():
        await driver.execute("SELECT set_config('app.current_company_id', $1, true)", COMPANY)
        await driver.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        ((plan,),) = await driver.fetch(text)
    made = json.loads(plan)[0]
    return made["Execution Time"], _blocks(made["Plan"])


async def _counts(run: Run, connection: asyncpg.Connection, storage: PostgresStorage) -> list[Finding]:
    recount = f"SELECT platform, status, count(*) FROM {SCHEMA}.ticket_state WHERE company_id = '{COMPANY}' GROUP BY platform, status"
    took: dict[str, list[float]] = {"counts": [], "recount": []}
    reads = storage.backend(COMPANY).progress
    # a million rows that one statement filled in are one difference: what there is to sum comes of many small commits
    await _complete_all(storage, [[str(number) for number in range(1 + share, _UPDATES, _WRITERS)] for share in range(_WRITERS)])
    for _ in range(run.rounds):
        for name, act in (("counts", lambda: reads.progress(PLATFORM)), ("recount", lambda: connection.fetch(recount))):
            took[name].append((await timed(act))[0])
    progress, others = await reads.progress(PLATFORM), sum(row[2] for row in await connection.fetch(recount))
    note = f"{progress.total:,} tickets after {_UPDATES:,} small commits, {others:,} counted anew"
    return [
        Finding(
            bar=PG_COUNTS,
            subject=Samples(name="progress", values=tuple(took["counts"])),
            reference=Samples(name="recount", values=tuple(took["recount"])),
            note=note,
        )
    ]


# -- many at once --------------------------------------------------------------------------------------------------------------------------


async def _claims(storage: PostgresStorage, database: Database) -> list[Finding]:
    """Eight workers who claim a hundred at a time, beside eight connections that do no more than the statement."""
    given: list[str] = []

    async def work(worker: int) -> None:
        for _ in range(_CLAIMS):
            taken = await storage.claim(COMPANY, PLATFORM, 100, worker=f"worker {worker}", lease=timedelta(minutes=10))
            given.extend(one.key.id for one in taken)

    async def bare(driver: asyncpg.Connection) -> None:
        for _ in range(_CLAIMS):
            async with driver.transaction():
                await driver.execute("SELECT set_config('app.current_company_id', $1, true)", COMPANY)
                await driver.execute(f"SELECT set_config('app.now_us', '{NOW_US}', true)")
                await driver.fetch(_BARE_CLAIM, COMPANY, PLATFORM)

    drivers = [await asyncpg.connect(database.app_url) for _ in range(_WORKERS)]
    took: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(_CLAIM_ROUNDS):
        took["ours"].append((await timed(lambda: asyncio.gather(*(work(number) for number in range(_WORKERS)))))[0])
        took["bare"].append((await timed(lambda: asyncio.gather(*(bare(driver) for driver in drivers))))[0])
    for driver in drivers:
        await driver.close()
    ours, alone = (Samples(name=name, values=tuple(took[name])) for name in ("ours", "bare"))
    twice = Samples(name="twice", values=(float(len(given) - len(set(given))),))
    return [
        Finding(bar=PG_CLAIMS, subject=ours, reference=alone, note=f"{len(given):,} tickets given"),
        Finding(bar=PG_CLAIMED_TWICE, subject=twice),
    ]


async def _wal(run: Run, bench: Bench) -> list[Finding]:
    """What updates of a fifth of some tickets, drawn at random, write to the log right after a checkpoint, counts included."""
    some = run.sizes.many
    ids = [str(number) for number in random.Random(run.seed).sample(range(1, some + 1), some // 5)]
    async with bench.fresh() as database, admin(database) as connection, opened(database) as storage:
        await connection.execute(_FILL.replace(":count", str(some)))
        # whoever first reads rows that were just filled in notes in their page that they stand, and logs it whole: once, not each update
        for table in ("ticket", "ticket_state"):
            await connection.execute(f"VACUUM ANALYZE {SCHEMA}.{table}")
        await connection.execute("CHECKPOINT")
        before = await connection.fetchval("SELECT pg_current_wal_lsn()")
        await _complete_all(storage, [ids[share::_WRITERS] for share in range(_WRITERS)])
        written = await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn)", before)
    note = f"{len(ids):,} random ones of {some:,} tickets, a unit each"
    return [Finding(bar=PG_WAL, subject=Samples(name="log", values=(float(written) / len(ids),)), note=note)]


async def _status(run: Run, bench: Bench) -> Finding:
    """Sixteen tasks that each set the status of tickets of their own, with the triggers that count and without."""
    took: dict[str, list[float]] = {"counted": [], "not counted": []}
    for _ in range(run.rounds):
        for name, taken in took.items():
            async with bench.fresh() as database, admin(database) as connection, opened(database) as storage:
                await connection.execute(_FILL.replace(":count", str(_UPDATES)))
                if name == "not counted":
                    await connection.execute(f"ALTER TABLE {SCHEMA}.ticket_state DISABLE TRIGGER USER")
                shares = [[str(number) for number in range(1 + share, _UPDATES, _WRITERS)] for share in range(_WRITERS)]
                taken.append((await timed(lambda shares=shares, at=storage: _complete_all(at, shares)))[0])  # type: ignore[misc]  # bound here
    counted, bare = (Samples(name=name, values=tuple(values)) for name, values in took.items())
    return Finding(bar=PG_STATUS, subject=counted, reference=bare, note=f"{_UPDATES:,} updates of one company")


async def _complete_all(storage: PostgresStorage, shares: Sequence[Sequence[str]]) -> None:
    async def work(share: Sequence[str]) -> None:
        for ticket_id in share:
            await _complete(storage, ticket_id)

    await asyncio.gather(*(work(share) for share in shares))


async def _complete(storage: PostgresStorage, ticket_id: str) -> None:
    now = storage.clock()
    async with storage.unit_of_work(COMPANY) as uow:
        uow.progress.save(Processing(key=ticket_key(PLATFORM, ticket_id), status=COMPLETED, changed_at=now, version=1))
        await uow.commit()
