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
from os import O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY
from pathlib import Path
from typing import Self, TypeVar

from deskstore.adapters.file import names
from deskstore.adapters.file.syncing import sync_file_system

PRIVATE = ".deskstore"  #: where the adapter keeps what is no record
TEMPORARY = ".deskstore/tmp"  #: on the file system of the records, and out of their directories

_LARGEST_BYTES = 128 << 20  # far above any record; a sparse file of a terabyte must not take the process down
_USUAL_BYTES = 32 << 10  # hardly any record is larger
_MANY = 64  # files that are brought to the disk together, where the file system can do so, and not one by one
_DEEPEST = 8  # directories above a file; a record has five at most
_NO_NAME = "has no name of a record"
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFREG: "a file where a directory belongs",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_AS_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
_AS_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
_AS_NEW_FILE = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC

_Result = TypeVar("_Result")


class StrangerInTree(Exception):
    """Something stands in the tree that cannot be ours."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path  #: relative to the root; may be a directory on the way to what was asked for
        self.reason = reason

    def __str__(self) -> str:
        printable = self.path.encode(errors="backslashreplace").decode()
        return f"{printable} {self.reason}"


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
            root = os.open(place, _AS_DIRECTORY)
        except OSError as error:
            raise _explained(error, place, place, _misfit(place, None, stat.S_ISDIR)) from error
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

    def _descent(self) -> _Descent:
        return _Descent(self.path, self._root)

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
                entries = descent.entries(waiting.pop())
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
            source.move(path, _split(free_path)[1], target.here)
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

    def _flush_together(self, descent: _Descent, paths: Sequence[str]) -> bool:
        """Bring many files to the disk by one call; False where they are few, or do not all lie on the root's file system."""
        if len(paths) < _MANY:
            return False
        device, _ = self._identity
        if not {descent.visit(path, lambda descriptor, _size: os.fstat(descriptor).st_dev) for path in paths} <= {device, None}:
            return False
        try:
            return self._flush_all(self._root)
        except OSError as error:
            raise _named(error, self.path) from error

    def _flush_above(self) -> None:
        above = os.open("..", _AS_DIRECTORY, dir_fd=self._root)
        try:
            self._flush(above)
        except OSError as error:
            raise _named(error, os.path.join(self.path, "..")) from error
        finally:
            os.close(above)


class _Descent:
    """
    A way from the root of a tree down to one directory, opened step by step and never through a link.

    Only the directories of this way are open, however many are visited. Whoever visits paths in order opens each directory once.
    """

    def __init__(self, root_path: str, root: int) -> None:
        self._root_path = root_path
        self._steps: list[str] = []
        self._opened = [root]
        self._arrived: str | None = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._go_back(0)

    @property
    def here(self) -> int:
        """The descriptor of the directory entered last, good until another one is entered."""
        return self._opened[-1]

    def enter(self, directory: str, *, make_missing: bool = False) -> int:
        """Go to a directory, from the nearest one that is open; gives its descriptor."""
        if directory != self._arrived:
            self._arrived = None
            self._go(_steps(directory), _make_directory if make_missing else _open_directory)
            self._arrived = directory
        return self._opened[-1]

    def _go(self, steps: list[str], step_down: Callable[[str, int], int]) -> None:
        self._go_back(_shared(self._steps, steps))
        for step in steps[len(self._steps) :]:
            try:
                descriptor = step_down(step, self.here)
            except OSError as error:
                raise self._explained(error, "/".join([*self._steps, step]), stat.S_ISDIR) from error
            self._steps.append(step)
            self._opened.append(descriptor)

    def _go_back(self, depth: int) -> None:
        while len(self._steps) > depth:
            self._steps.pop()
            os.close(self._opened.pop())

    def _explained(self, error: OSError, path: str, fits: Callable[[int], bool]) -> StrangerInTree | OSError:
        """What an error about a path in the current directory comes from: a stranger, or else the disk."""
        return _explained(error, path, os.path.join(self._root_path, path), _misfit(_split(path)[1], self.here, fits))

    def _named(self, error: OSError, path: str) -> OSError:
        return _named(error, os.path.join(self._root_path, path))

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None when it is missing."""
        directory, name = _split(path)
        if directory != self._arrived:
            try:
                self.enter(directory)
            except FileNotFoundError:
                return None
        try:
            descriptor = os.open(name, _AS_FILE, dir_fd=self._opened[-1])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._explained(error, path, stat.S_ISREG) from error
        try:
            return _usual(descriptor) or _whole(descriptor, _regular_size(descriptor, path))
        except OSError as error:
            raise self._named(error, path) from error
        finally:
            os.close(descriptor)

    def visit(self, path: str, act: Callable[[int, int], _Result]) -> _Result | None:
        """What an action gives for the descriptor and size of an open file; None when the file is missing."""
        try:
            descriptor = self._open_file(path)
        except FileNotFoundError:
            return None
        try:
            return act(descriptor, _regular_size(descriptor, path))
        except OSError as error:
            raise self._named(error, path) from error
        finally:
            os.close(descriptor)

    def _open_file(self, path: str) -> int:
        directory, name = _split(path)
        parent = self.enter(directory)
        try:
            return os.open(name, _AS_FILE, dir_fd=parent)
        except OSError as error:
            raise self._explained(error, path, stat.S_ISREG) from error

    def names(self, directory: str) -> list[str]:
        """The names of what stands in a directory that may be missing, directories left out."""
        with suppress(FileNotFoundError), os.scandir(self.enter(directory)) as entries:
            return [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
        return []

    def entries(self, directory: str) -> list[tuple[str, bool, str | None]]:
        """Path, whether a walk goes on there, and what there is to say against it, of all in a directory, in order."""
        above = f"{directory}/" if directory else ""
        with suppress(FileNotFoundError), os.scandir(self.enter(directory)) as entries:
            found = [(above + entry.name, *_judged(entry, len(self._steps))) for entry in entries]
            return sorted(one for one in found if one[0] != PRIVATE)
        return []  # it was removed since it was seen

    def replace(self, path: str, body: bytes, draft: str, drafts: int) -> None:
        """Write a draft in the directory of drafts, and let it take the place of a file."""
        directory, name = _split(path)
        parent = self.enter(directory, make_missing=True)
        try:
            _write_new(draft, body, drafts)
            os.rename(draft, name, src_dir_fd=drafts, dst_dir_fd=parent)
        except OSError as error:
            with suppress(OSError):
                os.unlink(draft, dir_fd=drafts)
            raise self._explained(error, path, _is_no_directory) from error

    def remove(self, path: str) -> None:
        """Remove a file, which may be missing."""
        directory, name = _split(path)
        with suppress(FileNotFoundError):
            parent = self.enter(directory)
            try:
                os.unlink(name, dir_fd=parent)
            except OSError as error:
                raise self._explained(error, path, _is_no_directory) from error

    def free(self, path: str) -> str:
        """The path, or the first one with a number behind it, at which nothing stands; its directory is entered, and made when missing."""
        directory, _ = _split(path)
        taken = set(os.listdir(self.enter(directory, make_missing=True)))
        numbered = (f"{path}.{number}" for number in itertools.count(2))
        return next(each for each in itertools.chain([path], numbered) if _split(each)[1] not in taken)

    def move(self, path: str, new_name: str, new_directory: int) -> None:
        """Move whatever stands at a path to a name in another directory."""
        directory, name = _split(path)
        parent = self.enter(directory)
        try:
            os.rename(name, new_name, src_dir_fd=parent, dst_dir_fd=new_directory)
        except OSError as error:
            raise self._named(error, path) from error

    def flush(self, directory: str, flush: Callable[[int], None]) -> None:
        """Bring a directory to the disk."""
        descriptor = self.enter(directory)
        try:
            flush(descriptor)
        except OSError as error:
            raise self._named(error, directory) from error


def _steps(directory: str) -> list[str]:
    """The names on the way to a directory. No other text could lead out of the tree, but a mistake must not."""
    steps = directory.split("/") if directory else []
    if "" in steps or "." in steps or ".." in steps:
        raise ValueError(f"{directory!r} is not a path inside a tree")
    return steps


def _shared(steps: list[str], others: list[str]) -> int:
    """How many steps two ways have in common before they part."""
    depth = 0
    while depth < len(steps) and depth < len(others) and steps[depth] == others[depth]:
        depth += 1
    return depth


def _split(path: str) -> tuple[str, str]:
    directory, _, name = path.rpartition("/")
    if name in {"", ".", ".."} or path.startswith("/"):
        raise ValueError(f"{path!r} is not a path inside a tree")
    return directory, name


def _directories_above(path: str) -> list[str]:
    """The directories on the way to a path, the root first."""
    steps = path.split("/")[:-1]
    return ["/".join(steps[:depth]) for depth in range(len(steps) + 1)]


def _open_directory(name: str, parent: int) -> int:
    return os.open(name, _AS_DIRECTORY, dir_fd=parent)


def _make_directory(name: str, parent: int) -> int:
    """Open a directory, made for its owner alone when it is missing."""
    try:
        return _open_directory(name, parent)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another process was faster
            os.mkdir(name, 0o700, dir_fd=parent)
    made = _open_directory(name, parent)
    try:
        os.fchmod(made, 0o700)  # whatever the umask left of it
    except OSError:
        os.close(made)
        raise
    return made


def _write_new(name: str, body: bytes, parent: int) -> None:
    descriptor = os.open(name, _AS_NEW_FILE, 0o600, dir_fd=parent)
    try:
        os.fchmod(descriptor, 0o600)  # whatever the umask left of it
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def _regular_size(descriptor: int, path: str) -> int:
    """The size of an open file, once it is known to be one."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise StrangerInTree(path, _description(status.st_mode))
    if status.st_size > _LARGEST_BYTES:
        raise StrangerInTree(path, f"has {status.st_size:,} bytes, more than any record")
    return status.st_size


def _usual(descriptor: int) -> bytes | None:
    """
    The bytes of a file as nearly all of them are; None for whatever it takes a closer look at.

    Nothing but a file can be read at an offset without an error, devices apart, which give nothing or more than is asked for.
    """
    try:
        content = os.pread(descriptor, _USUAL_BYTES, 0)
    except OSError:
        return None
    return content if len(content) < _USUAL_BYTES else None


def _whole(descriptor: int, size: int) -> bytes:
    content = os.read(descriptor, size + 1)
    if len(content) == size:  # nearly always: one more byte was asked for, so this is the end
        return content
    with open(descriptor, "rb", closefd=False) as rest:
        return content + rest.read()


def _start_write_back(descriptor: int, _size: int) -> None:
    """Ask for the file to be written soon: only a hint, which not all platforms know."""
    if sys.platform != "darwin":
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _judged(entry: os.DirEntry[str], depth: int) -> tuple[bool, str | None]:
    """Whether an entry of a directory leads on to records, and why it is none, and leads to none."""
    if entry.is_file(follow_symlinks=False):  # as nearly all are
        is_named = entry.name.endswith(".json") and names.is_name(entry.name.removesuffix(".json"))
        return False, None if is_named else _NO_NAME
    if entry.is_symlink():
        return False, _description(stat.S_IFLNK)
    if not entry.is_dir(follow_symlinks=False):
        return False, "is neither a file nor a directory"
    objection = _objection_to_directory(entry.name, depth)
    return objection is None, objection


def _objection_to_directory(name: str, depth: int) -> str | None:
    if depth >= _DEEPEST:
        return "lies deeper than any record"
    return None if name == names.NO_LOCALE or names.is_name(name) else _NO_NAME


def _misfit(name: str, directory: int | None, fits: Callable[[int], bool]) -> str | None:
    """What stands under a name, when it is not what belongs there; None also when nothing does."""
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except OSError:  # the error that made us look says more
        return None
    return None if fits(mode) else _description(mode)


def _description(mode: int) -> str:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    return f"is {kind}"


def _is_no_directory(mode: int) -> bool:
    return not stat.S_ISDIR(mode)


def _explained(error: OSError, path: str, whole_path: str, misfit: str | None) -> StrangerInTree | OSError:
    return StrangerInTree(path, misfit) if misfit else _named(error, whole_path)


def _named(error: OSError, path: str) -> OSError:
    return OSError(error.errno, error.strerror, path)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
