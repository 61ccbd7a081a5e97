"""
Copying what a primary owes its mirror.

Any number of processes may drain one company at once, in any order, and be killed anywhere: a debt is forgotten only once the mirror was
read back and holds what the primary holds, at that version or a later one. Whatever goes wrong leaves the debt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from attrs import frozen

from deskstore.domain.errors import CorruptRecord, InvalidRecord, StorageBusy
from deskstore.domain.identifiers import Key
from deskstore.domain.mirror import MIRROR, Copy, Debt, Part, Thing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.sides import Sides
from deskstore.domain.summaries import Summary

BATCH: Final = 500  #: debts at once, as long as they are not heavy
HEAVY_BYTES: Final = 8 * 2**20  #: of payloads in one batch, after which the next is smaller
_FIRST: Final = 50
_RECORDS: Final = ("ticket", "article")
_PARTS_OF_RECORDS: Final = ("processing", "summary")
_TRIES: Final = 3  #: of a thing the mirror does not hold after it was applied: its record may just have been deleted


@frozen(kw_only=True)
class Refusal:
    """A thing that could not be copied, and stays owed."""

    thing: Thing
    reason: str


@frozen(kw_only=True)
class Drained:
    """What came of draining."""

    paid: Mapping[Part, int]  #: debts of each part
    refusals: tuple[Refusal, ...] = ()  #: what stays owed until somebody sees to it

    @property
    def mirrored(self) -> int:
        """How many debts are paid."""
        return sum(self.paid.values())


async def drain(sides: Sides) -> Drained:
    """
    Copy what the primary owes its mirror by now; what is changed meanwhile is owed again.

    Raises:
        CompanyMoved, CompanyErased: The two are not, or no longer, primary and mirror of this company.
        StorageUnavailable: One of them does not answer.
    """
    told, followed = await sides.checked()
    return await drain_within(sides, told.epoch, followed.epoch)


async def drain_within(sides: Sides, primary_epoch: int, mirror_epoch: int, *, at_once: int = _FIRST) -> Drained:
    """
    The same without asking how the two stand: nothing is changed once one of them is in another epoch.

    Args:
        at_once: How many debts are taken first.
    """
    draining = _Draining(sides, primary_epoch, mirror_epoch, at_once)
    while await draining.some():
        pass
    return draining.outcome()


async def copies_of(sides: Sides, things: Collection[Thing]) -> list[Copy]:
    """
    These things as the primary has them, each part of a record together with the record.

    A record is read after its parts. So it is at least as new as when they were, and no deletion from before they were made can come
    to the mirror later and take them along.
    """
    parts = [thing for thing in things if thing.part not in _RECORDS]
    found: Sequence[Copy] = await sides.primary.read(parts) if parts else ()
    records = {thing for thing in things if thing.part in _RECORDS}
    records |= {record_of(copy.thing) for copy in found if copy.value is not None and copy.thing.part in _PARTS_OF_RECORDS}
    return [*found, *(await sides.primary.read(records) if records else ())]


def record_of(thing: Thing) -> Thing:
    """The name of the record that a processing or a summary belongs to."""
    return Thing(thing.key.kind, *thing.key)


def _is_of(thing: Thing, key: Key) -> bool:
    """Whether it is a record, or goes with it."""
    return thing.part in (*_RECORDS, *_PARTS_OF_RECORDS) and thing.key == key


def size_bytes(copies: Collection[Copy]) -> int:
    """How much these copies weigh in memory, about."""
    return sum(_size(copy) for copy in copies)


def _size(copy: Copy) -> int:
    match copy.value:
        case Ticket() | Article():
            return len(copy.value.payload)
        case Summary():
            return len(copy.value.content)
        case _:
            return 0


class _Draining:
    """One run over what is owed, with what it cannot pay."""

    def __init__(self, sides: Sides, primary_epoch: int, mirror_epoch: int, at_once: int) -> None:
        self._sides: Final = sides
        self._primary_epoch: Final = primary_epoch
        self._mirror_epoch: Final = mirror_epoch
        self._at_once = at_once
        self._paid: Final = Counter[Part]()
        self._refused: Final[dict[Thing, str]] = {}
        self._tries: Final = Counter[Thing]()

    def outcome(self) -> Drained:
        refusals = (Refusal(thing=thing, reason=reason) for thing, reason in sorted(self._refused.items()))
        return Drained(paid=dict(self._paid), refusals=tuple(refusals))

    async def some(self) -> bool:
        """Pay some debts, and say whether there may be more."""
        asked = self._at_once
        debts = await self._owed(asked)
        if debts:
            copies = await self._read([debt.thing for debt in debts])
            self._pace(copies)
            await self._apply(copies)
            await self._pay(debts, {copy.thing: copy for copy in copies})
        return len(debts) == asked or any(debt.thing in self._tries and debt.thing not in self._refused for debt in debts)

    async def _owed(self, wanted: int) -> list[Debt]:
        found = await self._sides.primary.outbox(MIRROR, wanted + len(self._refused))
        return [debt for debt in found if debt.thing not in self._refused][:wanted]

    async def _read(self, things: Sequence[Thing]) -> list[Copy]:
        """The copies of all these that can be read."""
        wanted = list(things)
        while True:
            try:
                return await copies_of(self._sides, wanted)
            except CorruptRecord as error:
                damaged = [thing for thing in wanted if error.key is not None and _is_of(thing, error.key)]
                if not damaged:
                    raise
                self._refused.update(dict.fromkeys(damaged, str(error)))
                wanted = [thing for thing in wanted if thing not in self._refused]

    async def _apply(self, copies: Sequence[Copy]) -> None:
        """Give the mirror these copies; those of a record that it refuses are found by halving, and where it is busy fewer get through."""
        try:
            await self._sides.mirror.apply(copies, epoch=self._mirror_epoch)
        except (InvalidRecord, CorruptRecord, StorageBusy) as error:
            records = sorted({copy.thing.key for copy in copies})
            if len(records) == 1:
                if isinstance(error, StorageBusy):
                    raise
                self._refused.update(dict.fromkeys((copy.thing for copy in copies), str(error)))
                return
            first = set(records[: len(records) // 2])
            await self._apply([copy for copy in copies if copy.thing.key in first])
            await self._apply([copy for copy in copies if copy.thing.key not in first])

    async def _pay(self, debts: Sequence[Debt], copies: dict[Thing, Copy]) -> None:
        owed = [debt for debt in debts if debt.thing in copies and debt.thing not in self._refused]
        there = {copy.thing: copy for copy in await self._sides.mirror.read([debt.thing for debt in owed])}
        paid: list[Debt] = []
        for debt in owed:
            copy = copies[debt.thing]
            if objection := _objection(copy, there[debt.thing]):
                self._object(debt.thing, objection)
            else:
                # of what is gone without a trace, a record that is gone too took it along
                paid.append(Debt(debt.thing, copy.version or debt.version))
        if paid:
            await self._sides.primary.acknowledge(MIRROR, paid, epoch=self._primary_epoch)
        self._paid.update(debt.thing.part for debt in paid)

    def _object(self, thing: Thing, objection: str) -> None:
        self._tries[thing] += 1
        if self._tries[thing] >= _TRIES:
            self._refused[thing] = objection

    def _pace(self, copies: Sequence[Copy]) -> None:
        """Take more at once, or fewer after a batch that was heavy."""
        self._at_once = max(1, self._at_once // 4) if size_bytes(copies) > HEAVY_BYTES else min(2 * self._at_once, BATCH)


def _objection(copy: Copy, there: Copy) -> str | None:
    """Why the mirror does not hold what it was given; None when it does, or has something later."""
    if there.version > copy.version and copy.version:
        return None
    if there.version < copy.version:
        return f"the mirror did not keep version {copy.version}: it is at version {there.version}"
    if there.value != copy.value:
        return f"the mirror holds something else at version {there.version}" if copy.version else "the primary knows nothing of it"
    return None
