"""Writers of several processes take turns: one that never stops does not starve the others."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskstore.adapters.file import database
from deskstore.adapters.file.company import hold
from deskstore.adapters.file.writer_lock import WriterLock
from deskstore.domain.errors import StorageBusy

HELD_S = 0.05


class Writer:
    """A writer as another process would be one: its own connection and its own open lock file."""

    def __init__(self, folder: Path, busy_s: float) -> None:
        self.connection = sqlite3.connect(folder / "state.sqlite3", timeout=busy_s, isolation_level=None, check_same_thread=False)
        self.lock = WriterLock(str(folder), hold(str(folder / "waiting.lock")), busy_s)

    def write(self, seconds: float) -> None:
        with database.transaction(self.connection, durable=False, begin=self.lock.begin):
            time.sleep(seconds)

    def close(self) -> None:
        self.connection.close()
        self.lock.close()


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[tuple[Writer, Writer]]:
    made = Writer(tmp_path, busy_s=5.0), Writer(tmp_path, busy_s=5.0)
    made[0].connection.execute("pragma journal_mode=wal")
    yield made
    for writer in made:
        writer.close()


def test_a_writer_that_never_stops_lets_others_in(writers: tuple[Writer, Writer]) -> None:
    greedy, modest = writers
    done = threading.Event()

    def go_on() -> None:
        while not done.is_set():
            greedy.write(HELD_S)

    busy = threading.Thread(target=go_on)
    busy.start()
    try:
        began = time.monotonic()
        for _ in range(10):
            modest.write(0)
        waited_s = time.monotonic() - began
    finally:
        done.set()
        busy.join()

    assert waited_s < 10 * HELD_S * 6, "each turn should come after about one of the other's"


def test_a_writer_that_holds_the_lock_too_long_makes_others_busy(tmp_path: Path) -> None:
    holder, asker = Writer(tmp_path, busy_s=5.0), Writer(tmp_path, busy_s=0.1)
    holder.lock.begin(holder.connection)

    with pytest.raises(StorageBusy, match=str(tmp_path)):
        asker.write(0)

    holder.connection.execute("rollback")
    asker.write(0)
    holder.close()
    asker.close()


def test_nobody_is_given_way_to_when_nobody_waits(writers: tuple[Writer, Writer], monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    for _ in range(20):
        writers[0].write(0)

    assert slept == [0] * 20
