"""The crash engine sees every change, hurts at the right place, and finds the faults that are known to be there."""

import asyncio
import ctypes
import errno
import mmap
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from tests.crash import (
    SPACE_TAKING,
    Escaped,
    Fail,
    Kill,
    ManyThreads,
    Mode,
    Operation,
    Run,
    TracingRefused,
    Workload,
    WorkloadBroken,
    check_nothing_escaped,
    fail_sweep,
    kill_sweep,
    nested_sweep,
    power_sweep,
    states,
    trace,
)
from tests.crash.kernel import seize
from tests.crash.powercut import Content, Tree
from tests.crash.toys import Sqlite, Toy, ToyJudge, ToyRecovery, ToyWorkload, in_place, record_by_record

Acknowledge = Callable[[int], None]
SQLITE = Sqlite()
LIBC = ctypes.CDLL(None)  # for what the standard library does not offer
ROOT, A, B, D = 1, 2, 3, 4  # inodes of made-up runs


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Another one for each test, the same in each run."""
    return zlib.crc32(request.node.name.encode())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def do(path: Path, flags: int, *writes: bytes) -> int:
    fd = os.open(path, flags, 0o600)
    for data in writes:
        os.write(fd, data)
    return fd


# -- workloads, which a fresh interpreter finds by their names


def a_careful_write(folder: Path, acknowledge: Acknowledge) -> None:
    acknowledge(1)
    fd = do(folder / "a.tmp", os.O_CREAT | os.O_WRONLY, b"1234")
    os.fsync(fd)
    os.rename(folder / "a.tmp", folder / "a")
    acknowledge(2)
    os.fsync(os.open(folder, os.O_RDONLY))
    Path(folder.parent, "elsewhere").write_text("not counted")
    assert (folder / "a").read_text() == "1234"


def every_way_to_write(folder: Path, acknowledge: Acknowledge) -> None:
    del acknowledge
    fd = do(folder / "a", os.O_CREAT | os.O_RDWR, b"0123456789")
    os.pwrite(fd, b"PP", 2)
    os.writev(fd, [b"vv", b"VVV"])
    os.pwritev(fd, [b"w", b"WW"], 5)
    os.lseek(fd, 1, os.SEEK_SET)
    os.write(fd, b"!")
    end = do(folder / "a", os.O_WRONLY | os.O_APPEND, b"end")
    os.pwrite(end, b"appended, says Linux", 0)
    other = do(folder / "b", os.O_CREAT | os.O_RDWR)
    os.copy_file_range(fd, other, 8, 0, 100)
    os.copy_file_range(fd, other, 4)
    os.sendfile(other, fd, 0, 6)
    piped, pipe = os.pipe()
    os.write(pipe, b"spliced")
    os.splice(piped, other, 7, offset_dst=200)
    os.ftruncate(other, 190)
    os.truncate(folder / "b", 195)
    os.posix_fallocate(other, 0, 300)
    Path(folder, "c").write_text("to be cut")
    Path(folder, "c").write_text("cut")


def every_way_to_name(folder: Path, acknowledge: Acknowledge) -> None:
    del acknowledge
    here = os.open(folder, os.O_RDONLY)
    os.mkdir("d", dir_fd=here)
    os.mkdir(folder / "d" / "e")
    os.chdir(folder / "d")
    os.close(do(Path("relative"), os.O_CREAT | os.O_WRONLY, b"relative"))
    os.link("relative", folder / "linked")
    os.symlink("linked", folder / "symbolic")
    Path(folder, "symbolic").write_text("through a symbolic link")
    os.rename("relative", "e/moved")
    os.rename(folder / "d", "../f")
    os.mkfifo(folder / "fifo")
    LIBC.renameat2(-100, os.fsencode(folder / "f/e/moved"), -100, os.fsencode(folder / "fifo"), 2)
    os.unlink(folder / "f" / "e" / "moved")
    Path(folder, "again").write_text("first")
    os.unlink("again", dir_fd=here)
    Path(folder, "again").write_text("second")
    nameless = do(folder, os.O_TMPFILE | os.O_WRONLY, b"nameless")
    LIBC.linkat(-100, b"/proc/self/fd/%d" % nameless, -100, os.fsencode(folder / "named"), 0x400)
    os.mkdir(folder / "gone")
    os.rmdir(folder / "gone")


def crowd(folder: Path, acknowledge: Acknowledge) -> None:
    def work(name: str) -> None:
        for turn in range(3):
            Path(folder, f"{name}{turn}").write_text(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if os.fork() == 0:
        work("forked")
        os._exit(0)
    os.wait()
    subprocess.run(["sh", "-c", "echo by a shell > shell"], cwd=folder, check=True)
    acknowledge(1)


async def _a_busy_loop(folder: Path, acknowledge: Acknowledge) -> None:
    def write(number: int) -> None:
        with sqlite3.connect(folder / "db", timeout=30) as database:
            database.execute("CREATE TABLE IF NOT EXISTS t (n)")
            database.execute("INSERT INTO t VALUES (?)", (number,))
        database.close()

    await asyncio.gather(*(asyncio.to_thread(write, number) for number in range(4)))
    acknowledge(1)


def busy_loop(folder: Path, acknowledge: Acknowledge) -> None:
    asyncio.run(_a_busy_loop(folder, acknowledge))


def three_writes(folder: Path, acknowledge: Acknowledge) -> None:
    for unit in (1, 2, 3):
        try:
            Path(folder, str(unit)).write_bytes(b"%d" % unit * 100)
        except OSError as error:
            Path(folder.parent, f"error-{unit}").write_text(errno.errorcode[error.errno or 0])
        else:
            acknowledge(unit)


def torn_pieces(folder: Path, acknowledge: Acknowledge) -> None:
    del acknowledge
    fd = do(folder / "a", os.O_CREAT | os.O_WRONLY)
    os.writev(fd, [b"12", b"345", b"6789", b"0"])


def one_torn_write(folder: Path, acknowledge: Acknowledge) -> None:
    del acknowledge
    Path(folder, "a").write_bytes(b"1234567890")


def hanging(folder: Path, acknowledge: Acknowledge) -> None:
    del acknowledge
    if os.fork():
        Path(folder, "pid").write_text(str(os.getpid()))
    time.sleep(600)


def killed_among_others(folder: Path, acknowledge: Acknowledge) -> None:
    child = os.fork()
    if not child:
        time.sleep(600)
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    Path(folder.parent, "pids").write_text(f"{os.getpid()} {child}")
    Path(folder, "a").write_text("never")
    acknowledge(1)


def stopped_by_job_control(folder: Path, acknowledge: Acknowledge) -> None:
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGSTOP)
        Path(folder, "woken").write_text("woken")
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    time.sleep(0.1)
    assert not Path(folder, "woken").exists()
    os.kill(child, signal.SIGCONT)
    os.waitpid(child, 0)
    acknowledge(1)


def mapped(folder: Path, acknowledge: Acknowledge) -> None:
    del acknowledge
    with Path(folder, "mapped").open("w+b") as file:
        file.truncate(10)
        with mmap.mmap(file.fileno(), 10) as view:
            view[0] = 1


def rings(folder: Path, acknowledge: Acknowledge) -> None:
    del folder, acknowledge
    LIBC.syscall(425, 0, 0)


def raising(folder: Path, acknowledge: Acknowledge) -> None:
    del folder
    acknowledge(1)
    raise ValueError("the unit is not to be had")


def dying(folder: Path, acknowledge: Acknowledge) -> None:
    del folder, acknowledge
    os.kill(os.getpid(), signal.SIGKILL)


def judged_fine(folder: Path, acked: int, upto: int) -> str | None:
    del folder, acked, upto
    return None


def judged_by_a_thread_and_a_loop(folder: Path, acked: int, upto: int) -> str | None:
    return asyncio.run(asyncio.to_thread(judged_fine, folder, acked, upto))


def judged_wrong_when_hurt(folder: Path, acked: int, upto: int) -> str | None:
    del upto
    if acked == 1 and not Path(folder, "3").exists():
        raise ValueError("a judge that raises")
    if acked == 2:
        os._exit(7)
    if not Path(folder, "1").exists():
        time.sleep(600)
    return None


# -- what is seen


def test_every_operation_is_recorded_in_order_with_what_was_acknowledged_before_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    run = trace(a_careful_write, folder, data=True)

    assert (run.ending, run.acked, run.escapes) == ("finished", 2, ()), run
    seen = [(operation.number, str(operation), operation.acked) for operation in run.operations]
    assert seen == [
        (1, "create a.tmp", 1),
        (2, "write a.tmp 4@0", 1),
        (3, "fsync a.tmp", 1),
        (4, "rename a.tmp -> a", 1),
        (5, "fsync .", 2),
    ]
    assert run.operations[1].data == b"1234"


@pytest.mark.parametrize("workload", [every_way_to_write, every_way_to_name, crowd, busy_loop, stopped_by_job_control])
def test_nothing_that_changes_the_folder_escapes(tmp_path: Path, workload: Workload) -> None:
    run = trace(workload, tmp_path, data=True)

    assert (run.ending, run.error) == ("finished", ""), run
    assert len(run.operations) > 1
    check_nothing_escaped(run, tmp_path)


def test_the_writes_of_threads_forked_children_and_other_programs_are_all_counted(tmp_path: Path) -> None:
    run = trace(crowd, tmp_path)

    assert run.kinds == {"create": 10, "write": 10}
    assert len({operation.thread for operation in run.operations}) == 4


def test_a_shared_mapping_and_a_ring_are_reported_as_escapes(tmp_path: Path) -> None:
    mapping = trace(mapped, tmp_path, data=True)
    ring = trace(rings, tmp_path, data=True)

    assert mapping.escapes == ("mapped is mapped shared and writable",)
    assert ring.escapes == ("io_uring_setup may write without a system call of its own",)
    with pytest.raises(Escaped, match="mapped is mapped"):
        check_nothing_escaped(mapping, tmp_path)


def test_a_change_made_by_somebody_else_is_an_escape(tmp_path: Path) -> None:
    run = trace(three_writes, tmp_path, data=True)

    Path(tmp_path, "2").write_text("changed by another process")

    with pytest.raises(Escaped, match=r"add up to: 2$"):
        check_nothing_escaped(run, tmp_path)


# -- where it hurts


def test_a_kill_before_an_operation_leaves_what_the_earlier_ones_did(tmp_path: Path) -> None:
    left: list[list[tuple[str, int]]] = []

    for before in range(1, 8):
        folder = tmp_path / str(before)
        folder.mkdir()
        run = trace(three_writes, folder, kill=Kill(before=before))
        left.append([(name, len(data)) for name, data in sorted(contents(folder).items())])
        assert (run.ending, run.acked) == ("killed" if before < 7 else "finished", (before - 1) // 2)

    first, second = ("1", 100), ("2", 100)
    assert left[:4] == [[], [("1", 0)], [first], [first, ("2", 0)]]
    assert left[4:] == [[first, second], [first, second, ("3", 0)], [first, second, ("3", 100)]]


@pytest.mark.parametrize("workload", [one_torn_write, torn_pieces])
def test_a_torn_write_leaves_the_first_half_of_its_bytes(tmp_path: Path, workload: Workload) -> None:
    run = trace(workload, tmp_path, kill=Kill(before=2, torn=True))

    assert run.ending == "killed"
    assert contents(tmp_path) == {"a": b"12345"}


def test_a_kill_takes_all_threads_and_children_along(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    run = trace(killed_among_others, folder, kill=Kill(before=2))

    pids = Path(tmp_path, "pids").read_text().split()
    assert run.ending == "killed"
    assert not [pid for pid in pids if _is_alive(pid)]


def _is_alive(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_workload_that_hangs_is_killed_with_its_children_at_its_deadline(tmp_path: Path) -> None:
    run = trace(hanging, tmp_path, deadline_s=0.3)

    assert run.ending == "hung"
    assert not _is_alive(Path(tmp_path, "pid").read_text())


@pytest.mark.parametrize(
    ("fail", "failed", "acked"),
    [
        (Fail(at=3, errno=errno.EIO), {"2": "EIO"}, 3),
        (Fail(at=2, errno=errno.ENOSPC, sticky=True), {"1": "ENOSPC", "2": "ENOSPC", "3": "ENOSPC"}, 0),
        (Fail(at=2, errno=errno.EACCES, sticky=True, kinds={"create"}), {"2": "EACCES", "3": "EACCES"}, 1),
        (Fail(at=1, errno=errno.EIO, kinds={"fsync"}), {}, 3),
    ],
)
def test_an_error_is_injected_where_it_was_asked_for(tmp_path: Path, fail: Fail, failed: dict[str, str], acked: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    run = trace(three_writes, folder, fail=fail, data=True)

    errors = {path.name.removeprefix("error-"): path.read_text() for path in tmp_path.glob("error-*")}
    assert (run.ending, errors, run.acked) == ("finished", failed, acked)
    assert {operation.failed for operation in run.operations} - {0} == ({fail.errno} if failed else set())
    check_nothing_escaped(run, folder)


def test_how_a_workload_ended_is_told(tmp_path: Path) -> None:
    raised, died = trace(raising, tmp_path), trace(dying, tmp_path)

    assert (raised.ending, raised.acked) == ("raised", 1)
    assert "ValueError: the unit is not to be had" in raised.error
    assert died.ending == "died"


def test_a_kernel_that_refuses_to_trace_is_a_typed_error() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    try:
        seize(child.pid)
        with pytest.raises(TracingRefused, match="may not trace its own child"):
            seize(child.pid)
    finally:
        child.kill()
        child.wait()


@pytest.fixture
def other_thread() -> Iterator[None]:
    """A thread beside the main one, as event loops leave them."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.usefixtures("other_thread")
def test_a_caller_with_threads_gets_its_answer_from_a_fresh_interpreter(tmp_path: Path) -> None:
    def nowhere_to_be_found(folder: Path, acknowledge: Acknowledge) -> None:
        three_writes(folder, acknowledge)

    run = trace(three_writes, tmp_path, data=True)
    report = kill_sweep(ToyWorkload(record_by_record, 1), ToyJudge(record_by_record, 1), every=6)

    assert (len(run.operations), run.acked) == (6, 3)
    assert report.states == 4
    with pytest.raises(ManyThreads, match="must be functions of a module"):
        trace(nowhere_to_be_found, tmp_path)


# -- what a disk may hold


def after(*operations: Operation, mode: Mode = "strict") -> list[Tree]:
    """The states possible after some operations."""
    numbered = tuple(evolve(operation, number=number) for number, operation in enumerate(operations, 1))
    run = Run(ending="finished", operations=numbered, acked=1, root=ROOT)
    return [state.tree for state in states(run, mode=mode, every=len(operations)) if state.acked == 1]


def create(path: str, inode: int) -> Operation:
    return Operation(kind="create", call="openat", path=path, inode=inode)


def mkdir(path: str, inode: int) -> Operation:
    return Operation(kind="mkdir", call="mkdir", path=path, inode=inode)


def write(inode: int, data: bytes, offset: int = 0, *, synced: bool = False) -> Operation:
    return Operation(kind="write", call="pwrite64", inode=inode, data=data, size=len(data), offset=offset, synced=synced)


def rename(path: str, target: str) -> Operation:
    return Operation(kind="rename", call="rename", path=path, target=target)


def unlink(path: str) -> Operation:
    return Operation(kind="unlink", call="unlink", path=path)


def fsync(inode: int) -> Operation:
    return Operation(kind="fsync", call="fsync", inode=inode)


def fdatasync(inode: int) -> Operation:
    return Operation(kind="fdatasync", call="fdatasync", inode=inode)


def values(found: list[Tree], path: str) -> set[Content | str]:
    return {tree.get(path, "missing") for tree in found}


def test_an_fsynced_file_may_lack_its_name_but_in_an_ordered_journal() -> None:
    done = (create("a", A), write(A, b"data"), fsync(A))

    strict, ordered = after(*done), after(*done, mode="ordered")

    assert values(strict, "a") == {"missing", b"data"}
    assert values(ordered, "a") == {b"data"}
    assert values(after(*done, fsync(ROOT)), "a") == {b"data"}


def test_a_file_that_was_not_synced_may_be_missing_empty_zeros_or_whole() -> None:
    found = after(create("a", A), write(A, b"data"))

    assert values(found, "a") == {"missing", b"", bytes(4), b"data"}


def test_a_write_is_torn_between_sectors_only() -> None:
    data = b"x" * 1300

    found = values(after(create("a", A), fsync(ROOT), write(A, data, 300)), "a")

    torn = {content.lstrip(b"\0") for content in found if isinstance(content, bytes) and 0 < content.count(b"x") < 1300}
    assert torn
    assert {len(content) for content in torn} <= {512 - 300, 1024 - 300, 1536 - 300, 1300 + 300 - 512, 1300 + 300 - 1024, 1300 + 300 - 1536}


def test_a_rename_over_a_file_leaves_the_old_or_the_new_one_whole() -> None:
    old = (create("a", A), write(A, b"old"), fsync(A), fsync(ROOT))

    found = after(*old, create("b", B), write(B, b"new"), fsync(B), rename("b", "a"))

    assert values(found, "a") == {b"old", b"new"}


def test_a_rename_without_an_fsync_before_it_may_leave_an_empty_file() -> None:
    old = (create("a", A), write(A, b"old"), fsync(A), fsync(ROOT))

    found = after(*old, create("b", B), write(B, b"new"), rename("b", "a"), mode="ordered")

    assert values(found, "a") == {b"old", b"new", b"", bytes(3)}


def test_a_file_made_again_is_another_file_though_name_and_inode_are_the_same() -> None:
    first = (create("a", A), write(A, b"first"), fsync(A), fsync(ROOT))

    found = after(*first, unlink("a"), create("a", A), write(A, b"second"), fsync(A))

    assert values(found, "a") == {b"first", b"second", "missing"}


def test_what_lies_in_a_directory_that_is_lost_is_lost_with_it() -> None:
    done = (mkdir("d", D), create("d/a", A), write(A, b"data"), fsync(A), fsync(D))

    assert after(*done) == [{"d": None, "d/a": b"data"}, {}]
    assert values(after(*done, fsync(ROOT)), "d/a") == {b"data"}


def test_a_directory_keeps_its_files_when_it_is_renamed() -> None:
    made = (mkdir("d", D), create("d/a", A), fsync(D), fsync(ROOT), rename("d", "e"), create("e/b", B))

    found = after(*made)

    assert {tuple(tree) for tree in found} == {("d", "d/a"), ("d", "d/a", "d/b"), ("e", "e/a"), ("e", "e/a", "e/b")}


def test_names_reach_an_ordered_disk_in_the_order_in_which_they_were_made() -> None:
    made = (create("a", A), create("b", B), unlink("a"))

    ordered = after(*made, mode="ordered")

    assert {tuple(tree) for tree in ordered} == {(), ("a",), ("a", "b"), ("b",)}
    assert ("b",) in {tuple(tree) for tree in after(*made[:2])} - {tuple(tree) for tree in after(*made[:2], mode="ordered")}


def test_an_fdatasync_of_an_overwrite_takes_no_names_along() -> None:
    made = (create("a", A), write(A, b"1234"), fsync(A), fsync(ROOT), create("b", B), write(A, b"5678"))

    overwritten, grown = after(*made, fdatasync(A), mode="ordered"), after(*made, write(A, b"9", 4), fdatasync(A), mode="ordered")

    assert values(overwritten, "b") == {"missing", b""}
    assert values(grown, "b") == {b""}


def test_a_synchronous_write_is_durable_by_itself() -> None:
    found = after(create("a", A), fsync(ROOT), write(A, b"data", synced=True), create("b", B))

    assert values(found, "a") == {b"data"}


def test_the_same_seed_gives_the_same_states(tmp_path: Path, seed: int) -> None:
    run = trace(ToyWorkload(in_place), tmp_path, data=True)

    first = [(state.what, state.digest) for state in states(run, every=5, seed=seed)]

    assert first == [(state.what, state.digest) for state in states(run, every=5, seed=seed)], seed
    assert first != [(state.what, state.digest) for state in states(run, every=5, seed=seed + 1)], seed


# -- what the sweeps find


@pytest.mark.parametrize(
    ("toy", "passes"), [(in_place, False), (record_by_record, False), (SQLITE, True), (Sqlite(synchronous="NORMAL"), True)]
)
def test_a_kill_sweep_finds_half_written_units_and_nothing_else(toy: Toy, passes: bool) -> None:
    report = kill_sweep(ToyWorkload(toy), ToyJudge(toy), every=4)

    assert report.ok == passes, report
    assert (report.units, set(report.endings)) == (4, {"killed"}), report
    assert report.states > 5


@pytest.mark.parametrize(
    ("toy", "mode", "passes"),
    [
        (in_place, "strict", False),
        (record_by_record, "strict", False),
        (record_by_record, "ordered", False),
        (SQLITE, "strict", True),
        (SQLITE, "ordered", True),
        (Sqlite(synchronous="NORMAL"), "strict", False),
        (Sqlite(synchronous="NORMAL"), "ordered", False),
        (Sqlite(parent_synced=False), "strict", False),
    ],
)
def test_a_power_sweep_finds_what_was_not_synced_and_nothing_else(toy: Toy, mode: Mode, passes: bool, seed: int) -> None:
    report = power_sweep(ToyWorkload(toy), ToyJudge(toy), mode=mode, every=3, seed=seed)

    assert report.ok == passes, report
    assert report.states > 15


@pytest.mark.parametrize(
    ("toy", "code", "sticky", "passes"),
    [
        (SQLITE, errno.EIO, False, True),
        (SQLITE, errno.ENOSPC, True, True),
        (SQLITE, errno.EACCES, False, True),
        (record_by_record, errno.EIO, False, False),
    ],
)
def test_a_fail_sweep_finds_units_that_an_error_cut_in_two(toy: Toy, code: int, sticky: bool, passes: bool) -> None:
    report = fail_sweep(ToyWorkload(toy), ToyJudge(toy), code, sticky=sticky, every=5, kinds=SPACE_TAKING if sticky else None)

    assert report.ok == passes, report
    assert report.endings["raised"] > 0


def leave_something_to_do(folder: Path, acknowledge: Acknowledge) -> None:
    Path(folder, "to do").touch()
    acknowledge(1)


def do_it_after_forgetting_it(folder: Path) -> None:
    if Path(folder, "to do").exists():
        Path(folder, "to do").unlink()
        Path(folder, "done").touch()


def judged_by_whether_it_is_known(folder: Path, acked: int, upto: int) -> str | None:
    del upto
    return None if not acked or Path(folder, "to do").exists() or Path(folder, "done").exists() else "nobody knows of it"


def leave_something_to_do_and_more(folder: Path, acknowledge: Acknowledge) -> None:
    leave_something_to_do(folder, acknowledge)
    Path(folder, "more").touch()


def test_a_nested_sweep_finds_a_recovery_that_does_not_survive_its_own_death() -> None:
    careless = nested_sweep(leave_something_to_do_and_more, do_it_after_forgetting_it, judged_by_whether_it_is_known)
    careful = nested_sweep(ToyWorkload(SQLITE, 2), ToyRecovery(SQLITE), ToyJudge(SQLITE, 2), every=9, inner=3, torn=True)

    assert [failure.message for failure in careless.failures] == ["nobody knows of it"], careless
    assert careful.ok, careful
    assert careful.endings["killed"] > 5


def test_a_judge_that_raises_dies_or_hangs_finds_the_state_wrong() -> None:
    report = kill_sweep(three_writes, judged_wrong_when_hurt, torn=False, deadline_s=0.5)

    messages = [failure.message.splitlines()[-1] for failure in report.failures]
    assert messages == [
        "the judge did not come to an end within 0.5 s",
        *["ValueError: a judge that raises"] * 2,
        *["the judge died with wait status 0x700"] * 2,
    ]
    assert "operation 1, killed before create 1, 0 acknowledged: the judge did not" in str(report)


def test_a_judge_may_use_threads_and_loops() -> None:
    report = kill_sweep(three_writes, judged_by_a_thread_and_a_loop, every=3)

    assert report.ok, report


def test_a_workload_that_fails_unhurt_or_changes_its_folder_unseen_is_not_swept() -> None:
    with pytest.raises(WorkloadBroken, match="the unit is not to be had"):
        kill_sweep(raising, judged_fine)
    with pytest.raises(WorkloadBroken, match="the result of none"):
        power_sweep(ToyWorkload(in_place, 2), ToyJudge(in_place, 1))
    with pytest.raises(Escaped, match="mapped is mapped"):
        fail_sweep(mapped, judged_fine, errno.EIO)
