"""
The way from the root of a tree down to a file: opened step by step, each directory relative to the one before, and never through a link.

What stands on that way or at its end and cannot be ours is named as a stranger.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from os import O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY
from typing import Self, TypeVar

from deskstore.adapters.file import names

AS_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC  #: how a directory is opened

_AS_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
_AS_NEW_FILE = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC
_LARGEST_BYTES = 128 << 20  # far above any record; a sparse file of a terabyte must not take the process down
_USUAL_BYTES = 32 << 10  # hardly any record is larger
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


class Descent:
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
        return explained(error, path, os.path.join(self._root_path, path), misfit(split(path)[1], self.here, fits))

    def _named(self, error: OSError, path: str) -> OSError:
        return named(error, os.path.join(self._root_path, path))

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None when it is missing."""
        directory, name = split(path)
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
        directory, name = split(path)
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
            return sorted(found)
        return []  # it was removed since it was seen

    def replace(self, path: str, body: bytes, draft: str, drafts: int) -> None:
        """Write a draft in the directory of drafts, and let it take the place of a file."""
        directory, name = split(path)
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
        directory, name = split(path)
        with suppress(FileNotFoundError):
            parent = self.enter(directory)
            try:
                os.unlink(name, dir_fd=parent)
            except OSError as error:
                raise self._explained(error, path, _is_no_directory) from error

    def free(self, path: str) -> str:
        """The path, or the first one with a number behind it, at which nothing stands; its directory is entered, and made when missing."""
        directory, _ = split(path)
        taken = set(os.listdir(self.enter(directory, make_missing=True)))
        numbered = (f"{path}.{number}" for number in itertools.count(2))
        return next(each for each in itertools.chain([path], numbered) if split(each)[1] not in taken)

    def move(self, path: str, new_name: str, new_directory: int) -> None:
        """Move whatever stands at a path to a name in another directory."""
        directory, name = split(path)
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


def split(path: str) -> tuple[str, str]:
    """A path's directory, and the name in it."""
    directory, _, name = path.rpartition("/")
    if name in {"", ".", ".."} or path.startswith("/"):
        raise ValueError(f"{path!r} is not a path inside a tree")
    return directory, name


def _open_directory(name: str, parent: int) -> int:
    return os.open(name, AS_DIRECTORY, dir_fd=parent)


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


def misfit(name: str, directory: int | None, fits: Callable[[int], bool]) -> str | None:
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


def explained(error: OSError, path: str, whole_path: str, misfit: str | None) -> StrangerInTree | OSError:
    """What an error comes from: a stranger, where one stands there, or else the disk."""
    return StrangerInTree(path, misfit) if misfit else named(error, whole_path)


def named(error: OSError, path: str) -> OSError:
    """The same error, naming the whole path."""
    return OSError(error.errno, error.strerror, path)
