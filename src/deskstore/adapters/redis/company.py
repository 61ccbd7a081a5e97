"""
One company's values in Redis: the steps by which they are read, kept, kept away and ended.

No step raises, and none takes longer than Redis may: without an answer, what is read comes from the storage beneath, and what is written
leaves a doubt.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any, Final, TypeVar

from attrs import define, field, frozen

from deskstore.adapters.redis.connection import Connection, NoAnswer, Word
from deskstore.adapters.redis.counts import Counts, Ledger, counts_from
from deskstore.adapters.redis.doubts import Doubts
from deskstore.adapters.redis.epochs import Epochs
from deskstore.adapters.redis.limits import MOST_BYTES, MOST_KEYS, Limits
from deskstore.adapters.redis.names import SCOPES, Names, Scope, Subject, scope_of
from deskstore.adapters.redis.scripts import BURY, CLOSE, LEASE, OPEN, POPULATE, RELEASE, Script
from deskstore.adapters.redis.values import Seal, Value, epoch_on, packed, unpacked
from deskstore.domain.errors import CommitOutcomeUnknown, StorageError, StorageUnavailable
from deskstore.domain.identifiers import Key

V = TypeVar("V", bound=Value)
Place = tuple[Subject, Key]
Beneath = Callable[[Collection[Key]], Awaitable[Mapping[Key, V]]]
_NAME_BYTES: Final = 16
_TOMBSTONE: Final = re.compile(rb"![0-9a-f]{32}")
_CLOSED: Final = re.compile(rb"!(?:[0-9a-f]{32}@[0-9]+;)+\|[0-9a-f@]*")
_TOGETHER: Final = 4 * MOST_BYTES  #: of values that are kept in one go


@frozen(kw_only=True)
class Cache:
    """What all companies of one storage share."""

    connection: Connection
    limits: Limits
    epochs: Epochs
    doubts: Doubts
    ledger: Ledger


@define(kw_only=True)
class _Seen:
    """What stood in Redis under the keys that were asked for."""

    values: dict[Key, Any] = field(factory=dict[Key, Any])  # Any: values of the subject that was asked for
    absent: dict[Key, bool] = field(factory=dict[Key, bool])  #: with whether something stood there that is no value
    is_closed: bool = False

    @property
    def can_be_kept(self) -> bool:
        """Whether there is anything to keep once it is read."""
        return bool(self.absent) and not self.is_closed


@frozen(kw_only=True)
class _Lease:
    """The right to keep what is read from now on, until somebody writes it."""

    reader: str
    generation: bytes
    ends_ms: bytes  #: when values end that are kept under it, by the server's clock
    keys: frozenset[Key]


class CompanyCache:
    """One company's values."""

    def __init__(self, cache: Cache, company_id: str) -> None:
        self.company_id: Final = company_id
        self._cache: Final = cache
        self._names: Final = Names(company_id)

    # -- reading ---------------------------------------------------------------------------------------------------------------------------

    async def read(self, subject: Subject, keys: Collection[Key], beneath: Beneath[V]) -> Mapping[Key, V]:
        """The values of these keys: all from Redis, as of one moment, or all from beneath."""
        epoch = await self._epoch(len(keys))
        if epoch is None:
            return await self.past(keys, beneath)
        wanted = [*dict.fromkeys(keys)]
        try:
            seen = await self._seen(subject, wanted, epoch)
        except NoAnswer:
            self._note("errors", len(wanted))
            return await beneath(keys)
        if len(seen.values) == len(wanted):
            self._note("hits", len(wanted))
            return seen.values
        return await self._missed(subject, keys, seen, epoch, beneath)

    async def past(self, keys: Collection[Key], beneath: Beneath[V]) -> Mapping[Key, V]:
        """The values of these keys without a look at Redis."""
        self._note("bypasses", len(keys))
        return await beneath(keys)

    async def _missed(self, subject: Subject, keys: Collection[Key], seen: _Seen, epoch: int, beneath: Beneath[V]) -> Mapping[Key, V]:
        self._note("misses" if seen.can_be_kept else "bypasses", len(keys))
        lease = await self._leased(subject, seen.absent) if seen.can_be_kept else None
        found = await beneath(keys)
        if lease is not None:
            await self._keep(subject, lease, epoch, {key: value for key, value in found.items() if key in lease.keys})
        return found

    async def _epoch(self, n: int) -> int | None:
        """The epoch in which values count; None where Redis is not to be asked."""
        cache = self._cache
        if not cache.connection.is_open or not 0 < n <= MOST_KEYS or cache.doubts.concern(self.company_id):
            return None
        return await cache.epochs.of(self.company_id)

    async def _seen(self, subject: Subject, wanted: Sequence[Key], epoch: int) -> _Seen:
        names = [self._names.value(subject, key) for key in wanted]
        generation, *found = await self._cache.connection.values([self._names.generation(scope_of(subject)), *names])
        seen = _Seen(is_closed=generation is not None and _CLOSED.fullmatch(generation) is not None)
        seal = Seal(company_id=self.company_id, generation=generation or b"", epoch=epoch)
        for key, data in zip(wanted, found, strict=True):
            self._look_at(seen, subject, key, data, seal)
        return seen

    def _look_at(self, seen: _Seen, subject: Subject, key: Key, data: bytes | None, seal: Seal) -> None:
        if data is None:
            seen.absent[key] = False
        elif _TOMBSTONE.fullmatch(data) is None:
            value = unpacked(subject, key, data, seal)
            if value is None:
                seen.absent[key] = True
                self._mind_the_epoch(subject, data, seal)
            else:
                seen.values[key] = value

    def _mind_the_epoch(self, subject: Subject, data: bytes, seal: Seal) -> None:
        """Whoever kept a value in a later epoch knows more than this process."""
        if (epoch_on(subject, data) or 0) > seal.epoch:
            self._cache.epochs.forget(self.company_id)

    async def _leased(self, subject: Subject, absent: Mapping[Key, bool]) -> _Lease | None:
        limits, reader = self._cache.limits, new_name()
        lives = [_ms(time_s) for time_s in (limits.lease_s, limits.settling_s, limits.generation_s, limits.value_s)]
        told = await self._done(
            LEASE,
            [self._names.generation(scope_of(subject)), self._names.counts, *self._places([(subject, key) for key in absent])],
            [new_name(), reader, *lives, *self._cache.ledger.taken(self.company_id), *(int(bad) for bad in absent.values())],
        )
        if not told:
            return None
        generation, ends_ms, *had = told
        keys = frozenset(key for key, is_had in zip(absent, had, strict=True) if is_had)
        return _Lease(reader=reader, generation=generation, ends_ms=ends_ms, keys=keys) if keys else None

    async def _keep(self, subject: Subject, lease: _Lease, epoch: int, found: Mapping[Key, Value]) -> None:
        seal = Seal(company_id=self.company_id, generation=lease.generation, epoch=epoch)
        kept: dict[Key, bytes] = {}
        room = _TOGETHER
        for key, value in found.items():
            data = packed(subject, key, value, seal)
            if data is not None and len(data) <= room:
                kept[key] = data
                room -= len(data)
        if kept:
            names = [self._names.generation(scope_of(subject)), *self._places([(subject, key) for key in kept])]
            await self._done(POPULATE, names, [lease.reader, lease.generation, lease.ends_ms, *kept.values()])

    # -- writing ---------------------------------------------------------------------------------------------------------------------------

    async def bury(self, name: str, places: Sequence[Place]) -> bool:
        """Keep the values of some keys away until release() in the same name; False, and a doubt, where Redis did not hear."""
        return self._is_heard(await self._done(BURY, self._places(places), [f"!{name}", _ms(self._cache.limits.tombstone_s)]))

    async def release(self, name: str, places: Sequence[Place]) -> None:
        """Let the values come back, unless somebody else keeps them away meanwhile; without a name, values alone go."""
        self._is_heard(await self._done(RELEASE, self._places(places), [f"!{name}"]))

    async def close(self, name: str, scopes: Sequence[Scope] = SCOPES, *, keeps: bool = False) -> bool:
        """Let no value count until open() in the same name; `keeps`: what stands may count again, if nobody else says otherwise."""
        values: list[Word | int] = [name, _ms(self._cache.limits.tombstone_s), int(keeps)]
        return self._is_heard(await self._done(CLOSE, [self._names.generation(scope) for scope in scopes], values))

    async def open(self, name: str, scopes: Sequence[Scope] = SCOPES, *, keeps: bool = False, gone: Sequence[Place] = ()) -> None:
        """Let values count again: new ones alone, or with `keeps` also those that stand but for the ones that are gone."""
        names = [*(self._names.generation(scope) for scope in scopes), *self._places(gone)]
        values: list[Word | int] = [len(scopes), name, new_name(), _ms(self._cache.limits.generation_s), int(keeps)]
        self._is_heard(await self._done(OPEN, names, values))

    def doubt(self) -> None:
        """Read nothing of the company from Redis until all that stands there now has ended."""
        self._cache.doubts.note(self.company_id)

    @asynccontextmanager
    async def closed(self) -> AsyncGenerator[None]:
        """Let no value count while something is changed; afterwards new ones alone."""
        name = new_name()
        is_heard = await self.close(name)
        try:
            yield
        except StorageError as error:
            if is_heard and is_sure(error):
                await self.open(name)
            raise
        if is_heard:
            await self.open(name)
        else:
            self.doubt()

    # -- looking after it ------------------------------------------------------------------------------------------------------------------

    async def counts(self) -> Counts:
        """How often the cache was of use, as far as Redis was told; raises NoAnswer."""
        plain = await self._cache.connection.run("HGETALL", self._names.counts)
        return counts_from(plain)

    async def flush(self) -> None:
        """End every value; raises NoAnswer."""
        values: list[Word | int] = [len(SCOPES), new_name(), new_name(), _ms(self._cache.limits.generation_s), 0]
        await self._cache.connection.call(OPEN, self._names.generations(), values, is_patient=True)

    async def forget(self) -> None:
        """Leave nothing of a company that is gone but what says so, and ends by itself."""
        try:
            await self._cache.connection.run("DEL", self._names.counts)
        except NoAnswer:
            self.doubt()

    def _places(self, places: Sequence[Place]) -> list[str]:
        return [name for place in places for name in (self._names.value(*place), self._names.lease(*place))]

    def _is_heard(self, answer: Any) -> bool:  # Any: as each script gives
        if answer is None:
            self.doubt()
        return answer is not None

    def _note(self, what: str, n: int) -> None:
        self._cache.ledger.note(self.company_id, what, n)

    async def _done(self, script: Script, names: Sequence[str], values: Sequence[Word | int]) -> Any:  # Any: as each script gives
        """What a script gives; None without an answer."""
        try:
            return await self._cache.connection.call(script, names, values)
        except NoAnswer:
            return None


def new_name() -> str:
    """A name that nobody else has, for a reader, a unit of work or a generation."""
    return token_hex(_NAME_BYTES)


def is_sure(error: StorageError) -> bool:
    """Whether nothing was changed for certain, and nothing is under way."""
    return not isinstance(error, StorageUnavailable | CommitOutcomeUnknown)


def _ms(time_s: float) -> int:
    return max(1, round(1_000 * time_s))
