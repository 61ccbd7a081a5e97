"""The storage, and what the units of work of one company stand on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from attrs import asdict

from deskstore.domain import claims, identifiers, times
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.claims import Request
from deskstore.domain.columns import COLUMNS
from deskstore.domain.erasures import Erasure, Removed, company_hash
from deskstore.domain.errors import CompanyErased
from deskstore.domain.mirror import copy_of
from deskstore.domain.ports import BeforeCommit, Health
from deskstore.domain.processing import Processing
from deskstore.domain.things import check_home
from deskstore.domain.unit import BufferedUnit
from deskstore_sqlite.company import Company
from deskstore_sqlite.database import Database
from deskstore_sqlite.reads import SqliteArticles, SqliteProgress, SqliteSummaries, SqliteSuppressions, SqliteTickets
from deskstore_sqlite.replica import SqliteReplica

T = TypeVar("T")
logger: Final = logging.getLogger("deskstore")


class SqliteStorage:
    """
    The records of all companies in one database.

    Args:
        path: Of the file, made when something is first asked of it.
        clock: Gives the present moment, aware and UTC.
        reads_copies: Whether a company is read here that lives in another store; for the hybrid storage, which knows how old that may be.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = times.now, *, reads_copies: bool = False) -> None:
        self.clock: Final = clock
        self.reads_copies: Final = reads_copies
        self.database: Final = Database(path)

    def unit_of_work(self, company_id: str) -> BufferedUnit:
        """A unit of work of one company."""
        return BufferedUnit(self.backend(company_id))

    def backend(self, company_id: str) -> SqliteBackend:
        """What the company's units of work stand on."""
        return SqliteBackend(self, identifiers.company_id(company_id))

    def replica(self, company_id: str) -> SqliteReplica:
        """The company as raw copies."""
        return SqliteReplica(self.database, self.clock, identifiers.company_id(company_id))

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """Take up to n tickets for a worker, those that wait longest first; where that is cancelled, they are given back."""
        named = identifiers.company_id(company_id)
        wanted = claims.request(platform, n, worker, lease)
        claims.log(named, wanted)
        return await claims.delivered(lambda: self.unit_of_work(named), self._take(named, wanted), self.clock)

    async def companies(self) -> Sequence[str]:
        """Every registered company, ascending."""
        rows = await self.database.read(lambda db: db.execute("SELECT company FROM company ORDER BY company").fetchall())
        return [company_id for (company_id,) in rows]

    async def erase(self, company_id: str) -> Erasure | None:
        """Remove a company with all that is kept of it but one line."""
        named = identifiers.company_id(company_id)
        async with self.database.writing() as run:
            return await run(lambda db: _erase(Company(db, self.database.store_id, named), self.clock()))

    async def erasures(self) -> Sequence[Erasure]:
        """What stays of all companies that were erased here, ascending by time."""
        statement = "SELECT company_hash, epoch, erased_us, removed FROM erasure ORDER BY erased_us, epoch"
        rows = await self.database.read(lambda db: db.execute(statement).fetchall())
        return [
            Erasure(company_hash=hashed, epoch=epoch, erased_at=times.moment(erased_us), removed=Removed(**json.loads(removed)))
            for hashed, epoch, erased_us, removed in rows
        ]

    async def health(self) -> Health:
        """How the storage is doing."""
        return Health(adapter="sqlite", place=str(self.database.path), companies=len(await self.companies()))

    async def aclose(self) -> None:
        """Finish what is under way, and close the database."""
        await self.database.aclose()

    async def _take(self, company_id: str, wanted: Request) -> Sequence[Processing]:
        async with self.database.writing() as run:
            return await run(lambda db: _take(Company(db, self.database.store_id, company_id), wanted, self.clock()))


class SqliteBackend:
    """One company in the database."""

    def __init__(self, storage: SqliteStorage, company_id: str) -> None:
        self._storage = storage
        self._epoch = 0  #: in which the company was seen last
        self.company_id: Final = company_id
        self.tickets: Final = SqliteTickets(self)
        self.articles: Final = SqliteArticles(self)
        self.summaries: Final = SqliteSummaries(self)
        self.progress: Final = SqliteProgress(self)
        self.suppressions: Final = SqliteSuppressions(self)

    async def read(self, work: Callable[[Company], T]) -> T:
        """What a piece of work finds, all of one moment."""
        database = self._storage.database
        return await database.read(lambda db: work(self._seen(Company(db, database.store_id, self.company_id))))

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        """Check every guard and keep all changes, or raise and keep none."""
        database, now = self._storage.database, self._storage.clock()
        async with database.writing() as run:
            decision = await run(lambda db: self._seen(Company(db, database.store_id, self.company_id)).decided(changes, now))
            if before_commit is not None:
                await before_commit(changes)
            if decision.copies:
                await run(lambda db: Company(db, database.store_id, self.company_id).commit(decision.copies, now))
        return decision.committed

    def _seen(self, company: Company) -> Company:
        """The company; raises CompanyErased when the one that was seen before is gone, and CompanyMoved when it lives in another store."""
        state = company.state()
        if 0 < self._epoch <= company.erased_epoch():
            raise CompanyErased(self.company_id)
        if state is not None:
            self._epoch = state.epoch
            if not self._storage.reads_copies:
                check_home(self.company_id, state, company.store_id)
        return company


def _take(company: Company, wanted: Request, now: datetime) -> Sequence[Processing]:
    company.check_writable()
    free = company.find(
        "processing",
        "platform = ? AND claimable_us <= ?",
        *(wanted.platform, times.microseconds(now)),
        order="claimable_us, platform, id",
        limit=wanted.n,
    )
    found = [(one, record.fields.text_digest) for one in free if isinstance(one, Processing) and (record := company.record(one.key))]
    taken = claims.take(found, wanted, floor=company.floor, now=now)
    if taken:
        company.commit([copy_of(one) for one in taken], now)
    return taken


def _erase(company: Company, now: datetime) -> Erasure | None:
    state = company.state()
    if state is None:
        return None

    def count(part: str, where: str = "1") -> int:
        return int(company.db.execute(f"SELECT count(*) FROM {part} WHERE company = ? AND {where}", (company.id,)).fetchone()[0])

    removed = Removed(
        tickets=count("ticket"),
        articles=count("article"),
        summaries=count("summary"),
        processing=count("processing"),
        claims=count("processing", "token IS NOT NULL"),
        checkpoints=count("checkpoint"),
        suppressions=count("suppression"),
    )
    erasure = Erasure(company_hash=company_hash(company.id), epoch=state.epoch + 1, erased_at=now, removed=removed)
    for table in (*COLUMNS, "company", "moved", "deleted", "debt"):
        company.db.execute(f"DELETE FROM {table} WHERE company = ?", (company.id,))
    line = (erasure.company_hash, erasure.epoch, times.microseconds(now), json.dumps(asdict(removed)))
    company.db.execute("INSERT INTO erasure VALUES (?, ?, ?, ?)", line)
    logger.info("company erased", extra={"company_id": company.id, "operation": "erase"})
    return erasure
