"""
A cache before another storage: what is read by key comes from Redis, as long as that is as right as the storage itself.

Redis may disappear, hang, be emptied or hold anything at all: the answers are the ones of the storage beneath. docs/reference/cache.md
says what is kept and for how long, docs/adr/0014 why it is right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeVar

from attrs import evolve

from deskstore.adapters.redis.company import Beneath, Cache, CompanyCache, is_sure, new_name
from deskstore.adapters.redis.connection import Connection, NoAnswer
from deskstore.adapters.redis.counts import Ledger
from deskstore.adapters.redis.doubts import Doubts
from deskstore.adapters.redis.epochs import EpochOf, Epochs, primary_epoch
from deskstore.adapters.redis.invalidating import Invalidation, concerned, of_key
from deskstore.adapters.redis.limits import MOST_KEYS, Limits
from deskstore.adapters.redis.names import Subject
from deskstore.adapters.redis.reads import CachedArticles, CachedProgress, CachedSummaries, CachedTickets
from deskstore.adapters.redis.values import Value
from deskstore.domain import claims, identifiers
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.erasures import Erasure
from deskstore.domain.errors import (
    ArticleNotFound,
    ClaimLost,
    InvalidTransition,
    StorageError,
    StorageUnavailable,
    TicketNotFound,
    VersionConflict,
)
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import CompanyState, Copy
from deskstore.domain.ports import Backend, BeforeCommit, CacheState, Health, Inspection, Replica, Storage, SuppressionReads
from deskstore.domain.processing import Processing
from deskstore.domain.unit import BufferedUnit
from deskstore.domain.wrapping import WrappedReplica, WrappedStorage

V = TypeVar("V", bound=Value)
MOST_COMPANIES: Final = 10_000  #: that are remembered
OUTRUN: Final = (VersionConflict, ClaimLost, InvalidTransition, TicketNotFound, ArticleNotFound)
"""What a unit of work meets that was decided on what is not so any more."""


class CachedStorage(WrappedStorage):
    """
    Another storage with Redis before it.

    Args:
        beneath: Keeps the records, and is always right.
        url: Where Redis is: `redis://`, `rediss://`, `unix://`, or with `+cluster` a node of a cluster.
        limits: How long anything may take, and live.
        epoch_of: Says in which epoch a company is, and of which nothing is to be cached; without it, of all whose primary is not beneath.
    """

    Company: type[CompanyCache] = CompanyCache  #: keeps the values of each company

    def __init__(self, beneath: Storage, url: str, *, limits: Limits | None = None, epoch_of: EpochOf | None = None) -> None:
        super().__init__(beneath)
        kept = limits or Limits()
        self.cache: Final = Cache(
            connection=Connection(url, kept),
            limits=kept,
            epochs=Epochs(epoch_of or primary_epoch(beneath), kept.value_s),
            doubts=Doubts(kept.value_s),
            ledger=Ledger(),
        )
        self._companies: Final[dict[str, CompanyCache]] = {}

    def unit_of_work(self, company_id: str) -> BufferedUnit:
        """A unit of work of one company, which reads past the cache once it has changes of its own."""
        backend = self.backend(company_id)
        unit = BufferedUnit(backend)
        backend.serve(unit)
        return unit

    def backend(self, company_id: str) -> CachedBackend:
        """What the company's units of work stand on."""
        return CachedBackend(self, self.beneath.backend(company_id))

    def replica(self, company_id: str) -> Replica:
        """The company as raw copies, which are never cached."""
        return CachedReplica(self.beneath.replica(company_id), self.company(company_id), self.cache.epochs)

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """Take up to n tickets for a worker, smallest claimable_at first."""
        taking = self._claim(company_id, platform, n, worker, lease)
        return await claims.delivered(lambda: self.unit_of_work(company_id), taking, self.clock)

    async def erase(self, company_id: str) -> Erasure | None:
        """Remove a company with all that is kept of it; what is left of it in Redis counts no more, and ends within seconds."""
        company = self.company(company_id)
        is_heard = await company.close(new_name())
        try:
            erasure = await self.beneath.erase(company_id)
        finally:
            self.cache.epochs.forget(company_id)
            if not is_heard:
                company.doubt()
        await company.forget()
        return erasure

    async def health(self) -> Health:
        """How the storage is doing, and its cache."""
        return evolve(await super().health(), cache=str(await self.cache_state()))

    async def cache_state(self) -> CacheState:
        """How Redis is doing."""
        from deskstore.adapters.redis.inspecting import state  # for people alone

        return await state(self.cache.connection)

    async def cache_counts(self, company_id: str) -> Mapping[str, int]:
        """How often the cache was of use to a company, by every process, since Redis forgot last."""
        from attrs import asdict

        try:
            return asdict(await self.company(company_id).counts())
        except NoAnswer as error:
            raise StorageUnavailable(str(error)) from error

    async def flush_cache(self, company_id: str) -> None:
        """End all that is cached of a company."""
        try:
            await self.company(company_id).flush()
        except NoAnswer as error:
            raise StorageUnavailable(f"{error}; what it holds ends within {self.cache.limits.value_s:g} s") from error

    def figures(self) -> Mapping[str, float]:
        """How often the cache was of use to this process, and what the storage beneath tells."""
        from attrs import asdict

        return {**super().figures(), **{f"cache.{result}": number for result, number in asdict(self.cache.ledger.all).items()}}

    def inspection(self) -> Inspection:
        """A look through what the storage beneath keeps, and at Redis."""
        from deskstore.adapters.redis.inspecting import CachedInspection  # for the doctor alone

        return CachedInspection.before(self.beneath, self.cache.connection)

    async def aclose(self) -> None:
        """Let go of Redis, and close the storage beneath."""
        try:
            await self.cache.connection.aclose()
        finally:
            await super().aclose()

    def company(self, company_id: str) -> CompanyCache:
        """What one company has in Redis."""
        known = self._companies.get(company_id)
        if known is None:
            if len(self._companies) >= MOST_COMPANIES:
                self._companies.clear()
            known = self._companies[company_id] = self.Company(self.cache, identifiers.company_id(company_id))
        return known

    async def _claim(self, company_id: str, platform: str, n: int, worker: str, lease: timedelta) -> Sequence[Processing]:
        """
        Take tickets while no processing counts that is cached.

        Which tickets that concerns is known only once they are taken; what is cached of the others counts again afterwards.
        """
        company = self.company(company_id)
        name = new_name()
        is_heard = await company.close(name, ["processing"], keeps=True)
        try:
            taken = await super().claim(company_id, platform, n, worker=worker, lease=lease)
        except StorageError as error:
            if is_heard and is_sure(error):
                await company.open(name, ["processing"], keeps=True)
            raise
        if not is_heard:
            company.doubt()
        elif len(taken) <= MOST_KEYS:
            await company.open(name, ["processing"], keeps=True, gone=[("processing", one.key) for one in taken])
        else:
            await company.open(name, ["processing"])
        return taken


class CachedBackend:
    """One company: reads by key from Redis, and commits that keep its values away while they take place."""

    def __init__(self, storage: CachedStorage, beneath: Backend) -> None:
        self.company_id: Final = beneath.company_id
        self._storage: Final = storage
        self._beneath: Final = beneath
        self._company: Final = storage.company(beneath.company_id)
        self._unit: BufferedUnit | None = None

    # made when they are asked for: most units of work ask for one of them

    @property
    def tickets(self) -> CachedTickets:
        """Tickets, by key from Redis."""
        return CachedTickets(self._storage, self._beneath.tickets, self)

    @property
    def articles(self) -> CachedArticles:
        """Articles, by key from Redis."""
        return CachedArticles(self._storage, self._beneath.articles, self)

    @property
    def summaries(self) -> CachedSummaries:
        """Summaries, the current ones from Redis."""
        return CachedSummaries(self._storage, self._beneath.summaries, self)

    @property
    def progress(self) -> CachedProgress:
        """How far the processing has come, of single tickets from Redis."""
        return CachedProgress(self._storage, self._beneath.progress, self)

    @property
    def suppressions(self) -> SuppressionReads:
        """The requesters whose tickets are kept out, which are not cached."""
        return self._beneath.suppressions

    async def read(self, subject: Subject, keys: Collection[Key], beneath: Beneath[V]) -> Mapping[Key, V]:
        """The values of these keys: through the cache, until the unit of work has changes of its own."""
        if self._unit is not None and self._unit.has_changes:
            return await self._company.past(keys, beneath)
        return await self._company.read(subject, keys, beneath)

    def serve(self, unit: BufferedUnit) -> None:
        """Read past the cache as soon as this unit of work has changes."""
        self._unit = unit

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        """Check every guard and keep all changes, or raise and keep none."""
        places = concerned(changes)
        if not places:
            return await self._beneath.apply(changes, before_commit)
        invalidation = Invalidation(self._company, places)

        async def at_last(changes: Changes) -> None:
            if before_commit is not None:
                await before_commit(changes)
            await invalidation.begin()

        try:
            committed = await self._beneath.apply(changes, at_last)
        except OUTRUN:
            await self._forget(changes)
            raise
        finally:
            invalidation.doubt()
        await invalidation.end()
        return committed

    async def _forget(self, changes: Changes) -> None:
        """End the values that a unit of work was led astray by: read again, they come from the storage."""
        places = [place for key in changes.keys for place in of_key(key)]
        if len(places) <= 3 * MOST_KEYS:
            await self._company.release("", places)


class CachedReplica(WrappedReplica):
    """Raw copies past the cache; what they change ends every value of the company."""

    def __init__(self, beneath: Replica, company: CompanyCache, epochs: Epochs) -> None:
        super().__init__(beneath)
        self._company: Final = company
        self._epochs: Final = epochs

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        try:
            async with self._company.closed():
                return await super().compare_and_set_state(expected, wanted)
        finally:
            self._epochs.forget(self._company.company_id)

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        async with self._company.closed():
            return await super().apply(copies, epoch=epoch)
