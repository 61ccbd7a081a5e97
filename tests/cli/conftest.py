"""The command, run in this process, on files of the test's own."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from deskstore.cli import main


@frozen
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # Any: JSON
        return json.loads(self.out)

    @property
    def lines(self) -> list[list[str]]:
        """The words of each line, as a table has them."""
        return [line.split() for line in self.out.splitlines()]


Deskstore = Callable[..., Ran]


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def deskstore(data_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Deskstore:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ran:
        code = main(["--data-path", str(data_path), *words])
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a command that is a process of its own, its data in the test's folder."""
    path = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, "PYTHONPATH": path, "DATA_PATH": str(tmp_path / "data"), "TERM": "xterm-256color", "COLUMNS": "120"}
