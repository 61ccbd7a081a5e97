"""A company as raw copies: what is read of it and given to it by migrations, mirrors and backups, each batch told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Final

from deskstore.adapters.observing.watch import Watch
from deskstore.domain.mirror import CompanyState, Copy, Owed, Part, Thing, ThingDigest
from deskstore.domain.ports import Replica
from deskstore.domain.wrapping import WrappedReplica


class ObservedReplica(WrappedReplica):
    """Raw copies, as the replica beneath keeps them; small looks, which others take every second, are not told."""

    def __init__(self, beneath: Replica, watch: Watch) -> None:
        super().__init__(beneath)
        self._watch: Final = watch

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        with self._watch.operation("set_state") as sight:
            is_set = await super().compare_and_set_state(expected, wanted)
            sight.tell({"is_set": is_set, "epoch": wanted.epoch})
            return is_set

    def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        return self._watch.stream("copies", super().copies(part, after=after))

    def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        return self._watch.stream("digests", super().digests(part, after=after, rehash=rehash))

    async def owed(self, consumer: str, limit: int) -> Owed:
        with self._watch.operation("owed"):
            return await super().owed(consumer, limit)

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        with self._watch.operation("copy") as sight:
            kept = await super().apply(copies, epoch=epoch)
            sight.tell({"rows": kept, "given": len(copies)})
            return kept
