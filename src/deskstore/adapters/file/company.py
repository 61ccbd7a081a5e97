"""One company that is open: its directory, its connections, and the proof that both are still in place."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, TypeVar
from zlib import crc32

from deskstore.adapters.file import database, layout
from deskstore.adapters.file.index import Index, state_of
from deskstore.adapters.file.place import Place
from deskstore.adapters.file.tree import StrangerInTree, Tree
from deskstore.adapters.file.writer_lock import WriterLock
from deskstore.domain.errors import CorruptRecord, StorageBusy, StoreReplaced
from deskstore.domain.identifiers import Key
from deskstore.domain.things import check_home

V = TypeVar("V")
_LOOK_AGAIN_S: Final = 0.01
_OUT_OF_MEANS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class OpenCompany:
    """
    A company's directory and database, held open by this process.

    One thread writes; any may read, each call on a connection of its own.
    """

    def __init__(self, place: Place, company_id: str, tree: Tree, lock: int, writer: sqlite3.Connection) -> None:
        self.company_id: Final = company_id
        self.path: Final = place.of(company_id)
        self.database: Final = str(self.path / layout.DATABASE)
        self.busy_s: Final = place.busy_s
        self.tree: Final = tree
        self.writer = writer
        self.index = Index(writer)
        self.store_id: Final = str(self.index.meta("store_id"))
        self._home = ""  #: the state, as it is written down, that was last seen to say that the company lives here
        self.has_file = False  #: whether company.json is known to be there
        self._lock = lock
        self._log: Final = f"{self.database}-wal"
        self._identities = self._found()
        #: writer and checkpoint of this process wait here, where SQLite would let one of them starve
        self.thread_lock: Final = threading.Lock()
        self._writer_lock: Final = WriterLock(str(self.path), hold(str(self.path / layout.WAITING)), place.busy_s)
        self._idle: list[sqlite3.Connection] = []  #: for whoever reads next; each is taken and given back in one step
        self.copying_back: Final = threading.Lock()  #: held while the log is copied back, until it is known how that went
        self.is_log_in_doubt = False  #: a sync of the write-ahead log failed, and the log was not replaced since
        self.is_mark_in_doubt = False  #: a sync of files failed, and the mark could not be lowered since
        self.rows_before = self.index.last_redo()  #: of the journal when it was opened: others wrote those files, or may have
        self.gathered_rows = 0  #: redo rows this process wrote since its last checkpoint
        self.gathered_bytes = 0
        self.log_due = database.LOG_FRAMES  #: how long the write-ahead log may become before it is to begin anew

    def check_in_place(self) -> None:
        """Raise StoreReplaced when another directory, database or log of one, or none, stands where this one was opened."""
        if not self.tree.is_still_at(self.path) or self._found() != self._identities:
            raise StoreReplaced(self.company_id, str(self.path))

    def check_home(self, told: str) -> None:
        """Raise CompanyMoved unless the company lives here, as its state has it that an index told."""
        if told != self._home:
            check_home(self.company_id, state_of(told), self.store_id)
            self._home = told

    def _found(self) -> tuple[tuple[int, int] | None, ...]:
        # a log that is no longer there is written to all the same, and every commit in it is lost
        return _identity(self.database), _identity(self._log)

    def begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction that may write, when it is this process's turn; the caller holds `turn`, or is alone."""
        self._writer_lock.begin(connection)

    def connect(self) -> sqlite3.Connection:
        """Another connection to the database, which must still be there."""
        return database.connect(self.database, busy_s=self.busy_s, must_exist=True)

    @contextmanager
    def reading(self, *, hold_writers: bool = False) -> Generator[Index, None, None]:
        """The index over a connection of one's own, seeing one state throughout; nobody commits meanwhile if writers are held."""
        connection = self._borrowed()
        try:
            with database.snapshot(connection, hold_writers=hold_writers):
                yield Index(connection)
        finally:
            self._idle.append(connection)

    def glance(self, look: Callable[[Index], V]) -> V:
        """What a look gives that asks the index one thing: a single statement sees one state, and needs no transaction around it."""
        connection = self._borrowed()
        try:
            return look(Index(connection))
        finally:
            self._idle.append(connection)

    def _borrowed(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self.connect()

    def is_alone(self) -> bool:
        """Whether no other process has the company open; if so, none can open it before this one closes it."""
        return try_alone(self._lock)

    def share(self) -> None:
        """Let other processes open the company, after this one was alone."""
        share(self._lock, self.busy_s, str(self.path))

    def reconnect(self) -> None:
        """
        Write over another connection from now on, since the present one failed in a commit.

        The old one is closed last: with the last connection SQLite forgets which frames of the log were never committed.
        """
        failed, self.writer = self.writer, self.connect()
        self.index = Index(self.writer)
        failed.close()

    def close(self) -> None:
        """Let go of everything; nobody may be using it any more."""
        self.disconnect()
        self.tree.close()
        release(self._lock)

    def disconnect(self) -> None:
        """Let go of all that was opened here; the directory and the lock stay with whoever passed them."""
        for connection in (*self._idle, self.writer):
            connection.close()
        self._idle.clear()
        self._writer_lock.close()


def hold(path: str) -> int:
    """An open lock file, made if need be, readable by its owner alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def release(lock: int) -> None:
    """Give a lock back and close its file, for what forked meanwhile would hold it for as long as it lives."""
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)


def try_alone(lock: int) -> bool:
    """Whether this process is the only one that has the company open; it stays so until share()."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share(lock: int, busy_s: float, place: str) -> None:
    """Hold the company open beside others; raises StorageBusy when somebody recovers it for longer than this process may wait."""
    if not within(busy_s, lambda: _try_share(lock)):
        raise StorageBusy(f"{place}: another process has been recovering it for more than {busy_s:g} s; nothing was written, try again")


def within(seconds: float, attempt: Callable[[], bool]) -> bool:
    """Whether an attempt succeeds before the time is up; it is made again and again."""
    last = time.monotonic() + seconds
    while not attempt():
        if time.monotonic() > last:
            return False
        time.sleep(_LOOK_AGAIN_S)
    return True


def _try_share(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def checksum(body: bytes) -> int:
    """The CRC-32 of a whole file."""
    return crc32(body)


def trusted(body: bytes | StrangerInTree | OSError | None, crc: int, key: Key, path: str) -> bytes:
    """The bytes of a file that are the ones deskstore wrote; raises CorruptRecord for all else."""
    reason = distrust(body, crc, path)
    if reason is not None or not isinstance(body, bytes):
        raise CorruptRecord(key, path, reason or "it cannot be read")
    return body


def distrust(body: bytes | StrangerInTree | OSError | None, crc: int, path: str) -> str | None:
    """
    Why what was read of a file is not what deskstore wrote; None when it is.

    Raises:
        StorageUnavailable: This process or machine is out of means, so that no file could be read.
    """
    match body:
        case None:
            return "the file is missing"
        case StrangerInTree():
            return str(body)
        case OSError(errno=number) if number in _OUT_OF_MEANS:
            raise database.from_os(body, path) from body
        case OSError():
            return f"it cannot be read: {body.strerror}"
        case bytes():
            return None if checksum(body) == crc else "the file is not the one deskstore wrote: it was edited or damaged"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
