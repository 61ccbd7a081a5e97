"""
Comparing what two stores hold of one company: every thing of both, by its version and its content.

Both sides are enumerated, each by itself, so that nothing counts as compared because somebody counted it as copied.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from enum import StrEnum
from typing import Final

from attrs import Factory, define, frozen

from deskstore.domain.draining import drain
from deskstore.domain.errors import CorruptRecord, MigrationError
from deskstore.domain.mirror import PARTS, Copy, MirrorStatus, Part, Thing, ThingDigest, digest_of
from deskstore.domain.ports import Replica
from deskstore.domain.sides import Sides
from deskstore.domain.walking import past_damage

CURSOR: Final = Thing("checkpoint", "", ".deskstore", "migration")  #: in a mirror that is being filled: how far that has come
MOST_NAMED: Final = 1_000  #: differences that are told one by one
_AT_ONCE: Final = 200


class Depth(StrEnum):
    """How closely two sides are compared."""

    DIGESTS = "digests"  #: as each store keeps them
    REHASH = "rehash"  #: with every payload hashed anew, where it is kept
    CONTENT = "content"  #: everything read back, and hashed here


class DifferenceKind(StrEnum):
    """What is wrong with one thing."""

    MISSING = "missing"  #: the mirror does not have it
    EXTRA = "extra"  #: the mirror has it, and the primary does not
    STALE = "stale"  #: the mirror has an earlier version
    AHEAD = "ahead"  #: the mirror has a later version
    CHANGED = "changed"  #: the mirror has something else at the same version
    DAMAGED = "damaged"  #: one side holds something that cannot be trusted


@frozen(kw_only=True)
class Difference:
    """One thing that the sides do not both have as they should."""

    thing: Thing
    kind: DifferenceKind
    primary_version: int = 0  #: at which it stands or was deleted there; 0: nothing is known of it
    mirror_version: int = 0
    reason: str = ""  #: why it cannot be trusted


@define(kw_only=True)
class Comparison:
    """What came of comparing two sides."""

    counts: dict[Part, tuple[int, int]] = Factory(dict[Part, tuple[int, int]])  #: things of the primary, of the mirror
    differences: list[Difference] = Factory(list[Difference])  #: at most 1,000 of them
    different: int = 0  #: how many there are in all

    def note(self, found: Collection[Difference]) -> None:
        """Keep these, as long as there is room for them."""
        self.different += len(found)
        self.differences += list(found)[: MOST_NAMED - len(self.differences)]


async def compare(sides: Sides, *, depth: Depth = Depth.REHASH) -> Comparison:
    """
    Compare everything, beside writers; what one of them changed meanwhile is looked at again once the mirror was given it.

    Raises:
        CompanyMoved, CompanyErased: The two are not, or no longer, primary and mirror.
        StorageUnavailable: One of them does not answer.
    """
    await drain(sides)
    result = Comparison()
    for part in PARTS:
        async for suspects in suspected(sides, part, depth, result.counts):
            result.note(await confirmed(sides, suspects))
    return result


async def compare_changes(sides: Sides) -> Comparison:
    """
    Compare what changed since the two were compared, which takes as long as that is much.

    What is owed is given to the mirror and read back from it; what was owed before was read back then. What a disk or a stranger did to one
    of the stores is found by compare() alone.

    Raises:
        MigrationError: The mirror is not verified, so nothing is known of all that did not change.
    """
    state, _ = await sides.checked()
    if state.mirror_status is not MirrorStatus.VERIFIED:
        raise MigrationError(f"the mirror of company {sides.company_id!r} is {state.mirror_status}, not verified: compare everything first")
    drained = await drain(sides)
    result = Comparison(counts={part: (paid, paid) for part in PARTS for paid in [drained.paid.get(part, 0)]})
    refused = [Difference(thing=one.thing, kind=DifferenceKind.STALE) for one in drained.refusals]
    for first in range(0, len(refused), _AT_ONCE):
        result.note(await confirmed(sides, refused[first : first + _AT_ONCE]))
    return result


async def suspected(sides: Sides, part: Part, depth: Depth, counts: dict[Part, tuple[int, int]]) -> AsyncIterator[list[Difference]]:
    """What seems to differ in one part, some at a time; counts is told how many things there are."""
    found: list[Difference] = []
    pairs = _Pairs(part, _walk(sides.primary, part, depth), _walk(sides.mirror, part, depth))
    async for difference in pairs.differences():
        found.append(difference)
        if len(found) == _AT_ONCE:
            yield found
            found = []
    if found:
        yield found
    counts[part] = pairs.counts


async def confirmed(sides: Sides, suspects: Sequence[Difference]) -> list[Difference]:
    """Those among them that are still there after the mirror was given what it was owed."""
    damaged = [one for one in suspects if one.kind is DifferenceKind.DAMAGED]
    things = [one.thing for one in suspects if one.kind is not DifferenceKind.DAMAGED]
    before = await read_each(sides.primary, things)
    await drain(sides)
    there = await read_each(sides.mirror, things)
    after = await read_each(sides.primary, things)
    found = (_difference(thing, before[thing], there[thing], after[thing]) for thing in things)
    return [*damaged, *(one for one in found if one is not None)]


async def read_each(replica: Replica, things: Sequence[Thing]) -> dict[Thing, Copy | CorruptRecord]:
    """These things as they stand, with an error in the place of what cannot be trusted."""
    try:
        return {copy.thing: copy for copy in await replica.read(things)} if things else {}
    except CorruptRecord as error:
        if len(things) == 1:
            return {things[0]: error}
    half = len(things) // 2
    return await read_each(replica, things[:half]) | await read_each(replica, things[half:])


def _difference(thing: Thing, before: Copy | CorruptRecord, there: Copy | CorruptRecord, after: Copy | CorruptRecord) -> Difference | None:
    if isinstance(before, Copy) and isinstance(there, Copy) and isinstance(after, Copy):
        if (kind := _kind(before, there, after)) is None:
            return None
        return Difference(thing=thing, kind=kind, primary_version=after.version, mirror_version=there.version)
    reason = "; ".join(str(one) for one in (after, there) if isinstance(one, CorruptRecord))
    return Difference(thing=thing, kind=DifferenceKind.DAMAGED, reason=reason)


def _kind(before: Copy, there: Copy, after: Copy) -> DifferenceKind | None:
    """What is wrong with the mirror's copy, of which the primary's was read before and after."""
    if there.version > after.version:
        if there.value is None:
            return None if after.value is None else DifferenceKind.AHEAD
        return DifferenceKind.EXTRA if after.value is None else DifferenceKind.AHEAD
    if there.version > before.version:
        return None  # it was changed meanwhile, and compared when it was copied
    if there.version == before.version:
        return None if there.value == before.value else DifferenceKind.CHANGED
    if there.value is None:
        return None if before.value is None else DifferenceKind.MISSING
    return DifferenceKind.STALE


@define
class _Pairs:
    """Two walks over one part, side by side."""

    part: Part
    primary: AsyncIterator[ThingDigest | CorruptRecord]
    mirror: AsyncIterator[ThingDigest | CorruptRecord]
    counts: tuple[int, int] = (0, 0)

    async def differences(self) -> AsyncIterator[Difference]:
        ours, theirs = await _next(self.primary), await _next(self.mirror)
        while ours is not None or theirs is not None:
            if isinstance(ours, CorruptRecord):
                yield _damage(self.part, ours)
                ours = await _next(self.primary)
            elif isinstance(theirs, CorruptRecord):
                yield _damage(self.part, theirs)
                theirs = await _next(self.mirror)
            elif theirs is None or (ours is not None and ours.thing < theirs.thing):
                if ours is not None:
                    self._count(1, 0)
                    yield Difference(thing=ours.thing, kind=DifferenceKind.MISSING, primary_version=ours.version)
                ours = await _next(self.primary)
            elif ours is None or theirs.thing < ours.thing:
                self._count(0, 1)
                yield Difference(thing=theirs.thing, kind=DifferenceKind.EXTRA, mirror_version=theirs.version)
                theirs = await _next(self.mirror)
            else:
                self._count(1, 1)
                if (ours.version, ours.digest) != (theirs.version, theirs.digest):
                    yield _unequal(ours, theirs)
                ours, theirs = await _next(self.primary), await _next(self.mirror)

    def _count(self, ours: int, theirs: int) -> None:
        self.counts = (self.counts[0] + ours, self.counts[1] + theirs)


def _unequal(ours: ThingDigest, theirs: ThingDigest) -> Difference:
    if ours.version == theirs.version:
        kind = DifferenceKind.CHANGED
    else:
        kind = DifferenceKind.STALE if theirs.version < ours.version else DifferenceKind.AHEAD
    return Difference(thing=ours.thing, kind=kind, primary_version=ours.version, mirror_version=theirs.version)


def _damage(part: Part, error: CorruptRecord) -> Difference:
    thing = Thing(part, *error.key) if error.key else Thing(part, "", "", error.place)
    return Difference(thing=thing, kind=DifferenceKind.DAMAGED, primary_version=error.version, reason=str(error))


async def _next(walk: AsyncIterator[ThingDigest | CorruptRecord]) -> ThingDigest | CorruptRecord | None:
    """The next one that is not the cursor of a filling."""
    while True:
        one = await anext(walk, None)
        if not (isinstance(one, ThingDigest) and one.thing == CURSOR):
            return one


def _walk(replica: Replica, part: Part, depth: Depth) -> AsyncIterator[ThingDigest | CorruptRecord]:
    def digests(after: Thing | None) -> AsyncIterator[ThingDigest]:
        return replica.digests(part, after=after, rehash=depth is Depth.REHASH)

    def contents(after: Thing | None) -> AsyncIterator[ThingDigest]:
        return _hashed(replica.copies(part, after=after))

    return past_damage(part, contents if depth is Depth.CONTENT else digests, _name)


async def _hashed(copies: AsyncIterator[Copy]) -> AsyncIterator[ThingDigest]:
    async for copy in copies:
        if copy.value is not None:
            yield digest_of(copy.value, rehash=True)


def _name(digest: ThingDigest) -> Thing:
    return digest.thing
