"""Attaching a mirror to a company and filling it, beside writers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from deskstore.domain.beginning import attach
from deskstore.domain.errors import CompanyMoved, MigrationError
from deskstore.domain.filling import Batch, Reject, fill
from deskstore.domain.mirror import MirrorStatus
from deskstore.domain.sides import standing
from deskstore.services.migrating.audit import AuditLine, Note, log
from deskstore.services.migrating.places import MOST_NAMED, Places, settled
from deskstore.services.migrating.reports import StartReport
from deskstore.services.observing import use_case

if TYPE_CHECKING:
    from deskstore.domain.ports import Storage

_TRIES: Final = 5  #: to go on after the company's state was changed by somebody else
_LOOK_AGAIN_S: Final = 0.2


class Pace:
    """
    How fast a mirror is filled.

    Args:
        most_per_s: Things a second, at most; None: as fast as it goes.
        is_paused: Whether to wait.
    """

    def __init__(self, *, most_per_s: float | None = None, is_paused: Callable[[], bool] | None = None) -> None:
        self._most_per_s: Final = most_per_s
        self._is_paused: Final = is_paused or _never
        self._began_s = monotonic()
        self._things = 0

    async def __call__(self, batch: Batch) -> None:
        """Wait as long as it takes."""
        while self._is_paused():  # noqa: ASYNC110 - a file that somebody makes and removes is no event
            await asyncio.sleep(_LOOK_AGAIN_S)
        if self._most_per_s is not None:
            self._things += batch.things
            ahead_s = self._things / self._most_per_s - (monotonic() - self._began_s)
            await asyncio.sleep(max(0.0, ahead_s))


def _never() -> bool:
    return False


@use_case
async def start_migration(
    source: Storage,
    target: Storage,
    company_id: str,
    *,
    backup: Callable[[str], Awaitable[object]] | None = None,
    replace_target: bool = False,
    pace: Callable[[Batch], Awaitable[None]] | None = None,
    progress: Callable[[Batch], None] | None = None,
    note: Note = log,
) -> StartReport:
    """
    Let the target follow the source, and copy all there is to it; called again it goes on where it stopped.

    Args:
        backup: Makes a backup of the company, awaited before anything is changed; None: without one.
        replace_target: Whether a company of that name in the target is erased there first.
        pace: Awaited after each batch, to slow down.
        progress: Told of each batch.
        note: Keeps the line that says what was done.

    Raises:
        MigrationError: The source does not hold the company, or the target holds another one of that name.
        StorageUnavailable: One side does not answer; called again it goes on.
    """
    found, was_resumed = await _attached(source, target, company_id, backup, replace_target=replace_target)
    report = await _fill(found, was_resumed, pace or Pace(), progress)
    outcome = {"things": report.things, "kept": report.kept, "rejects": len(report.rejects), "resumed": was_resumed}
    note(AuditLine(at=source.clock(), company_id=found.company_id, step="start", outcome=outcome))
    return report


async def _attached(
    source: Storage, target: Storage, company_id: str, backup: Callable[[str], Awaitable[object]] | None, *, replace_target: bool
) -> tuple[Places, bool]:
    """The company with the target as its mirror, and whether that was so before."""
    if not await _is_free(source, target, company_id):
        if not replace_target:
            raise MigrationError(
                f"the target holds a company {company_id!r} already: erase it there, or say --replace-target; nothing was changed"
            )
        await target.erase(company_id)
    found = await settled(source, target, company_id)
    if found.lives_in != "source" or found.state is None:
        where = "in the target already" if found.lives_in == "target" else "nowhere: the source does not know it"
        raise MigrationError(f"company {company_id!r} lives {where}; nothing was changed")
    if found.has_mirror:
        return found, True
    if backup is not None:
        await backup(company_id)
    await attach(found.sides, found.state)
    return await settled(source, target, company_id), False


async def _is_free(source: Storage, target: Storage, company_id: str) -> bool:
    """Whether the target holds nothing of that name, or the very company that is to be copied there."""
    ours, theirs = await standing(source.replica(company_id)), await target.replica(company_id).state()
    if theirs is None or ours.state is None:
        return True
    target_id = await target.replica(company_id).store_id()
    is_side = target_id in (ours.state.primary, ours.state.mirror, ours.state.swapping_to)
    return is_side or (theirs.primary == ours.store_id and theirs.mirror == target_id)


async def _fill(
    found: Places, was_resumed: bool, pace: Callable[[Batch], Awaitable[None]], progress: Callable[[Batch], None] | None
) -> StartReport:
    totals = _Totals(pace, progress)
    for attempt in range(_TRIES):
        if found.state is not None and found.state.mirror_status is MirrorStatus.VERIFIED:
            break
        try:
            await fill(found.sides, pace=totals)
        except CompanyMoved:
            if attempt == _TRIES - 1:
                raise
        else:
            break
    return totals.report(found.company_id, was_resumed=was_resumed)


class _Totals:
    """Adds up what batches tell."""

    def __init__(self, pace: Callable[[Batch], Awaitable[None]], progress: Callable[[Batch], None] | None) -> None:
        self._pace: Final = pace
        self._progress: Final = progress
        self._began_s: Final = monotonic()
        self._things = self._kept = self._size_bytes = 0
        self._rejects: list[Reject] = []

    async def __call__(self, batch: Batch) -> None:
        self._things += batch.things
        self._kept += batch.kept
        self._size_bytes += batch.size_bytes
        self._rejects += batch.rejects[: MOST_NAMED - len(self._rejects)]
        if self._progress is not None:
            self._progress(batch)
        await self._pace(batch)

    def report(self, company_id: str, *, was_resumed: bool) -> StartReport:
        return StartReport(
            company_id=company_id,
            was_resumed=was_resumed,
            things=self._things,
            kept=self._kept,
            size_bytes=self._size_bytes,
            seconds=monotonic() - self._began_s,
            rejects=tuple(self._rejects),
        )
