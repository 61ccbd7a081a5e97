"""One SQLite database and the thread that works on it; what goes wrong in it becomes an error of deskstore's."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

from deskstore.domain.columns import COLUMNS
from deskstore.domain.errors import CommitOutcomeUnknown, ConfigurationError, StorageBusy, StorageUnavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

LAYOUT: Final = 1
BUSY_MS: Final = 5_000  #: how long another process is waited for
NAME: Final = ("kind", "platform", "id", "locale", "number")  #: of a thing, beside its part; in the order in which things are sorted
_NAMED: Final = "company TEXT, kind TEXT, platform TEXT, id TEXT, locale TEXT, number INTEGER, version INTEGER"
_PARTS: Final = "\n".join(
    f"CREATE TABLE {part} ({_NAMED}, {', '.join(columns)}, PRIMARY KEY (company, {', '.join(NAME)}));" for part, columns in COLUMNS.items()
)
_SCHEMA: Final = f"""
CREATE TABLE store (id TEXT);
CREATE TABLE company (company TEXT PRIMARY KEY, state TEXT, floor INTEGER DEFAULT 0);
CREATE TABLE moved (company TEXT, platform TEXT, moved_us INTEGER, PRIMARY KEY (company, platform));
CREATE TABLE deleted ({_NAMED}, part TEXT, PRIMARY KEY (company, part, {", ".join(NAME)}));
CREATE TABLE debt ({_NAMED}, part TEXT, consumer TEXT, PRIMARY KEY (company, consumer, part, {", ".join(NAME)}));
CREATE TABLE erasure (company_hash TEXT, epoch INTEGER, erased_us INTEGER, removed TEXT);
{_PARTS}
CREATE INDEX ticket_page ON ticket (company, created_us, platform, id, locale);
CREATE INDEX article_page ON article (company, created_us, platform, id, locale);
CREATE INDEX line ON processing (company, platform, claimable_us, id);
PRAGMA user_version = {LAYOUT};
"""


class Run(Protocol):
    """Runs a piece of work in a transaction."""

    async def __call__(self, work: Work[T], /) -> T: ...


class Database:
    """
    A database in one file, made when it is first needed.

    One thread does all work, one piece after the other, on two connections: readers never see what a writer has not committed.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.store_id = ""  #: known once it is open
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="deskstore-sqlite")
        self._connections: list[sqlite3.Connection] = []
        self._one_writer: Final = asyncio.Lock()
        self._is_closed = False

    async def read(self, work: Work[T]) -> T:
        """What a piece of work finds, all of one moment."""

        def reading() -> T:
            reader, _ = self._opened()
            reader.execute("BEGIN")
            try:
                return work(reader)
            finally:
                reader.execute("COMMIT")

        return await self._run(reading)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[Run]:
        """A transaction, alone in it: gives what runs work in it; committed where the block ends, undone where anything is raised."""

        async def run(work: Work[T], /) -> T:
            return await self._run(lambda: work(self._opened()[1]))

        async with self._one_writer:
            try:
                await run(lambda writer: writer.execute("BEGIN IMMEDIATE"))
                yield run
                await self._run(self._commit)
            finally:
                if not self._is_closed:  # closing undoes it, too
                    await self._run(self._undo)

    async def aclose(self) -> None:
        """Finish what is under way, and close."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._is_closed:
            raise StorageUnavailable("this storage is closed: open another one with open_storage()")

        def translated() -> T:
            try:
                return work()
            except (sqlite3.Error, OSError) as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                    raise StorageBusy(f"another process holds {self.path} for too long: try again") from error
                raise StorageUnavailable(f"{self.path} does not work ({error}): see that the file can be read and written") from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, translated)

    # on the thread

    def _opened(self) -> list[sqlite3.Connection]:
        if not self._connections:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connections = [self._connected(), self._connected()]
            self._make(self._connections[1])
        return self._connections

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.executescript(f"PRAGMA busy_timeout = {BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        return connection

    def _make(self, writer: sqlite3.Connection) -> None:
        writer.execute("BEGIN IMMEDIATE")
        (layout,) = writer.execute("PRAGMA user_version").fetchone()
        if layout > LAYOUT:
            raise ConfigurationError(f"{self.path} was written by a newer release of deskstore-sqlite: install that one")
        if not layout:
            for statement in _SCHEMA.split(";"):
                writer.execute(statement)
            writer.execute("INSERT INTO store VALUES (?)", (f"sqlite-{uuid.uuid4()}",))
        writer.execute("COMMIT")
        (self.store_id,) = writer.execute("SELECT id FROM store").fetchone()

    def _commit(self) -> None:
        try:
            self._opened()[1].execute("COMMIT")
        except sqlite3.Error as error:
            raise CommitOutcomeUnknown(f"{self.path} failed at the commit ({error}): read before you write again") from error

    def _undo(self) -> None:
        writer = self._opened()[1]
        if writer.in_transaction:
            writer.execute("ROLLBACK")

    def _close(self) -> None:
        for connection in self._connections:
            connection.close()
