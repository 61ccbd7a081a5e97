"""
The redo journal: what was acknowledged, on its way into the files.

A unit's file bodies are rows of the database, so its COMMIT keeps them all or none. Afterwards they are written to the files without a
sync, and a checkpoint makes many files durable at once before it drops their rows.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from typing import Final, NamedTuple, TypeVar

from deskstore.adapters.file import database, layout
from deskstore.adapters.file.company import OpenCompany, checksum, hold, release, trusted, try_alone, within
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.tree import StrangerInTree
from deskstore.domain.errors import StorageBusy
from deskstore.domain.identifiers import Key

V = TypeVar("V")
logger: Final = logging.getLogger("deskstore")

CHECKPOINT_WAIT_S: Final = 30.0  #: how long a checkpoint waits for that of another process
MOST_BYTES: Final = 8 * 1024 * 1024  #: of redo bodies that call for a checkpoint
_PENDING: Final = """
    select file, body, seq from redo as newest
    where seq > ? and seq = (select max(seq) from redo where file = newest.file) order by seq
"""


class Redo(NamedTuple):
    """What a file is to hold."""

    file: str
    body: bytes | None  #: None: there is to be no file
    crc: int | None  #: CRC-32 of the body
    before: int | None  #: CRC-32 of what the file held before, None when there was none


def append(company: OpenCompany, file: str, body: bytes | None, before: int | None) -> None:
    """Record what a file is to hold; inside the unit's transaction."""
    append_many(company, [Redo(file, body, None if body is None else checksum(body), before)])


def append_many(company: OpenCompany, rows: Sequence[Redo]) -> None:
    """Record what files are to hold; inside the unit's transaction."""
    company.writer.executemany("insert into redo (file, body, crc, before) values (?, ?, ?, ?)", rows)
    company.gathered_rows += len(rows)
    company.gathered_bytes += sum(len(row.body or b"") for row in rows)


def newest(company: OpenCompany, file: str, crc: int, key: Key) -> bytes:
    """The bytes a file contains, or is to contain; raises CorruptRecord."""
    row = company.writer.execute("select body from redo where file = ? and crc = ? order by seq desc limit 1", (file, crc)).fetchone()
    return row[0] if row else trusted(_read(company, file), crc, key, file)


def write_files(company: OpenCompany) -> None:
    """Bring what was committed into the files, without a sync; holds the writer lock, so that an older body never follows a newer one."""
    with company.thread_lock, database.transaction(company.writer, durable=False, begin=company.begin):
        company.check_in_place()
        rows = company.writer.execute(_PENDING, (company.index.number("applied"),)).fetchall()
        if not rows:
            return
        _replace(company, {file: body for file, body, _ in rows})
        company.index.set_meta("applied", rows[-1][2])


def is_due(company: OpenCompany, most_rows: int, *, times: int = 1) -> bool:
    """Whether enough has gathered for a checkpoint to pay, that many times over."""
    has_gathered = company.gathered_rows >= times * most_rows or company.gathered_bytes >= times * MOST_BYTES
    return has_gathered or database.log_reaches(company.database, times * company.log_due)


def checkpoint(company: OpenCompany) -> None:
    """
    Make all written files durable, drop their redo rows, and copy the write-ahead log back; the writer lock is free while the disk works.

    Raises:
        OSError, StrangerInTree: The disk refused, or something stands in the way; the rows stay, and those files will be written anew.
        sqlite3.Error: The disk refused the log or the database; both are written anew, now or before the next commit.
    """
    with closing(company.connect()) as connection, _checkpoint_lock(company):
        company.gathered_rows = company.gathered_bytes = 0
        _drop_written(company, connection)
        _copy_log_back(company, connection)


def _drop_written(company: OpenCompany, connection: sqlite3.Connection) -> None:
    index = Index(connection)
    if company.is_mark_in_doubt:
        _lower_mark(company, connection)
    mark = index.number("applied")
    files = [file for (file,) in connection.execute("select distinct file from redo where seq <= ?", (mark,))]
    if not files:
        return
    try:
        company.tree.make_durable(files, together=index.first_redo() > company.rows_before)
    except (OSError, StrangerInTree):
        # the kernel reports a failed sync once: whoever holds the lock next must not take these files for durable
        company.is_mark_in_doubt = True
        _lower_mark(company, connection)
        raise
    with company.thread_lock, database.transaction(connection, durable=False, begin=company.begin):
        connection.execute("delete from redo where seq <= ?", (mark,))


def _copy_log_back(company: OpenCompany, connection: sqlite3.Connection) -> None:
    try:
        _copying_back(company, lambda: database.copy_log_back(connection))
        if database.log_reaches(company.database, company.log_due):
            with company.thread_lock:
                company.log_due = _copying_back(company, lambda: database.restart_log(connection, busy_s=company.busy_s))
    except sqlite3.Error:
        with company.thread_lock:
            company.is_log_in_doubt = company.is_log_in_doubt and not database.renew(connection, company.database)
        raise


def _copying_back(company: OpenCompany, copy: Callable[[], V]) -> V:
    with company.copying_back:
        try:
            return copy()
        except sqlite3.Error:
            company.is_log_in_doubt = True
            raise


def _lower_mark(company: OpenCompany, connection: sqlite3.Connection) -> None:
    """Have all files of the journal written anew."""
    with company.thread_lock, database.transaction(connection, durable=False, begin=company.begin):
        Index(connection).set_meta("applied", 0)
    company.is_mark_in_doubt = False


def _read(company: OpenCompany, file: str) -> bytes | StrangerInTree | OSError | None:
    (body,) = company.tree.read_many([file])
    return body


def _replace(company: OpenCompany, bodies: dict[str, bytes | None]) -> None:
    while True:
        try:
            return company.tree.replace_many(bodies)
        except StrangerInTree as stranger:
            place = company.tree.move(stranger.path, f"{layout.EDITED}/{stranger.path}")
            logger.error("%s: %s; it was moved to %s", company.path, stranger, place, extra={"company_id": company.company_id})


@contextmanager
def _checkpoint_lock(company: OpenCompany) -> Generator[None, None, None]:
    descriptor = hold(str(company.path / layout.CHECKPOINT_LOCK))
    try:
        if not within(CHECKPOINT_WAIT_S, lambda: try_alone(descriptor)):
            raise StorageBusy(f"{company.path}: another process has been making files durable for more than {CHECKPOINT_WAIT_S:g} s")
        yield
    finally:
        release(descriptor)
