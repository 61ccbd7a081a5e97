"""What a unit of work asks its company for, each operation told as a part of the unit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final, TypeVar

from deskstore.adapters.observing.watch import Watch, platform_of
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.identifiers import Key
from deskstore.domain.paging import Filter, Page
from deskstore.domain.ports import ArticleReads, Backend, BeforeCommit, ProgressReads, RecordReads, Storage, SummaryReads
from deskstore.domain.processing import Checkpoint, PlatformStats, Processing, Progress
from deskstore.domain.receiving import Head
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary
from deskstore.domain.wrapping import WrappedStorage

R = TypeVar("R", Ticket, Article)


class ObservedCompany(WrappedStorage):
    """Every operation of one company's units of work, as the storage beneath carries it out, and told."""

    def __init__(self, beneath: Storage, watch: Watch) -> None:
        super().__init__(beneath)
        self._watch: Final = watch

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        return await self._watch.commit(changes, backend.apply(changes, before_commit))

    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        return await self._watch.read("find", reads.find_many(keys), platform=platform_of(keys))

    async def heads(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, Head]:
        return await self._watch.read("heads", reads.heads(keys), platform=platform_of(keys))

    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        return await self._watch.read("page", reads.page(where, after=after, limit=limit), platform=where.platform)

    async def page_at(self, reads: RecordReads[R], where: Filter, offset: int, limit: int) -> Page[R]:
        return await self._watch.read("page_at", reads.page_at(where, offset=offset, limit=limit), platform=where.platform)

    def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        return self._watch.stream("stream", reads.stream(where, after=after))

    async def locales(self, reads: ArticleReads, platform: str, article_id: str) -> Sequence[str]:
        return await self._watch.read("locales", reads.locales(platform, article_id), platform=platform)

    async def current_many(self, reads: SummaryReads, keys: Collection[Key]) -> Mapping[Key, Summary]:
        return await self._watch.read("summaries", reads.current_many(keys), platform=platform_of(keys))

    async def history(self, reads: SummaryReads, key: Key) -> Sequence[Summary]:
        return await self._watch.read("history", reads.history(key), platform=key.platform)

    def stale(self, reads: SummaryReads, platform: str | None) -> AsyncIterator[StaleSummary]:
        return self._watch.stream("stale", reads.stale(platform))

    async def processing(self, reads: ProgressReads, keys: Collection[Key]) -> Mapping[Key, Processing]:
        return await self._watch.read("processing", reads.find_many(keys), platform=platform_of(keys))

    async def progress(self, reads: ProgressReads, platform: str) -> Progress:
        return await self._watch.read("progress", reads.progress(platform), platform=platform)

    async def stats(self, reads: ProgressReads) -> Sequence[PlatformStats]:
        return await self._watch.read("stats", reads.stats())

    async def checkpoint(self, reads: ProgressReads, platform: str, stream: str) -> Checkpoint | None:
        return await self._watch.read("checkpoint", reads.checkpoint(platform, stream), platform=platform)
