"""What one change of the folder is, and how a thread that stands before a system call is read as one."""

import ctypes
import os
import stat
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from attrs import evolve, frozen

from tests.crash.kernel import Registers

Kind = Literal[
    "create", "write", "truncate", "allocate", "writeback", "fsync", "fdatasync", "sync",
    "rename", "exchange", "link", "symlink", "unlink", "mkdir", "rmdir",
]  # fmt: skip

#: the kinds that a full disk refuses
SPACE_TAKING: frozenset[Kind] = frozenset({"create", "write", "allocate", "symlink", "link", "mkdir", "rename"})
#: the kinds that wait for the disk
SYNCING: frozenset[Kind] = frozenset({"fsync", "fdatasync", "sync"})

_AT_FDCWD = -100
_AT_REMOVEDIR = 0x200
_RENAME_EXCHANGE, _RENAME_WHITEOUT = 2, 4
_PUNCHES, _MOVES_DATA = 0x02 | 0x10, 0x08 | 0x20  # modes of fallocate
_RWF_DSYNC, _RWF_SYNC, _RWF_APPEND = 0x02, 0x04, 0x10
_PAGE = 4096


@frozen(kw_only=True)
class Operation:
    """One attempt to change something below the folder. Paths are relative to it, and "" is the folder itself."""

    kind: Kind
    call: str  #: the system call
    number: int = 0  #: 1 for the first of a run
    path: str | None = None  #: None: outside of the folder (a rename into it), or not a matter of one file (sync)
    target: str | None = None  #: where a rename, exchange or link leads, None if outside; the text of a symlink
    inode: int = 0  #: of the file or directory; reused by the file system after an unlink
    offset: int = 0  #: of a write
    size: int = 0  #: bytes a write asks for; the length of the file after a truncate or allocate
    data: bytes = b""  #: the bytes that were written, when they are recorded
    synced: bool = False  #: the file was opened to make each write durable, or the write asked for it
    acked: int = 0  #: the highest unit acknowledged before it
    failed: int = 0  #: the errno it ended with, 0 for success; sure only when data is recorded
    thread: int = 0  #: the kernel's id of the thread that did it
    fd: int = -1

    def __str__(self) -> str:
        """For reports: what, where, how much."""
        where = " -> ".join(path or "." for path in (self.path, self.target) if path is not None)
        extent = f" {self.size}@{self.offset}" if self.kind == "write" else ""
        return f"{self.kind} {where}{extent}".strip()


@frozen(kw_only=True)
class Acknowledgement:
    """The workload said that a unit is committed."""

    unit: int


@frozen(kw_only=True)
class Escape:
    """The workload changed, or may now change, the folder in a way that cannot be seen or replayed."""

    what: str


Seen = Operation | Acknowledgement | Escape | None


@frozen(kw_only=True)
class OpenFile:
    """What the kernel says about one open file of the traced program."""

    path: str
    position: int
    flags: int


class StoppedThread:
    """A thread held just before a system call, with its arguments, paths and memory readable."""

    def __init__(self, tid: int, folder: str, acknowledgements: str) -> None:
        self.tid = tid
        self.registers = Registers(tid)
        self.folder = folder
        self.acknowledgements = acknowledgements  #: the path that the kernel shows for the file that takes them

    def fd(self, index: int) -> int:
        """An argument that is a file descriptor."""
        return ctypes.c_int32(self.registers.argument(index) & 0xFFFFFFFF).value

    def signed(self, index: int) -> int:
        """An argument that may be negative."""
        return ctypes.c_int64(self.registers.argument(index)).value

    def memory(self, address: int, length: int) -> bytes:
        """Bytes of the program's memory; fewer at the end of a mapping."""
        with open(f"/proc/{self.tid}/mem", "rb", buffering=0) as file:
            return os.pread(file.fileno(), length, address)

    def text(self, address: int) -> str:
        """A path, read page by page, because the next page need not exist."""
        found = b""
        while b"\0" not in found:
            piece = self.memory(address + len(found), _PAGE - (address + len(found)) % _PAGE)
            found += piece or b"\0"
        return os.fsdecode(found[: found.index(b"\0")])

    def number_at(self, address: int) -> int:
        """A 64-bit number of the program's memory."""
        return int(struct.unpack("<q", self.memory(address, 8))[0])

    def path_of(self, fd: int) -> str:
        """Where an open file lies now; the name it had if it was deleted, and "" if there is no such file."""
        try:
            path = os.readlink(f"/proc/{self.tid}/fd/{fd}")
        except OSError:
            return ""
        return path.removesuffix(" (deleted)") if path.endswith(" (deleted)") and not os.path.lexists(path) else path

    def open_file(self, fd: int) -> OpenFile:
        """Position and flags of an open file, which a plain write depends on."""
        lines = Path(f"/proc/{self.tid}/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
        return OpenFile(path=self.path_of(fd), position=int(lines[0].split()[1]), flags=int(lines[1].split()[1], 8))

    def status_of(self, fd: int) -> os.stat_result:
        """Inode and size of an open file, deleted or not."""
        return os.stat(f"/proc/{self.tid}/fd/{fd}")

    def path(self, index: int, directory: int | None = None) -> str:
        """
        The absolute path that an argument names, with symbolic links resolved up to its last part.

        Args:
            directory: The index of the argument that holds the directory it is relative to; without it, the current one.
        """
        given = self.text(self.registers.argument(index)).replace("/proc/self/", f"/proc/{self.tid}/", 1)
        base = self.fd(directory) if directory is not None else _AT_FDCWD
        if not given.startswith("/"):
            given = os.path.join(os.readlink(f"/proc/{self.tid}/cwd") if base == _AT_FDCWD else self.path_of(base), given)
        parent, name = os.path.split(given.rstrip("/"))
        return os.path.realpath(given) if name in ("", ".", "..") else os.path.join(os.path.realpath(parent), name)

    def below(self, path: str) -> str | None:
        """The path relative to the folder, or None if it lies elsewhere."""
        if path == self.folder:
            return ""
        return path[len(self.folder) + 1 :] if path.startswith(self.folder + "/") else None

    def named(self, index: int, directory: int | None = None) -> str | None:
        """The same as path(), relative to the folder, or None if it lies elsewhere."""
        return self.below(self.path(index, directory))


def _write(at: StoppedThread) -> Seen:
    fd = at.fd(_WRITES[at.registers.call].fd)
    path = at.path_of(fd)
    if path == at.acknowledgements:
        return Acknowledgement(unit=int(at.memory(at.registers.argument(1), at.registers.argument(2))))
    below = at.below(path)
    if below is None:
        return None
    opened, call = at.open_file(fd), at.registers.call
    flags = at.registers.argument(5) if call == "pwritev2" else 0
    offset = _write_offset(at, opened.position)
    if opened.flags & os.O_APPEND or flags & _RWF_APPEND:
        offset = at.status_of(fd).st_size
    synced = bool(opened.flags & os.O_DSYNC or flags & (_RWF_DSYNC | _RWF_SYNC))
    return Operation(kind="write", call=call, path=below, fd=fd, offset=offset, size=_write_size(at), synced=synced)


@frozen(kw_only=True)
class _Write:
    """Where one of the writing calls keeps what; an index is that of an argument."""

    fd: int
    size: int | None = None  #: of the length; None: the data is a list of pieces
    offset: int | None = None
    offset_in_memory: bool = False  #: the argument points at the offset, and may point nowhere


_WRITES: Mapping[str, _Write] = {
    "write": _Write(fd=0, size=2),
    "pwrite64": _Write(fd=0, size=2, offset=3),
    "writev": _Write(fd=0),
    "pwritev": _Write(fd=0, offset=3),
    "pwritev2": _Write(fd=0, offset=3),
    "sendfile": _Write(fd=0, size=3),
    "copy_file_range": _Write(fd=2, size=4, offset=3, offset_in_memory=True),
    "splice": _Write(fd=2, size=4, offset=3, offset_in_memory=True),
}


def _write_offset(at: StoppedThread, position: int) -> int:
    where = _WRITES[at.registers.call]
    if where.offset is None:
        return position
    if where.offset_in_memory:
        address = at.registers.argument(where.offset)
        return at.number_at(address) if address else position
    given = at.signed(where.offset)
    return position if given == -1 else given


def _write_size(at: StoppedThread) -> int:
    size = _WRITES[at.registers.call].size
    return sum(length for _, length in _pieces(at)) if size is None else at.registers.argument(size)


def _pieces(at: StoppedThread) -> list[tuple[int, int]]:
    """The (address, length) pairs of a writev."""
    count = at.registers.argument(2)
    return [(address, length) for address, length in struct.iter_unpack("<QQ", at.memory(at.registers.argument(1), 16 * count))]


def shorten_to_half(at: StoppedThread, operation: Operation) -> None:
    """Have a write see just the first half of its bytes."""
    size, half = _WRITES[operation.call].size, operation.size // 2
    if size is not None:
        at.registers.replace_argument(size, half)
        return
    with open(f"/proc/{at.tid}/mem", "r+b", buffering=0) as memory:
        for index, (_, length) in enumerate(_pieces(at)):
            os.pwrite(memory.fileno(), struct.pack("<Q", min(length, half)), at.registers.argument(1) + 16 * index + 8)
            half -= min(length, half)


def _sync(kind: Kind) -> Callable[[StoppedThread], Seen]:
    def read(at: StoppedThread) -> Seen:
        fd = at.fd(0)
        path = at.below(at.path_of(fd))
        return None if path is None else Operation(kind=kind, call=at.registers.call, path=path, fd=fd)

    return read


def _sync_all(at: StoppedThread) -> Seen:
    same = at.registers.call == "sync" or at.status_of(at.fd(0)).st_dev == os.stat(at.folder).st_dev
    return Operation(kind="sync", call=at.registers.call) if same else None


def _open(at: StoppedThread) -> Seen:
    call = at.registers.call
    directory, index = (None, 0) if call in ("open", "creat") else (0, 1)
    flags = _open_flags(at)
    path = at.path(index, directory)
    if os.path.islink(path) and not flags & (os.O_EXCL | os.O_NOFOLLOW):
        path = os.path.realpath(path)
    below = at.below(path)
    if below is None:
        return None
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        return Operation(kind="create", call=call)
    if flags & os.O_CREAT and not os.path.lexists(path):
        return Operation(kind="create", call=call, path=below)
    truncates = flags & os.O_TRUNC and not flags & os.O_EXCL and os.path.isfile(path)
    return Operation(kind="truncate", call=call, path=below) if truncates else None


def _open_flags(at: StoppedThread) -> int:
    call = at.registers.call
    if call == "creat":
        return os.O_CREAT | os.O_TRUNC
    return at.number_at(at.registers.argument(2)) if call == "openat2" else at.registers.argument(1 if call == "open" else 2)


def _make(kind: Kind, index: int, directory: int | None = None) -> Callable[[StoppedThread], Seen]:
    def read(at: StoppedThread) -> Seen:
        path = at.named(index, directory)
        return None if path is None else Operation(kind=kind, call=at.registers.call, path=path)

    return read


def _unlinkat(at: StoppedThread) -> Seen:
    path = at.named(1, 0)
    kind: Kind = "rmdir" if at.registers.argument(2) & _AT_REMOVEDIR else "unlink"
    return None if path is None else Operation(kind=kind, call="unlinkat", path=path)


def _two_names(kind: Kind, source: tuple[int, int | None], target: tuple[int, int | None]) -> Callable[[StoppedThread], Seen]:
    def read(at: StoppedThread) -> Seen:
        path, end = at.named(*source), at.named(*target)
        if path is None and end is None:
            return None
        return Operation(kind=kind, call=at.registers.call, path=path, target=end)

    return read


def _renameat2(at: StoppedThread) -> Seen:
    flags = at.registers.argument(4)
    seen = _two_names("exchange" if flags & _RENAME_EXCHANGE else "rename", (1, 0), (3, 2))(at)
    if seen is not None and flags & _RENAME_WHITEOUT:
        return Escape(what=f"{seen} leaves a white-out behind")
    return seen


def _symlink(index: int, directory: int | None = None) -> Callable[[StoppedThread], Seen]:
    def read(at: StoppedThread) -> Seen:
        path = at.named(index, directory)
        text = at.text(at.registers.argument(0))
        return None if path is None else Operation(kind="symlink", call=at.registers.call, path=path, target=text)

    return read


def _truncate(at: StoppedThread) -> Seen:
    path = at.below(os.path.realpath(at.path(0)))
    return None if path is None else Operation(kind="truncate", call="truncate", path=path, size=at.registers.argument(1))


def _ftruncate(at: StoppedThread) -> Seen:
    fd = at.fd(0)
    path = at.below(at.path_of(fd))
    return None if path is None else Operation(kind="truncate", call="ftruncate", path=path, fd=fd, size=at.registers.argument(1))


def _fallocate(at: StoppedThread) -> Seen:
    fd, mode, offset, size = at.fd(0), at.registers.argument(1), at.registers.argument(2), at.registers.argument(3)
    path = at.below(at.path_of(fd))
    if path is None:
        return None
    if mode & _MOVES_DATA:
        return Escape(what=f"fallocate moves the data of {path}")
    return Operation(kind="allocate", call="fallocate", path=path, fd=fd, offset=offset if mode & _PUNCHES else 0, size=size)


def _map(at: StoppedThread) -> Seen:
    path = at.below(at.path_of(at.fd(4)))
    # what SQLite keeps in its -shm is an index of the -wal, rebuilt after a crash
    return None if path is None or path.endswith("-shm") else Escape(what=f"{path} is mapped shared and writable")


def _clone(at: StoppedThread) -> Seen:
    path = at.below(at.path_of(at.fd(0)))
    return None if path is None else Escape(what=f"{path} takes the blocks of another file by ioctl")


def _asynchronous(at: StoppedThread) -> Seen:
    return Escape(what=f"{at.registers.call} may write without a system call of its own")


_READERS: Mapping[str, Callable[[StoppedThread], Seen]] = {
    **dict.fromkeys(_WRITES, _write),
    **dict.fromkeys(("open", "openat", "openat2", "creat"), _open),
    **dict.fromkeys(("sync", "syncfs"), _sync_all),
    **dict.fromkeys(("io_submit", "io_uring_setup", "io_uring_enter"), _asynchronous),
    "fsync": _sync("fsync"),
    "fdatasync": _sync("fdatasync"),
    "sync_file_range": _sync("writeback"),
    "truncate": _truncate,
    "ftruncate": _ftruncate,
    "fallocate": _fallocate,
    "rename": _two_names("rename", (0, None), (1, None)),
    "renameat": _two_names("rename", (1, 0), (3, 2)),
    "renameat2": _renameat2,
    "link": _two_names("link", (0, None), (1, None)),
    "linkat": _two_names("link", (1, 0), (3, 2)),
    "symlink": _symlink(1),
    "symlinkat": _symlink(2, 1),
    "unlink": _make("unlink", 0),
    "unlinkat": _unlinkat,
    "rmdir": _make("rmdir", 0),
    "mkdir": _make("mkdir", 0),
    "mkdirat": _make("mkdir", 1, 0),
    "mknod": _make("create", 0),
    "mknodat": _make("create", 1, 0),
    "mmap": _map,
    "ioctl": _clone,
}


def read_call(at: StoppedThread) -> Seen:
    """What the thread is about to do to the folder: None if that is nothing."""
    reader = _READERS.get(at.registers.call)
    return reader(at) if reader else Escape(what=f"system call {at.registers.call} is not known here")


def observed(at: StoppedThread, operation: Operation, result: int) -> Operation:
    """The operation with what became of it: the inode, and for a write the bytes as the file now holds them."""
    if result < 0:
        return evolve(operation, failed=-result)
    if operation.kind == "create" and operation.call in ("open", "openat", "openat2", "creat"):
        return evolve(operation, fd=result, inode=at.status_of(result).st_ino)
    if operation.fd < 0:
        return _observed_by_name(at, operation)
    found = at.status_of(operation.fd)
    if operation.kind == "write":
        data = _content(at, operation.fd, operation.offset, result)
        return evolve(operation, inode=found.st_ino, size=result, data=data)
    if operation.kind == "allocate":
        return _observed_allocation(at, operation, found)
    return evolve(operation, inode=found.st_ino)


def _observed_by_name(at: StoppedThread, operation: Operation) -> Operation:
    names = (operation.path if operation.kind in ("create", "mkdir", "symlink", "truncate") else operation.target,)
    if names == (None,) or operation.kind in ("unlink", "rmdir", "sync"):
        return operation
    found = os.lstat(os.path.join(at.folder, names[0] or ""))
    return evolve(operation, inode=found.st_ino)


def _observed_allocation(at: StoppedThread, operation: Operation, found: os.stat_result) -> Operation:
    if at.registers.argument(1) & _PUNCHES:  # the same to the file as zeros written
        data = _content(at, operation.fd, operation.offset, operation.size)
        return evolve(operation, kind="write", inode=found.st_ino, size=len(data), data=data)
    return evolve(operation, inode=found.st_ino, size=found.st_size)


def _content(at: StoppedThread, fd: int, offset: int, size: int) -> bytes:
    """Bytes of an open file, whatever way they came in; nothing for what is not a file."""
    if not stat.S_ISREG(at.status_of(fd).st_mode):
        return b""
    with open(f"/proc/{at.tid}/fd/{fd}", "rb", buffering=0) as file:
        return os.pread(file.fileno(), size, offset)
