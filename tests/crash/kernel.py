"""The few doors to Linux that the tracer needs: ptrace, the registers of a stopped thread, and a seccomp filter."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from functools import cache

from attrs import frozen

from tests.crash.errors import TracingRefused

CONT, SYSCALL, GETEVENTMSG, GETREGSET, SETREGSET, SEIZE, LISTEN = 7, 24, 0x4201, 0x4204, 0x4205, 0x4206, 0x4208
EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_SECCOMP, EVENT_STOP = 1, 2, 3, 4, 7, 128
SYSCALL_STOP = 0x85  # SIGTRAP | 0x80
WAIT_ALL = 0x40000000  # __WALL: threads, too

_SYSGOOD, _FORK, _VFORK, _CLONE, _EXEC, _SECCOMP, _EXITKILL = 1, 2, 4, 8, 0x10, 0x80, 0x100000
_FOLLOW_EVERYTHING = _SYSGOOD | _FORK | _VFORK | _CLONE | _EXEC | _SECCOMP | _EXITKILL
_NT_PRSTATUS, _NT_ARM_SYSTEM_CALL = 1, 0x404
_REGISTER_COUNT = 34  # aarch64 has 34, x86_64 27; the kernel fills what it has
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2


@frozen(kw_only=True)
class Machine:
    """How one processor architecture numbers its system calls and where it keeps their arguments."""

    audit: int  #: what seccomp calls this architecture
    number: int  #: index of the register that holds the number of the call
    result: int  #: index of the register that holds what the call returned
    arguments: tuple[int, ...]
    calls: Mapping[str, int]
    skips_by_regset: bool  #: a call is skipped through a register set of its own


_X86_64 = Machine(
    audit=0xC000003E,
    number=15,
    result=10,
    arguments=(14, 13, 12, 7, 9, 8),
    skips_by_regset=False,
    calls={
        "write": 1,
        "open": 2,
        "mmap": 9,
        "ioctl": 16,
        "pwrite64": 18,
        "writev": 20,
        "sendfile": 40,
        "fsync": 74,
        "fdatasync": 75,
        "truncate": 76,
        "ftruncate": 77,
        "rename": 82,
        "mkdir": 83,
        "rmdir": 84,
        "creat": 85,
        "link": 86,
        "unlink": 87,
        "symlink": 88,
        "mknod": 133,
        "sync": 162,
        "io_submit": 209,
        "openat": 257,
        "mkdirat": 258,
        "mknodat": 259,
        "unlinkat": 263,
        "renameat": 264,
        "linkat": 265,
        "symlinkat": 266,
        "splice": 275,
        "sync_file_range": 277,
        "fallocate": 285,
        "pwritev": 296,
        "syncfs": 306,
        "renameat2": 316,
        "copy_file_range": 326,
        "pwritev2": 328,
        "io_uring_setup": 425,
        "io_uring_enter": 426,
        "openat2": 437,
    },
)
_AARCH64 = Machine(
    audit=0xC00000B7,
    number=8,
    result=0,
    arguments=(0, 1, 2, 3, 4, 5),
    skips_by_regset=True,
    calls={
        "io_submit": 2,
        "ioctl": 29,
        "mknodat": 33,
        "mkdirat": 34,
        "unlinkat": 35,
        "symlinkat": 36,
        "linkat": 37,
        "renameat": 38,
        "truncate": 45,
        "ftruncate": 46,
        "fallocate": 47,
        "openat": 56,
        "write": 64,
        "writev": 66,
        "pwrite64": 68,
        "pwritev": 70,
        "sendfile": 71,
        "splice": 76,
        "sync": 81,
        "fsync": 82,
        "fdatasync": 83,
        "sync_file_range": 84,
        "mmap": 222,
        "syncfs": 267,
        "renameat2": 276,
        "copy_file_range": 285,
        "pwritev2": 287,
        "io_uring_setup": 425,
        "io_uring_enter": 426,
        "openat2": 437,
    },
)


@cache
def machine() -> Machine:
    """
    The architecture this process runs on.

    Raises:
        TracingRefused: It is none the engine knows.
    """
    known = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(platform.machine())
    if sys.platform != "linux" or known is None or sys.maxsize < 2**32:
        raise TracingRefused(f"the crash engine needs 64-bit Linux on x86_64 or aarch64, this is {sys.platform} on {platform.machine()}")
    return known


@cache
def _call_names() -> Mapping[int, str]:
    return {number: name for name, number in machine().calls.items()}


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_size_t, ctypes.c_size_t]
    libc.ptrace.restype = ctypes.c_long
    libc.prctl.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t]
    return libc


def _ptrace(request: int, tid: int, address: int = 0, data: int = 0) -> None:
    if _libc().ptrace(request, tid, address, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def seize(pid: int) -> None:
    """
    Begin to trace a child and all that it will ever start.

    Raises:
        TracingRefused: The kernel, or a security module, does not allow it.
    """
    try:
        _ptrace(SEIZE, pid, 0, _FOLLOW_EVERYTHING)
    except OSError as error:
        reason = "a container without ptrace, or /proc/sys/kernel/yama/ptrace_scope above 1?"
        raise TracingRefused(f"this process may not trace its own child ({error.strerror}): {reason}") from error


def resume(tid: int, how: int = CONT, signal: int = 0) -> None:
    """Let a stopped thread go on; one that was killed meanwhile is no error."""
    try:
        _ptrace(how, tid, 0, signal)
    except ProcessLookupError:
        return


def event_message(tid: int) -> int:
    """The number that came with the last event: the thread id of what was just started."""
    message = ctypes.c_ulong()
    _ptrace(GETEVENTMSG, tid, 0, ctypes.addressof(message))
    return message.value


class _Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Registers:
    """The registers of one stopped thread, read at once and written back on request."""

    def __init__(self, tid: int) -> None:
        self._tid = tid
        self._machine = machine()
        self._values = (ctypes.c_uint64 * _REGISTER_COUNT)()
        self._span = _Span(ctypes.addressof(self._values), ctypes.sizeof(self._values))
        _ptrace(GETREGSET, tid, _NT_PRSTATUS, ctypes.addressof(self._span))

    @property
    def call(self) -> str:
        """The name of the system call the thread stands before, or its number where we have no name for it."""
        number = self._values[self._machine.number]
        return _call_names().get(number, str(number))

    @property
    def result(self) -> int:
        """What the call returned; a negative one is an errno."""
        return ctypes.c_int64(self._values[self._machine.result]).value

    def argument(self, index: int) -> int:
        """One argument of the call, as an unsigned number."""
        return int(self._values[self._machine.arguments[index]])

    def replace_argument(self, index: int, value: int) -> None:
        """Let the call see another argument than the program gave."""
        self._values[self._machine.arguments[index]] = value
        self._write()

    def refuse(self, errno: int) -> None:
        """Have the call not made at all, and answer it with an error."""
        self._values[self._machine.result] = 2**64 - errno
        if not self._machine.skips_by_regset:
            self._values[self._machine.number] = 2**64 - 1
        self._write()
        if self._machine.skips_by_regset:
            none = ctypes.c_int(-1)
            span = _Span(ctypes.addressof(none), ctypes.sizeof(none))
            _ptrace(SETREGSET, self._tid, _NT_ARM_SYSTEM_CALL, ctypes.addressof(span))

    def _write(self) -> None:
        _ptrace(SETREGSET, self._tid, _NT_PRSTATUS, ctypes.addressof(self._span))


_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _TRACE, _KILL = 0x7FFF0000, 0x7FF00000, 0x80000000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_CALLS = 0x40000000
_MAY_CREATE = os.O_CREAT | os.O_TRUNC | 0o20000000  # the last one is O_TMPFILE without its O_DIRECTORY
_WRITABLE, _SHARED = 2, 1
_CLONE_FILE, _CLONE_RANGE = 0x40049409, 0x4020940D

_Step = tuple[int, int, int, int]  # code, how many to jump over when true, when false, operand


def _low_word_of_argument(index: int) -> _Step:
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _program() -> Iterator[_Step]:
    """The filter: file-changing calls wake the tracer, all other calls run at full speed."""
    here = machine()
    yield (_LOAD, 0, 0, _ARCHITECTURE_AT)
    yield (_EQUAL, 1, 0, here.audit)
    yield (_RETURN, 0, 0, _KILL)
    yield (_LOAD, 0, 0, _NUMBER_AT)
    yield (_AT_LEAST, 0, 1, _X32_CALLS)
    yield (_RETURN, 0, 0, _KILL)
    for name, number in here.calls.items():
        body = _condition(name)
        yield (_EQUAL, 0, len(body), number)
        yield from body
    yield (_RETURN, 0, 0, _ALLOW)


def _condition(call: str) -> list[_Step]:
    trace, allow = (_RETURN, 0, 0, _TRACE), (_RETURN, 0, 0, _ALLOW)
    if call in ("open", "openat"):
        return [_low_word_of_argument(1 if call == "open" else 2), (_ANY_BIT, 0, 1, _MAY_CREATE), trace, allow]
    if call == "mmap":
        shared = [_low_word_of_argument(3), (_ANY_BIT, 0, 1, _SHARED), trace, allow]
        return [_low_word_of_argument(2), (_ANY_BIT, 0, 3, _WRITABLE), *shared]
    if call == "ioctl":
        return [_low_word_of_argument(1), (_EQUAL, 1, 0, _CLONE_FILE), (_EQUAL, 0, 1, _CLONE_RANGE), trace, allow]
    return [trace]


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


class _FilterStep(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_ushort),
        ("when_true", ctypes.c_ubyte),
        ("when_false", ctypes.c_ubyte),
        ("operand", ctypes.c_uint32),
    ]


def show_file_calls_to_the_tracer() -> None:
    """
    Install the filter in the calling thread; threads and children started from now on inherit it.

    Raises:
        TracingRefused: The kernel has no seccomp, or does not allow it.
    """
    program = list(_program())
    steps = (_FilterStep * len(program))(*(_FilterStep(*step) for step in program))
    whole = _Filter(len(program), ctypes.addressof(steps))
    refused = _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    refused = refused or _libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(whole), 0, 0)
    if refused:
        raise TracingRefused(f"the kernel does not take a seccomp filter: {os.strerror(ctypes.get_errno())}")
