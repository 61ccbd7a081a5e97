"""Bringing two sides together by what each has newer: after one of them lost its database, and for differences that were found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from deskstore.domain.comparing import CURSOR, Depth, Difference, DifferenceKind, read_each, suspected
from deskstore.domain.draining import copies_of, drain
from deskstore.domain.errors import CorruptRecord, StorageBusy
from deskstore.domain.mirror import MIRROR, PARTS, Copy, Part, Thing, Value
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import PATIENCE_S, settle
from deskstore.domain.things import CompanyState

_MOST_DEBTS: Final = 10_000
_MENDABLE: Final = frozenset(DifferenceKind) - {DifferenceKind.DAMAGED}


@frozen(kw_only=True)
class Healed:
    """What came of healing."""

    pulled: int  #: things that the mirror had newer
    pushed: int  #: things that the primary had newer


async def heal(sides: Sides) -> Healed:
    """
    Bring a primary that lost its database and its mirror together, whatever was owed, and let the company take writes again.

    Of each thing the later version counts, deletions included. What the primary never told the mirror and has lost is lost.

    Raises:
        StorageBusy: Somebody else changed the company's state meanwhile.
    """
    await settle(sides, patience_s=PATIENCE_S)
    told, followed = await sides.checked()
    pulled = pushed = 0
    counts: dict[Part, tuple[int, int]] = {}
    for part in PARTS:
        async for suspects in suspected(sides, part, Depth.DIGESTS, counts):
            things = [one.thing for one in suspects if one.kind in _MENDABLE and one.thing != CURSOR]
            pulled += await _copy_newer(sides.reversed(), things, told)
            pushed += await _copy_newer(sides, things, followed)
    freed = evolve(told, swapping_to=None, epoch=told.epoch + 1)
    if told.swapping_to is not None and not await sides.primary.compare_and_set_state(told, freed):
        raise StorageBusy(f"company {sides.company_id!r} changed its state meanwhile: nothing is lost, try again")
    await settle(sides, patience_s=PATIENCE_S)
    return Healed(pulled=pulled, pushed=pushed)


async def _copy_newer(sides: Sides, things: Sequence[Thing], target: CompanyState) -> int:
    """Copy what the first of the sides has newer to the other, each part with its record."""
    ours, theirs = await read_each(sides.primary, things), await read_each(sides.mirror, things)
    newer = [thing for thing in things if _version(ours[thing]) > _version(theirs[thing])]
    return await sides.mirror.apply(await copies_of(sides, newer), epoch=target.epoch) if newer else 0


def _version(copy: Copy | CorruptRecord) -> int:
    return copy.version if isinstance(copy, Copy) else 0


async def mend(sides: Sides, differences: Sequence[Difference]) -> int:
    """
    Make the mirror hold what the primary holds, where it was found to differ; says of how many things.

    The primary keeps what it has once more, above all versions that either side knows: so the mirror takes it as it takes every change.
    """
    told, _ = await sides.checked()
    mendable = [one for one in differences if one.kind in _MENDABLE]
    ours = await read_each(sides.primary, [one.thing for one in mendable])
    touched = [_above(ours[one.thing], one.mirror_version) for one in mendable]
    copies = [copy for copy in touched if copy is not None]
    if copies:
        await sides.primary.apply(copies, epoch=told.epoch)
        await drain(sides)
    return len(copies)


async def fetch(sides: Sides, thing: Thing) -> bool:
    """
    Let both sides hold what one of them still has of a thing that the other cannot be trusted with; says whether that was so.

    The mirror's word counts only where it is owed nothing of the thing.
    """
    told, _ = await sides.checked()
    await drain(sides)
    ours, theirs = (await read_each(sides.primary, [thing]))[thing], (await read_each(sides.mirror, [thing]))[thing]
    is_behind = any(debt.thing == thing for debt in await sides.primary.outbox(MIRROR, _MOST_DEBTS))
    sound = ours if isinstance(ours, Copy) else theirs
    if (isinstance(ours, Copy) and isinstance(theirs, Copy)) or (sound is theirs and is_behind):
        return False
    copy = _above(sound, 0)
    if copy is None or copy.value is None:
        return False
    await sides.primary.apply([copy], epoch=told.epoch)
    await drain(sides)
    return True


def _above(copy: Copy | CorruptRecord, version: int) -> Copy | None:
    if not isinstance(copy, Copy):
        return None
    above = max(copy.version, version) + 1
    value: Value | None = copy.value
    return Copy(copy.thing, above, value and evolve(value, version=above))
