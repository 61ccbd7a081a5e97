"""The reads of one company in memory: each sees what was committed when it began."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from deskstore.domain import paging, summaries
from deskstore.domain.identifiers import Key, Kind
from deskstore.domain.mirror import Thing
from deskstore.domain.paging import EVERYTHING, Filter, Page, Position
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING, Checkpoint, PlatformStats, Processing, Progress
from deskstore.domain.receiving import Head, head_of
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary
from deskstore.domain.suppressions import Suppression, SuppressionName

if TYPE_CHECKING:
    from deskstore.adapters.memory.backend import MemoryBackend

R = TypeVar("R", bound=Ticket | Article)


class MemoryRecords(Generic[R]):
    def __init__(self, backend: MemoryBackend, kind: Kind, type_: type[R]) -> None:
        self._backend = backend
        self._kind: Final = kind
        self._type: Final = type_

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, R]:
        company = self._backend.company
        found = ((key, company.record(key)) for key in keys)
        return {key: record for key, record in found if isinstance(record, self._type)}

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        company = self._backend.company
        found = await self.find_many(keys)
        return {key: head_of(record, company.processing(key)) for key, record in found.items()}

    async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[R]:
        behind = None if after is None else paging.position(self._kind, after)
        found = [(place, record) for place, record in self._ordered(where) if behind is None or place < behind]
        return paging.page_of(self._kind, found[: limit + 1], limit)

    async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[R]:
        return paging.page_of(self._kind, self._ordered(where)[offset : offset + limit + 1], limit)

    async def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[R]:
        for key in sorted(record.key for record in self._all(where)):
            if after is None or key > after:
                for record in (await self.find_many([key])).values():
                    yield record

    def _ordered(self, where: Filter) -> list[tuple[Position, R]]:
        found = [(Position.of(record.fields.created_at, record.key), record) for record in self._all(where)]
        return sorted(found, key=lambda item: item[0], reverse=True)

    def _all(self, where: Filter) -> list[R]:
        company = self._backend.company
        records = (value for value in company.values.values() if isinstance(value, self._type))
        return [record for record in records if where.passes(record, company.processing(record.key))]


class MemoryTickets(MemoryRecords[Ticket]):
    """The tickets of one company in memory."""


class MemoryArticles(MemoryRecords[Article]):
    """The articles of one company in memory."""

    async def locales(self, platform: str, article_id: str) -> Sequence[str]:
        """The locales the article exists in, ascending."""
        keys = (record.key for record in self._all(Filter(platform=platform)))
        return sorted(key.locale for key in keys if key.id == article_id)


class MemorySummaries:
    """The summaries of one company in memory."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        """The current summaries of those records that have any."""
        found = {key: summaries.current(await self.history(key)) for key in keys}
        return {key: summary for key, summary in found.items() if summary is not None}

    async def history(self, key: Key) -> Sequence[Summary]:
        """All summaries of a record, ascending by number."""
        return self._backend.company.history(key)

    async def stale(self, platform: str | None = None) -> AsyncIterator[StaleSummary]:
        """Records whose current summary was written of another text, ascending by key."""
        company = self._backend.company
        keys = [key for key in company.summaries if platform in (None, key.platform)]
        for key, summary in sorted((await self.current_many(keys)).items(), key=lambda item: item[0]):
            record = company.record(key)
            if record is not None and summary.is_stale(record.fields.text_digest):
                yield StaleSummary(key=key, summary=summary, text_digest=record.fields.text_digest)


class MemoryProgress:
    """How far the processing of one company has come, in memory."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        """The processing of those tickets that exist."""
        found = {key: self._backend.company.processing(key) for key in keys}
        return {key: processing for key, processing in found.items() if processing is not None}

    async def progress(self, platform: str) -> Progress:
        """How many tickets of a platform are in which status."""
        company = self._backend.company
        counts = Counter(processing.status for processing in company.processing_on(platform))
        return Progress(
            platform=platform,
            pending=counts[PENDING],
            processing=counts[PROCESSING],
            completed=counts[COMPLETED],
            failed=counts[FAILED],
            last_updated=company.changed_at.get(platform),
        )

    async def stats(self) -> Sequence[PlatformStats]:
        """How many tickets and articles there are, a platform each."""
        things = self._backend.company.values
        tickets = Counter(thing.platform for thing in things if thing.part == "ticket")
        articles = Counter(thing.platform for thing in things if thing.part == "article")
        return [PlatformStats(platform=name, tickets=tickets[name], articles=articles[name]) for name in sorted(tickets | articles)]

    async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        """How far a stream has been read, or None."""
        value = self._backend.company.values.get(Thing("checkpoint", "", platform, stream))
        return value if isinstance(value, Checkpoint) else None


class MemorySuppressions:
    """The requesters of one company whose tickets are kept out, in memory."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    async def secrets(self) -> Collection[bytes]:
        return self._backend.company.secrets()

    async def find_many(self, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        return self._backend.company.suppressed(names)
