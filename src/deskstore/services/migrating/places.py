"""Where a company stands between two storages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import Factory, define, frozen

from deskstore.domain import identifiers
from deskstore.domain.draining import size_bytes
from deskstore.domain.errors import CorruptRecord, MigrationError, StorageBusy, StorageUnavailable
from deskstore.domain.filling import Reject, is_filled
from deskstore.domain.mirror import MIRROR, PARTS, Copy, MirrorStatus, Part, Thing
from deskstore.domain.sides import Sides, standing
from deskstore.domain.swapping import PATIENCE_S, settle
from deskstore.domain.walking import past_damage
from deskstore.services.migrating.reports import MigrationPlan, MigrationStatus, Place

if TYPE_CHECKING:
    from deskstore.domain.ports import Replica, Storage
    from deskstore.domain.things import CompanyState

MOST_DEBTS: Final = 10_000
MOST_NAMED: Final = 1_000


@frozen(kw_only=True)
class Places:
    """A company between two storages, which agree where it lives."""

    company_id: str
    lives_in: Place
    state: CompanyState | None
    sides: Sides  #: where it lives is the primary; where nobody knows it, the source is

    @property
    def has_mirror(self) -> bool:
        """Whether the other side follows."""
        return self.state is not None and self.state.mirror is not None


async def settled(source: Storage, target: Storage, company_id: str, *, patience_s: float | None = PATIENCE_S) -> Places:
    """
    Where a company stands, once whatever was left half done is ended.

    Args:
        patience_s: How long a swap that may be under way is left alone; None: for ever.

    Raises:
        MigrationError: The storages hold two companies of that name, or the company lives in a third store.
    """
    named = identifiers.company_id(company_id)
    from_source = Sides(named, primary=source.replica(named), mirror=target.replica(named))
    state = await settle(from_source, patience_s=patience_s)
    if state is None:
        return Places(company_id=named, lives_in="neither", state=None, sides=from_source)
    source_id, target_id = await from_source.primary.store_id(), await from_source.mirror.store_id()
    if state.primary == source_id:
        lives_in: Place = "source"
    elif state.primary == target_id:
        lives_in = "target"
    else:
        raise MigrationError(f"company {named!r} lives in the store {state.primary}, which is neither of the two: open that one")
    if state.mirror not in (None, source_id, target_id):
        raise MigrationError(f"company {named!r} has its mirror in the store {state.mirror}: open that one, or part from it with `finish`")
    return Places(company_id=named, lives_in=lives_in, state=state, sides=from_source if lives_in == "source" else from_source.reversed())


async def with_mirror(source: Storage, target: Storage, company_id: str) -> Places:
    """The same for a company that both storages have; raises MigrationError for any other."""
    found = await settled(source, target, company_id)
    if not found.has_mirror:
        raise MigrationError(f"company {found.company_id!r} has no mirror: run `deskstore migrate start` first; nothing was changed")
    return found


async def migration_status(source: Storage, target: Storage, company_id: str) -> MigrationStatus:
    """
    How far a company's migration has come; ends no swap, also one that was left behind.

    Where the mirror does not answer, it is what the primary tells.

    Raises:
        StorageUnavailable: Where the company lives does not answer.
    """
    try:
        found = await settled(source, target, company_id, patience_s=None)
    except StorageBusy:
        raise
    except StorageUnavailable as error:
        return await _told_by_the_primary(source, target, identifiers.company_id(company_id), error)
    state = found.state
    debts = await found.sides.primary.outbox(MIRROR, MOST_DEBTS) if found.has_mirror else ()
    return MigrationStatus(
        company_id=found.company_id,
        lives_in=found.lives_in,
        mirror=state.mirror_status if state else MirrorStatus.NONE,
        epoch=state.epoch if state else 0,
        debts=len(debts),
        is_held_up=state is not None and state.swapping_to is not None,
        is_filled=found.has_mirror and await is_filled(found.sides),
    )


async def _told_by_the_primary(source: Storage, target: Storage, company_id: str, error: StorageUnavailable) -> MigrationStatus:
    """What the one side tells, if it takes the writes; raises the error else."""
    places: tuple[tuple[Place, Storage], ...] = (("source", source), ("target", target))
    for place, storage in places:
        try:
            side = await standing(storage.replica(company_id))
        except StorageUnavailable:
            continue
        if side.state is not None and side.state.primary == side.store_id:
            debts = await side.replica.outbox(MIRROR, MOST_DEBTS) if side.state.mirror is not None else ()
            return MigrationStatus(
                company_id=company_id,
                lives_in=place,
                mirror=side.state.mirror_status,
                epoch=side.state.epoch,
                debts=len(debts),
                is_held_up=side.state.swapping_to is not None,
                is_filled=False,
                is_other_side_down=True,
            )
    raise error


async def plan_migration(source: Storage, target: Storage, company_id: str) -> MigrationPlan:
    """What a migration from the source to the target would move, and what is in its way; changes nothing."""
    named = identifiers.company_id(company_id)
    replica = source.replica(named)
    weighed = _Weighed()
    for part in PARTS:
        await weighed.add(replica, part)
    return MigrationPlan(
        company_id=named,
        things=weighed.things,
        size_bytes=weighed.size_bytes,
        damaged=tuple(weighed.damaged[:MOST_NAMED]),
        obstacles=tuple(await _obstacles(named, replica, target.replica(named))),
    )


@define
class _Weighed:
    """What a company amounts to."""

    things: dict[Part, int] = Factory(dict[Part, int])
    size_bytes: int = 0
    damaged: list[Reject] = Factory(list[Reject])

    async def add(self, replica: Replica, part: Part) -> None:
        self.things[part] = 0
        async for one in past_damage(part, lambda after: replica.copies(part, after=after), _name):
            if isinstance(one, CorruptRecord):
                self.damaged.append(Reject(thing=Thing(part, *one.key) if one.key else Thing(part, "", "", one.place), reason=str(one)))
            else:
                self.things[part] += 1
                self.size_bytes += size_bytes([one])


async def _obstacles(company_id: str, source: Replica, target: Replica) -> list[str]:
    """Why a migration could not begin."""
    state = await source.state()
    if state is None:
        return [f"the source does not know company {company_id!r}"]
    one = await standing(source)
    if not one.is_primary:
        return [f"company {company_id!r} lives in the store {state.primary}, or is held up"]
    there = await target.state()
    if there is not None and there.primary != one.store_id:
        return [f"the target holds a company {company_id!r} already: erase it there, or say --replace-target"]
    return []


def _name(copy: Copy) -> Thing:
    return copy.thing
