"""A process with a folder of its own, and the keeper that ends it when this process is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deskstore.adapters.embedded import places
from deskstore.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

KEEPER: Final = "deskstore.adapters.embedded.keeper"
IN_ORDER_S: Final = 30.0  #: how long a server may take to end in order before it is killed
SOURCES: Final = Path(__file__).resolve().parents[3]  #: where the keeper finds this package


class KeptProcess:
    """
    A program that runs in a folder until it is told to end, is killed, or this process ends in any way.

    Its methods block for some hundred milliseconds: call them from a thread where a loop runs that must not wait.
    """

    def __init__(self, folder: Path | None = None, *, leave: int = signal.SIGINT) -> None:
        """Take a new folder, which is removed at the end, or one that is kept; and the signal that ends the server together with us."""
        self._kept = folder is not None
        if folder is None:
            self.folder, lock = places.new_folder()
        else:
            self.folder, lock = folder, _taken(folder)
        try:
            self._keeper = self._start_keeper(lock, leave)
        finally:
            os.close(lock)  # the keeper holds it from here
        self._turn = threading.Lock()  # tests call from threads, and each answer belongs to one order
        self.pid: int | None = None  #: of the running server, or of the one that ran last

    @property
    def keeper(self) -> int:
        """The keeper's process."""
        return self._keeper.pid

    @property
    def log(self) -> Path:
        """What the server wrote about itself."""
        return self.folder / "log"

    def start(self, command: Sequence[str]) -> None:
        """
        Start the server; whether it is ready is another question.

        Raises:
            StorageUnavailable: Its program cannot be run here.
        """
        who = places.account()
        environment = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
        ids = {"uid": who.uid if who else None, "gid": who.gid if who else None}
        answer = self._ask("start", command=[*command], environment=environment, **ids)
        if error := answer.get("error"):
            raise StorageUnavailable(f"a server could not be started: {error}")
        self.pid = answer["pid"]

    def ended(self) -> bool:
        """Whether the server has ended by itself or was ended."""
        return self.pid is None or self._ask("wait", seconds=0)["code"] is not None

    def stop(self) -> None:
        """End the server in order: what it has in memory is written."""
        self._ask("stop")
        if self._ask("wait", seconds=IN_ORDER_S)["code"] is None:
            self.kill()

    def kill(self) -> None:
        """End the server and its children at once, as `kill -9` does."""
        self._ask("kill")
        self._ask("wait", seconds=IN_ORDER_S)

    def freeze(self) -> None:
        """Let the server stand still: what is asked of it waits."""
        self._ask("freeze")

    def thaw(self) -> None:
        """Let it go on."""
        self._ask("thaw")

    def close(self) -> None:
        """End the server, and remove the folder if it was made for it; doing so again does nothing."""
        if not self._keeper.stdin or self._keeper.stdin.closed:
            return
        with suppress(BrokenPipeError):  # the keeper was killed before it read what it was sent last
            self._keeper.stdin.close()
        self._keeper.wait()
        if self._keeper.stdout:
            self._keeper.stdout.close()
        if not self._kept:
            places.remove_if_left(self.folder)  # the keeper may have been killed before

    def last_words(self) -> str:
        """The end of the log, for a message in one line."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        return " / ".join(lines[-3:]) or "it said nothing"

    def _ask(self, order: str, **arguments: Any) -> dict[str, Any]:  # Any: the values of JSON
        if not self._keeper.stdin or not self._keeper.stdout:
            raise AssertionError("the keeper has both pipes")
        try:
            with self._turn:
                self._keeper.stdin.write(json.dumps({"do": order, **arguments}).encode() + b"\n")
                self._keeper.stdin.flush()
                answer: dict[str, Any] = json.loads(self._keeper.stdout.readline())
        except (OSError, ValueError) as error:
            raise StorageUnavailable(f"the keeper of the server in {self.folder} was killed: close this one and start another") from error
        return answer

    def _start_keeper(self, lock: int, leave: int) -> subprocess.Popen[bytes]:
        arguments = [str(self.folder), "kept" if self._kept else "removed", str(int(leave)), str(os.getpid())]
        return subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", KEEPER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCES)},
            pass_fds=[lock],
            start_new_session=True,  # so that Ctrl-C reaches the tests, and the server when they are done
        )


def _taken(folder: Path) -> int:
    """The lock of a folder that is kept, from which a server that lost its keeper is driven out."""
    folder.mkdir(mode=places.SEARCHABLE, parents=True, exist_ok=True)
    lock = places.hold(folder)
    places.end_servers_in(folder)
    return lock
