"""A storage that can be switched off and on again, with all that goes through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

from deskstore.domain.changes import Changes, Committed
from deskstore.domain.erasures import Erasure
from deskstore.domain.errors import StorageUnavailable
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import CompanyState, Copy, Debt, Part, Thing, ThingDigest
from deskstore.domain.ports import Backend, BeforeCommit, RecordReads, Replica, Storage
from deskstore.domain.processing import Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.wrapping import WrappedReplica, WrappedStorage

R = TypeVar("R", Ticket, Article)


class Switch(WrappedStorage):
    """Another storage, which does not answer while it is off."""

    def __init__(self, beneath: Storage) -> None:
        super().__init__(beneath)
        self.is_off = False
        self.is_deaf = False  #: whether it takes no copies, though it can be read
        self.calls = 0

    def check(self) -> None:
        """Raise StorageUnavailable while it is off; counts who asked."""
        self.calls += 1
        if self.is_off:
            raise StorageUnavailable("it was switched off")

    def replica(self, company_id: str) -> Replica:
        return SwitchedReplica(super().replica(company_id), self)

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        self.check()
        return await super().claim(company_id, platform, n, worker=worker, lease=lease)

    async def companies(self) -> Sequence[str]:
        self.check()
        return await super().companies()

    async def erase(self, company_id: str) -> Erasure | None:
        self.check()
        return await super().erase(company_id)

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        self.check()
        return await super().apply(backend, changes, before_commit)

    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        self.check()
        return await super().find_many(reads, keys)


class SwitchedReplica(WrappedReplica):
    """A company in such a storage as raw copies."""

    def __init__(self, beneath: Replica, switch: Switch) -> None:
        super().__init__(beneath)
        self._switch = switch

    async def store_id(self) -> str:
        self._switch.check()
        return await super().store_id()

    async def state(self) -> CompanyState | None:
        self._switch.check()
        return await super().state()

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        self._switch.check()
        return await super().compare_and_set_state(expected, wanted)

    async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        self._switch.check()
        async for copy in super().copies(part, after=after):
            yield copy

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        self._switch.check()
        return await super().read(things)

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        self._switch.check()
        return await super().outbox(consumer, limit)

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        self._switch.check()
        await super().acknowledge(consumer, debts, epoch=epoch)

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        self._switch.check()
        if self._switch.is_deaf:
            raise StorageUnavailable("it takes no copies")
        return await super().apply(copies, epoch=epoch)

    async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        self._switch.check()
        async for digest in super().digests(part, after=after, rehash=rehash):
            yield digest
