"""The reads of one company on files: each call is one job of a reading thread, and sees one state of the index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from deskstore.adapters.file import doubts
from deskstore.adapters.file.body import record_in
from deskstore.adapters.file.company import OpenCompany
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.loading import Want, at_a_glance, load, load_records, until_heavy, vouch
from deskstore.domain import paging
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, Kind
from deskstore.domain.paging import EVERYTHING, Filter, Page, Position
from deskstore.domain.processing import Checkpoint, PlatformStats, Processing, Progress
from deskstore.domain.records import Article, Ticket

if TYPE_CHECKING:
    from deskstore.domain.receiving import Head
    from deskstore.domain.summaries import StaleSummary, Summary

R = TypeVar("R", bound=Ticket | Article)
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
BATCH: Final = 500  #: records that a stream reads at once


class Glance(Protocol[V_co]):
    """A look at a company that takes a single statement."""

    def __call__(self, company: OpenCompany, *, at_home: bool) -> V_co | None:
        """What it found, None where it takes more; raises CompanyMoved when the company had to be at home here, and is not."""
        ...


class Reader(Protocol):
    """Runs a look at one company in a reading thread."""

    async def read(self, look: Callable[[OpenCompany, Index], V], *, glance: Glance[V] | None = None) -> V | None:
        """What a glance returns, or the look where that is None or not given; None when the company does not exist."""
        ...


class _FileRecords(Generic[R]):
    def __init__(self, reader: Reader, kind: Kind, type_: type[R]) -> None:
        self._reader = reader
        self._kind: Final = kind
        self._type: Final = type_

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, R]:
        """The records that exist among these keys."""
        wanted = list(keys)

        def look(company: OpenCompany, index: Index) -> list[R | CorruptRecord | None]:
            return self._load(company, index, [(key, index.record_crc(key)) for key in wanted])

        glance = partial(self._at_a_glance, wanted[0]) if len(wanted) == 1 else None
        found = await self._reader.read(look, glance=glance) or []
        there = [key for key, record in zip(wanted, found, strict=False) if record is not None]  # none where there is no company
        return dict(zip(there, _whole(found), strict=True))

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        """Digests, versions and processing of the records that exist among these keys, each of which its file vouches for."""

        def look(company: OpenCompany, index: Index) -> dict[Key, Head]:
            heads = index.heads(keys)
            vouch(company, index, heads)
            return heads

        return await self._reader.read(look) or {}

    async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[R]:
        """Records that pass the filter, newest first."""
        below = None if after is None else paging.position(self._kind, after)
        return await self._page(where, below=below, limit=limit)

    async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[R]:
        """The same, found by leaving out the first offset records."""
        return await self._page(where, offset=offset, limit=limit)

    async def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[R]:
        """All records that pass the filter, ascending."""
        while True:
            last, found = await self._reader.read(self._batch(where, after)) or (None, [])
            for record in _whole(found):
                yield record
            if last is None:
                return
            after = last

    async def _page(self, where: Filter, *, limit: int, below: Position | None = None, offset: int = 0) -> Page[R]:
        def look(company: OpenCompany, index: Index) -> tuple[list[R | CorruptRecord | None], Position | None]:
            told, last = index.places(self._kind, where, below=below, limit=limit, offset=offset)
            # what is doubtful has no time and may pass any filter: its place is behind all others
            doubt = None if last is not None else doubts.first(company, index, self._kind, where.platform)
            return [*self._load(company, index, told), doubt], last

        found, last = await self._reader.read(look) or ([], None)
        return Page(items=tuple(_whole(found)), next=None if last is None else paging.cursor(self._kind, last))

    def _batch(self, where: Filter, after: Key | None) -> Callable[[OpenCompany, Index], tuple[Key | None, list[R | CorruptRecord | None]]]:
        """Gives some records, and the key after which there may be more."""

        def look(company: OpenCompany, index: Index) -> tuple[Key | None, list[R | CorruptRecord | None]]:
            told = doubts.told(index, self._kind, where, after=after, limit=BATCH)
            bodies = until_heavy(told, lambda some: load_records(company, index, some))
            found = [_passing(where, self._record(body)) for body in bodies]
            if len(found) == len(told) < BATCH:
                return None, [*found, doubts.nameless(company, index, self._kind)]
            return told[len(found) - 1][0], found

        return look

    def _at_a_glance(self, key: Key, company: OpenCompany, *, at_home: bool) -> list[R | CorruptRecord | None] | None:
        body = at_a_glance(company, key, at_home=at_home)
        return None if body is None else [self._record(body)]

    def _load(self, company: OpenCompany, index: Index, told: Sequence[tuple[Key, int | None]]) -> list[R | CorruptRecord | None]:
        return [self._record(body) for body in load_records(company, index, told)]

    def _record(self, body: bytes | CorruptRecord | None) -> R | CorruptRecord | None:
        if not isinstance(body, bytes):
            return body
        record = record_in(body)
        return record if isinstance(record, self._type) else None


class FileTickets(_FileRecords[Ticket]):
    """The tickets of one company on files."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, TICKET, Ticket)


class FileArticles(_FileRecords[Article]):
    """The knowledge-base articles of one company on files."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, ARTICLE, Article)

    async def locales(self, platform: str, article_id: str) -> Sequence[str]:
        """The locales the article exists in, ascending."""
        return await self._reader.read(lambda _, index: index.locales(platform, article_id)) or []


class FileSummaries:
    """The summaries of one company on files."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        """The current summaries of those records that have any."""

        def look(company: OpenCompany, index: Index) -> list[Summary]:
            named = [(key, number) for key in keys if (number := index.current_summary(key))]
            return load_summaries(company, index, [*named, *((key, number) for key in keys for number in index.doubted_summaries(key))])

        return {summary.key: summary for summary in await self._reader.read(look) or ()}

    async def history(self, key: Key) -> Sequence[Summary]:
        """All summaries of a record, ascending by number."""

        def look(company: OpenCompany, index: Index) -> list[Summary]:
            numbers = {*index.summary_numbers(key), *index.doubted_summaries(key)}
            return load_summaries(company, index, [(key, number) for number in sorted(numbers)])

        return await self._reader.read(look) or []

    async def stale(self, platform: str | None = None) -> AsyncIterator[StaleSummary]:
        """Records whose current summary was written of another text, ascending by key."""
        after: Key | None = None
        while found := await self._reader.read(self._stale_batch(platform, after)):
            for one in found:
                yield one
            after = found[-1].key

    @staticmethod
    def _stale_batch(platform: str | None, after: Key | None) -> Callable[[OpenCompany, Index], list[StaleSummary]]:
        from deskstore.domain.summaries import StaleSummary  # who reads no summary starts without it

        def look(company: OpenCompany, index: Index) -> list[StaleSummary]:
            rows = {key: (number, digest) for key, number, digest in index.stale(platform, after=after, limit=BATCH)}
            summaries = load_summaries(company, index, [(key, number) for key, (number, _) in rows.items()])
            return [StaleSummary(key=one.key, summary=one, text_digest=rows[one.key][1]) for one in summaries]

        return look


class FileProgress:
    """How far the processing of one company has come, on files."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        """The processing of those tickets that exist."""

        def look(_: OpenCompany, index: Index) -> dict[Key, Processing]:
            return {key: processing for key in keys if (processing := index.processing(key))}

        return await self._reader.read(look) or {}

    async def progress(self, platform: str) -> Progress:
        """How many tickets of a platform are in which status."""
        return await self._reader.read(lambda _, index: index.progress(platform)) or Progress(platform=platform)

    async def stats(self) -> Sequence[PlatformStats]:
        """How many tickets and articles there are, a platform each."""
        return await self._reader.read(lambda _, index: index.stats()) or []

    async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        """How far a stream has been read, or None."""
        return await self._reader.read(lambda _, index: index.checkpoint(platform, stream))


def _passing(where: Filter, found: R | CorruptRecord | None) -> R | CorruptRecord | None:
    """What was read, if it passes the filter that no index knows of."""
    is_other = where.requester is not None and isinstance(found, Ticket | Article) and found.fields.requester != where.requester
    return None if is_other else found


def load_summaries(company: OpenCompany, index: Index, names: Sequence[tuple[Key, int]]) -> list[Summary]:
    """The summaries with these names that exist; raises CorruptRecord."""
    if not names:
        return []
    from deskstore.adapters.file.envelope import read_summary  # who reads no summary starts without it

    bodies = load(company, index, [Want(key, number) for key, number in names])
    return [read_summary(body)[1] for body in _whole(bodies)]


def _whole(found: Iterable[V | CorruptRecord | None]) -> Iterator[V]:
    """What is there, in order, up to the first that cannot be trusted: that one is raised."""
    for one in found:
        if isinstance(one, CorruptRecord):
            raise one
        if one is not None:
            yield one
