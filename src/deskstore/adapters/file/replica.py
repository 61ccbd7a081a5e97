"""One company on files as raw copies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from typing import Final, Literal, Protocol, TypeVar

from deskstore.adapters.file import doubts, writing
from deskstore.adapters.file.body import record_in
from deskstore.adapters.file.company import OpenCompany
from deskstore.adapters.file.envelope import read_summary
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.loading import Want, load, load_records, until_heavy
from deskstore.adapters.file.reads import BATCH, Reader
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.mirror import CompanyState, Copy, Debt, Owed, Part, Thing, ThingDigest, Value, copy_of, digest_of
from deskstore.domain.paging import EVERYTHING
from deskstore.domain.suppressions import SuppressionName
from deskstore.domain.things import check_epoch

V = TypeVar("V")
_IN_FILES: Final = ("ticket", "article", "summary")


class Access(Reader, Protocol):
    """Runs reads and writes of one company in their threads."""

    @property
    def company_id(self) -> str: ...

    async def write(self, job: Callable[[OpenCompany, datetime], V]) -> V:
        """What the job returns, given the company and the present moment, once it is committed; the company is made if need be."""
        ...


class FileReplica:
    """A company on files as a side of hybrid, migration, verification or backup."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def store_id(self) -> str:
        """Which store this is; makes the company's place if need be."""
        known = await self._access.read(lambda company, _: company.store_id)  # where there is such a place, whoever writes is left alone
        return await self._access.write(lambda company, _: company.store_id) if known is None else known

    async def state(self) -> CompanyState | None:
        """Where the company lives, or None when it is unknown here."""
        return await self._access.read(lambda _, index: index.state() if index.is_registered else None)

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        """Set the state durably if it is as expected."""
        if await self.state() != expected:
            return False  # also where there is no such company: none is made for it
        return await self._access.write(lambda company, _: writing.compare_and_set_state(company, expected, wanted))

    async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        """All things of one part as they stand, ascending."""
        while True:
            last, values = await self._access.read(_batch(part, after)) or (None, [])
            for value in values:
                if isinstance(value, CorruptRecord):
                    raise value
                if value is not None:
                    yield copy_of(value)
            if last is None:
                return
            after = last

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        """These things as they stand, ascending."""
        wanted = sorted(things)

        def look(company: OpenCompany, index: Index) -> list[Copy]:
            values = zip(wanted, _values(company, index, wanted), strict=True)
            return [_as_it_stands(index, thing, value) for thing, value in values]

        return await self._access.read(look) or [Copy(thing, 0, None) for thing in wanted]

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        """Any at most limit debts to a consumer."""
        return await self._access.read(lambda _, index: index.debts(consumer, limit)) or []

    async def owed(self, consumer: str, limit: int) -> Owed:
        """What a consumer has yet to be told of, as it stands, out of one snapshot."""

        def look(company: OpenCompany, index: Index) -> Owed:
            debts = index.debts(consumer, limit + 1)
            things = sorted(debt.thing for debt in debts[:limit])
            bodies = until_heavy(things, lambda some: _bodies(company, index, some))
            copies = [_as_it_stands(index, thing, _value(index, thing, body)) for thing, body in zip(things, bodies, strict=False)]
            return Owed(state=index.state() if index.is_registered else None, copies=copies, is_all=len(copies) == len(debts))

        return await self._access.read(look) or Owed(state=None, copies=(), is_all=True)

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        """Forget these debts to a consumer, each only up to its version."""
        await self._in_epoch(epoch, lambda company, _: company.index.forget_debts(consumer, debts))

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        """Keep those copies that are newer than what stands here."""
        return await self._in_epoch(epoch, lambda company, now: writing.apply_copies(company, copies, now))

    async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        """Name, version and digest of all things of one part."""
        async for copy in self.copies(part, after=after):
            if copy.value is not None:
                yield digest_of(copy.value, rehash=rehash)

    async def _in_epoch(self, epoch: int | None, job: Callable[[OpenCompany, datetime], V]) -> V:
        """What a job returns that is committed only in that epoch."""
        company_id = self._access.company_id
        if epoch is not None:
            check_epoch(company_id, await self.state(), epoch)  # a directory is not made again for a company that is gone

        def run(company: OpenCompany, now: datetime) -> V:
            check_epoch(company_id, company.index.state() if company.index.is_registered else None, epoch)
            return job(company, now)

        return await self._access.write(run)


def _batch(part: Part, after: Thing | None) -> Callable[[OpenCompany, Index], tuple[Thing | None, list[Value | CorruptRecord | None]]]:
    """Gives some things, and the one after which there may be more."""

    def look(company: OpenCompany, index: Index) -> tuple[Thing | None, list[Value | CorruptRecord | None]]:
        if part in ("ticket", "article"):
            return _records(company, index, part, after)
        if part == "processing":
            found = index.processing_behind(after.key if after else None, BATCH)
            return Thing(part, *found[-1][0]) if len(found) == BATCH else None, [processing for _, processing in found]
        things = _things(index, part, after)
        values = _light_summaries(company, index, things) if part == "summary" else _values(company, index, things)
        if len(values) == len(things) < BATCH:
            return None, values
        return things[len(values) - 1], values

    return look


def _records(
    company: OpenCompany, index: Index, part: Literal["ticket", "article"], after: Thing | None
) -> tuple[Thing | None, list[Value | CorruptRecord | None]]:
    """Some records, and the one after which there may be more."""
    told = doubts.told(index, part, EVERYTHING, after=after.key if after else None, limit=BATCH)
    bodies = until_heavy(told, lambda some: load_records(company, index, some))
    values: list[Value | CorruptRecord | None] = [record_in(body) if isinstance(body, bytes) else body for body in bodies]
    if len(values) == len(told) < BATCH:
        return None, [*values, doubts.nameless(company, index, part)]
    return Thing(part, *told[len(values) - 1][0]), values


def _light_summaries(company: OpenCompany, index: Index, things: Sequence[Thing]) -> list[Value | CorruptRecord | None]:
    """What the first of these summaries hold."""
    wants = [Want(thing.key, thing.number) for thing in things]
    bodies = until_heavy(wants, lambda some: load(company, index, some))
    return [_value(index, thing, body) for thing, body in zip(things[: len(bodies)], bodies, strict=True)]


def _things(index: Index, part: Part, after: Thing | None) -> list[Thing]:
    match part:
        case "summary":
            return index.summaries(after=after, limit=BATCH)
        case "checkpoint":
            return index.checkpoints(after=after, limit=BATCH)
        case _:
            return index.suppressions(after=after, limit=BATCH)


def _values(company: OpenCompany, index: Index, things: Sequence[Thing]) -> list[Value | CorruptRecord | None]:
    """What the things hold."""
    return [_value(index, thing, body) for thing, body in zip(things, _bodies(company, index, things), strict=True)]


def _bodies(company: OpenCompany, index: Index, things: Sequence[Thing]) -> list[bytes | CorruptRecord | None]:
    """What the files of those things hold that have one, read together."""
    in_files = [thing for thing in things if thing.part in _IN_FILES]
    bodies = dict(zip(in_files, load(company, index, [Want(thing.key, thing.number) for thing in in_files]), strict=True))
    return [bodies.get(thing) for thing in things]


def _value(index: Index, thing: Thing, body: bytes | CorruptRecord | None) -> Value | CorruptRecord | None:
    match thing.part:
        case "processing":
            return index.processing(thing.key)
        case "checkpoint":
            return index.checkpoint(thing.platform, thing.id)
        case "suppression":
            name = SuppressionName(thing.platform, thing.id)
            return index.suppressions_named([name]).get(name)
        case "summary":
            return read_summary(body)[1] if isinstance(body, bytes) else body
        case "ticket" | "article":
            return record_in(body) if isinstance(body, bytes) else body


def _as_it_stands(index: Index, thing: Thing, value: Value | CorruptRecord | None) -> Copy:
    if isinstance(value, CorruptRecord):
        raise value
    return Copy(thing, index.tombstone_version(thing), None) if value is None else copy_of(value)
