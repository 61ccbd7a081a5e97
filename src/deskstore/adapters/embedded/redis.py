"""A server of one's own that speaks Redis's protocol."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING, Final

from deskstore.adapters.embedded import places
from deskstore.adapters.embedded.keeping import KeptProcess
from deskstore.adapters.embedded.ports import HOST
from deskstore.adapters.embedded.programs import redis_for_others, redis_program
from deskstore.adapters.embedded.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ANSWER_S: Final = 0.5  #: what listens there may be somebody else who never answers


class RedisServer(Server):
    """A Valkey or Redis on loopback with a password that keeps nothing on disk; it ends with this process, however that ends."""

    taken = "Address already in use"

    def __init__(self, *, program: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        """
        Make ready what the server needs.

        Raises:
            ConfigurationError: There is no such server on this machine.
        """
        self.program = redis_for_others(program or redis_program())
        self.settings = dict(settings or {})  #: of the server; what is changed counts from the next start
        self._password = secrets.token_hex(16)
        super().__init__(self.program.name, KeptProcess())

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    def _command(self) -> list[str]:
        return [str(self.program), str(self._write_settings())]

    def _write_settings(self) -> Path:
        """Its settings, password included, in a file that only it can read."""
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
        return places.write_secret(self.folder / "settings", "".join(f"{name} {value}\n" for name, value in settings.items()))

    def _answers(self) -> bool:
        """Whether whoever listens there knows the password."""
        try:
            with socket.create_connection((HOST, self.port), timeout=ANSWER_S) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                said = b""
                while said.count(b"\n") < 2 and (more := connection.recv(1_024)):
                    said += more
        except OSError:
            return False
        return said == b"+OK\r\n+PONG\r\n"
