"""The unit of work: a buffer of one company's changes over a backend, the same class for every storage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from attrs import evolve

from deskstore.domain import identifiers
from deskstore.domain.errors import CommitOutcomeUnknown, InvalidRecord, UncommittedChanges, UnitOfWorkMisuse
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, article_key, checked_key, ticket_key
from deskstore.domain.outcomes import UnitOutcome
from deskstore.domain.paging import EVERYTHING, Filter, Page, checked_filter, checked_limit, checked_offset
from deskstore.domain.pending import Pending
from deskstore.domain.processing import COMPLETED, FAILED, Checkpoint, PlatformStats, Processing, Progress, fresh
from deskstore.domain.records import Article, Ticket, check_record, clean

if TYPE_CHECKING:
    from deskstore.domain.changes import Committed, SaveProcessing
    from deskstore.domain.ports import ArticleReads, Backend, ProgressReads, RecordReads, SummaryReads, TicketReads
    from deskstore.domain.receiving import Head
    from deskstore.domain.summaries import StaleSummary, Summary
    from deskstore.domain.suppressions import Suppression, SuppressionName

logger: Final = logging.getLogger("deskstore")

R = TypeVar("R", bound=Ticket | Article)


class BufferedUnit:
    """A unit of work that holds every change back until commit() sends all of them in one go, in key order."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._call: Final = _Call()
        self._outcome = UnitOutcome.OPEN

    @property
    def tickets(self) -> BufferedTickets:
        """The company's tickets."""
        return BufferedTickets(self, self._backend.tickets)

    @property
    def articles(self) -> BufferedArticles:
        """The company's knowledge-base articles."""
        return BufferedArticles(self, self._backend.articles)

    @property
    def summaries(self) -> BufferedSummaries:
        """The summaries of both."""
        return BufferedSummaries(self, self._backend.summaries)

    @property
    def progress(self) -> BufferedProgress:
        """How far the processing of the tickets has come."""
        return BufferedProgress(self, self._backend.progress)

    @property
    def suppressions(self) -> BufferedSuppressions:
        """The requesters whose tickets are kept out."""
        return BufferedSuppressions(self, self._backend)

    @property
    def company_id(self) -> str:
        """The one company this unit can name."""
        return self._backend.company_id

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to commit yet."""
        return bool(self._call.pending.count)

    @property
    def outcome(self) -> UnitOutcome:
        """What has become of this unit."""
        return self._outcome

    async def commit(self) -> Committed:
        """Keep all changes, durably, or none; see UnitOfWork.commit."""
        with self.alone("commit"):
            changes = self._call.pending.changes()
            if not changes:
                from deskstore.domain.changes import Committed

                self._outcome = UnitOutcome.COMMITTED
                return Committed(versions={})
            self._outcome = UnitOutcome.UNKNOWN
            applying = asyncio.ensure_future(self._backend.apply(changes))
            try:
                return await _deliver(applying)
            finally:
                self._note_outcome(applying)

    def _note_outcome(self, applying: asyncio.Future[Committed]) -> None:
        if not applying.done():
            return  # the loop ended under it
        error = applying.exception()
        if error is None:
            self._outcome = UnitOutcome.COMMITTED
        elif not isinstance(error, CommitOutcomeUnknown):
            self._outcome = UnitOutcome.DISCARDED

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        """Tickets as they are stored, without their payloads."""
        return await self._backend.tickets.heads(keys) if keys else {}

    def alone(self, operation: str | None) -> AbstractContextManager[Pending]:
        """Hold the unit for one call, and log it if it has a name; raises UnitOfWorkMisuse when another task holds it, or after its end."""
        if self._call.is_under_way:
            raise UnitOfWorkMisuse(
                f"a unit of work of company {self.company_id!r} is in use by another task: give each task a unit of its own"
            )
        if self._outcome is not UnitOutcome.OPEN:
            raise UnitOfWorkMisuse(f"this unit of work is over ({self._outcome}): open another one")
        if operation is not None and logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s", operation, extra={"company_id": self.company_id, "operation": operation})
        return self._call

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /) -> None:
        count = self._call.pending.count
        if count:
            self._call.pending = Pending()  # whoever keeps the unit does not keep the payloads
        if self._outcome is not UnitOutcome.OPEN:
            return
        self._outcome = UnitOutcome.DISCARDED
        if kind is None and count:
            raise UncommittedChanges(f"{count} changes were never committed and are discarded: await commit() before the block ends")


class _Call:
    """Whether a call is under way in a unit, and what it works on; a generator would cost each call three times as much."""

    __slots__ = ("is_under_way", "pending")

    def __init__(self) -> None:
        self.is_under_way = False
        self.pending = Pending()

    def __enter__(self) -> Pending:
        self.is_under_way = True
        return self.pending

    def __exit__(self, _: object, error: object, traceback: object, /) -> None:
        self.is_under_way = False


async def _deliver(applying: asyncio.Future[Committed]) -> Committed:
    """The result of a commit that nothing interrupts; a cancellation is raised once the outcome is known."""
    cancelled: asyncio.CancelledError | None = None
    while not applying.done():
        try:
            await asyncio.wait({applying})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from applying.exception()
    return applying.result()


class _Records(Generic[R]):
    """Reads of records that see the unit's own changes, and the changes themselves."""

    def __init__(self, unit: BufferedUnit, reads: RecordReads[R], kind: identifiers.Kind, type_: type[R]) -> None:
        self._unit = unit
        self._reads = reads
        self._kind: Final = kind
        self._type: Final = type_

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, R]:
        """The records that exist among these keys, as this unit would leave them."""
        with self._unit.alone(f"{self._kind}.find_many") as pending:
            wanted = [self._checked(key) for key in keys]
            stored = dict(await self._reads.find_many([key for key in wanted if key not in pending.records and key not in pending.deleted]))
            saved = {key: pending.records[key] for key in wanted if key in pending.records}
            return stored | {key: record for key, record in saved.items() if isinstance(record, self._type)}

    async def _find(self, key: Key) -> R | None:
        """The same of one key that was checked."""
        with self._unit.alone(f"{self._kind}.find_many") as pending:
            if key in pending.deleted:
                return None
            saved = pending.records.get(key)
            if saved is not None:
                return saved if isinstance(saved, self._type) else None
            return (await self._reads.find_many((key,))).get(key)

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        """Digests, versions and processing of the records as they are stored."""
        with self._unit.alone(f"{self._kind}.heads"):
            return await self._reads.heads([self._checked(key) for key in keys])

    async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[R]:
        """A page of what is stored; the unit's own changes are not in it."""
        with self._unit.alone(f"{self._kind}.page"):
            return await self._reads.page(self._page_filter(where), after=after, limit=checked_limit(limit))

    async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[R]:
        """A page of what is stored, found by its offset; the unit's own changes are not in it."""
        with self._unit.alone(f"{self._kind}.page_at"):
            return await self._reads.page_at(self._page_filter(where), offset=checked_offset(offset), limit=checked_limit(limit))

    async def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[R]:
        """All that is stored and passes the filter; the unit's own changes are not in it."""
        records = aiter(self._reads.stream(checked_filter(where, self._kind), after=self._checked(after) if after else None))
        operation: str | None = f"{self._kind}.stream"
        while True:
            with self._unit.alone(operation):
                try:
                    record = await anext(records)
                except StopAsyncIteration:
                    return
            operation = None
            yield record

    def save(self, record: R) -> R:
        """Keep the record at the commit."""
        with self._unit.alone(f"{self._kind}.save") as pending:
            key = self._checked(record.key)
            if record.version < 0:
                raise InvalidRecord(f"{key} has version {record.version}: pass the one it was read with, or 0 for a new one")
            check_record(record)
            pending.put_record(record)
            return record

    def delete(self, key: Key, *, version: int) -> None:
        """Remove the record at the commit."""
        with self._unit.alone(f"{self._kind}.delete") as pending:
            self._checked(key)
            saved = pending.records.get(key)
            if version < 1 and (saved is None or saved.version):
                raise InvalidRecord(f"{key} cannot be deleted at version {version}: pass the one it was read with")
            pending.delete(key, version if version >= 1 else None)

    def _page_filter(self, where: Filter) -> Filter:
        for name in ("changed_since", "requester"):
            if getattr(where, name) is not None:
                raise InvalidRecord(f"{name} is a filter of streams, not of pages: use stream(), which gives all that pass")
        return checked_filter(where, self._kind)

    def _checked(self, key: Key) -> Key:
        if key.kind != self._kind:
            raise InvalidRecord(f"{key} is not a {self._kind}: ask the repository of its kind")
        return checked_key(key)


class BufferedTickets(_Records[Ticket]):
    """The tickets of a unit of work."""

    def __init__(self, unit: BufferedUnit, reads: TicketReads) -> None:
        super().__init__(unit, reads, TICKET, Ticket)

    async def find(self, platform: str, ticket_id: str) -> Ticket | None:
        """The ticket as this unit would leave it, or None."""
        return await self._find(ticket_key(platform, ticket_id))


class BufferedArticles(_Records[Article]):
    """The knowledge-base articles of a unit of work."""

    def __init__(self, unit: BufferedUnit, reads: ArticleReads) -> None:
        super().__init__(unit, reads, ARTICLE, Article)
        self._articles = reads

    async def find(self, platform: str, article_id: str, locale: str = "") -> Article | None:
        """The article in that locale as this unit would leave it, or None."""
        return await self._find(article_key(platform, article_id, locale))

    async def locales(self, platform: str, article_id: str) -> Sequence[str]:
        """The locales the article is stored in, ascending."""
        with self._unit.alone("article.locales"):
            key = article_key(platform, article_id)
            return await self._articles.locales(key.platform, key.id)


class BufferedSummaries:
    """The summaries of a unit of work."""

    def __init__(self, unit: BufferedUnit, reads: SummaryReads) -> None:
        self._unit = unit
        self._reads = reads

    async def find(self, key: Key, number: int) -> Summary | None:
        """One summary of a record, or None."""
        return next((summary for summary in await self.history(key) if summary.number == number), None)

    async def current(self, key: Key) -> Summary | None:
        """The record's current summary as this unit would leave it, or None."""
        from deskstore.domain import summaries  # who reads no summary starts without it

        return summaries.current(await self.history(key))

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        """The current summaries of those records that have any, as this unit would leave them."""
        with self._unit.alone("summary.current_many") as pending:
            wanted = [checked_key(key) for key in keys if key not in pending.deleted]
            found = dict(await self._reads.current_many(wanted))
            for key in set(wanted) & pending.summaries.keys():
                from deskstore.domain import summaries  # who reads no summary starts without it

                found[key] = summaries.current(await self._history(key, pending)) or found[key]
            return found

    async def history(self, key: Key) -> Sequence[Summary]:
        """All summaries of a record, ascending; those this unit adds come last, with the numbers they would get."""
        with self._unit.alone("summary.history") as pending:
            return await self._history(checked_key(key), pending)

    async def _history(self, key: Key, pending: Pending) -> Sequence[Summary]:
        if key in pending.deleted:
            return []
        stored = list(await self._reads.history(key))
        last = stored[-1].number if stored else 0
        return stored + [evolve(one, number=last + place) for place, one in enumerate(pending.summaries.get(key, ()), 1)]

    async def stale(self, platform: str | None = None) -> AsyncIterator[StaleSummary]:
        """Records whose current summary was written of another text; the unit's own changes are not seen."""
        found = aiter(self._reads.stale(None if platform is None else identifiers.platform(platform)))
        operation: str | None = "summary.stale"
        while True:
            with self._unit.alone(operation):
                try:
                    one = await anext(found)
                except StopAsyncIteration:
                    return
            operation = None
            yield one

    def add(self, summary: Summary) -> None:
        """Keep one more summary at the commit, which numbers it."""
        from deskstore.domain import summaries  # who reads no summary starts without it

        with self._unit.alone("summary.add") as pending:
            key = checked_key(summaries.checked(summary).key)
            pending.add_summary(key, summary)


def _after_saving(record: Ticket | Article, head: Head | None) -> Processing:
    """The processing that a commit leaves of a ticket it saves: new text makes it pending, unless a claim lives."""
    stood = head.processing if head is not None else None
    if head is None or stood is None:
        return fresh(record.key, now=record.saved_at)
    if record.fields.text_digest == head.text_digest or stood.is_claimed(record.saved_at):
        return stood
    return fresh(record.key, now=record.saved_at, version=stood.version)


def _after_settling(change: SaveProcessing, head: Head | None, record: Ticket | Article | None) -> Processing:
    """What a commit leaves of a processing it saves: the end of a claim whose text is another one by now makes the ticket pending."""
    wanted, claim = change.processing, head.processing.claim if head is not None and head.processing is not None else None
    if head is None or claim is None or change.token is None or wanted.status not in (COMPLETED, FAILED):
        return wanted
    text = head.text_digest if record is None else record.fields.text_digest
    return wanted if text == claim.text_digest else fresh(wanted.key, now=wanted.changed_at, version=wanted.version)


class BufferedProgress:
    """How far the processing has come, in a unit of work."""

    def __init__(self, unit: BufferedUnit, reads: ProgressReads) -> None:
        self._unit = unit
        self._reads = reads

    async def find(self, platform: str, ticket_id: str) -> Processing | None:
        """The processing of a ticket as this unit would leave it, or None when there is no such ticket."""
        key = ticket_key(platform, ticket_id)
        return (await self.find_many([key])).get(key)

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        """The processing of those tickets that exist among these keys, as this unit would leave it."""
        with self._unit.alone("progress.find_many") as pending:
            wanted = [checked_key(key) for key in keys if key not in pending.deleted]
            found = dict(await self._reads.find_many(wanted))
            changed = [key for key in wanted if key.kind == TICKET and (key in pending.records or key in pending.processing)]
            heads = await self._unit.heads(changed)
            found |= {key: _after_saving(pending.records[key], heads.get(key)) for key in changed if key in pending.records}
            settled = [pending.processing[key] for key in changed if key in pending.processing]
            found |= {one.key: _after_settling(one, heads.get(one.key), pending.records.get(one.key)) for one in settled}
            return found

    async def progress(self, platform: str) -> Progress:
        """How many tickets of a platform are stored in which status."""
        with self._unit.alone("progress.progress"):
            return await self._reads.progress(identifiers.platform(platform))

    async def stats(self) -> Sequence[PlatformStats]:
        """How many tickets and articles are stored, a platform each."""
        with self._unit.alone("progress.stats"):
            return await self._reads.stats()

    async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        """How far a stream has been read, as this unit would leave it, or None."""
        with self._unit.alone("progress.checkpoint") as pending:
            named = (identifiers.platform(platform), identifiers.stream(stream))
            return pending.checkpoints.get(named) or await self._reads.checkpoint(*named)

    def save(self, processing: Processing, *, token: str | None = None) -> Processing:
        """Keep it at the commit, guarded by the token, or by the version and the absence of a live claim."""
        from deskstore.domain.changes import SaveProcessing  # not for reading

        with self._unit.alone("progress.save") as pending:
            key = checked_key(processing.key)
            if key.kind != TICKET:
                raise InvalidRecord(f"{key} is not a ticket: only tickets are processed")
            processing.check()
            pending.put_processing(SaveProcessing(processing, token))
            return processing

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep at the commit how far a stream has been read."""
        with self._unit.alone("progress.save_checkpoint") as pending:
            named = (identifiers.platform(checkpoint.platform), identifiers.stream(checkpoint.stream))
            if clean(checkpoint.cursor, len(checkpoint.cursor)) != checkpoint.cursor:
                raise InvalidRecord(f"the cursor of stream {named[1]!r} holds NUL or a lone surrogate: no storage could keep it exactly")
            pending.put_checkpoint(named, checkpoint)


class BufferedSuppressions:
    """The requesters whose tickets are kept out, in a unit of work; reads give what is stored."""

    def __init__(self, unit: BufferedUnit, backend: Backend) -> None:
        self._unit = unit
        self._backend = backend

    async def secrets(self) -> Collection[bytes]:
        """The secrets under which they are hashed."""
        with self._unit.alone("suppression.secrets"):
            return await self._backend.suppressions.secrets()

    async def find_many(self, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        """Those among these suppressions that exist."""
        with self._unit.alone("suppression.find_many"):
            return await self._backend.suppressions.find_many(names) if names else {}

    def save(self, suppression: Suppression) -> None:
        """Keep a requester's tickets out from the commit on."""
        from deskstore.domain.changes import Suppress  # not for reading

        with self._unit.alone("suppression.save") as pending:
            identifiers.platform(suppression.platform)
            pending.put_suppression(suppression.name, Suppress(suppression))

    def lift(self, name: SuppressionName) -> None:
        """Let a requester's tickets in again from the commit on."""
        from deskstore.domain.changes import Lift  # not for reading

        with self._unit.alone("suppression.lift") as pending:
            pending.put_suppression(name, Lift(name))
