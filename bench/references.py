"""
What deskstore is measured against, each written as plainly and as fast as it can be.

The *floor* keeps what any storage with a file per record must do: write the files, and bring them to the disk in one pass. It is not
whole after a crash and has no index. *Per record* is what careful programs do for a single file. *SQLite* keeps the same JSON in one table.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import orjson

from bench.tickets import PLATFORM
from deskstore.domain import times
from deskstore.domain.records import Ticket

_TABLE: Final = """
    create table if not exists ticket (platform text, id text, status text, created_us integer, body blob, primary key (platform, id))
"""
_PAGE: Final = "select body from ticket where platform = ? and status = ? order by created_us desc, id desc limit 100"


def write_floor(folder: Path, tickets: Sequence[Ticket]) -> None:
    """Raw files, written back together and then synced one by one, with their directory."""
    paths = [str(folder / f"{ticket.ticket_id}.json") for ticket in tickets]
    for path, ticket in zip(paths, tickets, strict=True):
        _write(path, ticket.payload)
    for path in paths:
        _with_file(path, _start_write_back)
    for path in paths:
        _with_file(path, os.fsync)
    _sync_folder(folder)


def write_per_record(folder: Path, tickets: Iterable[Ticket]) -> None:
    """Each record by itself: a temporary file, fsync, rename, fsync of the directory."""
    for ticket in tickets:
        draft, path = str(folder / "draft"), str(folder / f"{ticket.ticket_id}.json")
        _write(draft, ticket.payload)
        _with_file(draft, os.fsync)
        os.replace(draft, path)
        _sync_folder(folder)


def read_and_parse(folder: Path) -> int:
    """Read and parse every file of a folder; how many there are."""
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with open(entry.path, "rb") as file:
                orjson.loads(file.read())
            count += 1
    return count


class SqliteTable:
    """The same JSON in one table, durable at each commit."""

    def __init__(self, path: Path) -> None:
        self._connection: Final = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("pragma journal_mode=wal")
        self._connection.execute("pragma synchronous=full")
        self._connection.execute(_TABLE)
        self._connection.execute("create index if not exists ticket_page on ticket (platform, status, created_us, id)")

    def save(self, tickets: Iterable[Ticket]) -> None:
        """Keep some tickets in one transaction."""
        self._connection.execute("begin immediate")
        self._connection.executemany("insert or replace into ticket values (?, ?, ?, ?, ?)", [_row(ticket) for ticket in tickets])
        self._connection.execute("commit")

    def page(self, status: str) -> list[object]:
        """The values of the hundred newest tickets with a status."""
        return [orjson.loads(body) for (body,) in self._connection.execute(_PAGE, (PLATFORM, status))]

    def find(self, ticket_id: str) -> object:
        """The value of one ticket, or None."""
        found = self._connection.execute("select body from ticket where platform = ? and id = ?", (PLATFORM, ticket_id)).fetchone()
        return orjson.loads(found[0]) if found else None

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()


def _row(ticket: Ticket) -> tuple[str, str, str | None, int, bytes]:
    return ticket.platform, ticket.ticket_id, ticket.fields.status, times.microseconds(ticket.fields.created_at), ticket.payload


def _write(path: str, body: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, body)
    os.close(descriptor)


def _with_file(path: str, act: Callable[[int], object]) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    act(descriptor)
    os.close(descriptor)


def _start_write_back(descriptor: int) -> None:
    if sys.platform != "darwin":
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_folder(folder: Path) -> None:
    _with_file(str(folder), os.fsync)
