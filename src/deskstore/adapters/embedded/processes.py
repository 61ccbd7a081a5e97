"""
Which processes run, and whose children they are.

Standard library only: the keeper reads this before it could find anything else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")


class Process(NamedTuple):
    """One process, as the system shows it to everybody."""

    pid: int
    parent: int
    command: str


def running() -> list[Process]:
    """All processes that can be seen."""
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
    """End a process and its children with no chance to tidy up."""
    send(pid, signal.SIGSTOP)
    for member in family(pid):
        send(member, signal.SIGKILL)


def _from_proc() -> Iterator[Process]:
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it ended meanwhile
                parent = (folder / "stat").read_bytes().rpartition(b")")[2].split()[1]
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                yield Process(int(folder.name), int(parent), command.decode(errors="replace"))


def _from_ps() -> Iterator[Process]:
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,ppid=,command="], capture_output=True, text=True, errors="replace", check=True)
    for line in listed.stdout.splitlines():
        pid, parent, command = (*line.split(maxsplit=2), "")[:3]
        yield Process(int(pid), int(parent), command)
