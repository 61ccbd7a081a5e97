"""Restoring a backup: into an empty company, in place of what is there, or by taking in what is missing."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, Literal

from attrs import evolve, frozen

from deskstore.domain import identifiers
from deskstore.domain.ahead import ahead, two_at_a_time
from deskstore.domain.draining import size_bytes
from deskstore.domain.erasures import company_hash
from deskstore.domain.errors import RESTORE, BackupError, CompanyMoved, StorageBusy
from deskstore.domain.mirror import PARTS, Copy, Part
from deskstore.domain.ports import Mirroring, Replica, Storage
from deskstore.domain.tallies import Tally
from deskstore.domain.things import CompanyState
from deskstore.formats.archive.reading import Archive
from deskstore.formats.archive.survey import Survey
from deskstore.formats.archive.walking import copies_in
from deskstore.services.backup.checking import Backup, backup_of, opened, seen_to
from deskstore.services.backup.creating import create_backup
from deskstore.services.backup.merging import Merged, merge
from deskstore.services.observing import use_case

logger: Final = logging.getLogger("deskstore")
RestoreMode = Literal["empty", "merge", "replace"]
AT_ONCE: Final = 2_000  #: things in one commit
HEAVY_BYTES: Final = 4 * 2**20  #: of payloads in one commit, after which it is sent
_OVERFULL: Final = 4  #: times as much, after which it is sent even in the middle of what belongs to one record
_RECORDS: Final = ("ticket", "article")
_PARTS_OF_RECORDS: Final = ("processing", "summary")


@frozen(kw_only=True)
class Restored:
    """What came of a restore."""

    company_id: str
    backup: Backup
    things: int  #: that were written; of a restore that went on where another one ended, those that were missing
    merged: Merged | None = None  #: what became of records that the company had already, where it was to take in what is missing
    kept: Backup | None = None  #: the backup of what was replaced; what is damaged there is gone


@use_case
async def restore_backup(
    storage: Storage,
    company_id: str,
    path: Path,
    *,
    mode: RestoreMode = "empty",
    of: str | None = None,
    keep: Path | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Restored:
    """
    Put into a company what a backup holds, once all of the backup was looked at.

    Into an empty company everything comes back as it was, versions included, and is compared with the backup in the end; until then nobody
    else can write to it, and what was interrupted goes on when the same is asked again.

    Args:
        mode: `empty`: the company holds nothing yet. `replace`: what it holds is backed up to `keep` first, then erased. `merge`: records
            it lacks come in as they were, those it has are received as an import would receive them, and nothing is removed.
        of: The company that the backup is of, where that is another one.
        on_progress: Called with the number of things taken from the backup so far.

    Raises:
        DamagedBackup: The file is no whole backup; nothing was written.
        BackupError: It is of another company, or the company is not empty; nothing was written.
        CompanyMoved: The company lives elsewhere.
    """
    named = identifiers.company_id(company_id)
    async with opened(path) as archive:
        _check_company(archive, named if of is None else identifiers.company_id(of))
        survey = await seen_to(archive, Survey(is_strict=True))
        backup = backup_of(path, archive.head, archive.manifest, archive.size_bytes)
        slices = _slices(archive, survey, on_progress)
        if mode == "merge":
            things, merged = await merge(storage, named, slices)
            return Restored(company_id=named, backup=backup, things=things, merged=merged)
        kept = await _make_room(storage, named, backup, keep) if mode == "replace" else None
        things = await _fill(storage, named, backup, slices)
        return Restored(company_id=named, backup=backup, things=things, kept=kept)


@use_case
async def undo_restore(storage: Storage, company_id: str) -> None:
    """
    Remove what an interrupted restore put into a company, which was empty before.

    Raises:
        BackupError: No restore into this company was interrupted; nothing was changed.
    """
    named = identifiers.company_id(company_id)
    state = await storage.replica(named).state()
    if state is None or not state.is_restored:
        raise BackupError(f"no restore into company {named!r} was interrupted: there is nothing to undo; nothing was changed")
    await storage.erase(named)


def _check_company(archive: Archive, expected: str) -> None:
    """Raises BackupError, which names no company but the one that the caller named."""
    if archive.manifest.company != expected:
        raise BackupError(
            f"the backup is not of company {expected!r}: restore it into the company it is of, "
            "or say whose it is (--of) if another one is to have its records; nothing was written"
        )


async def _make_room(storage: Storage, company_id: str, backup: Backup, keep: Path | None) -> Backup | None:
    """Back up what a company holds, and erase it; gives that backup, None where there was nothing or this was done before."""
    state = await storage.replica(company_id).state()
    if state is None or state.swapping_to == _mark(backup):
        return None
    if keep is None:
        raise BackupError(f"what company {company_id!r} holds is to be replaced: name a file to back it up to (keep); nothing was written")
    if state.mirror is not None and not isinstance(storage, Mirroring):
        raise BackupError(
            f"company {company_id!r} has a mirror, which is not reached from here and would keep what is to be replaced: restore where "
            "both are open (STORAGE_TYPE=hybrid), or part from the mirror first (deskstore migrate finish); nothing was written"
        )
    kept = await create_backup(storage, company_id, keep)
    await storage.erase(company_id)
    return kept


async def _fill(storage: Storage, company_id: str, backup: Backup, slices: AsyncGenerator[Sequence[Copy]]) -> int:
    """Put everything into an empty company that nobody can write to meanwhile; what is there already was put there before."""
    replica = storage.replica(company_id)
    state = await _fenced(storage, replica, company_id, _mark(backup))
    things = 0
    async with (
        aclosing(ahead(slices)) as light,
        aclosing(two_at_a_time(light, lambda copies: replica.apply(copies, epoch=state.epoch), is_next=_goes_on)) as kept,
    ):
        async for some in kept:
            things += some
    await _compare(replica, company_id, backup)
    if not await replica.compare_and_set_state(state, evolve(state, swapping_to=None)):
        raise StorageBusy(f"company {company_id!r} changed its state meanwhile: all is there; restore again to open it to writers")
    logger.info("backup restored", extra={"company_id": company_id, "operation": "restore"})
    return things


async def _fenced(storage: Storage, replica: Replica, company_id: str, mark: str) -> CompanyState:
    """The state of an empty company to which nobody can write until the mark is taken away; raises BackupError where it is not empty."""
    if (state := await replica.state()) is None:
        await replica.apply([], epoch=None)  # where a company has two sides, it begins on both
        state = await replica.state()
    if state is not None and state.swapping_to == mark:
        return state
    _check_free(company_id, state, await replica.store_id())
    if await _holds_something(replica):
        raise _not_empty(company_id)
    begun = state or CompanyState(primary=await replica.store_id(), epoch=await _erased_epoch(storage, company_id) + 1)
    fenced = evolve(begun, swapping_to=mark)
    if not await replica.compare_and_set_state(state, fenced):
        raise BackupError(f"somebody else began to use company {company_id!r}: nothing was written; see what is there, and try again")
    if await _holds_something(replica):  # written between the look and the fence
        await replica.compare_and_set_state(fenced, begun)
        raise _not_empty(company_id)
    return fenced


def _check_free(company_id: str, state: CompanyState | None, store_id: str) -> None:
    if state is None:
        return
    if state.is_restored:
        raise BackupError(
            f"the restore of another backup into company {company_id!r} was interrupted: restore that one again, "
            "or undo it (deskstore backup restore --undo); nothing was written"
        )
    if state.primary != store_id or state.swapping_to is not None:
        raise CompanyMoved(company_id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to)


def _not_empty(company_id: str) -> BackupError:
    return BackupError(
        f"company {company_id!r} is not empty: let it take in what is missing (--merge), let it be replaced (--replace), "
        "or restore into another company; nothing was written"
    )


async def _holds_something(replica: Replica) -> bool:
    for part in PARTS:
        async for _ in replica.digests(part):
            return True
    return False


async def _erased_epoch(storage: Storage, company_id: str) -> int:
    """The epoch in which a company of that name was erased last; 0 = never."""
    hashed = company_hash(company_id)
    return max((one.epoch for one in await storage.erasures() if one.company_hash == hashed), default=0)


async def _compare(replica: Replica, company_id: str, backup: Backup) -> None:
    """See that the company holds exactly what the backup does, its payloads hashed as they lie in the store."""
    tally = Tally()

    async def add(part: Part) -> None:
        async for digest in replica.digests(part, rehash=True):
            tally.add(part, digest.version, digest.digest)

    async for _ in two_at_a_time(_parts(), add):
        pass
    if tally.totals().replica != backup.replica_digest:
        raise BackupError(
            f"company {company_id!r} does not hold what the backup does, though all of it was written: the store is at fault; "
            "see `deskstore doctor`, then undo the restore (deskstore backup restore --undo)"
        )


async def _parts() -> AsyncIterator[Part]:
    """All parts, those first of which there are most."""
    for part in sorted(PARTS, key=lambda part: part not in ("ticket", "processing")):
        yield part


async def _slices(archive: Archive, survey: Survey, on_progress: Callable[[int], None] | None) -> AsyncGenerator[Sequence[Copy]]:
    """All that the backup holds, as much at a time as one commit takes."""
    taken = 0
    async for some in _pieces(archive, survey):
        yield some
        taken += len(some)
        if on_progress is not None:
            on_progress(taken)


async def _pieces(archive: Archive, survey: Survey) -> AsyncIterator[Sequence[Copy]]:
    rest: list[Copy] = []
    async for copies in copies_in(archive, survey):
        *whole, rest = _cut([*rest, *copies])
        for some in whole:
            yield some
    if rest:
        yield rest


def _cut(copies: Sequence[Copy]) -> list[list[Copy]]:
    """The same copies in pieces, the last of which may go on: cut in front of records, so that none has to wait for another."""
    pieces: list[list[Copy]] = [[]]
    size = 0
    for copy in copies:
        fullness = len(pieces[-1]) / AT_ONCE + size / HEAVY_BYTES
        if fullness >= _OVERFULL or (fullness >= 1 and copy.thing.part in _RECORDS):
            pieces.append([])
            size = 0
        pieces[-1].append(copy)
        size += size_bytes([copy])
    return pieces


def _goes_on(copies: Sequence[Copy]) -> bool:
    """Whether some of these are part of a record that came before them, and so are nothing until that is there."""
    records = {copy.thing[1:5] for copy in copies if copy.thing.part in _RECORDS}
    return any(copy.thing.part in _PARTS_OF_RECORDS and copy.thing[1:5] not in records for copy in copies)


def _mark(backup: Backup) -> str:
    """What says that this very backup is being restored."""
    return f"{RESTORE}{backup.replica_digest} of {backup.began_at:%Y-%m-%dT%H:%M:%S.%fZ}"
