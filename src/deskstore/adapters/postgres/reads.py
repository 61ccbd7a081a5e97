"""Reads of one company, each in one trip."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

from deskstore.adapters.postgres.rows import Columns, Found, article_of, checkpoint_of, head_of, key_row, state_of, summary_of, ticket_of
from deskstore.domain import paging, times
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, Kind, article_key, ticket_key
from deskstore.domain.paging import EVERYTHING, Filter, Page, Position
from deskstore.domain.processing import Checkpoint, PlatformStats, Processing, ProcessingStatus, Progress
from deskstore.domain.receiving import Head
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary

R = TypeVar("R", bound=Ticket | Article)
BATCH: Final = 200  #: records read at once
_START: Final = ("", "", "", "")  #: sorts before every key


class Reader(Protocol):
    """Calls functions of the database that read one company."""

    async def rows(self, function: str, *values: object) -> Found:
        """The rows the function gives, in one trip."""
        ...


class _PostgresRecords(Generic[R]):
    def __init__(self, reader: Reader, kind: Kind, record_of: Callable[[Columns], R]) -> None:
        self._reader = reader
        self._kind: Final = kind
        self._record_of: Final = record_of

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, R]:
        """The records that exist among these keys."""
        if not keys:
            return {}
        found = await self._reader.rows(f"find_{self._kind}s", *arrays(keys, self._kind))
        return {record.key: record for record in (self._record_of(row) for row in found)}

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        """Digests, versions and processing of the records that exist among these keys."""
        if not keys:
            return {}
        found = await self._reader.rows(f"{self._kind}_heads", *arrays(keys, self._kind))
        return {head.key: head for head in (head_of(self._kind, row) for row in found)}

    async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[R]:
        """Records that pass the filter, newest first."""
        below = None if after is None else paging.position(self._kind, after)
        return await self._page(where, below=below, limit=limit)

    async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[R]:
        """The same, found by leaving out the first offset records."""
        return await self._page(where, offset=offset, limit=limit)

    async def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[R]:
        """All records that pass the filter, ascending."""
        function = f"batch_of_{self._kind}s"
        changed_since = None if where.changed_since is None else times.microseconds(where.changed_since)
        behind = None if after is None else [*_behind(self._kind, after)]
        while True:
            found = await self._reader.rows(function, *_filter(where), changed_since, where.requester, behind, BATCH)
            record = None
            for row in found:
                record = self._record_of(row)
                yield record
            if record is None or len(found) < BATCH:
                return
            behind = [*key_row(record.key)]

    async def _page(self, where: Filter, *, limit: int, below: Position | None = None, offset: int = 0) -> Page[R]:
        offset = min(offset, times.LAST_US - limit - 1)  # the database adds the two
        below_us, *names = below or (None,)
        width = len(key_row(Key(self._kind, "", "")))
        found = await self._reader.rows(
            f"page_of_{self._kind}s", *_filter(where), below_us, names[:width] if below else None, offset, limit + 1
        )
        records = [self._record_of(row) for row in found]
        return paging.page_of(self._kind, [(Position.of(one.fields.created_at, one.key), one) for one in records], limit)


class PostgresTickets(_PostgresRecords[Ticket]):
    """The tickets of one company in PostgreSQL."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, TICKET, ticket_of)

    async def find(self, platform: str, ticket_id: str) -> Ticket | None:
        """The ticket, or None."""
        key = ticket_key(platform, ticket_id)
        return (await self.find_many([key])).get(key)


class PostgresArticles(_PostgresRecords[Article]):
    """The knowledge-base articles of one company in PostgreSQL."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, ARTICLE, article_of)

    async def find(self, platform: str, article_id: str, locale: str = "") -> Article | None:
        """The article in that locale, or None."""
        key = article_key(platform, article_id, locale)
        return (await self.find_many([key])).get(key)

    async def locales(self, platform: str, article_id: str) -> Sequence[str]:
        """The locales the article exists in, ascending."""
        return [row[0] for row in await self._reader.rows("locales", platform, article_id)]


class PostgresSummaries:
    """The summaries of one company in PostgreSQL."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find(self, key: Key, number: int) -> Summary | None:
        """One summary, or None."""
        return next(iter(await self._find(key, number)), None) if number > 0 else None

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        """The current summaries of those records that have any."""
        if not keys:
            return {}
        found = await self._reader.rows("current_summaries", *_columns(keys, 4))
        return {summary.key: summary for summary in (summary_of(row) for row in found)}

    async def history(self, key: Key) -> Sequence[Summary]:
        """All summaries of a record, ascending by number."""
        return await self._find(key, 0)

    async def stale(self, platform: str | None = None) -> AsyncIterator[StaleSummary]:
        """Records whose current summary was written of another text, ascending by key."""
        behind = [*_START]
        while True:
            found = await self._reader.rows("batch_of_stale_summaries", platform, behind, BATCH)
            for row in found:
                summary = summary_of(row[:-1])
                yield StaleSummary(key=summary.key, summary=summary, text_digest=row[-1])
            if len(found) < BATCH:
                return
            behind = [*found[-1][:4]]

    async def _find(self, key: Key, number: int) -> list[Summary]:
        found = await self._reader.rows("find_summaries", *_columns([key], 4), [number])
        return [summary_of(row) for row in found]


class PostgresProgress:
    """How far the processing of one company has come, in PostgreSQL."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find(self, platform: str, ticket_id: str) -> Processing | None:
        """The processing of a ticket, or None."""
        key = ticket_key(platform, ticket_id)
        return (await self.find_many([key])).get(key)

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        """The processing of those tickets that exist."""
        tickets = [key for key in keys if key.kind == TICKET]
        if not tickets:
            return {}
        found = await self._reader.rows("find_processing", *arrays(tickets, TICKET))
        return {processing.key: processing for processing in (state_of(row) for row in found)}

    async def progress(self, platform: str) -> Progress:
        """How many tickets of a platform are in which status."""
        found = await self._counts(TICKET, platform)
        counts = {ProcessingStatus(status).value: n for _, _, status, n, _ in found}
        changed_us = max((row[4] for row in found), default=None)
        return Progress(platform=platform, last_updated=None if changed_us is None else times.moment(changed_us), **counts)

    async def stats(self) -> Sequence[PlatformStats]:
        """How many tickets and articles there are, a platform each."""
        found: dict[str, dict[str, int]] = {}
        for part, platform, _, n, _ in await self._counts(None, None):
            counted = found.setdefault(platform, {"tickets": 0, "articles": 0})
            counted[f"{part}s"] += n
        made = (PlatformStats(platform=platform, **counted) for platform, counted in sorted(found.items()))
        return [one for one in made if one.total]

    async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        """How far a stream has been read, or None."""
        found = await self._reader.rows("find_checkpoints", [platform], [stream])
        return checkpoint_of(found[0]) if found else None

    async def _counts(self, part: str | None, platform: str | None) -> Found:
        return await self._reader.rows("counts", part, platform)


def arrays(keys: Collection[Key], kind: Kind) -> list[list[str]]:
    """The keys as the arrays that functions of that kind of record take."""
    return [list(column) for column in zip(*(key_row(key) for key in keys), strict=True)] or [[] for _ in key_row(Key(kind, "", ""))]


def _columns(keys: Collection[Key], width: int) -> list[list[str]]:
    return [[key[place] for key in keys] for place in range(width)]


def _behind(kind: Kind, key: Key) -> tuple[str, ...]:
    return key_row(Key(kind, *key[1:]))


def _filter(where: Filter) -> tuple[object, ...]:
    """What the functions take for a filter: platform, statuses with the platforms they are of, processing, created from and to."""
    statuses = where.statuses
    return (
        where.platform,
        [platform for platform, _ in statuses],
        [status for _, status in statuses],
        None if where.processing is None else where.processing.value,
        None if where.created_from is None else times.microseconds(where.created_from),
        None if where.created_to is None else times.microseconds(where.created_to),
    )
