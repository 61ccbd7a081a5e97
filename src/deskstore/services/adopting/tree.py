"""
The tree that is taken over: read, and left exactly as it is.

No link is followed and no pipe is waited for: every step down is opened relative to the one before. All functions block, and belong in a
worker thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from os import O_CLOEXEC, O_DIRECTORY, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY
from pathlib import Path
from typing import Final

from attrs import frozen

from deskstore.domain.errors import ConfigurationError, InvalidRecord
from deskstore.formats.json import MAX_BYTES

OURS: Final = ".deskstore"  #: what only a tree of deskstore itself holds
DEEPEST: Final = 300  #: directories: an id that can be kept leads through fewer

_AS_DIRECTORY: Final = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
_AS_FILE: Final = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC


@frozen(kw_only=True)
class Entry:
    """Something that stands in the tree."""

    path: str  #: from the tree's own directory on
    stranger: str | None = None  #: what it is, where it is no file and no directory that can be read
    is_directory: bool = False


@frozen
class Tree:
    """A directory with a directory for each company."""

    root: Path

    def companies(self) -> list[Entry]:
        """What stands directly in the tree, in order; companies are its directories."""
        return self._entries("")

    def files(self, company: str) -> list[Entry]:
        """All that stands below a company's directory and is no directory, in order."""
        return sorted(self._below(company), key=lambda entry: entry.path)

    def refuse_ours(self) -> None:
        """Raise ConfigurationError where deskstore itself keeps the tree."""
        for entry in self.companies():
            if entry.path == OURS or (entry.is_directory and any(one.path.endswith(f"/{OURS}") for one in self._entries(entry.path))):
                raise ConfigurationError(
                    f"{self.root} is kept by deskstore already ({entry.path} holds {OURS}): "
                    "there is nothing to adopt; read it with DATA_PATH"
                )

    def read(self, path: str) -> bytes:
        """The bytes of a file; raises InvalidRecord where they cannot be read, or are too many for a record."""
        *steps, name = path.split("/")
        try:
            with self._directory("/".join(steps)) as parent:
                return _read(os.open(name, _AS_FILE, dir_fd=parent))
        except OSError as error:
            raise InvalidRecord(f"it cannot be read: {error.strerror}") from error

    def _below(self, company: str) -> Iterator[Entry]:
        waiting = [company]
        while waiting:
            for entry in self._entries(waiting.pop()):
                if not entry.is_directory:
                    yield entry
                elif entry.path.count("/") < DEEPEST:
                    waiting.append(entry.path)
                else:
                    yield Entry(path=entry.path, stranger=f"a directory below {DEEPEST} others")

    def _entries(self, path: str) -> list[Entry]:
        try:
            with self._directory(path) as descriptor, os.scandir(descriptor) as found:
                return sorted((_entry(path, one) for one in found), key=lambda entry: entry.path)
        except OSError as error:
            if not path:
                raise
            return [Entry(path=path, stranger=f"a directory that cannot be read ({error.strerror})")]

    @contextmanager
    def _directory(self, path: str) -> Generator[int]:
        descriptor = os.open(self.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try:
            for step in path.split("/") if path else ():
                below = os.open(step, _AS_DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


def _entry(parent: str, found: os.DirEntry[str]) -> Entry:
    path = f"{parent}/{found.name}" if parent else found.name
    if found.is_dir(follow_symlinks=False):
        return Entry(path=path, is_directory=True)
    if found.is_file(follow_symlinks=False):
        return Entry(path=path)
    return Entry(path=path, stranger="a symbolic link" if found.is_symlink() else "a pipe, a socket or a device")


def _read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidRecord("it is not a file any more")
        if status.st_size > MAX_BYTES:
            raise InvalidRecord(f"it is {status.st_size:,} bytes long: at most {MAX_BYTES:,} are allowed")
        return file.read(MAX_BYTES + 1)
