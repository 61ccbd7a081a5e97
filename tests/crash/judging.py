"""Have a state judged in a child process, so that a judge may start threads and event loops, die, or hang."""

import os
import select
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

Judge = Callable[[Path, int, int], str | None]


def judged(judge: Judge, folder: Path, acked: int, upto: int, *, deadline_s: float) -> str | None:
    """What a judge has to say about a folder: None if it is fine. A judge that raises, dies or hangs finds it not fine."""
    verdict = os.memfd_create("deskstore-verdict")
    try:
        pid = os.fork()
        if pid == 0:
            _be_the_judge(judge, folder, acked, upto, verdict)
        status = _wait(pid, deadline_s)
        if status is None:
            return f"the judge did not come to an end within {deadline_s} s"
        said = os.pread(verdict, os.fstat(verdict).st_size, 0).decode()
    finally:
        os.close(verdict)
    return said or (f"the judge died with wait status {status:#x}" if status else None)


def _be_the_judge(judge: Judge, folder: Path, acked: int, upto: int, verdict: int) -> NoReturn:
    status = 1
    try:
        os.setsid()  # so that all it starts can be ended with it
        os.write(verdict, (judge(folder, acked, upto) or "").encode(errors="backslashreplace"))
        status = 0
    except BaseException:  # noqa: BLE001 - nothing may unwind into the stack above, which belongs to the parent
        os.write(verdict, traceback.format_exc().encode(errors="backslashreplace"))
    finally:
        os._exit(status)


def _wait(pid: int, deadline_s: float) -> int | None:
    """The wait status of a child, None if it had to be killed for taking too long."""
    watched = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([watched], [], [], deadline_s)
    finally:
        os.close(watched)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # it ended before it began, or took all it started with it
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return status if ended else None
