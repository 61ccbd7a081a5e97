"""A PostgreSQL of one's own."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final, Self

from deskstore.adapters.embedded.clusters import OWNER, fresh_cluster, kept_cluster
from deskstore.adapters.embedded.ports import HOST, free_port
from deskstore.adapters.embedded.programs import PostgresPrograms, for_others, postgres_programs
from deskstore.adapters.embedded.server import ServerProcess
from deskstore.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ATTEMPTS: Final = 5  #: ports to try: each was free a moment before
TAKEN: Final = "could not create any TCP/IP sockets"
READY_S: Final = 60.0  #: a server that recovers from a crash takes its time
ASK_AGAIN_S: Final = 0.01


class PostgresServer:
    """
    A PostgreSQL on loopback with a password, durable unless settings say otherwise; it ends with this process, however that ends.

    Its methods block for some hundred milliseconds: call them through `asyncio.to_thread` where other tasks must go on meanwhile.
    """

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
            ConfigurationError: There is no such PostgreSQL on this machine.
        """
        self.programs = for_others(programs or postgres_programs(major))
        self.settings = dict(settings or {})  #: of the server; what is changed counts from the next start
        self.port = free_port()
        # in its own folder, so that nothing of it stays in the system's when it is killed
        self._memory = {} if folder else {"dynamic_shared_memory_type": "mmap"}
        # files that are removed need no last checkpoint
        self._process = ServerProcess(folder, leave=signal.SIGINT if folder else signal.SIGQUIT)
        try:
            self._password = (kept_cluster if folder else fresh_cluster)(self.programs, self.folder)
        except BaseException:
            self._process.close()
            raise

    @property
    def major(self) -> int:
        """Its version: 18."""
        return self.programs.major

    @property
    def url(self) -> str:
        """Where its superuser finds it."""
        return f"postgresql://{OWNER}:{self._password}@{HOST}:{self.port}/postgres"

    @property
    def folder(self) -> Path:
        """Where its files are: the cluster in `data`, what it says in `log`."""
        return self._process.folder

    @property
    def pid(self) -> int | None:
        """The process that started all the others, or the last one that did."""
        return self._process.pid

    def start(self) -> Self:
        """
        Start, and come back when connections are taken.

        Raises:
            StorageUnavailable: It does not start; the message ends with what it said.
        """
        first = self.pid is None
        for _ in range(ATTEMPTS):
            self._process.start(self._command())
            if self._ready():
                return self
            if not first or TAKEN not in self._process.last_words():
                break
            self.port = free_port()
        raise StorageUnavailable(f"PostgreSQL {self.programs.version} did not start: {self._process.last_words()}")

    def stop(self) -> None:
        """End in order, connections included; start() goes on with the same data on the same port."""
        self._process.stop()

    def kill(self) -> None:
        """End at once, as `kill -9` of all its processes does; start() recovers what was committed."""
        self._process.kill()

    def restart(self) -> None:
        """Stop and start again."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let all its processes stand still: what is asked of it waits, new connections too."""
        self._process.freeze()

    def thaw(self) -> None:
        """Let them go on."""
        self._process.thaw()

    def close(self) -> None:
        """End for good, and remove the files unless they are to be kept."""
        self._process.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

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

    def _ready(self) -> bool:
        """Whether it takes connections, in time; no other server that has the port meanwhile can be mistaken for it."""
        last = time.monotonic() + READY_S
        while time.monotonic() < last:
            if self._says_ready():
                return True
            if self._process.ended():
                return False
            time.sleep(ASK_AGAIN_S)
        self.kill()
        return False

    def _says_ready(self) -> bool:
        """What the server writes into its file: its process on the first line, how far it is on the last."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return False
        return bool(lines) and lines[0] == str(self.pid) and lines[-1] == "ready"
