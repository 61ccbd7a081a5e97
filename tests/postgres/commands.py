"""The command line, run in this process, with the variables of one test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deskstore.cli import main
from tests.cli.conftest import Ran


class Shell:
    """
    Somebody who sets variables and calls `deskstore`; no test that uses it may be asynchronous, since commands have loops of their own.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, read: Callable[[], tuple[str, str]]) -> None:
        self._monkeypatch = monkeypatch
        self._read = read

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)

    def __call__(self, *words: str) -> Ran:
        self._read()
        code = main(list(words))
        return Ran(code, *self._read())
