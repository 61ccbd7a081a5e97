"""Erasing a company: first nobody can commit any more, then the directory goes out of sight in one step, then all of it is deleted."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Final

from deskstore.adapters.file.tree import flush_directory

DOOMED: Final = ".erasing"  #: below DATA_PATH; no name of a company begins with a dot


def remove(base: Path, path: Path) -> None:
    """Delete a company's directory that nobody can commit to any more; a crash in between is finished by sweep()."""
    doomed = base / DOOMED
    doomed.mkdir(mode=0o700, exist_ok=True)
    os.rename(path, doomed / str(uuid.uuid4()))
    flush_directory(base)
    sweep(base)


def sweep(base: Path) -> None:
    """Finish deletions that were interrupted."""
    doomed = base / DOOMED
    if doomed.is_dir():
        for entry in list(doomed.iterdir()):
            shutil.rmtree(entry, ignore_errors=True)  # another process may be at it, too
        flush_directory(doomed)
