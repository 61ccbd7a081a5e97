"""A server of one's own that speaks Redis's protocol."""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Final, Self

from deskstore.adapters.embedded import places
from deskstore.adapters.embedded.ports import HOST, free_port
from deskstore.adapters.embedded.programs import redis_for_others, redis_program
from deskstore.adapters.embedded.server import ServerProcess
from deskstore.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ATTEMPTS: Final = 5
TAKEN: Final = "Address already in use"
READY_S: Final = 30.0
ANSWER_S: Final = 0.5  #: what listens there may be somebody else who never answers
ASK_AGAIN_S: Final = 0.005


class RedisServer:
    """
    A Valkey or Redis on loopback with a password that keeps nothing on disk; it ends with this process, however that ends.

    Its methods block for a few milliseconds, `start` and `restart` for some tens of them.
    """

    def __init__(self, *, program: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        """
        Make ready what the server needs.

        Raises:
            ConfigurationError: There is no such server on this machine.
        """
        self.program = redis_for_others(program or redis_program())
        self.settings = dict(settings or {})  #: of the server; what is changed counts from the next start
        self.port = free_port()
        self._password = secrets.token_hex(16)
        self._process = ServerProcess()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    @property
    def folder(self) -> Path:
        """Where its settings are, and what it says in `log`."""
        return self._process.folder

    @property
    def pid(self) -> int | None:
        """Its process, or the last one it had."""
        return self._process.pid

    def start(self) -> Self:
        """
        Start, and come back when commands are taken.

        Raises:
            StorageUnavailable: It does not start; the message ends with what it said.
        """
        first = self.pid is None
        for _ in range(ATTEMPTS):
            self._process.start([str(self.program), str(self._write_settings())])
            if self._ready():
                return self
            if not first or TAKEN not in self._process.last_words():
                break
            self.port = free_port()
        raise StorageUnavailable(f"{self.program.name} did not start: {self._process.last_words()}")

    def stop(self) -> None:
        """End in order; start() goes on empty on the same port."""
        self._process.stop()

    def kill(self) -> None:
        """End at once, as `kill -9` does."""
        self._process.kill()

    def restart(self) -> None:
        """Stop and start again, empty."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it stand still: what is asked of it waits, new connections too."""
        self._process.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self._process.thaw()

    def close(self) -> None:
        """End for good, and remove the files."""
        self._process.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_settings(self) -> Path:
        """The server's settings in a file that only it can read: everybody can read a command line, and the password must not be there."""
        settings = {
            "port": str(self.port),
            "bind": HOST,
            "requirepass": self._password,
            "dir": str(self.folder),
            "save": '""',
            "appendonly": "no",
            "daemonize": "no",
            "set-proc-title": "no",  # its command line names its folder, by which it is found when its keeper was killed
            **self.settings,
        }
        file = self.folder / "settings"
        file.unlink(missing_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
            written.writelines(f"{name} {value}\n" for name, value in settings.items())
        if who := places.account():
            who.own(file)
        return file

    def _ready(self) -> bool:
        """Whether it takes commands, in time; another server that has the port meanwhile does not know the password."""
        last = time.monotonic() + READY_S
        while time.monotonic() < last:
            if self._answers():
                return True
            if self._process.ended():
                return False
            time.sleep(ASK_AGAIN_S)
        self.kill()
        return False

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=ANSWER_S) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                said = b""
                while said.count(b"\n") < 2 and (more := connection.recv(1_024)):
                    said += more
        except OSError:
            return False
        return said == b"+OK\r\n+PONG\r\n"
