"""
Three small stores whose faults are known, to show that the sweeps find them and find nothing else.

    store                          kill                power
    in_place                       torn record         lost and torn records
    record_by_record               half a unit         half a unit
    Sqlite FULL                    -                   -
    Sqlite NORMAL                  -                   an acknowledged unit is lost
    Sqlite FULL, parent unsynced   -                   everything is lost (strict)

Each commits units of several records, like the storage they stand for; one workload and one judge fit all of them.
"""

import os
import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Literal, Protocol

from attrs import frozen

Records = Mapping[str, str]
UNITS = 4


class Store(Protocol):
    """Named records, opened in a folder."""

    def commit(self, changes: Records) -> None: ...
    def records(self) -> Records: ...


Toy = Callable[[Path], AbstractContextManager[Store]]


def changes(unit: int) -> Records:
    """What a unit writes: records of its own, and two that every unit replaces. Each spans sectors."""
    return {f"new-{unit}": f"{unit} " * 300, "hot": f"{unit} " * (200 + 50 * (unit % 3)), "last": str(unit)}


def expected(unit: int) -> Records:
    """All records after a unit."""
    found: dict[str, str] = {}
    for done in range(1, unit + 1):
        found.update(changes(done))
    return found


@frozen
class ToyWorkload:
    """Open a store, commit some units, and acknowledge each."""

    toy: Toy
    units: int = UNITS

    def __call__(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        with self.toy(folder) as store:
            for unit in range(1, self.units + 1):
                store.commit(changes(unit))
                acknowledge(unit)


@frozen
class ToyRecovery:
    """Open a store and close it."""

    toy: Toy

    def __call__(self, folder: Path) -> None:
        with self.toy(folder) as store:
            store.records()


@frozen
class ToyJudge:
    """Exactly the records after an allowed number of units must be there, and one more unit must go in."""

    toy: Toy
    units: int = UNITS

    def __call__(self, folder: Path, acked: int, upto: int) -> str | None:
        with self.toy(folder) as store:
            found = store.records()
            allowed = range(acked, min(acked + upto, self.units) + 1)
            if not any(found == expected(unit) for unit in allowed):
                return f"{len(found)} records that are the result of none of the units {list(allowed)}"
            store.commit({"after": "all"})
        with self.toy(folder) as store:
            return None if store.records() == {**found, "after": "all"} else "the next unit is not what is read back"


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@frozen
class _InPlace:
    folder: Path

    def commit(self, changes: Records) -> None:
        for name, text in changes.items():
            (self.folder / name).write_text(text)

    def records(self) -> Records:
        return {path.name: path.read_text() for path in self.folder.iterdir()}


@frozen
class _RecordByRecord:
    folder: Path

    def commit(self, changes: Records) -> None:
        for name, text in changes.items():
            fresh = self.folder / f"{name}.tmp"
            with fresh.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(self.folder / name)
            _sync(self.folder)

    def records(self) -> Records:
        return {path.name: path.read_text() for path in self.folder.iterdir() if path.suffix != ".tmp"}


@frozen
class _Database:
    connection: sqlite3.Connection

    def commit(self, changes: Records) -> None:
        with self.connection:
            self.connection.executemany("INSERT OR REPLACE INTO record VALUES (?, ?)", changes.items())

    def records(self) -> Records:
        return dict(self.connection.execute("SELECT name, text FROM record"))


@contextmanager
def in_place(folder: Path) -> Generator[Store]:
    """Overwrites each record where it stands."""
    yield _InPlace(folder)


@contextmanager
def record_by_record(folder: Path) -> Generator[Store]:
    """Replaces each record as carefully as can be: which makes it a whole record, and not a whole unit."""
    yield _RecordByRecord(folder)


@frozen(kw_only=True)
class Sqlite:
    """Keeps records in an SQLite database with a write-ahead log, in a folder that it makes."""

    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    parent_synced: bool = True  #: make the name of that folder durable

    @contextmanager
    def __call__(self, folder: Path) -> Generator[Store]:
        home = folder / "store"
        home.mkdir(exist_ok=True)
        if self.parent_synced:
            _sync(folder)  # also when it was there: whoever made it may have died before syncing it
        with closing(sqlite3.connect(home / "state.sqlite3")) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self.synchronous}")
            connection.execute("CREATE TABLE IF NOT EXISTS record (name TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")
            yield _Database(connection)
