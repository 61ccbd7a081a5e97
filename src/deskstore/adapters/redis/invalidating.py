"""What a unit of work does to the cache: it keeps old values away before its commit, and lets new ones come after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from deskstore.adapters.redis.company import CompanyCache, Place, new_name
from deskstore.adapters.redis.limits import MOST_KEYS
from deskstore.domain.changes import Changes
from deskstore.domain.identifiers import TICKET, Key


def concerned(changes: Changes) -> list[Place]:
    """Where values may be that a unit of work makes old ones. What did not exist has none: nobody keeps that there is nothing."""
    fresh = {change.key for change in changes.records if change.record.version == 0}
    return [place for place in dict.fromkeys(_touched(changes)) if place[1] not in fresh]


def of_key(key: Key) -> Iterator[Place]:
    """All that is cached of a key."""
    yield ("ticket" if key.kind == TICKET else "article", key)
    yield ("summary", key)
    if key.kind == TICKET:
        yield ("processing", key)


def _touched(changes: Changes) -> Iterator[Place]:
    for save in changes.records:
        yield ("ticket" if save.key.kind == TICKET else "article", save.key)
        if save.key.kind == TICKET:  # another text makes it pending
            yield ("processing", save.key)
    for delete in changes.deletes:
        yield from of_key(delete.key)
    for process in changes.processing:
        yield ("processing", process.key)
    for summary in changes.summaries:
        yield ("summary", summary.key)


class Invalidation:
    """The values of one unit of work, kept away while it commits: key by key, or where it is large all of the company's."""

    def __init__(self, company: CompanyCache, places: list[Place]) -> None:
        self._company: Final = company
        self._places: Final = places
        self._is_large: Final = len(places) > MOST_KEYS
        self._name: Final = new_name()
        self._is_heard = False
        self._has_begun = False

    async def begin(self) -> None:
        """
        Keep the values away.

        Called with the rows locked, so that no other unit of work is between this step and its COMMIT.
        """
        self._has_begun = True
        close = self._company.close(self._name) if self._is_large else self._company.bury(self._name, self._places)
        self._is_heard = await close

    async def end(self) -> None:
        """Let values come back; called once the commit is known to have taken place."""
        if not self._is_heard:
            self.doubt()
        elif self._is_large:
            await self._company.open(self._name)
        else:
            await self._company.release(self._name, self._places)

    def doubt(self) -> None:
        """Read nothing from Redis that should have been kept away and was not, whether or not the commit took place."""
        if self._has_begun and not self._is_heard:
            self._company.doubt()
