"""
Whose turn it is to write, among processes.

SQLite lets whoever asks at the right moment have its writer lock, and a waiting process asks ever more rarely: one that writes all the
time starves the others. Here whoever waits says so, by a lock that many may share, and whoever has just written gives way to it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from typing import Final

from deskstore.domain.errors import StorageBusy

GIVE_WAY_S: Final = 0.02  #: how long a writer leaves the lock alone when somebody waits
ASK_AGAIN_S: Final = 0.002  #: how often who waits asks for it


class WriterLock:
    """The writer lock of one company; used by one thread at a time."""

    def __init__(self, place: str, lock: int, busy_s: float) -> None:
        self._place = place
        self._lock = lock  # a descriptor of the file by which processes say that they wait
        self._busy_s = busy_s

    def begin(self, connection: sqlite3.Connection) -> None:
        """
        Begin a transaction that may write.

        Raises:
            StorageBusy: Others held the lock for too long.
        """
        if self._somebody_waits():
            time.sleep(GIVE_WAY_S)
        connection.execute("pragma busy_timeout=0")
        try:
            if not _begun(connection):
                self._wait(connection)
        finally:
            connection.execute(f"pragma busy_timeout={int(self._busy_s * 1_000)}")

    def close(self) -> None:
        """Let go of the lock's file."""
        os.close(self._lock)

    def _wait(self, connection: sqlite3.Connection) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        try:
            last = time.monotonic() + self._busy_s
            while not _begun(connection):
                if time.monotonic() > last:
                    raise StorageBusy(
                        f"{self._place}: another process held the writer lock for {self._busy_s:g} s; nothing was written, try again"
                    )
                time.sleep(ASK_AGAIN_S)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _somebody_waits(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        return False


def _begun(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("begin immediate")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True
