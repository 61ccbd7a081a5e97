"""The command line, run in this process, with the variables of one test."""

from __future__ import annotations

import json
from collections.abc import Callable
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
