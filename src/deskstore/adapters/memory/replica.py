"""One company in memory as raw copies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING

from deskstore.adapters.memory.company import Company
from deskstore.domain.mirror import PARTS, CompanyState, Copy, Debt, Owed, Part, Thing, ThingDigest, Value, copy_of, digest_of, newer
from deskstore.domain.records import Article, Ticket
from deskstore.domain.things import check_beginning, check_epoch, check_succession

if TYPE_CHECKING:
    from deskstore.adapters.memory.storage import MemoryStorage


class MemoryReplica:
    """One company in memory as raw copies."""

    def __init__(self, storage: MemoryStorage, company_id: str) -> None:
        self._storage = storage
        self._company_id = company_id

    async def store_id(self) -> str:
        """Which store this is."""
        return self._storage.store_id

    async def state(self) -> CompanyState | None:
        """Where the company lives, or None when it is unknown here."""
        company = self._storage.known(self._company_id)
        return company.state if company else None

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        """Set the state if it is as expected."""
        async with self._storage.lock:
            known = await self.state()
            if known != expected:
                return False
            if known is None:
                check_beginning(self._company_id, self._storage.erased_epoch(self._company_id), wanted)
            else:
                check_succession(self._company_id, known, wanted)
            self._storage.registered(self._company_id).become(wanted)
            return True

    async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        """All things of one part as they stand."""
        for value in self._values(part):
            copy = copy_of(value)
            if after is None or copy.thing > after:
                yield copy

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        """These things as they stand."""
        company = self._storage.known(self._company_id)
        return [_as_it_stands(company, thing) for thing in sorted(things)]

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        """Any at most limit debts to a consumer."""
        company = self._storage.known(self._company_id)
        owed = company.debts.get(consumer, {}) if company else {}
        return [Debt(thing, version) for thing, version in list(owed.items())[:limit]]

    async def owed(self, consumer: str, limit: int) -> Owed:
        """What a consumer has yet to be told of, as it stands; nothing is awaited here, so that it is of one moment."""
        company = self._storage.known(self._company_id)
        things = list(company.debts.get(consumer, {})) if company else []
        return Owed(
            state=company.state if company else None,
            copies=[_as_it_stands(company, thing) for thing in sorted(things[:limit])],
            is_all=len(things) <= limit,
        )

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        """Forget these debts to a consumer, each only up to its version."""
        async with self._storage.lock:
            owed = self._in_epoch(epoch).debts.get(consumer, {})
            for debt in debts:
                if owed.get(debt.thing, debt.version + 1) <= debt.version:
                    del owed[debt.thing]

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        """Keep those copies that are newer than what stands here."""
        async with self._storage.lock:
            company = self._in_epoch(epoch)
            fresh = sorted(newer(copies, company.versions(copies)), key=lambda copy: PARTS.index(copy.thing.part))
            arriving = {copy.thing.key for copy in fresh if isinstance(copy.value, Ticket | Article)}
            kept = [copy for copy in fresh if not company.is_orphan(copy, arriving)]
            self._storage.keep(company, kept, self._storage.clock())
            return len(kept)

    async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        """Name, version and digest of all things of one part."""
        async for copy in self.copies(part, after=after):
            if copy.value is not None:
                yield digest_of(copy.value, rehash=rehash)

    def _in_epoch(self, epoch: int | None) -> Company:
        known = self._storage.known(self._company_id)
        check_epoch(self._company_id, known.state if known else None, epoch)
        return self._storage.registered(self._company_id)

    def _values(self, part: Part) -> list[Value]:
        company = self._storage.known(self._company_id)
        return company.of(part) if company else []


def _as_it_stands(company: Company | None, thing: Thing) -> Copy:
    if company is None:
        return Copy(thing, 0, None)
    value = company.values.get(thing)
    return copy_of(value) if value is not None else Copy(thing, company.deleted.get(thing, 0), None)
