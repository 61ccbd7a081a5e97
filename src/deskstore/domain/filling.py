"""
Filling a mirror with all that its primary holds, beside writers, in the order of names; each ticket together with its processing.

Two batches are on their way at a time. How far it has come is kept in the mirror, in the commit of a later batch: all in front of the mark
is there or was left out, and whoever goes on after a crash repeats the few batches behind it, and tries again what was left out. Every copy
is taken only where it is newer than what stands, so neither repeating one nor a write or a deletion that came first by way of the outbox
undoes anything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from time import monotonic
from typing import Final

from attrs import Factory, define, frozen

from deskstore.domain.ahead import ahead, two_at_a_time
from deskstore.domain.comparing import CURSOR, read_each
from deskstore.domain.draining import Drained, drain, size_bytes
from deskstore.domain.errors import CorruptRecord, InvalidRecord, StorageBusy
from deskstore.domain.marks import END, Mark, mark_in
from deskstore.domain.mirror import PARTS, Copy, Part, Thing
from deskstore.domain.sides import Sides
from deskstore.domain.walking import past_damage

HEAVY_BYTES: Final = 8 * 2**20  #: of payloads in one batch, at which it is sent
_LONGEST_S: Final = 0.5  #: for which a batch may keep the mirror busy, before the next one is smaller
_FEWEST: Final = 20
_FIRST: Final = 200
_MOST: Final = 2_000
_DRAIN_EVERY_S: Final = 2.0


@frozen(kw_only=True)
class Reject:
    """A thing that could not be copied, and why."""

    thing: Thing
    reason: str


@frozen(kw_only=True)
class Batch:
    """One batch that the mirror has."""

    part: Part
    things: int  #: how many were read
    kept: int  #: how many of them were newer than what stood in the mirror
    size_bytes: int  #: of their payloads, about
    rejects: tuple[Reject, ...] = ()


async def fill(sides: Sides, *, pace: Callable[[Batch], Awaitable[None]]) -> None:
    """
    Copy everything, from behind what an earlier run has copied; once more after the end it copies only what was left out.

    Args:
        pace: Awaited after each batch: to tell of it, and to slow down.

    Raises:
        CompanyMoved, CompanyErased: The two are not, or no longer, primary and mirror, or are in another epoch: fill again.
        StorageUnavailable: One of them does not answer: fill again.
    """
    _, followed = await sides.checked()
    filling = _Filling(sides, followed.epoch, pace)
    await filling.run(await mark_in(sides.mirror))
    await filling.tell_of(await drain(sides))


async def forget_cursor(sides: Sides) -> None:
    """Forget how far the mirror was filled, since it is whole."""
    _, followed = await sides.checked()
    (cursor,) = await sides.mirror.read([CURSOR])
    if cursor.value is not None:
        await sides.mirror.apply([Copy(CURSOR, cursor.version + 1, None)], epoch=followed.epoch)


async def is_filled(sides: Sides) -> bool:
    """Whether a filling came to its end, and nobody has verified it since."""
    return (await mark_in(sides.mirror)).after == END


#: what is gone through; processing comes with the tickets
_LANES: Final[tuple[Part, ...]] = tuple(part for part in PARTS if part != "processing")


@define
class _Read:
    """What was read for one batch."""

    copies: list[Copy] = Factory(list[Copy])
    rejects: list[Reject] = Factory(list[Reject])
    size_bytes: int = 0

    def batch(self, part: Part, kept: int) -> Batch:
        """What became of it."""
        return Batch(part=part, things=len(self.copies), kept=kept, size_bytes=self.size_bytes, rejects=tuple(self.rejects))


class _Filling:
    """One run, with the size of batches that suits the mirror."""

    def __init__(self, sides: Sides, epoch: int, pace: Callable[[Batch], Awaitable[None]]) -> None:
        self._sides: Final = sides
        self._epoch: Final = epoch
        self._pace: Final = pace
        self._at_once = _FIRST
        self._mark_version = 0
        self._behind: Thing | None = None  #: up to which the mirror has everything, where no mark tells it yet
        self._is_marking = False  #: whether a batch with a mark is on its way: another one would wait for it
        self._drained_s = monotonic()
        self._left_out: Final[dict[Thing, None]] = {}  # in the order in which they were met

    async def run(self, mark: Mark) -> None:
        self._mark_version = mark.version
        after = mark.after if mark.can_go_on else None
        if mark.left_out and mark.can_go_on:
            await self._try_again(mark)
        if after == END:
            return
        first = _LANES.index(after.part) if after else 0
        for part in _LANES[first:]:
            await self._fill_part(part, after if after is not None and after.part == part else None)
        await self._apply([], END, [])

    async def tell_of(self, drained: Drained) -> None:
        """Tell of what is owed to the mirror, and cannot be paid."""
        refused = tuple(Reject(thing=one.thing, reason=one.reason) for one in drained.refusals if one.thing not in self._left_out)
        if refused:
            await self._pace(Batch(part=refused[0].thing.part, things=0, kept=0, size_bytes=0, rejects=refused))

    async def _try_again(self, mark: Mark) -> None:
        """Copy what an earlier run has left out; what still cannot be copied is told again."""
        names = [*mark.left_out]
        for first in range(0, len(names), _FEWEST):
            read = await self._read_again(names[first : first + _FEWEST])
            kept = await self._apply(read.copies, None, read.rejects)
            self._leave_out(read.rejects)
            await self._pace(read.batch(names[first].part, kept))
        await self._apply([], mark.after, [])

    async def _read_again(self, names: Sequence[Thing]) -> _Read:
        """What became of these things, a ticket's processing right behind it."""
        states = {one: Thing("processing", *one.key) for one in names if one.part == "ticket"}
        wanted = [thing for one in names for thing in (one, *((states[one],) if one in states else ()))]
        found = await read_each(self._sides.primary, sorted({*wanted}))
        read = _Read()
        for thing, copy in ((thing, found[thing]) for thing in dict.fromkeys(wanted)):
            if isinstance(copy, CorruptRecord):
                read.rejects.append(Reject(thing=thing, reason=str(copy)))
            elif copy.value is not None:
                read.copies.append(copy)
                read.size_bytes += size_bytes([copy])
        return read

    async def _fill_part(self, part: Part, after: Thing | None) -> None:
        """Read the next batch while the mirror is given those before it."""
        async with (
            aclosing(ahead(self._read(part, after))) as batches,
            aclosing(two_at_a_time(batches, lambda read: self._send(part, read))) as sent,
        ):
            async for batch, last in sent:
                self._behind = last or self._behind
                await self._pace(batch)
                await self._drain_now_and_then()

    async def _read(self, part: Part, after: Thing | None) -> AsyncGenerator[_Read]:
        batch = _Read()
        async for one in self._things(part, after):
            if isinstance(one, Reject):
                batch.rejects.append(one)
                continue
            if one.thing.part == part and (len(batch.copies) >= self._at_once or batch.size_bytes >= HEAVY_BYTES):
                yield batch
                batch = _Read()
            batch.copies.append(one)
            batch.size_bytes += size_bytes([one])
        if batch.copies or batch.rejects:
            yield batch

    async def _things(self, part: Part, after: Thing | None) -> AsyncGenerator[Copy | Reject]:
        """All things of a part; a ticket's processing comes right behind it, since a store keeps both at once in one go."""
        if part != "ticket":
            async for one in self._walk(part, after):
                yield one
            return
        states = self._walk("processing", after and Thing("processing", *after[1:]))
        state = await anext(states, None)
        async for one in self._walk("ticket", after):
            yield one
            while state is not None and state.thing.key <= one.thing.key:
                yield state
                state = await anext(states, None)
        while state is not None:
            yield state
            state = await anext(states, None)

    async def _walk(self, part: Part, after: Thing | None) -> AsyncGenerator[Copy | Reject]:
        async for one in past_damage(part, lambda behind: self._sides.primary.copies(part, after=behind), _name, after=after):
            yield _rejected(part, one) if isinstance(one, CorruptRecord) else one

    async def _send(self, part: Part, read: _Read) -> tuple[Batch, Thing | None]:
        """Give the mirror a batch, and adapt the size of the next; what became of it, and the last thing in it."""
        read.rejects = [one for one in read.rejects if one.thing not in self._left_out]  # told when it was tried again
        self._leave_out(read.rejects)
        began_s = monotonic()
        kept = await self._apply_marked(read)
        self._adapt(monotonic() - began_s)
        return read.batch(part, kept), Thing(part, *read.copies[-1].thing[1:]) if read.copies else None

    async def _apply_marked(self, read: _Read) -> int:
        """Apply a batch, and with it, unless another one does so, how far those before it have come; how many copies were kept."""
        if self._is_marking:
            return await self._apply(read.copies, None, read.rejects)
        self._is_marking, cursor, self._behind = True, self._behind, None
        try:
            return await self._apply(read.copies, cursor, read.rejects)
        finally:
            self._is_marking = False

    async def _drain_now_and_then(self) -> None:
        if monotonic() - self._drained_s > _DRAIN_EVERY_S:
            with suppress(StorageBusy):  # others are at it
                await drain(self._sides)
            self._drained_s = monotonic()

    def _leave_out(self, rejects: Sequence[Reject]) -> None:
        self._left_out.update(dict.fromkeys(one.thing for one in rejects))

    async def _apply(self, batch: Sequence[Copy], cursor: Thing | None, rejects: list[Reject]) -> int:
        """Let the mirror keep these, and the mark; how many it kept. What it refuses comes to the rejects."""
        marked = [*batch, *([self._marked(cursor)] if cursor is not None else [])]
        try:
            kept = await self._sides.mirror.apply(marked, epoch=self._epoch)
        except (InvalidRecord, CorruptRecord) as error:
            return await self._apply_halves(batch, cursor, rejects, error)
        except StorageBusy:  # whoever copies what is written meanwhile is faster again and again: fewer at once get through in between
            if len(batch) <= _FEWEST:
                raise
            self._at_once = max(_FEWEST, self._at_once // 4)
            half = len(batch) // 2
            return await self._apply(batch[:half], None, rejects) + await self._apply(batch[half:], cursor, rejects)
        return max(kept - (cursor is not None), 0)

    async def _apply_halves(
        self, batch: Sequence[Copy], cursor: Thing | None, rejects: list[Reject], error: InvalidRecord | CorruptRecord
    ) -> int:
        """Find the thing that the mirror refuses, and leave it out."""
        if len(batch) <= 1:
            refused = [Reject(thing=copy.thing, reason=str(error)) for copy in batch if copy.thing not in self._left_out]
            self._leave_out(refused)
            rejects += refused
            return await self._apply([], cursor, rejects) if batch else 0
        half = len(batch) // 2
        return await self._apply(batch[:half], None, rejects) + await self._apply(batch[half:], cursor, rejects)

    def _marked(self, cursor: Thing) -> Copy:
        self._mark_version += 1
        return Mark(after=cursor, left_out=self._left_out, version=self._mark_version).copy()

    def _adapt(self, took_s: float) -> None:
        if took_s > _LONGEST_S:
            self._at_once = max(_FEWEST, self._at_once // 2)
        elif took_s < _LONGEST_S / 4:
            self._at_once = min(_MOST, self._at_once * 2)


def _name(copy: Copy) -> Thing:
    return copy.thing


def _rejected(part: Part, error: CorruptRecord) -> Reject:
    return Reject(thing=Thing(part, *error.key, error.number) if error.key else Thing(part, "", "", error.place), reason=str(error))
