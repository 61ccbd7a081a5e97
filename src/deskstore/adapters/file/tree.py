"""
One company's directory tree, and the few things done in it.

Nothing here follows a link, waits for a pipe, or leaves the directory that was opened: every step down is opened relative to the one
before. What is made is readable by its owner alone, whatever the umask. Paths are texts such as `freshdesk/tickets/42.json`, relative to
the root; an OSError names the whole path. All functions block, and belong in a worker thread.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from os import O_CLOEXEC, O_DIRECTORY, O_RDONLY
from pathlib import Path
from typing import Self

from deskstore.adapters.file.descent import AS_DIRECTORY, Descent, StrangerInTree, explained, misfit, named, split
from deskstore.adapters.file.syncing import sync_file_system

__all__ = ["PRIVATE", "TEMPORARY", "OnDisk", "StrangerInTree", "Tree", "flush", "flush_directory"]

PRIVATE = ".deskstore"  #: where the adapter keeps what is no record
TEMPORARY = ".deskstore/tmp"  #: on the file system of the records, and out of their directories

_MANY = 64  # files that are brought to the disk together, where the file system can do so, and not one by one

OnDisk = bytes | StrangerInTree | OSError | None
"""What stands at a path: a file's bytes, what is no file of ours, why it cannot be read, or nothing."""


if sys.platform == "darwin":

    def flush(descriptor: int) -> None:
        """Bring a file or directory to the disk: fsync alone leaves it in the drive's cache here."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno != errno.ENOTSUP:  # as network file systems do
                raise
            os.fsync(descriptor)

else:

    def flush(descriptor: int) -> None:
        """Bring a file or directory to the disk."""
        os.fsync(descriptor)


def flush_directory(path: str | os.PathLike[str]) -> None:
    """Bring the entries of a directory to the disk."""
    descriptor = os.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


class Tree:
    """A directory that was opened once and is meant ever after, whatever takes its path."""

    def __init__(self, path: str, root: int, flush: Callable[[int], None], flush_all: Callable[[int], bool]) -> None:
        self.path = path
        self._root = root  # a descriptor; -1 once closed, so that nothing opened later is taken for it
        self._flush = flush
        self._flush_all = flush_all
        self._identity = _identity(os.fstat(root))
        self._token = os.urandom(8).hex()  # processes share the directory of temporary files
        self._numbers = itertools.count()

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, flush: Callable[[int], None] = flush, flush_all: Callable[[int], bool] = sync_file_system
    ) -> Self:
        """
        Open a directory that is there.

        Args:
            path: Where it is.
            flush: Brings an open file or directory to the disk.
            flush_all: Does so with the whole file system of an open directory, and says whether it can.

        Raises:
            FileNotFoundError: Nothing stands at the path.
            StrangerInTree: No directory stands there, but a link or a file.
        """
        place = str(Path(path))  # without a slash at its end, which would follow a link
        try:
            root = os.open(place, AS_DIRECTORY)
        except OSError as error:
            raise explained(error, place, place, misfit(place, None, stat.S_ISDIR)) from error
        return cls(place, root, flush, flush_all)

    def close(self) -> None:
        """Let go of the directory, once nothing works in it any more; a second time does nothing."""
        root, self._root = self._root, -1
        if root >= 0:
            os.close(root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_still_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether the directory at a path is this one, and not another that took its place."""
        try:
            return _identity(os.lstat(path)) == self._identity
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _descent(self) -> Descent:
        return Descent(self.path, self._root)

    # -- reading ---------------------------------------------------------------------------------------------------------------------------

    def read(self, path: str) -> bytes | None:
        """
        The bytes of a file, or None when it is missing.

        Raises:
            StrangerInTree: Something else stands there, or on the way.
            OSError: It cannot be read; missing is not broken.
        """
        with self._descent() as descent:
            return descent.read(path)

    def read_many(self, paths: Sequence[str]) -> list[OnDisk]:
        """What `read` gives or raises for each path, in the order of the paths; each directory is opened once."""
        found: list[OnDisk] = [None] * len(paths)
        with self._descent() as descent:
            for index in sorted(range(len(paths)), key=paths.__getitem__):
                try:
                    found[index] = descent.read(paths[index])
                except (StrangerInTree, OSError) as error:
                    found[index] = error
        return found

    def exists(self, path: str) -> bool:
        """Whether `read` would find a file; raises as it does."""
        with self._descent() as descent:
            return descent.visit(path, lambda _descriptor, _size: True) is not None

    def walk(self) -> Iterator[str]:
        """
        The path of every file that may be a record: those of a directory, then those below it, by code points.

        A name says no more: that `42.bak.json` is a copy which an editor left, only the id inside tells. What else there is `strangers`
        gives.
        """
        return (path for path, objection in self.survey() if objection is None)

    def strangers(self) -> Iterator[StrangerInTree]:
        """What stands in the tree and cannot be a record: links, pipes, stray files and directories. What they hold is not looked at."""
        return (StrangerInTree(path, objection) for path, objection in self.survey() if objection is not None)

    def survey(self) -> Iterator[tuple[str, str | None]]:
        """What `walk` and `strangers` give, each with what there is to say against it; None for what may be a record."""
        waiting = [""]
        with self._descent() as descent:
            while waiting:
                entries = [one for one in descent.entries(waiting.pop()) if one[0] != PRIVATE]
                yield from ((path, objection) for path, leads_on, objection in entries if not leads_on)
                waiting += [path for path, leads_on, _ in reversed(entries) if leads_on]

    # -- writing ---------------------------------------------------------------------------------------------------------------------------

    def replace_many(self, changes: Mapping[str, bytes | None]) -> None:
        """
        Give each path its new bytes, or remove its file where there are none; makes the directories that are missing.

        Each file is the old or the new one at any moment, but nothing is durable before `make_durable`. A link or a pipe in place of a file
        gives way. An error names the path that failed; those before it, in the order of the paths, are done, and the whole call may be
        repeated.

        Raises:
            StrangerInTree: A directory stands in place of a file, or something else in place of a directory.
            OSError: The disk is full, or something else is wrong with it.
        """
        with self._descent() as aside, self._descent() as descent:
            drafts = aside.enter(TEMPORARY, make_missing=True)
            for path in sorted(changes):
                body = changes[path]
                if body is None:
                    descent.remove(path)
                else:
                    descent.replace(path, body, f"{self._token}.{next(self._numbers)}", drafts)

    def make_directory(self, path: str) -> None:
        """Make a directory, and those above it, unless they are there: durably."""
        with self._descent() as descent:
            descent.enter(path, make_missing=True)
            # also those that were there: who made them may have been killed before they were durable
            for directory in _directories_above(path):
                descent.flush(directory, self._flush)

    def move(self, path: str, new_path: str) -> str:
        """
        Move whatever stands at a path, without following it; gives the path it has now, which ends in a number when the new one was taken.

        Makes the directories that are missing; nothing is durable before `make_durable`. Two that move to one path at the same time may
        collide.

        Raises:
            FileNotFoundError: Nothing stands at the path.
        """
        with self._descent() as source, self._descent() as target:
            free_path = target.free(new_path)
            source.move(path, split(free_path)[1], target.here)
            return free_path

    def wipe_temporary(self) -> None:
        """Remove what writers left that were killed; only for who is alone in the tree."""
        with self._descent() as descent:
            for name in descent.names(TEMPORARY):
                descent.remove(f"{TEMPORARY}/{name}")

    def make_durable(self, paths: Iterable[str], *, together: bool = False) -> None:
        """
        Bring files to the disk, with every directory from theirs up to the one the root stands in.

        A missing file is a removed one: only its directory is brought to the disk. Write-back of all is started before the first is waited
        for. Many files are brought there by one call where that is allowed and the file system can do so: allow it only if each of them was
        written since the tree was opened, or what was reported to others may stay unknown here.

        Raises:
            StrangerInTree: Something else stands at a path, or on the way.
            OSError: The disk refused. The kernel says so only once, so the files have to be written anew.
        """
        ordered = sorted(set(paths))
        with self._descent() as descent:
            if not (together and self._flush_together(descent, ordered)):
                for path in ordered:
                    descent.visit(path, _start_write_back)
                for path in ordered:
                    descent.visit(path, lambda descriptor, _size: self._flush(descriptor))
            for directory in sorted({above for path in ordered for above in _directories_above(path)}, reverse=True):
                with suppress(FileNotFoundError):  # it was removed, and the one above it is among them as well
                    descent.flush(directory, self._flush)
        self._flush_above()

    def _flush_together(self, descent: Descent, paths: Sequence[str]) -> bool:
        """Bring many files to the disk by one call; False where they are few, or do not all lie on the root's file system."""
        if len(paths) < _MANY:
            return False
        device, _ = self._identity
        if not {descent.visit(path, lambda descriptor, _size: os.fstat(descriptor).st_dev) for path in paths} <= {device, None}:
            return False
        try:
            return self._flush_all(self._root)
        except OSError as error:
            raise named(error, self.path) from error

    def _flush_above(self) -> None:
        above = os.open("..", AS_DIRECTORY, dir_fd=self._root)
        try:
            self._flush(above)
        except OSError as error:
            raise named(error, os.path.join(self.path, "..")) from error
        finally:
            os.close(above)


def _directories_above(path: str) -> list[str]:
    """The directories on the way to a path, the root first."""
    steps = path.split("/")[:-1]
    return ["/".join(steps[:depth]) for depth in range(len(steps) + 1)]


def _start_write_back(descriptor: int, _size: int) -> None:
    """Ask for the file to be written soon: only a hint, which not all platforms know."""
    if sys.platform != "darwin":
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
