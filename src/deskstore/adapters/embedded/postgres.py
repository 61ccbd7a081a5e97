"""A PostgreSQL of one's own."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from deskstore.adapters.embedded.clusters import OWNER, fresh_cluster, kept_cluster
from deskstore.adapters.embedded.keeping import KeptProcess
from deskstore.adapters.embedded.ports import HOST
from deskstore.adapters.embedded.programs import PostgresPrograms, for_others, postgres_programs
from deskstore.adapters.embedded.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class PostgresServer(Server):
    """A PostgreSQL on loopback with a password, durable unless settings say otherwise; it ends with this process, however that ends."""

    taken = "could not create any TCP/IP sockets"

    def __init__(
        self,
        *,
        major: int | None = None,
        programs: PostgresPrograms | None = None,
        folder: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """
        Make ready what the server needs: the newest version here, or the one asked for.

        Its files lie in memory where there is room and are removed at the end, unless they are to be kept in a folder.

        Raises:
            ConfigurationError: There is no such PostgreSQL on this machine, or another server uses the folder.
            StorageUnavailable: Its files could not be made.
        """
        self.programs = for_others(programs or postgres_programs(major))
        self.settings = dict(settings or {})  #: of the server; what is changed counts from the next start
        # files that are removed need no last checkpoint
        super().__init__(f"PostgreSQL {self.programs.version}", KeptProcess(folder, leave=signal.SIGINT if folder else signal.SIGQUIT))
        # in its own folder, so that nothing of it stays in the system's when it is killed
        self._memory = {} if folder else {"dynamic_shared_memory_type": "mmap"}
        try:
            self._password = (kept_cluster if folder else fresh_cluster)(self.programs, self.folder)
        except BaseException:
            self.close()
            raise

    @property
    def major(self) -> int:
        """Its version: 18."""
        return self.programs.major

    @property
    def url(self) -> str:
        """Where its superuser finds it."""
        return f"postgresql://{OWNER}:{self._password}@{HOST}:{self.port}/postgres"

    def _command(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "log_timezone": "UTC",
            "timezone": "UTC",
            **self._memory,
            **self.settings,
        }
        command = [str(self.programs.folder / "postgres"), "-D", str(self.folder / "data")]
        return [*command, *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))]

    def _answers(self) -> bool:
        """What the server writes into its file: its process on the first line, how far it is on the last."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return False
        return bool(lines) and lines[0] == str(self.pid) and lines[-1] == "ready"
