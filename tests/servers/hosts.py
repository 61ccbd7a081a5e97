"""Processes that start servers of their own, as tests do and as `deskstore demo` does, so that tests can end them in every way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from socket import create_connection
from typing import TYPE_CHECKING, Final, Self

import attrs
from attrs import frozen

from deskstore.adapters.embedded import places, processes
from deskstore.adapters.embedded.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Generator

SOURCES: Final = Path(places.__file__).resolve().parents[3]
PACKAGES: Final = Path(attrs.__file__).resolve().parents[1]
PROGRAM: Final = """
import json, os, sys
from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.adapters.embedded.redis import RedisServer

with PostgresServer(major=int(sys.argv[1])) as postgres, RedisServer() as redis:
    if "forks" in sys.argv and os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
    for server in (postgres, redis):
        known = [server.url, server.port, server.pid, server.keeper, str(server.folder)]
        print(json.dumps(known), flush=True)
    sys.stdin.read()
"""
GONE_S: Final = 30.0


@frozen
class Started:
    """A server that a host started."""

    url: str
    port: int
    pid: int
    keeper: int
    folder: Path

    def is_left(self) -> bool:
        """Whether anything of it is still there: a process, a listener, a file."""
        return self.runs() or self.listens() or self.folder.exists()

    def runs(self) -> bool:
        return bool({self.pid, self.keeper} & {process.pid for process in processes.running()})

    def listens(self) -> bool:
        try:
            create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True


@frozen
class Host:
    """A process with a PostgreSQL and a Redis."""

    process: subprocess.Popen[str]
    servers: tuple[Started, ...]

    @classmethod
    def start(cls, python: str, account: places.Account | None, major: int, *habits: str) -> Self:
        process = subprocess.Popen(
            [python, "-c", PROGRAM, str(major), *habits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": f"{SOURCES}:{PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1"},
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        assert process.stdout
        said = [json.loads(process.stdout.readline()) for _ in range(2)]
        return cls(process, tuple(Started(url, port, pid, keeper, Path(folder)) for url, port, pid, keeper, folder in said))

    def is_left(self) -> bool:
        """Whether anything of its servers is there, after the time they need to go."""
        last = time.monotonic() + GONE_S
        while any(server.is_left() for server in self.servers) and time.monotonic() < last:
            time.sleep(0.02)
        return any(server.is_left() for server in self.servers)

    def close(self) -> None:
        """Let it end as any program ends."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@contextmanager
def host(account: str, major: int, *habits: str) -> Generator[Host]:
    """A host that runs as one of ACCOUNTS, and ends at the latest when the test does; one of its habits may be that it "forks"."""
    running = Host.start(*ACCOUNTS[account], major, *habits)
    try:
        yield running
    finally:
        running.close()


def _accounts() -> dict[str, tuple[str, places.Account | None]]:
    """
    The accounts that hosts can run as here, each with a Python it may run.

    Ours always; and where that is root's, an ordinary one, unless all that it needs lies in folders of root's.
    """
    ours: dict[str, tuple[str, places.Account | None]] = {"ours": (sys.executable, None)}
    nobody = places.account()
    pythons = [sys.executable, which("python3", path=os.defpath), which("python{}.{}".format(*sys.version_info[:2]), path=os.defpath)]
    usable = [python for python in pythons if python and places.reachable(Path(python))]
    if nobody and usable and places.reachable(SOURCES) and places.reachable(PACKAGES):
        return {**ours, "ordinary": (usable[0], nobody)}
    return ours


ACCOUNTS: Final = _accounts()
