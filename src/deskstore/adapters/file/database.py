"""
A company's SQLite database: redo journal, index, claims, checkpoints, outbox and the writer lock across processes.

Write-ahead log. A commit that acknowledges runs at synchronous=FULL, bookkeeping at NORMAL; the log keeps their order, so a power cut
can undo bookkeeping only together with all that came after it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Final
from urllib.parse import quote

from deskstore.adapters.file.tree import StrangerInTree
from deskstore.domain.errors import StorageBusy, StorageUnavailable

_READ_ONLY_CODES: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
#: what to do about an error of the operating system
_ADVICE: Final = {
    errno.EACCES: "check DATA_PATH, its owner and its permissions",
    errno.EPERM: "check DATA_PATH, its owner and its permissions",
    errno.EROFS: "mount it so that it can be written, or set DATA_PATH to another place",
    errno.EMFILE: "raise the limit of open files (ulimit -n), or keep fewer companies in use at a time",
    errno.ENFILE: "close other programs: the machine has no open file left to give",
    errno.EIO: "check DATA_PATH and the disk it is on",
}
CLAIMS_FROM: Final = "claims_from_us"  #: among the facts in meta: until then no ticket is handed out, since claims may live that were lost
LOG_FRAMES: Final = 4_000  #: changed pages in the write-ahead log after which it begins anew
_RESTART_MS: Final = 100  #: how long writers may be held up by readers of an earlier state
_PIECE_BYTES: Final = 2**20
_LOG_HEAD_BYTES: Final = 32
_FRAME_HEAD_BYTES: Final = 24

SCHEMA: Final = """
create table meta (name text primary key, value) without rowid;
create table record (
    kind text, platform text, id text, locale text,
    version integer not null, sha256 blob not null, text_digest blob not null, source_version text,
    status text, created_us integer not null, saved_us integer not null, crc integer not null,
    processing text, attempts integer, error text, worker text, token text, lease_us integer, claimed_digest blob,
    claimable_us integer, changed_us integer, processing_version integer, settled blob,
    primary key (kind, platform, id, locale)
) without rowid;
create index record_page on record (kind, created_us, platform, id, locale);
create index record_platform on record (kind, platform, created_us, id, locale);
create index record_status on record (kind, status, created_us, platform, id, locale);
create index record_processing on record (kind, processing, created_us, platform, id, locale);
create index record_claimable on record (platform, claimable_us, id) where claimable_us is not null;
create table summary (
    kind text, platform text, id text, locale text, number integer,
    version integer not null, pinned integer not null, source_digest blob not null, crc integer not null,
    primary key (kind, platform, id, locale, number)
) without rowid;
create table checkpoint (
    platform text, stream text, cursor text not null, version integer not null, primary key (platform, stream)
) without rowid;
create table suppression (
    platform text, digest text, secret blob not null, created_us integer not null, tickets integer not null, summaries integer not null,
    version integer not null, primary key (platform, digest)
) without rowid;
create table tally (
    kind text, platform text, processing text, n integer not null, primary key (kind, platform, processing)
) without rowid;
create table platform (platform text primary key, changed_us integer not null) without rowid;
create table outbox (
    consumer text, part text, kind text, platform text, id text, locale text, number integer, version integer not null,
    primary key (consumer, part, kind, platform, id, locale, number)
) without rowid;
create table tombstone (
    part text, kind text, platform text, id text, locale text, number integer, version integer not null,
    primary key (part, kind, platform, id, locale, number)
) without rowid;
create table doubt (
    kind text, platform text, id text, locale text, number integer, file text not null,
    primary key (kind, platform, id, locale, number, file)
) without rowid;
create table redo (seq integer primary key autoincrement, file text not null, body blob, crc integer, before integer);
create index redo_file on redo (file, seq);
create trigger record_came after insert on record begin
    insert into tally values (new.kind, new.platform, coalesce(new.processing, ''), 1)
        on conflict do update set n = n + 1;
end;
create trigger record_went after delete on record begin
    update tally set n = n - 1 where kind = old.kind and platform = old.platform and processing = coalesce(old.processing, '');
end;
create trigger record_moved after update of processing on record when old.processing is not new.processing begin
    update tally set n = n - 1 where kind = old.kind and platform = old.platform and processing = coalesce(old.processing, '');
    insert into tally values (new.kind, new.platform, coalesce(new.processing, ''), 1)
        on conflict do update set n = n + 1;
end;
"""


def connect(path: str, *, busy_s: float, must_exist: bool = False) -> sqlite3.Connection:
    """
    A connection in autocommit mode, on a database in write-ahead mode, which is made if it may be missing.

    Raises:
        StorageUnavailable: The file system has no shared memory or locks, as network file systems do.
    """
    mode = "rw" if must_exist else "rwc"
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}",
        uri=True,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    with closed_on_error(connection):
        (journal,) = connection.execute("pragma journal_mode=wal").fetchone()
        if journal != "wal":
            raise StorageUnavailable(f"{path}: SQLite cannot keep a write-ahead log here: put DATA_PATH on a disk of this machine")
        connection.execute("pragma wal_autocheckpoint=0")  # SQLite would copy the log back unasked, and tell nobody of a failed sync
        connection.execute("pragma journal_size_limit=67108864")
        connection.execute("pragma trusted_schema=off")
    return connection


def look_into(path: str, *, busy_s: float) -> sqlite3.Connection:
    """A connection to read whatever database is there, which changes nothing of it, as another program's may be."""
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=ro", uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False
    )


def has_schema(connection: sqlite3.Connection) -> bool:
    """Whether it is a database of ours; until the transaction that makes one has committed, there is a file without tables."""
    (tables,) = connection.execute("select count(*) from sqlite_master where name = 'meta'").fetchone()
    return bool(tables)


@contextmanager
def closed_on_error(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Close the connection if anything goes wrong in the block."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


class UnexpectedValue(sqlite3.DatabaseError):
    """A value in the database that deskstore never wrote; counts as damage."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def begin_immediate(connection: sqlite3.Connection) -> None:
    """Begin a transaction that may write, as soon as SQLite gives its writer lock."""
    connection.execute("begin immediate")


@contextmanager
def transaction(
    connection: sqlite3.Connection, *, durable: bool, begin: Callable[[sqlite3.Connection], object] = begin_immediate
) -> Generator[None, None, None]:
    """Hold the writer lock and commit at the end of the block, synced to disk if durable; an error inside rolls all of it back."""
    connection.execute("pragma synchronous=full" if durable else "pragma synchronous=normal")
    begin(connection)
    try:
        yield
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")


def log_reaches(path: str, frames: int) -> bool:
    """
    Whether the write-ahead log of the database at a path holds so many frames, or more, since it last began anew.

    Older frames may stand behind those that count, which bear the salt of the log's head: see "WAL File Format" at
    sqlite.org/fileformat2.html.
    """
    try:
        with open(f"{path}-wal", "rb", buffering=0) as log:
            head = log.read(_LOG_HEAD_BYTES)
            frame_bytes = _FRAME_HEAD_BYTES + int.from_bytes(head[8:12])
            frame = os.pread(log.fileno(), _FRAME_HEAD_BYTES, _LOG_HEAD_BYTES + (frames - 1) * frame_bytes)
    except OSError:  # whoever asks has more important things to do; the next one looks again
        return False
    return len(frame) == _FRAME_HEAD_BYTES and frame[8:16] == head[16:24]


def copy_log_back(connection: sqlite3.Connection) -> None:
    """Write into the database what its log holds and no reader of an earlier state needs, durably, while others write."""
    connection.execute("pragma wal_checkpoint(passive)")


def restart_log(connection: sqlite3.Connection, *, busy_s: float) -> int:
    """
    Write what is left of the log into the database, and let the next writer begin it anew; says at how many frames to do so again.

    Holds the writer lock, since a log that is always written to would never be copied to its end, and waits a moment for readers.
    """
    connection.execute(f"pragma busy_timeout={_RESTART_MS}")
    try:
        (busy, frames, _) = connection.execute("pragma wal_checkpoint(restart)").fetchone()
    finally:
        connection.execute(f"pragma busy_timeout={int(busy_s * 1_000)}")
    return LOG_FRAMES + frames if busy else LOG_FRAMES


def renew(connection: sqlite3.Connection, path: str) -> bool:
    """
    Write log and database at a path anew, every page of them, after a sync failed; says whether nobody stood in the way.

    SQLite counts on the sync of one checkpoint for pages of earlier ones, which it does not write again. The log comes first: if it had a
    gap, and the power was lost in the midst of this, older pages would be copied over newer ones.
    """
    make_log_whole(connection, path)
    connection.execute("vacuum")
    (busy, *_) = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    return not busy


def make_log_whole(connection: sqlite3.Connection, path: str) -> None:
    """
    Write the log of the database at a path once more, durably, after a sync of it failed.

    The kernel forgets what a failed sync did not write, and says so once: no later sync makes a file whole. A gap in the log would take
    along all commits behind it.
    """
    connection.execute("begin immediate")
    try:
        _write_again(f"{path}-wal")
    finally:
        connection.execute("rollback")


def _write_again(path: str) -> None:
    """Write the bytes that a file has, and sync it: what the kernel only believes to be on the disk is written there."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        at = 0
        while piece := os.pread(descriptor, _PIECE_BYTES, at):
            at += os.pwrite(descriptor, piece, at)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def snapshot(connection: sqlite3.Connection, *, hold_writers: bool) -> Generator[None, None, None]:
    """Let all reads of the block see one state, and keep it the present one if writers are held."""
    connection.execute("begin immediate" if hold_writers else "begin")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("rollback")


class _Translation:
    """A block whose errors become ours; a generator would cost each read of a record three times as much."""

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, traceback: object, /) -> None:
        match error:
            case sqlite3.Error() | UnicodeDecodeError():
                raise _from_sqlite(error, self._place) from error
            case StrangerInTree():
                advice = "which deskstore did not put there and does not follow: move it away"
                raise StorageUnavailable(f"{self._place}: {error}, {advice}") from error
            case OSError():
                raise from_os(error, self._place) from error
            case _:
                pass


def translated(place: str) -> AbstractContextManager[None]:
    """Turn what SQLite and the operating system raise in the block into our errors."""
    return _Translation(place)


def is_damaged(error: BaseException | None) -> bool:
    """Whether SQLite found that the file is no sound database, or Python that text in it is no text."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, sqlite3.OperationalError | UnicodeDecodeError)
    return bool(code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


def is_full(error: BaseException | None) -> bool:
    """Whether SQLite found no room to write."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def is_half_made(error: BaseException) -> bool:
    """Whether a database cannot be looked into before it was put back: who made it was killed before it kept a log."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_ROLLBACK


def is_missing(error: BaseException | None) -> bool:
    """Whether SQLite found no file to open."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CANTOPEN


def from_os(error: OSError, place: str) -> StorageUnavailable:
    """Our error for one of the operating system."""
    if error.errno == errno.ENOSPC:
        return StorageUnavailable(f"{place}: no space left (or no inodes: df -h, df -i): make room and try again; nothing was kept")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StorageUnavailable(f"{error.filename or place}: {reason}: {_ADVICE.get(error.errno or 0, _ADVICE[errno.EIO])}")


def _from_sqlite(error: sqlite3.Error | UnicodeDecodeError, place: str) -> StorageUnavailable:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageBusy(f"{place}: another process held the lock for too long; nothing was written, try again")
    if is_damaged(error):
        return StorageUnavailable(f"{place}: the database is damaged ({error}): close every process that uses it; the next one rebuilds it")
    if code == sqlite3.SQLITE_FULL:
        return StorageUnavailable(f"{place}: no space left: make room and try again; nothing was kept")
    if code in _READ_ONLY_CODES:
        return StorageUnavailable(f"{place}: this process may not write there: {_ADVICE[errno.EACCES]}")
    return StorageUnavailable(f"{place}: {error}: {_ADVICE[errno.EIO]}")
