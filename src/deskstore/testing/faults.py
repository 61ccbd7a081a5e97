"""A storage that fails when it is told to, at the moment it is told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeVar

from attrs import frozen

from deskstore.domain.changes import Changes, Committed
from deskstore.domain.errors import CommitOutcomeUnknown, StorageError, StorageUnavailable
from deskstore.domain.identifiers import Key
from deskstore.domain.paging import Filter, Page
from deskstore.domain.ports import Backend, BeforeCommit, ProgressReads, RecordReads, Storage, SummaryReads
from deskstore.domain.processing import Processing
from deskstore.domain.receiving import Head
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.wrapping import WrappedStorage

R = TypeVar("R", Ticket, Article)


@frozen(kw_only=True)
class Fault:
    """What happens to one call."""

    error: StorageError | None = None
    after: bool = False  #: the call takes place first, and only its answer is lost
    delay_s: float = 0.0  #: how long the call is held up before anything else


def unavailable(after_calls: int = 0) -> list[Fault]:
    """The store cannot be reached, once so many calls went well."""
    return [*calls(after_calls), Fault(error=StorageUnavailable("the store cannot be reached: it was told to fail"))]


def lost_answer(after_calls: int = 0) -> list[Fault]:
    """A commit takes place and nobody hears of it, once so many calls went well."""
    return [
        *calls(after_calls),
        Fault(error=CommitOutcomeUnknown("the answer to the commit was lost: read before you write again"), after=True),
    ]


def slow(delay_s: float) -> list[Fault]:
    """One call is held up."""
    return [Fault(delay_s=delay_s)]


def calls(number: int) -> list[Fault]:
    """So many calls that go well."""
    return [Fault()] * number


class FaultyStorage(WrappedStorage):
    """
    Another storage, whose next commits, claims or reads fail as they are told to.

    Each list holds one fault a call, the next call first; when it is empty, calls go well.
    """

    def __init__(self, beneath: Storage) -> None:
        super().__init__(beneath)
        self.commits: Final[deque[Fault]] = deque()
        self.claims: Final[deque[Fault]] = deque()
        self.reads: Final[deque[Fault]] = deque()

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        fault = await _begin(self.commits)
        return _end(fault, await super().apply(backend, changes, before_commit))

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        fault = await _begin(self.claims)
        return _end(fault, await super().claim(company_id, platform, n, worker=worker, lease=lease))

    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        fault = await _begin(self.reads)
        return _end(fault, await super().find_many(reads, keys))

    async def heads(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, Head]:
        fault = await _begin(self.reads)
        return _end(fault, await super().heads(reads, keys))

    async def page(self, reads: RecordReads[R], where: Filter, after: str | None, limit: int) -> Page[R]:
        fault = await _begin(self.reads)
        return _end(fault, await super().page(reads, where, after, limit))

    async def page_at(self, reads: RecordReads[R], where: Filter, offset: int, limit: int) -> Page[R]:
        fault = await _begin(self.reads)
        return _end(fault, await super().page_at(reads, where, offset, limit))

    async def stream(self, reads: RecordReads[R], where: Filter, after: Key | None) -> AsyncIterator[R]:
        async for record in super().stream(reads, where, after):
            yield _end(await _begin(self.reads), record)

    async def current_many(self, reads: SummaryReads, keys: Collection[Key]) -> Mapping[Key, Summary]:
        fault = await _begin(self.reads)
        return _end(fault, await super().current_many(reads, keys))

    async def history(self, reads: SummaryReads, key: Key) -> Sequence[Summary]:
        fault = await _begin(self.reads)
        return _end(fault, await super().history(reads, key))

    async def processing(self, reads: ProgressReads, keys: Collection[Key]) -> Mapping[Key, Processing]:
        fault = await _begin(self.reads)
        return _end(fault, await super().processing(reads, keys))


T = TypeVar("T")


async def _begin(faults: deque[Fault]) -> Fault:
    fault = faults.popleft() if faults else Fault()
    await asyncio.sleep(fault.delay_s)
    if fault.error is not None and not fault.after:
        raise fault.error
    return fault


def _end(fault: Fault, answer: T) -> T:
    if fault.error is not None:
        raise fault.error
    return answer
