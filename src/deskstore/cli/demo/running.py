"""What `deskstore demo --full` runs beside itself: commands, and an application under load; none of them outlives it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import click
from attrs import Factory, define, frozen

from deskstore.cli.demo.load import COMPANY, PLATFORM
from deskstore.cli.demo.look import Place
from deskstore.cli.failures import OK
from deskstore.cli.shared import shared
from deskstore.domain.errors import StorageUnavailable

PATIENCE_S: Final = 120.0  #: for what happens at once, on a machine that is busy with something else
LOOK_AGAIN_S: Final = 0.1


@frozen(kw_only=True)
class Ran:
    """What came of a command."""

    code: int
    shown: Any  #: Any: the JSON that it printed; None where it printed none


@frozen(kw_only=True)
class Shell:
    """Where commands are run: with these settings, and none of the caller's."""

    settings: Mapping[str, str]
    log: Path  #: of the application

    def run(self, *words: str, storage: str = "file", codes: Sequence[int] = (OK,)) -> Ran:
        """
        Say a command as it would be typed, and run it.

        Raises:
            StorageUnavailable: It ended as it should not.
        """
        _say(words, storage)
        with _running(_command(words), self.variables(storage), stderr=subprocess.PIPE) as running:
            out, err = running.communicate()
        if running.returncode not in codes:
            raise StorageUnavailable(f"`deskstore {' '.join(words)}` ended with {running.returncode}: {' '.join(err.split())}")
        return Ran(code=running.returncode, shown=json.loads(out) if out else None)

    def killed(self, *words: str, storage: str = "file", when: Callable[[], bool]) -> None:
        """Begin a command, and kill it (kill -9) as soon as something is so."""
        _say(words, storage)
        with _running(_command(words), self.variables(storage), stderr=subprocess.DEVNULL) as running:
            wait_until(when, or_when=lambda: running.poll() is not None)

    def variables(self, storage: str) -> dict[str, str]:
        """The environment of a program: the caller's, but for what deskstore minds."""
        from deskstore.bootstrap import Settings

        ours = {variable for variable, _, _ in Settings().shown()}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        return {**kept, **self.settings, "STORAGE_TYPE": storage}


@define
class Load:
    """An application that saves tickets and works on them, and what it was told is safe."""

    process: subprocess.Popen[str]
    acknowledged: dict[Place, str] = Factory(dict[Place, str])
    slowest_s: float = 0.0  #: that a ticket took since somebody last asked
    refused: int = 0  #: times that the storage did not answer

    def listen(self, output: IO[str]) -> None:
        """Note what it says, until it has ended."""
        for line in output:
            if not line.endswith("\n"):
                return  # it was killed in the middle of the word
            number, digest, took_s, refused = json.loads(line)
            self.slowest_s = max(self.slowest_s, took_s)
            self.refused += refused
            self.acknowledged[Place(COMPANY, PLATFORM, number, "")] = digest

    def go_on(self, tickets: int) -> int:
        """Come back when so many more tickets were acknowledged, and tell how many that makes in all."""
        wanted = len(self.acknowledged) + tickets
        wait_until(lambda: len(self.acknowledged) >= wanted, or_when=lambda: self.process.poll() is not None)
        return len(self.acknowledged)

    def slowest(self) -> float:
        """How long the slowest ticket took since this was asked last."""
        slowest_s, self.slowest_s = self.slowest_s, 0.0
        return slowest_s


@contextmanager
def under_load(shell: Shell, known: Mapping[Place, str]) -> Generator[Load]:
    """An application that runs on both sides, and comes to its end in good order behind the block; what it logs is kept."""
    command = [sys.executable, "-m", "deskstore.cli.demo.load", str(len(known) + 1)]
    with shell.log.open("ab") as log, _running(command, shell.variables("hybrid"), stderr=log.fileno()) as process:
        load = Load(process, {**known})
        if not process.stdin or not process.stdout:
            raise AssertionError("the load has both pipes")
        listening = threading.Thread(target=load.listen, args=[process.stdout], daemon=True)
        listening.start()
        try:
            yield load
            process.stdin.close()
            listening.join(PATIENCE_S)
        finally:
            process.kill()
            listening.join()  # before what it reads is closed


@contextmanager
def logged_to(file: Path) -> Generator[None]:
    """Keep what deskstore logs in this process in a file, not on the screen."""
    logger = logging.getLogger("deskstore")
    before = logger.handlers, logger.propagate
    handler = logging.FileHandler(file, encoding="utf-8")
    logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before
        handler.close()


@contextmanager
def _running(command: Sequence[str], variables: Mapping[str, str], *, stderr: int) -> Generator[subprocess.Popen[str]]:
    """A program that does not outlive the block; in a session of its own, so that a Ctrl-C is ours alone."""
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - our own modules
        command, env=variables, stdin=pipe, stdout=pipe, stderr=stderr, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(is_so: Callable[[], bool], *, or_when: Callable[[], bool]) -> None:
    """
    Look again and again.

    Raises:
        StorageUnavailable: It did not happen in time, or cannot happen any more.
    """
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        if or_when() or time.monotonic() > end:
            raise StorageUnavailable("what comes next did not happen: application.log in the demo's folder may tell why")
        time.sleep(LOOK_AGAIN_S)


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "deskstore.cli", *words, "--json"]


def _say(words: Sequence[str], storage: str) -> None:
    if not shared().as_json:
        click.secho(f"      $ STORAGE_TYPE={storage} deskstore {' '.join(words)}", dim=True)
