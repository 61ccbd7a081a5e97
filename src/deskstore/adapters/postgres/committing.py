"""One transaction of one company: begin bound to it, lock, decide, write, commit, and find out what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from itertools import chain
from time import monotonic
from typing import Final, Literal

from attrs import frozen

from deskstore.adapters.postgres.calls import Call, Calls
from deskstore.adapters.postgres.pool import Pool, Session
from deskstore.adapters.postgres.reads import arrays
from deskstore.adapters.postgres.rows import Columns, Found, company_of
from deskstore.adapters.postgres.writing import Audience, audience, calls, nothing, slices
from deskstore.domain import times
from deskstore.domain.commits import Standing
from deskstore.domain.errors import CommitOutcomeUnknown, ConfigurationError, StorageUnavailable, StoreReplaced
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.mirror import Copy, Thing
from deskstore.domain.rows import processing_of
from deskstore.domain.things import CompanyState

Requester = tuple[str, str]  # platform and requester
Purpose = Literal["write", "write alone", "copy", "bury", "alone"]
_LOOK_AGAIN_S: Final = 0.1
#: what became of a transaction, by its trace; where the log ended before it after a crash, its number has gone to another one, or will
_STATUS: Final = """SELECT CASE WHEN pg_last_wal_replay_lsn() < split_part($1::text, ' ', 2)::pg_lsn THEN 'aborted'
    ELSE pg_xact_status(split_part($1::text, ' ', 1)::xid8) END"""
_COMPANY: Final = 3  #: columns of lock_unit that tell of the company itself


@frozen(kw_only=True)
class Locked:
    """What stands, as read under the locks of a unit."""

    store_id: str
    state: CompanyState | None  #: None: this database does not know the company yet
    floor: int
    kept_out: Set[Requester]  #: those of the unit's requesters who are suppressed
    standing: Mapping[Key, Standing]
    checkpoints: Mapping[tuple[str, str], int]
    buried: Set[Thing] | None = None  #: which of the things are remembered as deleted; None: nobody looked

    @property
    def is_home(self) -> bool:
        """Whether the company lives here, or would begin here."""
        return self.state is None or self.state.primary == self.store_id

    @property
    def audience(self) -> Audience:
        """Who has to be told of what is written."""
        return audience(self.state, self.store_id, self.buried)


class Transaction:
    """A transaction that is open, bound to one company."""

    def __init__(self, session: Session, statements: Calls, company_id: str) -> None:
        self._session: Final = session
        self._statements: Final = statements
        self._company_id: Final = company_id
        self.trace: str | None = None  #: once something was written
        self.is_committing = False

    async def rows(self, function: str, *values: object) -> Found:
        """The rows that a function gives."""
        return await self._session.rows(self._statements.reading(function, 1 + len(values)), self._company_id, *values)

    async def lock(self, keys: Collection[Key], checkpoints: Collection[tuple[str, str]], requesters: Collection[Requester] = ()) -> Locked:
        """Lock what exists under these names until the end, and read what stands there then, and which requesters are kept out."""
        tickets, articles = ([key for key in keys if key.kind == kind] for kind in (TICKET, ARTICLE))
        names = [[name[place] for name in some] for some in (checkpoints, requesters) for place in (0, 1)]
        head, *found = await self.rows("lock_unit", *arrays(tickets, TICKET), *arrays(articles, ARTICLE), *names)
        store_id, floor, state = head[:_COMPANY]
        rows = [row[_COMPANY:] for row in found]
        return Locked(
            store_id=store_id,
            state=company_of(state),
            floor=floor,
            kept_out={(row[1], row[2]) for row in rows if row[0] == "requester"},
            standing=dict(_standing(row) for row in rows if row[0] in (TICKET, ARTICLE)),
            checkpoints={(row[1], row[2]): row[4] for row in rows if row[0] == "checkpoint"},
        )

    async def write(self, locked: Locked, parts: Iterable[Sequence[Copy]], existing: Set[Thing]) -> int:
        """Write parts of copies down, the company's first place before anything else; says in which epoch that was, 0 for nothing."""
        made = chain.from_iterable(calls(part, existing=existing, floor=locked.floor, audience=locked.audience) for part in parts)
        epoch = locked.state.epoch if locked.state else 0
        first = next(made, None)
        if first is None:
            return epoch
        trips = slices(chain([Call("register", ())] if locked.state is None else [], [first], made))
        together: Sequence[Call] | None = next(trips, None)
        while together is not None:
            # the next ones are made while the server works on these
            row, following = await asyncio.gather(self.call(together), _following(trips))
            if together[0].function == "register":
                epoch = row[0]
            together = following
        return epoch

    async def call(self, together: Sequence[Call]) -> Columns:
        """What functions give that write, called in one trip."""
        text, values = self._statements.writing(self._company_id, together)
        (row,) = await self._session.rows(text, *values)
        self.trace = row[-1]
        return row

    async def commit(self) -> None:
        """Make it durable."""
        self.is_committing = True
        if (answer := await self._session.run("COMMIT")) != "COMMIT":
            raise StorageUnavailable(f"PostgreSQL answered COMMIT with {answer}: nothing was kept")


class Transactions:
    """Opens transactions of one storage."""

    def __init__(self, pool: Pool, statements: Calls) -> None:
        self.pool: Final = pool
        self.statements: Final = statements
        self._store_id: str | None = None

    @asynccontextmanager
    async def begin(self, company_id: str, *, known: int, purpose: Purpose, now: datetime) -> AsyncGenerator[Transaction]:
        """
        A transaction of a company, rolled back unless it was committed.

        Raises:
            CommitOutcomeUnknown: The connection broke while it was being committed, and nobody could tell in time whether it was.
        """
        transaction: Transaction | None = None
        try:
            async with self.pool.session(company_id) as session:
                transaction = await self._begun(session, company_id, known, purpose, now)
                yield transaction
        except StorageUnavailable as error:
            if transaction is None or not transaction.is_committing or transaction.trace is None:
                raise
            if not await self._was_committed(transaction.trace, error):
                raise

    async def warm_up(self, company_id: str, transactions: int, now: datetime) -> None:
        """
        Open connections for so many transactions at once, and let each go through one that writes nothing.

        What a connection is asked for the first time the server reads, compiles and plans, which takes ten times as long as to do it.
        """
        async with AsyncExitStack() as stack:
            most = min(transactions, self.pool.limits.connections - 1)
            for session in [await stack.enter_async_context(self.pool.session(company_id)) for _ in range(most)]:
                transaction = await self._begun(session, company_id, 0, "copy", now)
                await transaction.call(nothing((await transaction.lock((), ())).floor))
                await session.run("ROLLBACK")

    async def _begun(self, session: Session, company_id: str, known: int, purpose: Purpose, now: datetime) -> Transaction:
        limits = self.pool.limits
        milliseconds = (round(seconds * 1_000) for seconds in (limits.lock_s, limits.answer_s, limits.idle_s))
        await session.run(self.statements.begin(company_id, known, purpose, times.microseconds(now), *milliseconds))
        return Transaction(session, self.statements, company_id)

    async def read(self, company_id: str, function: str, *values: object) -> Found:
        """The rows that a function gives which reads a company, in one trip."""
        return await self._rows(company_id, self.statements.reading(function, 1 + len(values)), company_id, *values)

    async def companies(self) -> list[str]:
        """Every registered company, ascending."""
        return [row[0] for row in await self._rows(None, f"SELECT c.company_id FROM {self.statements.schema}.company c ORDER BY 1")]  # noqa: S608 - a name

    async def erasures(self) -> Found:
        """The lines that stay of erased companies, ascending by time."""
        columns = "e.company_hash, e.epoch, e.erased_us, e.counts"
        return await self._rows(None, f"SELECT {columns} FROM {self.statements.schema}.erasure e ORDER BY e.erased_us, e.company_hash")  # noqa: S608 - names

    async def store_id(self) -> str:
        """Which store this is."""
        found = await self._rows(None, f"SELECT o.id FROM {self.statements.schema}.store o")  # noqa: S608 - a name
        if not found:
            raise ConfigurationError("the database has no store id: run `deskstore db upgrade` as its owner")
        return str(found[0][0])

    def check_store(self, company_id: str, store_id: str) -> None:
        """Raise StoreReplaced when this is not the store that the storage met first."""
        if self._store_id is None:
            self._store_id = store_id
        if self._store_id != store_id:
            raise StoreReplaced(company_id, self.pool.place)

    async def _rows(self, company_id: str | None, text: str, *values: object) -> Found:
        async def read() -> Found:
            async with self.pool.session(company_id) as session:
                return await session.rows(text, *values)

        return await self.pool.persistently(read)

    async def _was_committed(self, trace: str, error: StorageUnavailable) -> bool:
        """
        Whether a transaction whose COMMIT was not answered took place, as a new connection tells.

        The number of a transaction does not suffice: a server that crashes forgets those that had not reached its log, and gives their
        numbers away once more. What a commit came after must therefore be in the log that the server began with after the crash, or the
        standby that took its place.
        """
        until = monotonic() + self.pool.limits.retry_s
        while monotonic() < until:
            try:
                async with self.pool.session() as session:
                    ((status,),) = await session.rows(_STATUS, trace)
            except StorageUnavailable:
                status = "in progress"
            if status in ("committed", "aborted"):
                return bool(status == "committed")
            await asyncio.sleep(_LOOK_AGAIN_S)
        raise CommitOutcomeUnknown(
            f"the connection broke while PostgreSQL committed, and for {self.pool.limits.retry_s:g} s nobody could tell whether it did: "
            "read before you write again"
        ) from error


async def _following(trips: Iterator[Sequence[Call]]) -> Sequence[Call] | None:
    """What goes with the next trip, or None; gives way first to what is being sent."""
    await asyncio.sleep(0)
    return next(trips, None)


def _standing(row: Columns) -> tuple[Key, Standing]:
    kind, platform, identifier, locale, version, text_digest, summaries, summary_version, *state = row
    key = Key(kind, platform, identifier, locale)
    return key, Standing(
        version=version,
        text_digest=text_digest,
        processing=processing_of(key, state),
        last_summary=summaries[-1] if summaries else 0,
        summaries=tuple(summaries or ()),
        summary_version=summary_version,
    )
