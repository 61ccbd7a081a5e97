"""Reads of one company by way of the cache: by key from Redis, all else from the storage beneath."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Protocol, TypeVar

from deskstore.adapters.redis.company import Beneath
from deskstore.adapters.redis.names import Subject
from deskstore.adapters.redis.values import Value
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.ports import ArticleReads, ProgressReads, RecordReads, SummaryReads
from deskstore.domain.processing import Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.wrapping import WrappedArticles, WrappedProgress, WrappedRecords, WrappedStorage, WrappedSummaries

V = TypeVar("V", bound=Value)


class Way(Protocol):
    """How one unit of work reads."""

    async def read(self, subject: Subject, keys: Collection[Key], beneath: Beneath[V], /) -> Mapping[Key, V]:
        """The values of these keys."""
        ...


class CachedTickets(WrappedRecords[Ticket]):
    """Tickets, by key from Redis."""

    def __init__(self, storage: WrappedStorage, reads: RecordReads[Ticket], way: Way) -> None:
        super().__init__(storage, reads)
        self._way: Final = way

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Ticket]:
        return await self._way.read("ticket", keys, self._reads.find_many)


class CachedArticles(WrappedArticles):
    """Articles, by key from Redis."""

    def __init__(self, storage: WrappedStorage, reads: ArticleReads, way: Way) -> None:
        super().__init__(storage, reads)
        self._way: Final = way

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Article]:
        return await self._way.read("article", keys, self._reads.find_many)


class CachedSummaries(WrappedSummaries):
    """Summaries, the current ones from Redis."""

    def __init__(self, storage: WrappedStorage, reads: SummaryReads, way: Way) -> None:
        super().__init__(storage, reads)
        self._way: Final = way

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        return await self._way.read("summary", keys, self._reads.current_many)


class CachedProgress(WrappedProgress):
    """How far the processing has come, of single tickets from Redis."""

    def __init__(self, storage: WrappedStorage, reads: ProgressReads, way: Way) -> None:
        super().__init__(storage, reads)
        self._way: Final = way

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        return await self._way.read("processing", [key for key in keys if key.kind == TICKET], self._reads.find_many)
