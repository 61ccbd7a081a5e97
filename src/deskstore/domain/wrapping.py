"""
A storage that hands everything on to another one, made to be changed in one place.

Each operation of the ports is one method of WrappedStorage, which gets what stands beneath as its first argument: override the
method, and tickets, articles and units of work all go through it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from deskstore.domain.changes import Changes, Committed
from deskstore.domain.erasures import Erasure
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import CompanyState, Copy, Debt, Owed, Part, Thing, ThingDigest
from deskstore.domain.paging import EVERYTHING, Filter, Page
from deskstore.domain.ports import (
    ArticleReads,
    Backend,
    BeforeCommit,
    Buffer,
    Health,
    Measured,
    ProgressReads,
    RecordReads,
    Replica,
    ServingUnits,
    Storage,
    SummaryReads,
    SuppressionReads,
    UnitOfWork,
    Warming,
)
from deskstore.domain.processing import Checkpoint, PlatformStats, Processing, Progress
from deskstore.domain.receiving import Head
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary
from deskstore.domain.suppressions import Suppression, SuppressionName
from deskstore.domain.unit import BufferedUnit

R = TypeVar("R", Ticket, Article)


class WrappedStorage:
    """Every operation as the storage beneath carries it out."""

    def __init__(self, beneath: Storage) -> None:
        self.beneath: Final = beneath

    def unit_of_work(self, company_id: str) -> UnitOfWork:
        return BufferedUnit(self.backend(company_id))

    def backend(self, company_id: str) -> Backend:
        return WrappedBackend(self, self.beneath.backend(company_id))

    def replica(self, company_id: str) -> Replica:
        return self.beneath.replica(company_id)

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        return await self.beneath.claim(company_id, platform, n, worker=worker, lease=lease)

    async def companies(self) -> Sequence[str]:
        return await self.beneath.companies()

    async def erase(self, company_id: str) -> Erasure | None:
        return await self.beneath.erase(company_id)

    async def erasures(self) -> Sequence[Erasure]:
        return await self.beneath.erasures()

    async def health(self) -> Health:
        return await self.beneath.health()

    def clock(self) -> datetime:
        return self.beneath.clock()

    async def aclose(self) -> None:
        await self.beneath.aclose()

    def figures(self) -> Mapping[str, float]:
        return self.beneath.figures() if isinstance(self.beneath, Measured) else {}

    async def warm_up(self, company_id: str, calls: int) -> None:
        if isinstance(self.beneath, Warming):
            await self.beneath.warm_up(company_id, calls)

    # what a unit of work stands on

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        return await backend.apply(changes, before_commit)

    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        return await reads.find_many(keys)

    async def heads(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, Head]:
        return await reads.heads(keys)

    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        return await reads.page(where, after=after, limit=limit)

    async def page_at(self, reads: RecordReads[R], where: Filter, offset: int, limit: int) -> Page[R]:
        return await reads.page_at(where, offset=offset, limit=limit)

    def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        return reads.stream(where, after=after)

    async def locales(self, reads: ArticleReads, platform: str, article_id: str) -> Sequence[str]:
        return await reads.locales(platform, article_id)

    async def current_many(self, reads: SummaryReads, keys: Collection[Key]) -> Mapping[Key, Summary]:
        return await reads.current_many(keys)

    async def history(self, reads: SummaryReads, key: Key) -> Sequence[Summary]:
        return await reads.history(key)

    def stale(self, reads: SummaryReads, platform: str | None) -> AsyncIterator[StaleSummary]:
        return reads.stale(platform)

    async def processing(self, reads: ProgressReads, keys: Collection[Key]) -> Mapping[Key, Processing]:
        return await reads.find_many(keys)

    async def progress(self, reads: ProgressReads, platform: str) -> Progress:
        return await reads.progress(platform)

    async def stats(self, reads: ProgressReads) -> Sequence[PlatformStats]:
        return await reads.stats()

    async def checkpoint(self, reads: ProgressReads, platform: str, stream: str) -> Checkpoint | None:
        return await reads.checkpoint(platform, stream)

    async def secrets(self, reads: SuppressionReads) -> Collection[bytes]:
        return await reads.secrets()

    async def suppressions(self, reads: SuppressionReads, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        return await reads.find_many(names)


class WrappedBackend:
    """One company, each operation by way of the storage that wraps it."""

    def __init__(self, storage: WrappedStorage, beneath: Backend) -> None:
        self._storage = storage
        self._beneath = beneath
        self.tickets: Final = WrappedRecords[Ticket](storage, beneath.tickets)
        self.articles: Final = WrappedArticles(storage, beneath.articles)
        self.summaries: Final = WrappedSummaries(storage, beneath.summaries)
        self.progress: Final = WrappedProgress(storage, beneath.progress)
        self.suppressions: Final = WrappedSuppressions(storage, beneath.suppressions)

    @property
    def company_id(self) -> str:
        return self._beneath.company_id

    def serve(self, unit: Buffer) -> None:
        if isinstance(self._beneath, ServingUnits):
            self._beneath.serve(unit)

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        return await self._storage.apply(self._beneath, changes, before_commit)


class WrappedRecords(Generic[R]):
    """Reads of tickets or of articles by way of the storage that wraps them."""

    def __init__(self, storage: WrappedStorage, reads: RecordReads[R]) -> None:
        self._storage = storage
        self._reads: RecordReads[R] = reads

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, R]:
        return await self._storage.find_many(self._reads, keys)

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        return await self._storage.heads(self._reads, keys)

    async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[R]:
        return await self._storage.page(self._reads, where, after, limit)

    async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[R]:
        return await self._storage.page_at(self._reads, where, offset, limit)

    def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[R]:
        return self._storage.stream(self._reads, where, after)


class WrappedArticles(WrappedRecords[Article]):
    """Reads of articles by way of the storage that wraps them."""

    def __init__(self, storage: WrappedStorage, reads: ArticleReads) -> None:
        super().__init__(storage, reads)
        self._articles = reads

    async def locales(self, platform: str, article_id: str) -> Sequence[str]:
        return await self._storage.locales(self._articles, platform, article_id)


class WrappedSummaries:
    """Reads of summaries by way of the storage that wraps them."""

    def __init__(self, storage: WrappedStorage, reads: SummaryReads) -> None:
        self._storage = storage
        self._reads = reads

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        return await self._storage.current_many(self._reads, keys)

    async def history(self, key: Key) -> Sequence[Summary]:
        return await self._storage.history(self._reads, key)

    def stale(self, platform: str | None = None) -> AsyncIterator[StaleSummary]:
        return self._storage.stale(self._reads, platform)


class WrappedProgress:
    """Reads of the processing by way of the storage that wraps them."""

    def __init__(self, storage: WrappedStorage, reads: ProgressReads) -> None:
        self._storage = storage
        self._reads = reads

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        return await self._storage.processing(self._reads, keys)

    async def progress(self, platform: str) -> Progress:
        return await self._storage.progress(self._reads, platform)

    async def stats(self) -> Sequence[PlatformStats]:
        return await self._storage.stats(self._reads)

    async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        return await self._storage.checkpoint(self._reads, platform, stream)


class WrappedSuppressions:
    """Reads of the requesters whose tickets are kept out, by way of the storage that wraps them."""

    def __init__(self, storage: WrappedStorage, reads: SuppressionReads) -> None:
        self._storage = storage
        self._reads = reads

    async def secrets(self) -> Collection[bytes]:
        return await self._storage.secrets(self._reads)

    async def find_many(self, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        return await self._storage.suppressions(self._reads, names)


class WrappedReplica:
    """A company as raw copies, each operation as the replica beneath carries it out."""

    def __init__(self, beneath: Replica) -> None:
        self.beneath: Final = beneath

    async def store_id(self) -> str:
        return await self.beneath.store_id()

    async def state(self) -> CompanyState | None:
        return await self.beneath.state()

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        return await self.beneath.compare_and_set_state(expected, wanted)

    def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        return self.beneath.copies(part, after=after)

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        return await self.beneath.read(things)

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        return await self.beneath.outbox(consumer, limit)

    async def owed(self, consumer: str, limit: int) -> Owed:
        return await self.beneath.owed(consumer, limit)

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        await self.beneath.acknowledge(consumer, debts, epoch=epoch)

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        return await self.beneath.apply(copies, epoch=epoch)

    def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        return self.beneath.digests(part, after=after, rehash=rehash)
