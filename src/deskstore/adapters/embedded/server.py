"""What every server of one's own can do."""

from __future__ import annotations

import abc
import time
from typing import TYPE_CHECKING, Final, Self

from deskstore.adapters.embedded.ports import free_port
from deskstore.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deskstore.adapters.embedded.keeping import KeptProcess

ATTEMPTS: Final = 5  #: ports to try: each was free a moment before
READY_S: Final = 60.0  #: a server that recovers from a crash takes its time
ASK_AGAIN_S: Final = 0.005


class Server(abc.ABC):
    """
    A server on loopback that ends with this process, however that ends.

    Its methods block for up to some hundred milliseconds: call them through `asyncio.to_thread` where other tasks must go on meanwhile.
    """

    #: what the server says when somebody else has its port
    taken: str

    def __init__(self, name: str, process: KeptProcess) -> None:
        self.port = free_port()  #: the same for every start but the first
        self._name = name
        self._process = process

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """Where clients find it, as somebody who may do everything."""

    @property
    def folder(self) -> Path:
        """Where its files are; what it says goes to `log`."""
        return self._process.folder

    @property
    def pid(self) -> int | None:
        """Its first process, or the last one that was."""
        return self._process.pid

    @property
    def keeper(self) -> int:
        """The process that ends the server when this one is gone."""
        return self._process.keeper

    def start(self) -> Self:
        """
        Start, and come back when it answers.

        Raises:
            StorageUnavailable: It does not start; the message ends with what it said.
        """
        first = self.pid is None
        for _ in range(ATTEMPTS):
            self._process.start(self._command())
            if self._ready():
                return self
            if not first or self.taken not in self._process.last_words():
                break
            self.port = free_port()
        raise StorageUnavailable(f"{self._name} did not start: {self._process.last_words()}")

    def stop(self) -> None:
        """End in order; start() goes on at the same place, with what it keeps."""
        self._process.stop()

    def kill(self) -> None:
        """End at once, as `kill -9` of all its processes does."""
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
        """End for good, and remove the files unless they are to be kept; doing so again does nothing."""
        self._process.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready(self) -> bool:
        """Whether it answers, in time."""
        last = time.monotonic() + READY_S
        while time.monotonic() < last:
            if self._answers():
                return True
            if self._process.ended():
                return False
            time.sleep(ASK_AGAIN_S)
        self.kill()
        return False

    @abc.abstractmethod
    def _command(self) -> Sequence[str]:
        """What starts it; everybody can read it, so it holds no secret."""

    @abc.abstractmethod
    def _answers(self) -> bool:
        """Whether it is ready; another server that has the port meanwhile must not be mistaken for it."""
