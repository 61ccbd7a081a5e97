"""One company as raw copies, wherever it lives: for exports and backups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from deskstore.adapters.hybrid.company import HybridCompany
from deskstore.domain.mirror import CompanyState, Copy, Debt, Owed, Part, Thing, ThingDigest
from deskstore.domain.ports import Replica


class HybridReplica:
    """The primary's raw copies; what is applied here reaches the mirror as every commit does."""

    def __init__(self, company: HybridCompany) -> None:
        self._company: Final = company

    async def store_id(self) -> str:
        """The primary's."""
        return await (await self._primary()).store_id()

    async def state(self) -> CompanyState | None:
        """Where the company lives, or None when neither side knows it."""
        return (await self._company.locate()).state

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        """Set the primary's state if it is as expected; the mirror learns of it."""
        return await (await self._primary()).compare_and_set_state(expected, wanted)

    async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        """All things of one part as they stand, ascending."""
        async for copy in (await self._primary()).copies(part, after=after):
            yield copy

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        """These things as they stand, ascending."""
        return await (await self._primary()).read(things)

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        """Any at most limit debts to a consumer."""
        return await (await self._primary()).outbox(consumer, limit)

    async def owed(self, consumer: str, limit: int) -> Owed:
        """What a consumer has yet to be told of, all of one moment."""
        return await (await self._primary()).owed(consumer, limit)

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        """Forget these debts to one consumer, each only up to its version."""
        await (await self._primary()).acknowledge(consumer, debts, epoch=epoch)

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        """Keep those copies that are newer than what stands here; a company that is restored begins on both sides."""
        if epoch is None and (await self._company.locate()).primary is None:
            await self._company.begin()
        return await (await self._primary()).apply(copies, epoch=epoch)

    async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        """Name, version and digest of all things of one part, ascending by name."""
        async for digest in (await self._primary()).digests(part, after=after, rehash=rehash):
            yield digest

    async def _primary(self) -> Replica:
        found = await self._company.locate()
        return self._company.replicas[found.primary or self._company.birthplace]
