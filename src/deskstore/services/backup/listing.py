"""Which backups lie in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from deskstore.domain.errors import DamagedBackup
from deskstore.services.backup.checking import Backup, backup_of, opened


@frozen(kw_only=True)
class ListedBackup:
    """A file that looks like a backup."""

    path: Path
    backup: Backup | None  #: what its ends say; its chunks were not looked at
    fault: str | None  #: what is wrong with it, where it is no whole backup


async def list_backups(folder: Path) -> Sequence[ListedBackup]:
    """
    The files of a folder that end in .tar, ascending by name, each with what its ends say; check_backup() looks at all of one.

    Raises:
        OSError: The folder cannot be read.
    """
    found = await asyncio.to_thread(lambda: sorted(path for path in folder.iterdir() if path.suffix == ".tar" and path.is_file()))
    return [await _listed(path) for path in found]


async def _listed(path: Path) -> ListedBackup:
    try:
        async with opened(path) as archive:
            return ListedBackup(path=path, backup=backup_of(path, archive.head, archive.manifest, archive.size_bytes), fault=None)
    except DamagedBackup as error:
        return ListedBackup(path=path, backup=None, fault=error.reason)
    except OSError as error:
        return ListedBackup(path=path, backup=None, fault=f"it cannot be read: {error.strerror}")
