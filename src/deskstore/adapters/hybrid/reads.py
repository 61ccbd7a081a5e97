"""Reads of a company wherever it lives at the moment of each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from deskstore.adapters.hybrid.company import HybridCompany
from deskstore.domain.errors import CompanyMoved
from deskstore.domain.identifiers import Key
from deskstore.domain.paging import EVERYTHING, Filter, Page
from deskstore.domain.ports import Backend, RecordReads
from deskstore.domain.processing import Checkpoint, PlatformStats, Processing, Progress
from deskstore.domain.receiving import Head
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary

if TYPE_CHECKING:
    from deskstore.domain.suppressions import Suppression, SuppressionName

R = TypeVar("R", Ticket, Article)
LOOK_EVERY: Final = 200  #: records of a stream, after which it asks again where the company lives


class HybridRecords(Generic[R]):
    """The tickets or the articles of one company."""

    def __init__(self, company: HybridCompany, of: Callable[[Backend], RecordReads[R]]) -> None:
        self._company: Final = company
        self._of: Callable[[Backend], RecordReads[R]] = of

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, R]:
        """The records that exist among these keys."""
        return await self._company.read(lambda backend: self._of(backend).find_many(keys))

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        """Digests, versions and processing of the records that exist among these keys."""
        return await self._company.read(lambda backend: self._of(backend).heads(keys))

    async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[R]:
        """One page."""
        return await self._company.read(lambda backend: self._of(backend).page(where, after=after, limit=limit))

    async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[R]:
        """One page, found by its offset."""
        return await self._company.read(lambda backend: self._of(backend).page_at(where, offset=offset, limit=limit))

    async def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[R]:
        """All records that pass the filter, from where the company lives by then."""
        is_over = False
        while not is_over:
            found = await self._company.locate()
            place, count = found.primary or self._company.birthplace, 0
            is_over = True
            try:
                async for record in self._of(self._company.backends[place]).stream(where, after=after):
                    yield record
                    after, count = record.key, count + 1
                    if count % LOOK_EVERY == 0 and (await self._company.locate()).primary != found.primary:
                        is_over = False
                        break
            except CompanyMoved:
                is_over = False


class HybridTickets(HybridRecords[Ticket]):
    """The tickets of one company."""

    def __init__(self, company: HybridCompany) -> None:
        super().__init__(company, lambda backend: backend.tickets)


class HybridArticles(HybridRecords[Article]):
    """The articles of one company."""

    def __init__(self, company: HybridCompany) -> None:
        super().__init__(company, lambda backend: backend.articles)

    async def locales(self, platform: str, article_id: str) -> Sequence[str]:
        """The locales the article exists in, ascending."""
        return await self._company.read(lambda backend: backend.articles.locales(platform, article_id))


class HybridSummaries:
    """The summaries of one company."""

    def __init__(self, company: HybridCompany) -> None:
        self._company: Final = company

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        """The current summaries of those records that have any."""
        return await self._company.read(lambda backend: backend.summaries.current_many(keys))

    async def history(self, key: Key) -> Sequence[Summary]:
        """All summaries of a record, ascending by number."""
        return await self._company.read(lambda backend: backend.summaries.history(key))

    async def stale(self, platform: str | None = None) -> AsyncIterator[StaleSummary]:
        """Records whose current summary was written of another text, ascending by key."""
        found = await self._company.locate()
        backend = self._company.backends[found.primary or self._company.birthplace]
        async for one in backend.summaries.stale(platform):
            yield one


class HybridProgress:
    """How far the processing of one company has come."""

    def __init__(self, company: HybridCompany) -> None:
        self._company: Final = company

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        """The processing of those tickets that exist."""
        return await self._company.read(lambda backend: backend.progress.find_many(keys))

    async def progress(self, platform: str) -> Progress:
        """How many tickets of a platform are in which status."""
        return await self._company.read(lambda backend: backend.progress.progress(platform))

    async def stats(self) -> Sequence[PlatformStats]:
        """How many tickets and articles there are, a platform each."""
        return await self._company.read(lambda backend: backend.progress.stats())

    async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        """How far a stream has been read, or None."""
        return await self._company.read(lambda backend: backend.progress.checkpoint(platform, stream))


class HybridSuppressions:
    """Whose tickets one company keeps out."""

    def __init__(self, company: HybridCompany) -> None:
        self._company: Final = company

    async def secrets(self) -> Collection[bytes]:
        """What the requesters were hashed with."""
        return await self._company.read(lambda backend: backend.suppressions.secrets())

    async def find_many(self, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        """Those among these suppressions that exist."""
        return await self._company.read(lambda backend: backend.suppressions.find_many(names))
