"""Reads of one company."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

from deskstore.domain import paging, summaries, times
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, Kind
from deskstore.domain.paging import EVERYTHING, Filter, Page, Position
from deskstore.domain.processing import Checkpoint, PlatformStats, Processing, ProcessingStatus, Progress
from deskstore.domain.receiving import Head, head_of
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary
from deskstore.domain.suppressions import Suppression, SuppressionName
from deskstore.domain.things import Thing
from deskstore_sqlite.company import Company

T = TypeVar("T")
R = TypeVar("R", bound=Ticket | Article)
BATCH: Final = 100  #: records that a stream has in memory at once


class Reading(Protocol):
    """Who lets a piece of work read the company, all of one moment."""

    async def read(self, work: Callable[[Company], T]) -> T: ...


class _Records(Generic[R]):
    """Reads of tickets, or of articles."""

    def __init__(self, backend: Reading, kind: Kind, type_: type[R]) -> None:
        self._backend = backend
        self._kind: Final[Kind] = kind
        self._type: Final = type_

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, R]:
        """Those that exist among these keys."""
        found = await self._backend.read(lambda company: [company.record(key) for key in keys])
        return {record.key: record for record in found if isinstance(record, self._type)}

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        """What decides about them, without their payloads."""

        def look(company: Company) -> list[Head]:
            found = [(record, company.processing(record.key)) for key in keys if (record := company.record(key))]
            return [head_of(record, processing) for record, processing in found if isinstance(record, self._type)]

        return {head.key: head for head in await self._backend.read(look)}

    async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[R]:
        """At most limit of them, the newest first."""
        condition, given = _condition(where)
        if after is not None:
            condition += " AND (created_us, platform, id, locale) < (?, ?, ?, ?)"
            given += paging.position(self._kind, after)
        return await self._page(condition, given, limit=limit, offset=0)

    async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[R]:
        """The same, with the first offset of them left out."""
        return await self._page(*_condition(where), limit=limit, offset=offset)

    async def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[R]:
        """All of them, ascending, in batches."""
        condition, given = _condition(where)
        batch = await self._batch(condition, given, after)
        while batch:
            for record in batch:
                yield record
            batch = await self._batch(condition, given, batch[-1].key)

    async def _batch(self, condition: str, given: Sequence[object], after: Key | None) -> list[R]:
        behind = f"{condition} AND (platform, id, locale) > (?, ?, ?)"
        place = after[1:] if after else ("", "", "")
        return self._only(await self._backend.read(lambda company: company.find(self._kind, behind, *given, *place, limit=BATCH)))

    async def _page(self, condition: str, given: Sequence[object], *, limit: int, offset: int) -> Page[R]:
        order = "created_us DESC, platform DESC, id DESC, locale DESC"
        found = self._only(
            await self._backend.read(
                lambda company: company.find(self._kind, condition, *given, order=order, limit=limit + 1, offset=offset)
            )
        )
        return paging.page_of(self._kind, [(Position.of(one.fields.created_at, one.key), one) for one in found], limit)

    def _only(self, found: Sequence[object]) -> list[R]:
        return [one for one in found if isinstance(one, self._type)]


class SqliteTickets(_Records[Ticket]):
    """Reads of tickets."""

    def __init__(self, backend: Reading) -> None:
        super().__init__(backend, TICKET, Ticket)


class SqliteArticles(_Records[Article]):
    """Reads of articles."""

    def __init__(self, backend: Reading) -> None:
        super().__init__(backend, ARTICLE, Article)

    async def locales(self, platform: str, article_id: str) -> Sequence[str]:
        """Those in which an article exists, ascending."""
        found = await self._backend.read(lambda company: company.find("article", "platform = ? AND id = ?", platform, article_id))
        return [article.locale for article in self._only(found)]


class SqliteSummaries:
    """Reads of summaries."""

    def __init__(self, backend: Reading) -> None:
        self._backend = backend

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        """The current ones of those records that have any."""
        found = await self._backend.read(lambda company: [summaries.current(company.history(key)) for key in keys])
        return {summary.key: summary for summary in found if summary is not None}

    async def history(self, key: Key) -> Sequence[Summary]:
        """All of a record, ascending."""
        return await self._backend.read(lambda company: company.history(key))

    async def stale(self, platform: str | None = None) -> AsyncIterator[StaleSummary]:
        """Records whose current summary is of another text, ascending."""
        keys = await self._summarised(platform, None)
        while keys:
            for one in await self._stale(keys):
                if one is not None:
                    yield one
            keys = await self._summarised(platform, keys[-1])

    async def _summarised(self, platform: str | None, after: Key | None) -> list[Key]:
        return await self._backend.read(lambda company: _summarised(company, platform, after))

    async def _stale(self, keys: Sequence[Key]) -> list[StaleSummary | None]:
        return await self._backend.read(lambda company: [_stale(company, key) for key in keys])


class SqliteProgress:
    """Reads of how far the processing has come."""

    def __init__(self, backend: Reading) -> None:
        self._backend = backend

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        """The processing of those tickets that exist."""
        found = await self._backend.read(lambda company: [company.processing(key) for key in keys])
        return {processing.key: processing for processing in found if processing is not None}

    async def progress(self, platform: str) -> Progress:
        """How many tickets of a platform are in which status."""

        def count(company: Company) -> Progress:
            named = (company.id, platform)
            counts = dict(
                company.db.execute("SELECT status, count(*) FROM processing WHERE company = ? AND platform = ? GROUP BY 1", named)
            )
            moved = company.db.execute("SELECT moved_us FROM moved WHERE company = ? AND platform = ?", named).fetchone()
            numbers = {status.value: counts.get(status.value, 0) for status in ProcessingStatus}
            return Progress(platform=platform, **numbers, last_updated=times.moment(moved[0]) if moved else None)

        return await self._backend.read(count)

    async def stats(self) -> Sequence[PlatformStats]:
        """How many tickets and articles there are, a platform each."""
        statement = """
            SELECT platform, sum(kind = 'ticket'), sum(kind = 'article')
            FROM (SELECT company, platform, kind FROM ticket UNION ALL SELECT company, platform, kind FROM article)
            WHERE company = ? GROUP BY platform ORDER BY platform
        """
        rows = await self._backend.read(lambda company: company.db.execute(statement, (company.id,)).fetchall())
        return [PlatformStats(platform=platform, tickets=tickets, articles=articles) for platform, tickets, articles in rows]

    async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        """How far a stream has been read, or None."""
        value = await self._backend.read(lambda company: company.value(Thing("checkpoint", "", platform, stream)))
        return value if isinstance(value, Checkpoint) else None


class SqliteSuppressions:
    """Reads of the requesters whose tickets are kept out."""

    def __init__(self, backend: Reading) -> None:
        self._backend = backend

    async def secrets(self) -> Collection[bytes]:
        """Under which they are hashed."""
        return await self._backend.read(Company.secrets)

    async def find_many(self, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        """Those that exist."""
        return await self._backend.read(lambda company: company.suppressed(names))


def _condition(where: Filter) -> tuple[str, list[object]]:
    """A filter in SQL, with what is given to it."""
    statuses = ["status = ?" if platform is None else "platform = ? AND status = ?" for platform, _ in where.statuses]
    of_status = [text for pair in where.statuses for text in pair if text is not None]
    status = "SELECT p.status FROM processing p WHERE p.company = ticket.company AND p.platform = ticket.platform AND p.id = ticket.id"
    tests: list[tuple[str, list[object]]] = [
        ("platform = ?", [where.platform]),
        (" OR ".join(statuses), [*of_status] or [None]),
        (f"? = ({status})", [where.processing and where.processing.value]),
        ("created_us >= ?", [where.created_from and times.microseconds(where.created_from)]),
        (f"created_us < ? AND created_us > {times.NO_TIME_US}", [where.created_to and times.microseconds(where.created_to)]),
        ("saved_us >= ?", [where.changed_since and times.microseconds(where.changed_since)]),
        ("requester = ?", [where.requester]),
    ]
    asked = [(test, given) for test, given in tests if given != [None]]
    return " AND ".join(f"({test})" for test, _ in asked) or "1", [value for _, given in asked for value in given]


def _summarised(company: Company, platform: str | None, after: Key | None) -> list[Key]:
    """The next records that have summaries."""
    rows = company.db.execute(
        "SELECT DISTINCT kind, platform, id, locale FROM summary WHERE company = ? AND (kind, platform, id, locale) > (?, ?, ?, ?)"
        " AND ? IN (platform, '') ORDER BY kind, platform, id, locale LIMIT ?",
        (company.id, *(after or ("", "", "", "")), platform or "", BATCH),
    )
    return [Key(*row) for row in rows]


def _stale(company: Company, key: Key) -> StaleSummary | None:
    record, summary = company.record(key), summaries.current(company.history(key))
    if record is None or summary is None or not summary.is_stale(record.fields.text_digest):
        return None
    return StaleSummary(key=key, summary=summary, text_digest=record.fields.text_digest)
