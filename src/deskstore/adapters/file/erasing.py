"""Erasing a company: first nobody can commit any more, then the directory goes out of sight in one step, then all of it is deleted."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deskstore.adapters.file.tree import Tree, flush_directory

DOOMED: Final = ".erasing"  #: below DATA_PATH; no name of a company begins with a dot


def remove(path: Path, company: Tree) -> None:
    """
    Delete a company's directory that nobody can commit to any more; a crash in between is finished by sweep().

    Several may find the same erasure unfinished: only one removes the directory, and none the one that a company of the same name began
    there meanwhile.
    """
    doomed = path.parent / DOOMED
    doomed.mkdir(mode=0o700, exist_ok=True)
    with _alone(doomed):
        if company.is_still_at(path):
            os.rename(path, doomed / str(uuid.uuid4()))
            flush_directory(path.parent)
    sweep(path.parent)


@contextmanager
def _alone(directory: Path) -> Generator[None, None, None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sweep(base: Path) -> None:
    """Finish deletions that were interrupted."""
    doomed = base / DOOMED
    if doomed.is_dir():
        import shutil  # loads every archiver there is

        for entry in list(doomed.iterdir()):
            shutil.rmtree(entry, ignore_errors=True)  # another process may be at it, too
        flush_directory(doomed)
