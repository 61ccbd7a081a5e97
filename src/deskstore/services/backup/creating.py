"""Taking a backup of a company that is in use."""

from __future__ import annotations

import heapq
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Final

from deskstore.domain import identifiers, times
from deskstore.domain.errors import CorruptRecord
from deskstore.domain.mirror import PARTS, Copy, Part, Thing
from deskstore.domain.ports import Replica, Storage
from deskstore.formats.archive.manifest import Head
from deskstore.formats.archive.survey import order
from deskstore.formats.archive.writing import ArchiveWriter, write_archive
from deskstore.services.backup.checking import Backup, backup_of
from deskstore.services.backup.listening import Listener, listening, living_here
from deskstore.services.backup.losses import Losses
from deskstore.services.observing import use_case

logger: Final = logging.getLogger("deskstore")


@use_case
async def create_backup(storage: Storage, company_id: str, to: Path, *, on_progress: Callable[[int], None] | None = None) -> Backup:
    """
    Write all that is kept of a company to a file, as it is at the end of the backup, while others read and write it.

    What is damaged is left out and told of in the backup; everything else is there. The file is read back before it takes its name.

    Args:
        to: A file that is not there yet; it is, once it is whole and durable.
        on_progress: Called with the number of things written so far, after each.

    Raises:
        BackupError: No such company is kept here.
        CompanyMoved, CompanyErased: The company lives elsewhere, or went away meanwhile; nothing was kept.
        FileExistsError: Something has that name already.
        OSError: The file cannot be written.
    """
    named = identifiers.company_id(company_id)
    replica = storage.replica(named)
    state = await living_here(replica, named)
    head = Head(company=named, store=state.primary, epoch=state.epoch, began_us=times.microseconds(storage.clock()))
    losses = Losses()
    async with write_archive(to, head) as archive:
        async with listening(replica, named, losses, storage.clock()) as listener:
            await _write_things(replica, archive, losses, on_progress)
            ended_at = await _write_changes(listener, archive, losses, storage.clock)
        manifest = await archive.finish(ended_us=times.microseconds(ended_at), damaged=losses.told())
    logger.info("backup taken", extra={"company_id": named, "operation": "backup"})
    return backup_of(to, head, manifest, archive.size_bytes)


async def _write_things(replica: Replica, archive: ArchiveWriter, losses: Losses, on_progress: Callable[[int], None] | None) -> None:
    parts = [_sound(replica, part, losses) for part in PARTS]
    async with aclosing(_in_order(parts)) as copies:
        async for copy in copies:
            if not losses.hides(copy):
                await archive.add(copy)
                if on_progress is not None:
                    on_progress(archive.lines)


async def _write_changes(listener: Listener, archive: ArchiveWriter, losses: Losses, clock: Callable[[], datetime]) -> datetime:
    """Write what changed meanwhile, until nothing is left at one moment; says at which."""
    await archive.begin_changes()
    while True:
        lot = await listener.some()
        ended_at = clock()
        for copy in lot.copies:
            if not losses.hides(copy):
                await archive.add(copy)
        if lot.is_all:
            return ended_at
        await listener.forget(lot.copies)


async def _sound(replica: Replica, part: Part, losses: Losses) -> AsyncIterator[Copy]:
    """All things of a part that can be trusted, ascending; those that cannot are noted, and passed over."""
    after: Thing | None = None
    while True:
        try:
            async for copy in replica.copies(part, after=after):
                yield copy
            return
        except CorruptRecord as error:
            after = losses.note(error)
            if after is None:  # it stands behind all others, since its place is unknown
                return


async def _in_order(parts: Sequence[AsyncIterator[Copy]]) -> AsyncGenerator[Copy]:
    """The things of all parts in the one order in which a backup has them."""
    heads: list[tuple[tuple[str, str, str, str, int, int], int, Copy]] = []

    async def advance(place: int) -> None:
        copy = await anext(parts[place], None)
        if copy is not None:
            heapq.heappush(heads, (order(copy.thing), place, copy))

    for place in range(len(parts)):
        await advance(place)
    while heads:
        _, place, copy = heapq.heappop(heads)
        await advance(place)
        yield copy
