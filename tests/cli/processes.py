"""The command as a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

PROGRAM: Final = [sys.executable, "-m", "deskstore.cli"]


def run(environment: dict[str, str], *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """What a command leaves behind, run where its data are."""
    folder = Path(environment["DATA_PATH"]).parent
    return subprocess.run([*PROGRAM, *words], cwd=folder, env=environment, input=given, capture_output=True, check=False)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Look again and again; fail after a minute."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "it did not happen within a minute"
        time.sleep(0.005)


def holds(folder: Path, least: int) -> bool:
    """Whether so many files are in a folder already."""
    return folder.is_dir() and len([*folder.iterdir()]) >= least
