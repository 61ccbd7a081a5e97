"""What is told of one company's operations: how many rows each took, whose platform they are of, and what a commit changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping, Sized
from contextlib import AbstractContextManager
from typing import Final, TypeVar, cast

from deskstore.domain.changes import Changes, SaveProcessing
from deskstore.domain.errors import ClaimLost
from deskstore.domain.identifiers import Key
from deskstore.domain.observing import Fact, Observed, Operation, Sight, Sort
from deskstore.domain.paging import Page
from deskstore.domain.processing import COMPLETED, FAILED, PROCESSING
from deskstore.domain.receiving import Outcome

V = TypeVar("V")

BATCH: Final = 1_000  #: records of a stream that are told as one operation
_SETTLED: Final = {COMPLETED: "completed", FAILED: "failed", PROCESSING: "renewed"}


class Watch:
    """
    One company's operations, told to the observer of its storage.

    Args:
        within: The unit of work that they are parts of; None: they are parts of what is current.
    """

    def __init__(self, storage: Observed, company_id: str, within: Sight | None = None) -> None:
        self._storage: Final = storage
        self._company_id: Final = company_id
        self.within = within
        self.has_changed = False  #: whether a commit came to its end that had something to change

    def operation(self, name: str, *, is_current: bool = True) -> AbstractContextManager[Sight]:
        """Tell of an operation for as long as the block lasts."""
        told = Operation(
            sort=Sort.STORAGE,
            name=name,
            adapter=self._storage.adapter,
            is_side=self._storage.is_side,
            company_id=self._company_id,
        )
        return self._storage.observer.operation(told, within=self.within, is_current=is_current)

    async def read(self, name: str, reading: Awaitable[V], *, platform: str | None = None) -> V:
        """What a read gives, and how many rows that were."""
        with self.operation(name) as sight:
            found = await reading
            sight.tell({"rows": rows_in(found)}, platform=platform)
            if self.within is not None:
                self.within.tell({}, platform=platform)
            return found

    async def stream(self, name: str, items: AsyncIterator[V]) -> AsyncGenerator[V]:
        """The same items, a batch of them told as one operation: it lasts as long as whoever reads them takes."""
        last = BATCH
        while last == BATCH:
            with self.operation(name, is_current=False) as sight:
                last = 0
                try:
                    while last < BATCH:
                        item = await anext(items)
                        last += 1
                        yield item
                except StopAsyncIteration:
                    pass
                finally:
                    sight.tell({"rows": last})

    async def commit(self, changes: Changes, committing: Awaitable[V]) -> V:
        """What a commit gives, and what it changed; of one that failed, whose claims were lost."""
        with self.operation("commit") as sight:
            try:
                committed = await committing
            except ClaimLost as lost:
                sight.tell({"lost": len(lost.keys)}, platform=platform_of(lost.keys))
                raise
            facts, platform = changed(changes), platform_of(changes.keys)
            self.has_changed = True
            for one in (sight, self.within):
                if one is not None:
                    one.tell(facts, platform=platform)
            return committed


def rows_in(found: object) -> int:
    """How many rows a read gave."""
    rows = cast("Page[object]", found).items if isinstance(found, Page) else found
    return len(rows) if isinstance(rows, Sized) else int(rows is not None)


def platform_of(keys: Iterable[Key]) -> str | None:
    """The platform of all these keys, if it is one."""
    platforms = {key.platform for key in keys}
    return platforms.pop() if len(platforms) == 1 else None


def changed(changes: Changes) -> Mapping[str, Fact]:
    """How much a unit of work changed, and in one word if that is enough."""
    records = Counter(Outcome.UPDATED if one.record.version else Outcome.CREATED for one in changes.records)
    facts: dict[str, Fact] = {outcome.value: count for outcome, count in records.items()}
    if len(records) == 1 and not changes.deletes:
        facts["outcome"] = next(iter(records))
    counted = {"deleted": len(changes.deletes), "summaries": len(changes.summaries)}
    rows = len(changes.records) + len(changes.processing) + sum(counted.values())
    return facts | {name: count for name, count in counted.items() if count} | _settled(changes.processing) | {"rows": rows}


def _settled(processing: Iterable[SaveProcessing]) -> Counter[str]:
    """What became of claims."""
    return Counter(_SETTLED.get(one.processing.status, "released") for one in processing if one.token is not None)
