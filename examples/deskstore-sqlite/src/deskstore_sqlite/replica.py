"""One company as raw copies: what makes the database a side of hybrid, migration, verification and backup."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from typing import Final

from deskstore.domain.mirror import Copy, Owed, ThingDigest, Value, applicable, copy_of, digest_of, thing_of
from deskstore.domain.things import CompanyState, Debt, Part, Thing, check_beginning, check_epoch, check_succession
from deskstore_sqlite.company import ORDER, Company
from deskstore_sqlite.database import NAME, Database

BATCH: Final = 100
_THIS: Final = " AND ".join(f"{name} = ?" for name in ("part", *NAME))


class SqliteReplica:
    """One company as raw copies."""

    def __init__(self, database: Database, clock: Callable[[], datetime], company_id: str) -> None:
        self._database: Final = database
        self._clock: Final = clock
        self._company_id: Final = company_id

    async def store_id(self) -> str:
        """Which database this is."""
        await self.state()  # opens it
        return self._database.store_id

    async def state(self) -> CompanyState | None:
        """Where the company lives, or None when it is unknown here."""
        return await self._database.read(lambda db: self._company(db).state())

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        """Set the state if it is as expected."""
        async with self._database.writing() as run:
            return await run(lambda db: _set(self._company(db), expected, wanted))

    async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        """All things of one part as they stand."""
        batch = await self._batch(part, after[1:] if after else ("", "", "", "", -1))
        while batch:
            for value in batch:
                yield copy_of(value)
            batch = await self._batch(part, thing_of(batch[-1])[1:])

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        """These things as they stand."""
        return await self._database.read(lambda db: [_as_it_stands(self._company(db), thing) for thing in sorted(things)])

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        """Any at most limit debts to a consumer."""
        return await self._database.read(lambda db: _debts(self._company(db), consumer, limit))

    async def owed(self, consumer: str, limit: int) -> Owed:
        """What a consumer has yet to be told of, as it stands."""
        return await self._database.read(lambda db: _owed(self._company(db), consumer, limit))

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        """Forget these debts to a consumer, each only up to its version."""

        def forget(company: Company) -> None:
            self._in_epoch(company, epoch)
            rows = [(company.id, consumer, debt.version, *debt.thing) for debt in debts]
            company.db.executemany(f"DELETE FROM debt WHERE company = ? AND consumer = ? AND version <= ? AND {_THIS}", rows)

        async with self._database.writing() as run:
            await run(lambda db: forget(self._company(db)))

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        """Keep those copies that are newer than what stands here."""

        def keep(company: Company) -> int:
            self._in_epoch(company, epoch)
            kept = _kept(company, copies)
            company.commit(kept, self._clock())
            return len(kept)

        async with self._database.writing() as run:
            return await run(lambda db: keep(self._company(db)))

    async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        """Name, version and digest of all things of one part."""
        async for copy in self.copies(part, after=after):
            if copy.value is not None:
                yield digest_of(copy.value, rehash=rehash)

    async def _batch(self, part: Part, place: Sequence[object]) -> list[Value]:
        behind = f"({ORDER}) > (?, ?, ?, ?, ?)"
        return await self._database.read(lambda db: self._company(db).find(part, behind, *place, limit=BATCH))

    def _company(self, db: sqlite3.Connection) -> Company:
        return Company(db, self._database.store_id, self._company_id)

    def _in_epoch(self, company: Company, epoch: int | None) -> None:
        check_epoch(company.id, company.state(), epoch)
        company.begin()


def _set(company: Company, expected: CompanyState | None, wanted: CompanyState) -> bool:
    known = company.state()
    if known != expected:
        return False
    if known is None:
        check_beginning(company.id, company.erased_epoch(), wanted)
    else:
        check_succession(company.id, known, wanted)
    company.become(wanted)
    consumers = ", ".join("?" for _ in wanted.consumers)
    company.db.execute(f"DELETE FROM debt WHERE company = ? AND consumer NOT IN ({consumers})", (company.id, *wanted.consumers))
    if not wanted.consumers:
        company.db.execute("DELETE FROM deleted WHERE company = ?", (company.id,))
    return True


def _as_it_stands(company: Company, thing: Thing) -> Copy:
    value = company.value(thing)
    if value is not None:
        return copy_of(value)
    row = company.db.execute(f"SELECT version FROM deleted WHERE company = ? AND {_THIS}", (company.id, *thing)).fetchone()
    return Copy(thing, row[0] if row else 0, None)


def _debts(company: Company, consumer: str, limit: int) -> list[Debt]:
    statement = f"SELECT version, part, {ORDER} FROM debt WHERE company = ? AND consumer = ? LIMIT ?"
    return [Debt(Thing(*thing), version) for version, *thing in company.db.execute(statement, (company.id, consumer, limit))]


def _owed(company: Company, consumer: str, limit: int) -> Owed:
    debts = _debts(company, consumer, limit + 1)
    copies = [_as_it_stands(company, thing) for thing in sorted(debt.thing for debt in debts[:limit])]
    return Owed(state=company.state(), copies=copies, is_all=len(debts) <= limit)


def _kept(company: Company, copies: Collection[Copy]) -> list[Copy]:
    """Those that are newer than what stands here, records before what goes with them, and nothing without its record."""
    known = {copy.thing: _as_it_stands(company, copy.thing).version for copy in copies}
    return applicable(copies, known, lambda key: company.record(key) is not None)
