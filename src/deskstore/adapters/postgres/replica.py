"""One company in PostgreSQL as raw copies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from attrs import evolve

from deskstore.adapters.postgres.calls import Call
from deskstore.adapters.postgres.committing import Locked, Purpose, Transaction, Transactions
from deskstore.adapters.postgres.reads import BATCH
from deskstore.adapters.postgres.rows import (
    Columns,
    Found,
    article_of,
    checkpoint_of,
    company_of,
    key_row,
    state_of,
    summary_of,
    suppression_of,
    ticket_of,
)
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, Kind
from deskstore.domain.mirror import PARTS, CompanyState, Copy, Debt, Owed, Part, Thing, ThingDigest, Value, applicable, copy_of, digest_of
from deskstore.domain.things import check_beginning, check_epoch, check_succession, plain_state
from deskstore.domain.times import LAST_US

MANY: Final = 5_000  #: digests read at once
_NAMES: Final[list[str]] = []
_EVERYTHING: Final = (None, _NAMES, _NAMES, None, None, None, None, None)  #: what batch_of_tickets takes for a filter that lets all through
_VALUES: Final[Mapping[Part, Callable[[Columns], Value]]] = {
    "ticket": ticket_of,
    "article": article_of,
    "processing": state_of,
    "summary": summary_of,
    "checkpoint": checkpoint_of,
    "suppression": suppression_of,
}
#: the functions that give things whose names are two texts
_BATCHES: Final[Mapping[Part, str]] = {
    "processing": "batch_of_processing",
    "checkpoint": "batch_of_checkpoints",
    "suppression": "batch_of_suppressions",
}


class _Ask(Protocol):
    """Gives the rows of a function that reads a company, without the epoch that stands before each."""

    def __call__(self, function: str, *values: object) -> Awaitable[Found]: ...


class PostgresReplica:
    """A company in PostgreSQL as a side of hybrid, migration, verification or backup."""

    def __init__(self, company_id: str, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._company_id: Final = company_id
        self._transactions: Final = transactions
        self._clock: Final = clock

    async def store_id(self) -> str:
        """Which store this is."""
        return await self._transactions.store_id()

    async def state(self) -> CompanyState | None:
        """Where the company lives, or None when it is unknown here."""
        found = await self._transactions.read(self._company_id, "find_state")
        return company_of(found[0][0]) if found else None

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        """Set the state durably if it is as expected."""
        return await self._transactions.pool.persistently(lambda: self._compare_and_set_state(expected, wanted))

    async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        """All things of one part as they stand, ascending."""
        while True:
            found = await self._rows(*_batch(part, after))
            copy = None
            for row in found:
                copy = copy_of(_VALUES[part](row))
                yield copy
            if copy is None or len(found) < BATCH:
                return
            after = copy.thing

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        """These things as they stand, ascending."""
        return await _as_they_stand(self._rows, things)

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        """Any at most limit debts to a consumer."""
        return await _debts(self._rows, consumer, limit)

    async def owed(self, consumer: str, limit: int) -> Owed:
        """What a consumer has yet to be told of, as it stands while nobody else is in the company."""
        return await self._transactions.pool.persistently(lambda: self._owed(consumer, limit))

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        """Forget these debts to one consumer, each only up to its version."""
        await self._transactions.pool.persistently(lambda: self._acknowledge(consumer, debts, epoch))

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        """Keep those copies that are newer than what stands here."""
        return await self._transactions.pool.persistently(lambda: self._apply(_newest(copies), epoch))

    async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        """Name, version and digest of all things of one part; those of records and of processing are computed where they are kept."""
        if part in ("ticket", "article", "processing"):
            async for digest in self._digests(part, after, rehash=rehash):
                yield digest
            return
        async for copy in self.copies(part, after=after):
            if copy.value is not None:
                yield digest_of(copy.value, rehash=rehash)

    async def _digests(self, part: Part, after: Thing | None, *, rehash: bool) -> AsyncIterator[ThingDigest]:
        kind: Kind = ARTICLE if part == "article" else TICKET
        how = () if part == "processing" else (rehash,)
        behind: Columns = key_row(after.key if after else Key(kind, "", ""))
        while True:
            found = await self._rows(f"batch_of_{part}_digests", behind, *how, MANY)
            for *names, version, digest in found:
                yield ThingDigest(thing=Thing(part, kind, *names), version=version, digest=digest)
            if len(found) < MANY:
                return
            behind = found[-1][:-2]

    async def _owed(self, consumer: str, limit: int) -> Owed:
        async with self._transactions.begin(self._company_id, known=0, purpose="alone", now=self._clock()) as transaction:

            async def ask(function: str, *values: object) -> Found:
                return [row[1:] for row in await transaction.rows(function, 0, *values)]

            state, debts = await _state(transaction), await _debts(ask, consumer, limit + 1)
            copies = await _as_they_stand(ask, [debt.thing for debt in debts[:limit]])
        return Owed(state=state, copies=copies, is_all=len(debts) <= limit)

    async def _rows(self, function: str, *values: object) -> Found:
        return [row[1:] for row in await self._transactions.read(self._company_id, function, 0, *values)]

    async def _compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        async with self._transactions.begin(self._company_id, known=0, purpose="alone", now=self._clock()) as transaction:
            known = await _state(transaction)
            if known != expected:
                return False
            if known is None:
                ((erased_epoch,),) = await transaction.rows("erased_epoch")
                check_beginning(self._company_id, erased_epoch, wanted)
            else:
                check_succession(self._company_id, known, wanted)
            put = Call("put_state", (json.dumps(plain_state(wanted)).encode(), list(wanted.consumers)))
            await transaction.call([put])
            await transaction.commit()
        return True

    async def _acknowledge(self, consumer: str, debts: Collection[Debt], epoch: int | None) -> None:
        async with self._transactions.begin(self._company_id, known=0, purpose="copy", now=self._clock()) as transaction:
            check_epoch(self._company_id, await _state(transaction), epoch)
            named = _columns([debt.thing for debt in debts])
            await transaction.call([Call("acknowledge", (consumer, *named, [debt.version for debt in debts]))])
            await transaction.commit()

    async def _apply(self, copies: Sequence[Copy], epoch: int | None) -> int:
        keys = sorted({copy.thing.key for copy in copies if copy.thing.is_of_record})
        streams = sorted({(copy.thing.platform, copy.thing.id) for copy in copies if copy.thing.part == "checkpoint"})
        purpose: Purpose = "bury" if any(copy.value is None for copy in copies) else "copy"
        async with self._transactions.begin(self._company_id, known=0, purpose=purpose, now=self._clock()) as transaction:
            locked = await transaction.lock(keys, streams)
            check_epoch(self._company_id, locked.state, epoch)
            standing = await _standing(transaction, locked, copies)
            buried = await _remembered(transaction, copies)
            known = {thing: max(standing.get(thing, 0), buried.get(thing, 0)) for thing in standing.keys() | buried.keys()}
            kept = applicable(copies, known, locked.standing.__contains__)
            if kept:
                # in a company that only follows nobody deletes beside this: its floor may rise, for things that are none of these
                floor = locked.floor if locked.is_home else LAST_US
                await transaction.write(evolve(locked, buried=buried.keys(), floor=floor), [kept], standing.keys())
                await transaction.commit()
        return len(kept)


def _newest(copies: Collection[Copy]) -> list[Copy]:
    """One copy a thing."""
    return [*{copy.thing: copy for copy in sorted(copies, key=lambda copy: copy.version)}.values()]


async def _standing(transaction: Transaction, locked: Locked, copies: Sequence[Copy]) -> dict[Thing, int]:
    """The versions of those of the things that stand; only what the locks did not tell is asked for."""
    found = {Thing(key.kind, *key): stood.version for key, stood in locked.standing.items()}
    found |= {Thing("processing", *key): stood.processing.version for key, stood in locked.standing.items() if stood.processing}
    found |= {Thing("checkpoint", "", *name): version for name, version in locked.checkpoints.items()}
    if rest := [copy.thing for copy in copies if copy.thing.part in ("summary", "suppression")]:
        rows = await transaction.rows("find_versions", 0, *_columns(rest))
        found |= {Thing(*row[1:7]): row[7] for row in rows if row[7]}
    return found


async def _remembered(transaction: Transaction, copies: Sequence[Copy]) -> dict[Thing, int]:
    """The versions at which those of the things were deleted of which that is remembered."""
    ((any_is,),) = await transaction.rows("remembers_deletions")
    if not any_is:
        return {}
    return {Thing(*row[:6]): row[6] for row in await transaction.rows("find_tombstones", *_columns([copy.thing for copy in copies]))}


async def _debts(ask: _Ask, consumer: str, limit: int) -> list[Debt]:
    return [Debt(Thing(*row[:6]), row[6]) for row in await ask("find_debts", consumer, limit)]


async def _as_they_stand(ask: _Ask, things: Collection[Thing]) -> list[Copy]:
    wanted = sorted(things)
    values = {copy.thing: copy for part in PARTS for copy in await _read(ask, part, [one for one in wanted if one.part == part])}
    buried = await _buried(ask, [thing for thing in wanted if thing not in values])
    return [values.get(thing) or Copy(thing, buried[thing], None) for thing in wanted]


async def _read(ask: _Ask, part: Part, things: Sequence[Thing]) -> list[Copy]:
    return [copy_of(_VALUES[part](row)) for row in await ask(*_named(part, things))] if things else []


async def _buried(ask: _Ask, things: Sequence[Thing]) -> dict[Thing, int]:
    """The versions at which things were deleted."""
    return {Thing(*row[:6]): row[7] for row in await ask("find_versions", *_columns(things))} if things else {}


async def _state(transaction: Transaction) -> CompanyState | None:
    found = await transaction.rows("find_state")
    return company_of(found[0][0]) if found else None


def _columns(things: Sequence[Thing]) -> list[list[Any]]:  # Any: text, and the number
    return [[thing[place] for thing in things] for place in range(6)]


def _batch(part: Part, after: Thing | None) -> tuple[Any, ...]:  # Any: what each function takes
    """The function that gives the things of a part behind a name, and what it takes."""
    if part in ("ticket", "article"):
        kind = ARTICLE if part == "article" else TICKET
        return (f"batch_of_{kind}s", *_EVERYTHING, None if after is None else [*key_row(after.key)], BATCH)
    if part == "summary":
        return ("batch_of_summaries", [*after[1:5]] if after else [""] * 4, after.number if after else 0, BATCH)
    behind = [after.platform, after.id] if after else ["", ""]
    return (_BATCHES[part], behind, BATCH)


def _named(part: Part, things: Sequence[Thing]) -> tuple[Any, ...]:  # Any: what each function takes
    """The function that gives things of a part by their names, and what it takes."""
    _, kinds, platforms, ids, locales, numbers = _columns(things)
    match part:
        case "ticket":
            return ("find_tickets", platforms, ids)
        case "article":
            return ("find_articles", platforms, ids, locales)
        case "processing":
            return ("find_processing", platforms, ids)
        case "summary":
            return ("find_summaries", kinds, platforms, ids, locales, numbers)
        case "checkpoint":
            return ("find_checkpoints", platforms, ids)
        case "suppression":
            return ("find_suppressions", platforms, ids)
