"""
The process that starts a server, and ends it when whoever asked for it is gone.

It reads orders from its standard input, a line of JSON each, and answers each with a line. However the other side ends, that input ends
with it, and the server too; its folder is removed unless it is to be kept. Standard library only, so that it starts in no time.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deskstore.adapters.embedded import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_S: Final = 1.0  #: how often it looks whether its parent lives: a fork of the parent may hold the pipe open
PATIENCE_S: Final = 10.0  #: how long a server may take to end when it is told to


class Keeper:
    """What keeps one server."""

    def __init__(self, folder: Path, *, kept: bool, leave: int) -> None:
        self._folder = folder
        self._kept = kept  # whether the folder outlives the server
        self._leave = leave  # the signal that tells the server to end
        self._server: subprocess.Popen[bytes] | None = None

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:  # Any: the values of JSON
        """The answer to one order."""
        name = order.pop("do")
        if name == "start":
            return self._start(**order)
        if self._server is None or self._server.poll() is not None:
            return {"code": 0}
        if name == "wait":
            return {"code": self._wait(self._server, order["seconds"])}
        {"stop": _stop, "kill": processes.kill, "freeze": processes.freeze, "thaw": processes.thaw}[name](self._server.pid)
        return {}

    def close(self) -> None:
        """Leave nothing behind that was not to be kept."""
        if self._server and self._server.poll() is None:
            processes.thaw(self._server.pid)
            processes.send(self._server.pid, self._leave)
            if self._wait(self._server, PATIENCE_S) is None:
                processes.kill(self._server.pid)
        if not self._kept:
            processes.remove_shared_memory(self._folder / "data")
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, command: list[str], environment: dict[str, str], uid: int | None, gid: int | None) -> dict[str, Any]:
        """Start the server in a session of its own, so that no key of a terminal reaches it."""
        groups: list[int] | None = None if uid is None else []
        with (self._folder / "log").open("ab") as log:
            try:
                self._server = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=environment,
                    user=uid,
                    group=gid,
                    extra_groups=groups,
                    start_new_session=True,
                )
            except OSError as error:
                return {"error": f"{command[0]}: {error.strerror}"}
        return {"pid": self._server.pid}

    def _wait(self, server: subprocess.Popen[bytes], seconds: float) -> int | None:
        """The exit code, once there is one."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return server.wait(seconds)
        return None


def _stop(pid: int) -> None:
    """End in order, in the way that PostgreSQL calls fast, and Redis knows as well."""
    processes.send(pid, signal.SIGINT)


def _leave(_number: int, _frame: object) -> None:
    """End as if the other side were gone."""
    sys.exit(0)


def orders(parent: int) -> Iterator[dict[str, Any]]:
    """What is asked for, until the one who asks is gone."""
    pending = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], LOOK_S)[0]:
            continue
        read = os.read(0, 65_536)
        if not read:
            return
        *lines, pending = (pending + read).split(b"\n")
        yield from map(json.loads, lines)


def main(folder: str, kept: str, leave: str, parent: str) -> None:
    """Keep a server until the other side is gone."""
    signal.signal(signal.SIGTERM, _leave)
    keeper = Keeper(Path(folder), kept=kept == "kept", leave=int(leave))
    try:
        for order in orders(int(parent)):
            os.write(1, json.dumps(keeper.obey(order)).encode() + b"\n")
    except BrokenPipeError:
        pass  # gone while it waited for an answer
    finally:
        keeper.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
