"""A company in two stores, and replicas that break off where they are told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from attrs import frozen

from deskstore.domain.mirror import PARTS, CompanyState, Copy, Debt, MirrorStatus, Part, Thing, ThingDigest
from deskstore.domain.ports import Replica, Storage
from deskstore.domain.sides import Sides
from deskstore.domain.wrapping import WrappedReplica, WrappedStorage
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import Desk


class Killed(BaseException):
    """The process ended here."""


class Deaths:
    """Ends the process at one call of its replicas: before the call takes place, or after it did and before anybody hears of it."""

    def __init__(self, at: int | None = None, *, after: bool = False) -> None:
        self._at: Final = at
        self._after: Final = after
        self.calls = 0

    def before(self) -> None:
        """A call is about to be made."""
        self.calls += 1
        if self.calls == self._at and not self._after:
            raise Killed

    def after(self) -> None:
        """It was made."""
        if self.calls == self._at and self._after:
            raise Killed


class MortalReplica(WrappedReplica):
    """A replica whose process may end at any of its calls."""

    def __init__(self, beneath: Replica, deaths: Deaths) -> None:
        super().__init__(beneath)
        self._deaths: Final = deaths

    async def state(self) -> CompanyState | None:
        self._deaths.before()
        found = await super().state()
        self._deaths.after()
        return found

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        self._deaths.before()
        was_set = await super().compare_and_set_state(expected, wanted)
        self._deaths.after()
        return was_set

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        self._deaths.before()
        found = await super().read(things)
        self._deaths.after()
        return found

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        self._deaths.before()
        found = await super().outbox(consumer, limit)
        self._deaths.after()
        return found

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        self._deaths.before()
        await super().acknowledge(consumer, debts, epoch=epoch)
        self._deaths.after()

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        self._deaths.before()
        kept = await super().apply(copies, epoch=epoch)
        self._deaths.after()
        return kept

    async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        self._deaths.before()
        async for copy in super().copies(part, after=after):
            yield copy
        self._deaths.after()

    async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        self._deaths.before()
        async for digest in super().digests(part, after=after, rehash=rehash):
            yield digest
        self._deaths.after()


class MortalStorage(WrappedStorage):
    """A storage with such replicas."""

    def __init__(self, beneath: Storage, deaths: Deaths) -> None:
        super().__init__(beneath)
        self._deaths: Final = deaths

    def replica(self, company_id: str) -> Replica:
        return MortalReplica(super().replica(company_id), self._deaths)


@frozen
class Pair:
    """One company in two storages."""

    one: Desk
    other: Desk

    @classmethod
    def of(cls, one: Storage, other: Storage, company_id: str | None = None) -> Pair:
        """A company that nobody used before."""
        named = company_id or a_new_company()
        return cls(Desk(one, named), Desk(other, named))

    def sides(self, deaths: Deaths | None = None) -> Sides:
        """The first as the primary, the second as its mirror."""
        if deaths is None:
            return Sides(self.one.company_id, primary=self.one.replica(), mirror=self.other.replica())
        primary, mirror = (MortalReplica(desk.replica(), deaths) for desk in (self.one, self.other))
        return Sides(self.one.company_id, primary=primary, mirror=mirror)

    async def attach(self, status: MirrorStatus = MirrorStatus.VERIFIED) -> CompanyState:
        """Let the company begin in the first store, with the second as its mirror."""
        one, other = self.one.replica(), self.other.replica()
        state = CompanyState(primary=await one.store_id(), mirror=await other.store_id(), mirror_status=status)
        for replica in (other, one):
            assert await replica.compare_and_set_state(None, state)
        return state

    async def primary(self) -> Desk:
        """The desk where the company takes writes, which must be one of the two."""
        found = [desk for desk in (self.one, self.other) if await _takes_writes(desk)]
        assert len(found) == 1, "a company has one primary"
        return found[0]

    def beside(self, desk: Desk) -> Desk:
        """The other of the two desks."""
        return self.other if desk is self.one else self.one


async def _takes_writes(desk: Desk) -> bool:
    replica = desk.replica()
    state = await replica.state()
    return state is not None and state.primary == await replica.store_id() and state.swapping_to is None


async def everything_in(desk: Desk) -> list[Copy]:
    """All that a store holds of a company, versions included."""
    return [copy for part in PARTS async for copy in desk.replica().copies(part)]
