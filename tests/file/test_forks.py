"""What a process forked while it held a lock keeps nobody out: it goes with the parent's hold on it."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest

from deskstore.adapters.file import FileStorage, erasing, layout
from deskstore.adapters.file.company import OpenCompany, hold, release, try_alone
from deskstore.adapters.file.tree import Tree, flush
from deskstore.testing.clock import ManualClock
from deskstore.testing.desk import Desk
from deskstore.testing.makers import a_ticket


class Child:
    """All descriptors of some files that a fork inherits, and with them the locks."""

    def __init__(self) -> None:
        self._inherited: list[int] = []

    def inherit(self, *paths: Path) -> None:
        """Come to be while this process has those files open."""
        wanted = {path.stat().st_ino for path in paths if path.exists()}
        for descriptor in range(3, 256):
            with suppress(OSError):
                if os.fstat(descriptor).st_ino in wanted:
                    self._inherited.append(os.dup(descriptor))

    def end(self) -> None:
        for descriptor in self._inherited:
            os.close(descriptor)

    @property
    def has_inherited(self) -> bool:
        return bool(self._inherited)


@pytest.fixture
def child() -> Generator[Child, None, None]:
    child = Child()
    yield child
    child.end()


@contextmanager
def held(path: Path) -> Generator[int, None, None]:
    lock = hold(str(path))
    try:
        yield lock
    finally:
        release(lock)


async def test_a_fork_during_a_checkpoint_holds_up_neither_checkpoints_nor_recovery(base: Path, clock: ManualClock, child: Child) -> None:
    storage = FileStorage(base, clock=clock, checkpoint_rows=1)
    locks = [base / "acme" / name for name in (layout.LOCK, layout.CHECKPOINT_LOCK)]

    def fork(descriptor: int) -> None:
        child.inherit(*locks)
        flush(descriptor)

    def spy(company: OpenCompany, _: datetime) -> None:
        vars(company.tree)["_flush"] = fork

    await storage.write("acme", 0, spy)
    await Desk(storage, "acme").keep(a_ticket())
    await storage.aclose()

    assert child.has_inherited
    for path in locks:
        with held(path) as lock:
            assert try_alone(lock)


def test_a_fork_during_an_erasure_holds_up_no_other(tmp_path: Path, child: Child) -> None:
    class Forking(Tree):
        def is_still_at(self, path: str | os.PathLike[str]) -> bool:
            child.inherit(tmp_path / erasing.DOOMED)
            return super().is_still_at(path)

    (tmp_path / "acme").mkdir()
    with closing(Forking.open(tmp_path / "acme")) as company:
        erasing.remove(tmp_path / "acme", company)

    assert child.has_inherited
    descriptor = os.open(tmp_path / erasing.DOOMED, os.O_RDONLY)
    assert try_alone(descriptor)
    os.close(descriptor)
