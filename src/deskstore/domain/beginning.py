"""The first place of a company in two stores at once."""

from __future__ import annotations

from attrs import evolve

from deskstore.domain.errors import ErasedBefore, MigrationError
from deskstore.domain.ports import Replica
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import PATIENCE_S, settle
from deskstore.domain.things import CompanyState, MirrorStatus


async def begin(sides: Sides, *, first: Replica) -> CompanyState | None:
    """
    Let a company that neither store knows live in the primary, with an empty and so a verified mirror; says where it lives then.

    Args:
        first: The side that is told first. Where one of them is shared by several hosts, it must be that one: so no other host can begin
            the company meanwhile, and one that finds it begun and no further knows that nothing was kept yet.

    Raises:
        MigrationError: Somebody else began it in one of the stores alone.
        StorageUnavailable: One of them does not answer; nothing was kept of the company yet.
    """
    primary, mirror = await sides.standings()
    state = CompanyState(primary=primary.store_id, mirror=mirror.store_id, mirror_status=MirrorStatus.VERIFIED)
    second = sides.mirror if first is sides.primary else sides.primary
    known: CompanyState | None = None
    while True:
        try:
            if not await first.compare_and_set_state(known, state):
                return await settle(sides, patience_s=PATIENCE_S)
            known = state
            return state if await second.compare_and_set_state(None, state) else await settle(sides, patience_s=PATIENCE_S)
        except ErasedBefore as error:
            state = evolve(state, epoch=error.erased_epoch + 1)


async def attach(sides: Sides, state: CompanyState) -> CompanyState:
    """
    Let a store that does not know the company follow the one where it lives in that state; says in which state it is then.

    The mirror is told first: from then on nobody can begin the company there, and a crash in between leaves a mirror to be filled.

    Raises:
        MigrationError: The mirror holds the company already.
    """
    mirror_id = await sides.mirror.store_id()
    wanted = evolve(state, mirror=mirror_id, mirror_status=MirrorStatus.FILLING, epoch=state.epoch + 1)
    try:
        was_told = await sides.mirror.compare_and_set_state(None, wanted)
    except ErasedBefore as error:
        wanted = evolve(wanted, epoch=error.erased_epoch + 1)
        was_told = await sides.mirror.compare_and_set_state(None, wanted)
    if not was_told:
        raise MigrationError(f"the store {mirror_id} knows company {sides.company_id!r} already; nothing was changed")
    await sides.primary.compare_and_set_state(state, wanted)
    return await settle(sides, patience_s=PATIENCE_S) or wanted
