"""Comparing both sides of a company by content, and mending what differs."""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic
from typing import TYPE_CHECKING, Final

from attrs import evolve

from deskstore.domain.comparing import Comparison, Depth, Difference, DifferenceKind, compare, compare_changes
from deskstore.domain.errors import StorageBusy
from deskstore.domain.filling import forget_cursor
from deskstore.domain.healing import heal, mend
from deskstore.domain.mirror import MirrorStatus, Thing
from deskstore.domain.sides import Sides
from deskstore.domain.swapping import PATIENCE_S, settle
from deskstore.services.migrating.audit import AuditLine, Note, log
from deskstore.services.migrating.places import Places, with_mirror
from deskstore.services.migrating.reports import RepairReport, VerifyReport
from deskstore.services.observing import use_case

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage

_ACCEPTABLE: Final = (DifferenceKind.MISSING, DifferenceKind.DAMAGED)
_TRIES: Final = 5


@use_case
async def verify_migration(
    source: Storage,
    target: Storage,
    company_id: str,
    *,
    depth: Depth = Depth.REHASH,
    only_changes: bool = False,
    accept: Collection[Thing] = (),
    note: Note = log,
) -> VerifyReport:
    """
    Compare all that both sides hold; when nothing differs the mirror counts as verified, else as one to be filled.

    Args:
        depth: How closely.
        only_changes: Of a mirror that is verified: compare only what changed since, all of it read back.
        accept: Things that may be missing in the mirror, since they cannot be copied.
        note: Keeps the line that says what was found.

    Raises:
        MigrationError: The company has no mirror, or only its changes are asked of one that is not verified.
        StorageUnavailable: One side does not answer; nothing was changed.
    """
    began_s = monotonic()
    found = await with_mirror(source, target, company_id)
    compared = await (compare_changes(found.sides) if only_changes else compare(found.sides, depth=depth))
    accepted, left = _sorted_out(compared, accept)
    is_verified = not left and compared.different == len(accepted)
    await _conclude(found.sides, is_verified=is_verified)
    how = "changes" if only_changes else depth.value
    outcome = {"verified": is_verified, "different": compared.different, "accepted": len(accepted), "depth": how}
    note(AuditLine(at=source.clock(), company_id=found.company_id, step="verify", outcome=outcome))
    return VerifyReport(
        company_id=found.company_id,
        is_verified=is_verified,
        counts=compared.counts,
        different=compared.different - len(accepted),
        differences=tuple(left),
        accepted=len(accepted),
        seconds=monotonic() - began_s,
    )


@use_case
async def repair_migration(source: Storage, target: Storage, company_id: str, *, note: Note = log) -> RepairReport:
    """
    Make the mirror hold what the primary holds wherever the two differ; a primary that lost its database asks the mirror first.

    Raises:
        MigrationError: The company has no mirror.
        StorageUnavailable: One side does not answer.
    """
    found = await with_mirror(source, target, company_id)
    was_healed = _has_lost_its_database(found)
    if was_healed:
        await heal(found.sides)
    mended = 0
    before: int | None = None
    compared = await compare(found.sides)
    while before is None or compared.different < before:  # what cannot be mended would be tried for ever
        before = compared.different
        mended += await mend(found.sides, compared.differences)
        compared = await compare(found.sides) if mended else compared
    outcome = {"healed": was_healed, "mended": mended, "left": compared.different}
    note(AuditLine(at=source.clock(), company_id=found.company_id, step="repair", outcome=outcome))
    return RepairReport(
        company_id=found.company_id,
        was_healed=was_healed,
        mended=mended,
        left=compared.different,
        differences=tuple(compared.differences),
    )


def _has_lost_its_database(found: Places) -> bool:
    return found.state is not None and found.state.swapping_to == found.state.primary


def _sorted_out(compared: Comparison, accept: Collection[Thing]) -> tuple[list[Difference], list[Difference]]:
    """The differences that are accepted, and the others."""
    records = {thing.key for thing in accept if thing.part in ("ticket", "article")}
    accepted: list[Difference] = []
    left: list[Difference] = []
    for one in compared.differences:
        is_named = one.thing in accept or (one.thing.is_of_record and one.thing.key in records)
        (accepted if is_named and one.kind in _ACCEPTABLE else left).append(one)
    return accepted, left


async def _conclude(sides: Sides, *, is_verified: bool) -> None:
    """Let both sides say what the mirror is worth now."""
    wanted = MirrorStatus.VERIFIED if is_verified else MirrorStatus.FILLING
    if is_verified:
        await forget_cursor(sides)
    for _ in range(_TRIES):
        state, _ = await sides.checked()
        if state.mirror_status is wanted:
            break
        if await sides.primary.compare_and_set_state(state, evolve(state, mirror_status=wanted, epoch=state.epoch + 1)):
            break
    else:
        raise StorageBusy(f"company {sides.company_id!r} keeps changing its state: verify it again")
    await settle(sides, patience_s=PATIENCE_S)
