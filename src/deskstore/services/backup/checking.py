"""What a backup is, and whether a file is a whole one: no storage is needed for that."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from attrs import frozen

from deskstore.domain import times
from deskstore.domain.errors import DamagedBackup
from deskstore.formats.archive import manifest as format_
from deskstore.formats.archive.damage import Damaged
from deskstore.formats.archive.reading import Archive, open_archive
from deskstore.formats.archive.survey import Survey, check_totals
from deskstore.formats.archive.walking import surveyed


@frozen(kw_only=True)
class Loss:
    """Something that a backup does not hold, since the store could not vouch for it."""

    part: str
    platform: str
    id: str  #: empty, like the platform, where the store could not tell
    locale: str
    number: int  #: of a summary
    place: str  #: the file or the row
    reason: str

    def __str__(self) -> str:
        named = " ".join(str(one) for one in (self.part, self.platform, self.id, self.locale, self.number) if one)
        return f"{named}: {self.place}: {self.reason}"


@frozen(kw_only=True)
class Backup:
    """What a backup says of itself."""

    path: Path
    company_id: str
    store: str  #: the id of the store it was taken from
    began_at: datetime
    ended_at: datetime  #: it holds the company as it was at this moment
    counts: Mapping[str, int]  #: things, a part each
    content_digest: str
    replica_digest: str
    size_bytes: int
    damaged: Sequence[Loss]

    @property
    def records(self) -> int:
        """Tickets and articles."""
        return self.counts.get("ticket", 0) + self.counts.get("article", 0)


def backup_of(path: Path, head: format_.Head, manifest: format_.Manifest, size_bytes: int) -> Backup:
    """What the two ends of a backup say of it."""
    return Backup(
        path=path,
        company_id=manifest.company,
        store=head.store,
        began_at=times.moment(head.began_us),
        ended_at=times.moment(manifest.ended_us),
        counts=dict(manifest.counts),
        content_digest=manifest.content_digest,
        replica_digest=manifest.replica_digest,
        size_bytes=size_bytes,
        damaged=[_loss(one) for one in manifest.damaged],
    )


async def check_backup(path: Path, *, on_progress: Callable[[int], None] | None = None) -> Backup:
    """
    See that a file is a whole backup in which nothing was changed: every byte counts, and every payload is hashed again.

    Args:
        on_progress: Called with the number of bytes looked at so far, after each part of the file.

    Raises:
        DamagedBackup: It is not; the message says what is wrong.
        OSError: The file cannot be read.
    """
    async with opened(path) as archive:
        await seen_to(archive, Survey(is_strict=False), on_progress)
        return backup_of(path, archive.head, archive.manifest, archive.size_bytes)


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[Archive]:
    """A backup's file, open; whatever is found to be wrong with it comes out as DamagedBackup."""
    try:
        async with open_archive(path) as archive:
            yield archive
    except Damaged as error:
        raise DamagedBackup(str(path), str(error)) from error


async def seen_to(archive: Archive, survey: Survey, on_progress: Callable[[int], None] | None = None) -> Survey:
    """The same survey, once it has taken every chunk and found what the manifest says; raises Damaged."""
    totals = await surveyed(survey, archive.chunks, archive.manifest.chunks, on_progress=on_progress)
    check_totals(archive.manifest, totals)
    return survey


def _loss(told: format_.Loss) -> Loss:
    return Loss(
        part=told.part, platform=told.platform, id=told.id, locale=told.locale, number=told.number, place=told.place, reason=told.reason
    )
