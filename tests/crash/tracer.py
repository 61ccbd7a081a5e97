"""
Run a workload in a child process that stops before each change it makes to a folder.

One change is made at a time, whatever number of threads and processes there are: the tracer lets a thread into its call, waits for the end
of it, and only then looks at the next. So the order it records is the order in which things happened.
"""

import os
import signal
import stat
import time
import traceback
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NoReturn

from attrs import evolve, field, frozen

from tests.crash import kernel
from tests.crash.errors import TracingRefused
from tests.crash.interpreter import single_threaded
from tests.crash.operations import Acknowledgement, Escape, Kind, Operation, StoppedThread, observed, read_call, shorten_to_half

Workload = Callable[[Path, Callable[[int], None]], None]
Ending = Literal["finished", "raised", "killed", "hung", "died"]

DEADLINE_S = 60.0
_STALL_S = 0.05
_REFUSED = 77
_ACKNOWLEDGEMENTS = "deskstore-acknowledgements"


@frozen(kw_only=True)
class Kill:
    """Kill the whole workload before one operation, or in the middle of it."""

    before: int  #: number of the operation; the first is 1
    torn: bool = False  #: if it is a write, make its first half, then kill


@frozen(kw_only=True)
class Fail:
    """Refuse one operation with an error, as a failing disk does."""

    at: int  #: number of the operation, counted among those of `kinds`; the first is 1
    errno: int
    sticky: bool = False  #: all later ones of `kinds`, too
    kinds: Collection[Kind] | None = None  #: which operations may fail; None: all


@frozen(kw_only=True)
class Entry:
    """What was in the folder before the run."""

    path: str
    inode: int
    content: bytes | str | None  #: bytes of a file, text of a symbolic link, None for a directory


@frozen(kw_only=True)
class Run:
    """What a workload did, and how it ended."""

    ending: Ending
    operations: tuple[Operation, ...]
    acked: int  #: the highest unit acknowledged
    error: str = ""  #: what the workload raised, with its traceback
    escapes: tuple[str, ...] = ()  #: changes that the tracer cannot follow
    struck: Operation | None = None  #: the operation that was killed or, first, failed
    before: tuple[Entry, ...] = field(default=(), repr=False)  #: the folder as it was, if data was recorded
    root: int = 0  #: inode of the folder

    @property
    def kinds(self) -> Mapping[Kind, int]:
        """How many operations of each kind were tried."""
        found: dict[Kind, int] = {}
        for operation in self.operations:
            found[operation.kind] = found.get(operation.kind, 0) + 1
        return found


def trace(
    run: Workload, folder: Path, *, kill: Kill | None = None, fail: Fail | None = None, data: bool = False, deadline_s: float = DEADLINE_S
) -> Run:
    """
    Run a workload in a child process, and hurt it once if told so.

    Args:
        folder: Where it works. What happens elsewhere is neither counted nor hurt.
        data: Record the bytes of each write, and what the folder held before: what a power cut is modelled from.
        deadline_s: After this many seconds the child is killed and its ending is "hung".

    Where the calling process has threads, which a fork would lose, the child is that of a fresh interpreter.

    Raises:
        TracingRefused: This machine does not allow it.
        ManyThreads: A fresh interpreter is needed, and the workload is not found by its name in a module.
    """
    kernel.machine()
    return single_threaded(_trace, run, folder, kill, fail, data, deadline_s)


def _trace(run: Workload, folder: Path, kill: Kill | None, fail: Fail | None, data: bool, deadline_s: float) -> Run:
    folder = folder.resolve()
    before = _entries(folder) if data else ()
    with _child(run, folder) as child:
        tracer = _Tracer(child, str(folder), kill=kill, fail=fail, data=data, deadline_s=deadline_s)
        tracer.follow()
        return evolve(tracer.result(), before=before, root=folder.stat().st_ino)


def _entries(folder: Path) -> tuple[Entry, ...]:
    return tuple(
        Entry(path=str(path.relative_to(folder)), inode=path.lstat().st_ino, content=content_of(path)) for path in sorted(folder.rglob("*"))
    )


def content_of(path: Path) -> bytes | str | None:
    """The bytes of a file, the text of a symbolic link, None for a directory."""
    if path.is_symlink():
        return os.readlink(path)
    if path.is_dir():
        return None
    return path.read_bytes() if stat.S_ISREG(path.stat().st_mode) else b""


@frozen(kw_only=True)
class _Child:
    pid: int
    acknowledgements: str  #: what the kernel calls the file that takes them
    report: int  #: a file that takes what the workload raised


@contextmanager
def _child(run: Workload, folder: Path) -> Generator[_Child]:
    """A forked child that is being traced and about to start the workload. SIGCHLD is held back meanwhile, to be waited for."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    processors = os.sched_getaffinity(0)
    # both take turns anyway, and waking a thread on another processor takes longer than all else here (measured: 3 times the whole run)
    os.sched_setaffinity(0, {sorted(processors)[os.getpid() % len(processors)]})
    acknowledgements, report = os.memfd_create(_ACKNOWLEDGEMENTS), os.memfd_create("deskstore-report")
    traced, go = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            os.close(go)
            _be_the_child(run, folder, acknowledgements, report, traced)
        _seize(pid)
        os.write(go, b"!")
        yield _Child(pid=pid, acknowledgements=os.readlink(f"/proc/self/fd/{acknowledgements}").removesuffix(" (deleted)"), report=report)
    finally:
        for fd in (acknowledgements, report, traced, go):
            os.close(fd)
        os.sched_setaffinity(0, processors)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _seize(pid: int) -> None:
    try:
        kernel.seize(pid)
    except TracingRefused:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _be_the_child(run: Workload, folder: Path, acknowledgements: int, report: int, traced: int) -> NoReturn:
    def acknowledge(unit: int) -> None:
        os.write(acknowledgements, b"%d" % unit)

    status = 1
    try:
        os.read(traced, 1)
        kernel.show_file_calls_to_the_tracer()
        run(folder, acknowledge)
        status = 0
    except TracingRefused as refused:
        status = _REFUSED
        os.write(report, str(refused).encode())
    except BaseException:  # noqa: BLE001 - nothing may unwind into the stack above, which belongs to the parent
        os.write(report, traceback.format_exc().encode(errors="backslashreplace"))
    finally:
        os._exit(status)


class _Tracer:
    """Follows one child, its threads and its children, from the first operation to the last."""

    def __init__(self, child: _Child, folder: str, *, kill: Kill | None, fail: Fail | None, data: bool, deadline_s: float) -> None:
        self._child = child
        self._folder = folder
        self._kill = kill
        self._fail = fail
        self._data = data
        self._until = time.monotonic() + deadline_s
        self._threads = {child.pid: None}  # in the order in which they were last heard of, so that none starves
        self._company = False  # whether there ever was more than one thread
        self._operations: list[Operation] = []
        self._escapes: dict[str, None] = {}
        self._matching = 0
        self._acked = 0
        self._struck: Operation | None = None
        self._ending: Ending | None = None
        self._status = 0

    def follow(self) -> None:
        """Let the child run until it and all that it started are gone."""
        try:
            while self._threads:
                self._handle(*self._next())
        finally:
            self._kill_all()
        if self._company:
            self._bury_strangers()

    def result(self) -> Run:
        """
        What was seen.

        Raises:
            TracingRefused: The child could not install its filter.
        """
        error = os.pread(self._child.report, os.fstat(self._child.report).st_size, 0).decode()
        if os.WIFEXITED(self._status) and os.WEXITSTATUS(self._status) == _REFUSED:
            raise TracingRefused(error)
        ending = self._ending or _ending_of(self._status)
        if ending == "died":
            error = f"died with wait status {self._status:#x}"
        return Run(
            ending=ending,
            operations=tuple(self._operations),
            acked=self._acked,
            error=error,
            escapes=tuple(self._escapes),
            struck=self._struck,
        )

    def _next(self, only: int | None = None) -> tuple[int, int]:
        """The next report of a thread, (0, 0) when none is left. Only our own are asked: the caller may have other children."""
        while self._threads:
            for tid in (only,) if only else tuple(self._threads):
                try:
                    found, status = os.waitpid(tid, os.WNOHANG | kernel.WAIT_ALL)
                except ChildProcessError:  # another thread of its process replaced it by exec
                    self._threads.pop(tid, None)
                    continue
                if found:
                    return found, status
            if only and only not in self._threads:
                return only, 0
            self._sleep()
        return 0, 0

    def _sleep(self) -> None:
        """Until a child has something to say."""
        if signal.sigtimedwait({signal.SIGCHLD}, _STALL_S) is None:
            if self._ending:
                self._adopt_strangers()
            elif time.monotonic() > self._until:
                self._ending = "hung"
                self._kill_all()

    def _handle(self, tid: int, status: int) -> None:
        if not tid:
            return
        if not os.WIFSTOPPED(status):
            self._forget(tid, status)
            return
        self._threads[tid] = self._threads.pop(tid, None)
        try:
            self._handle_stop(tid, status >> 16, os.WSTOPSIG(status))
        except ProcessLookupError:  # killed between its report and our answer
            return

    def _forget(self, tid: int, status: int) -> None:
        self._threads.pop(tid, None)
        if tid == self._child.pid:
            self._status = status

    def _handle_stop(self, tid: int, event: int, number: int) -> None:
        if event in (kernel.EVENT_FORK, kernel.EVENT_VFORK, kernel.EVENT_CLONE):
            self._threads[kernel.event_message(tid)] = None
            self._company = True
        if event == kernel.EVENT_SECCOMP:
            self._handle_call(tid)
        elif event == kernel.EVENT_STOP and number != signal.SIGTRAP:
            kernel.resume(tid, kernel.LISTEN)  # stopped by job control, until someone continues it
        else:
            kernel.resume(tid, signal=0 if event or number in (kernel.SYSCALL_STOP, signal.SIGTRAP) else number)

    def _handle_call(self, tid: int) -> None:
        at = StoppedThread(tid, self._folder, self._child.acknowledgements)
        seen = read_call(at)
        if isinstance(seen, Operation):
            numbered = evolve(seen, number=len(self._operations) + 1, acked=self._acked, thread=tid)
            self._handle_operation(at, numbered)
            return
        if isinstance(seen, Acknowledgement):
            self._acked = max(self._acked, seen.unit)
        elif isinstance(seen, Escape):
            self._escapes[seen.what] = None
        kernel.resume(tid)

    def _handle_operation(self, at: StoppedThread, operation: Operation) -> None:
        if self._kill and operation.number == self._kill.before:
            self._strike_dead(at, operation)
        elif self._must_fail(operation):
            failed = evolve(operation, failed=self._fail.errno if self._fail else 0)
            self._struck = self._struck or failed
            at.registers.refuse(failed.failed)
            self._operations.append(failed)
            kernel.resume(at.tid)
        elif not self._data and len(self._threads) == 1:  # nobody else can come in between, so the end need not be waited for
            self._operations.append(operation)
            kernel.resume(at.tid)
        elif self._run_to_its_end(at):
            result = kernel.Registers(at.tid).result
            self._operations.append(observed(at, operation, result) if self._data else evolve(operation, failed=max(0, -result)))
            kernel.resume(at.tid)

    def _must_fail(self, operation: Operation) -> bool:
        if self._fail is None or (self._fail.kinds is not None and operation.kind not in self._fail.kinds):
            return False
        self._matching += 1
        return self._matching == self._fail.at or (self._fail.sticky and self._matching > self._fail.at)

    def _strike_dead(self, at: StoppedThread, operation: Operation) -> None:
        if self._kill and self._kill.torn and operation.kind == "write" and operation.size > 1:
            shorten_to_half(at, operation)
            self._run_to_its_end(at)
        self._struck = operation
        self._ending = self._ending or "killed"
        self._kill_all()

    def _run_to_its_end(self, at: StoppedThread) -> bool:
        """Let a thread make its call; whether it lived to see the end of it."""
        kernel.resume(at.tid, kernel.SYSCALL)
        tid, status = self._next(only=at.tid)
        if os.WIFSTOPPED(status) and os.WSTOPSIG(status) == kernel.SYSCALL_STOP:
            return True
        self._forget(tid, status)
        return False

    def _kill_all(self) -> None:
        for tid in self._threads:
            _kill(tid)

    def _adopt_strangers(self) -> None:
        """Take in what was started by a thread that was killed before it could tell."""
        for tid in _traced_by_us() - set(self._threads):
            self._threads[tid] = None
            _kill(tid)

    def _bury_strangers(self) -> None:
        self._ending = self._ending or _ending_of(self._status)
        self._adopt_strangers()
        while self._threads:
            self._handle(*self._next())


def _ending_of(status: int) -> Ending:
    if not os.WIFEXITED(status):
        return "died"
    return "raised" if os.WEXITSTATUS(status) else "finished"


def _kill(tid: int) -> None:
    try:
        os.kill(tid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _traced_by_us() -> set[int]:
    """Every thread on this machine whose tracer is this process."""
    mine = f"TracerPid:\t{os.getpid()}\n"
    return {tid for process in os.listdir("/proc") if process.isdigit() for tid in _tasks(process) if mine in _text(f"/proc/{tid}/status")}


def _tasks(process: str) -> list[int]:
    try:
        return [int(tid) for tid in os.listdir(f"/proc/{process}/task")]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
