"""
Which processes run, and whose children they are.

Standard library only: the keeper reads this before it could find anything else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC: Final = Path("/proc")
GONE_S: Final = 10.0  #: how long the system may take to end what was killed
ASK_AGAIN_S: Final = 0.005


class Process(NamedTuple):
    """One process, as the system shows it to everybody."""

    pid: int
    parent: int
    command: str


def running() -> list[Process]:
    """All processes that can be seen; not those that have ended and that nobody has asked about yet."""
    return list(_from_proc() if (PROC / "self" / "stat").exists() else _from_ps())


def family(pid: int) -> list[int]:
    """A process, its children, and theirs."""
    children: dict[int, list[int]] = {}
    for process in running():
        children.setdefault(process.parent, []).append(process.pid)
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def freeze(pid: int) -> None:
    """Let a process and its children stand still."""
    send(pid, signal.SIGSTOP)  # first, so that no child is born meanwhile
    for member in family(pid):
        send(member, signal.SIGSTOP)


def thaw(pid: int) -> None:
    """Let them go on, the children first."""
    for member in reversed(family(pid)):
        send(member, signal.SIGCONT)


def kill(pid: int) -> None:
    """End a process and its children with no chance to tidy up, and come back when they are gone."""
    send(pid, signal.SIGSTOP)
    members = {*family(pid)}
    for member in members:
        send(member, signal.SIGKILL)
    last = time.monotonic() + GONE_S
    while members & {process.pid for process in running()} and time.monotonic() < last:
        time.sleep(ASK_AGAIN_S)


def remove_shared_memory(data: Path) -> None:
    """Remove the piece of System V memory by which a PostgreSQL that was killed still holds its files: nothing else ever would."""
    with contextlib.suppress(OSError, IndexError):
        number = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[6].split()[1]
        subprocess.run(["ipcrm", "-m", number], capture_output=True, check=False)


def _from_proc() -> Iterator[Process]:
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it ended meanwhile
                state, parent = (folder / "stat").read_bytes().rpartition(b")")[2].split()[:2]
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                if state != b"Z":
                    yield Process(int(folder.name), int(parent), command.decode(errors="replace"))


def _from_ps() -> Iterator[Process]:
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,command="], capture_output=True, text=True, errors="replace", check=True
    )
    for line in listed.stdout.splitlines():
        pid, parent, state, command = (*line.split(maxsplit=3), "")[:4]
        if not state.startswith("Z"):
            yield Process(int(pid), int(parent), command)
