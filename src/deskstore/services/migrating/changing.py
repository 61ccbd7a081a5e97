"""Making the other side of a company its primary, and letting go of the one that is not."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from attrs import evolve

from deskstore.domain import identifiers
from deskstore.domain.errors import MigrationError, StorageBusy
from deskstore.domain.mirror import MirrorStatus
from deskstore.domain.sides import standing
from deskstore.domain.swapping import PATIENCE_S, Reached, Step, settle, swap
from deskstore.services.migrating.audit import AuditLine, Note, log
from deskstore.services.migrating.places import settled, with_mirror
from deskstore.services.migrating.reports import FinishReport, Place, SwapReport
from deskstore.services.observing import use_case

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage


@use_case
async def cut_over(source: Storage, target: Storage, company_id: str, *, reached: Reached | None = None, note: Note = log) -> SwapReport:
    """
    Let the target take the company's writes from now on, and the source follow.

    Writers wait meanwhile, if they come through the hybrid storage; all others are refused and told where the company lives.

    Args:
        reached: Awaited before each step.
        note: Keeps the line that says what was done.

    Raises:
        MigrationError: The target is not verified, or cannot take something; nothing was changed.
        StorageBusy: It would hold writers up for too long, or a backup is under way; nothing was changed.
        StorageUnavailable: One side does not answer; whoever comes next ends what was begun.
    """
    return await _live_in("target", source, target, company_id, reached, note)


@use_case
async def roll_back(source: Storage, target: Storage, company_id: str, *, reached: Reached | None = None, note: Note = log) -> SwapReport:
    """Let the source take the company's writes again, with all that was written since; raises as cut_over does."""
    return await _live_in("source", source, target, company_id, reached, note)


async def _live_in(place: Place, source: Storage, target: Storage, company_id: str, reached: Reached | None, note: Note) -> SwapReport:
    found = await with_mirror(source, target, company_id)
    watch = _Watch(reached)
    was_there = found.lives_in == place
    state = found.state if was_there else await swap(found.sides, reached=watch)
    epoch = state.epoch if state else 0
    outcome = {"to": place, "done_before": was_there, "epoch": epoch, "held_up_s": round(watch.held_up_s, 4)}
    step = "cutover" if place == "target" else "rollback"
    note(AuditLine(at=source.clock(), company_id=found.company_id, step=step, outcome=outcome))
    return SwapReport(company_id=found.company_id, lives_in=place, was_there=was_there, epoch=epoch, held_up_s=watch.held_up_s)


class _Watch:
    """Takes the time for which no commit passes."""

    def __init__(self, reached: Reached | None) -> None:
        self._reached = reached
        self._fenced_s = 0.0
        self.held_up_s = 0.0

    async def __call__(self, step: Step) -> None:
        if step == "fence":
            self._fenced_s = monotonic()
        if step == "mark":
            self.held_up_s = monotonic() - self._fenced_s
        if self._reached is not None:
            await self._reached(step)


@use_case
async def finish_migration(
    source: Storage, target: Storage, company_id: str, *, delete: bool = False, without_mirror: bool = False, note: Note = log
) -> FinishReport:
    """
    Let the company live in its primary alone; the other side refuses everything from then on, and stays until it is deleted.

    Args:
        delete: Whether the other side is erased.
        without_mirror: Whether the other side is not asked, since it is lost: the primary goes on with what it has.
        note: Keeps the line that says what was done.

    Raises:
        MigrationError: Nobody knows the company.
    """
    if without_mirror:
        return await _part_from_the_lost(source, target, company_id, note)
    found = await settled(source, target, company_id)
    if found.state is None:
        raise MigrationError(f"neither side knows company {found.company_id!r}: nothing was changed")
    if found.has_mirror:
        alone = evolve(found.state, mirror=None, mirror_status=MirrorStatus.NONE, swapping_to=None, epoch=found.state.epoch + 1)
        if found.state.swapping_to is not None or not await found.sides.primary.compare_and_set_state(found.state, alone):
            raise StorageBusy(f"company {found.company_id!r} is held up, or changed its state meanwhile: nothing was changed, try again")
        await settle(found.sides, patience_s=PATIENCE_S)
    if delete:
        await (target if found.lives_in == "source" else source).erase(found.company_id)
    return _finished(source, found.company_id, found.lives_in, was_deleted=delete, note=note)


async def _part_from_the_lost(source: Storage, target: Storage, company_id: str, note: Note) -> FinishReport:
    """Part from a mirror that cannot be asked."""
    named = identifiers.company_id(company_id)
    places: tuple[tuple[Place, Storage], ...] = (("source", source), ("target", target))
    for place, storage in places:
        side = await standing(storage.replica(named))
        state = side.state
        if state is None or state.primary != side.store_id:
            continue
        if state.swapping_to not in (None, state.primary):
            raise MigrationError(f"company {named!r} was about to move to {state.swapping_to}: only that store knows whether it did")
        alone = evolve(state, mirror=None, mirror_status=MirrorStatus.NONE, swapping_to=None, epoch=state.epoch + 1)
        if not await side.replica.compare_and_set_state(state, alone):
            raise StorageBusy(f"company {named!r} changed its state meanwhile: nothing was changed, try again")
        return _finished(source, named, place, was_deleted=False, note=note)
    raise MigrationError(f"company {named!r} lives in neither of the two: nothing was changed")


def _finished(source: Storage, company_id: str, place: Place, *, was_deleted: bool, note: Note) -> FinishReport:
    outcome = {"lives_in": place, "deleted": was_deleted}
    note(AuditLine(at=source.clock(), company_id=company_id, step="finish", outcome=outcome))
    return FinishReport(company_id=company_id, lives_in=place, was_deleted=was_deleted)
