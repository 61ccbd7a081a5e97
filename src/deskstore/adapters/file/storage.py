"""The file storage: readable JSON files, one a record, that survive whatever happens to the process or the machine."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from zlib import crc32

from deskstore.adapters.file import listing
from deskstore.adapters.file.handles import CompanyHandles
from deskstore.adapters.file.place import Place
from deskstore.adapters.file.readers import Readers
from deskstore.domain import identifiers, times
from deskstore.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from deskstore.adapters.file.backend import FileBackend
    from deskstore.adapters.file.company import OpenCompany
    from deskstore.adapters.file.handle import CompanyHandle
    from deskstore.adapters.file.index import Index
    from deskstore.adapters.file.inspection import FileInspection
    from deskstore.adapters.file.replica import FileReplica
    from deskstore.domain.erasures import Erasure
    from deskstore.domain.ports import Health
    from deskstore.domain.processing import Processing
    from deskstore.domain.unit import BufferedUnit

V = TypeVar("V")
WRITERS: Final = 8  #: writing threads; a company is always served by the same one
READERS: Final = 4  #: reading threads
BUSY_S: Final = 5.0  #: how long another process may hold a lock
MOST_ROWS: Final = 2_000  #: redo rows that call for a checkpoint


class FileStorage:
    """
    Companies on plain files below one directory, which any number of processes of one machine may share.

    Args:
        path: The directory; it is made at the first commit.
        clock: Gives the present moment, aware and UTC.
        checkpoint_rows: After how many written files they are made durable and leave the journal.
        busy_s: How long to wait for a lock that another process holds.
        reads_copies: Whether a company is read here that lives in another store; for who knows how old that may be, as the hybrid storage.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], datetime] = times.now,
        checkpoint_rows: int = MOST_ROWS,
        busy_s: float = BUSY_S,
        reads_copies: bool = False,
    ) -> None:
        self.path: Final = path.absolute()  # once for all: the process may go to another directory
        self.clock: Final = clock
        self.reads_copies: Final = reads_copies
        self._place: Final = Place(base=self.path, clock=clock, checkpoint_rows=checkpoint_rows, busy_s=busy_s)
        self._handles: Final = CompanyHandles(self._place)
        self._process: Final = os.getpid()
        self._closed = False
        self._finishing: Final = threading.Lock()
        self._readers: Final = Readers(READERS, "deskstore-read")
        self._writers: Final = [ThreadPoolExecutor(1, f"deskstore-write-{number}") for number in range(WRITERS)]
        self._checkpointer: Final = ThreadPoolExecutor(1, "deskstore-checkpoint")

    def unit_of_work(self, company_id: str) -> BufferedUnit:
        """A unit of work of one company."""
        from deskstore.domain import unit  # who asks only which companies there are starts without it

        return unit.BufferedUnit(self.backend(company_id))

    def backend(self, company_id: str) -> FileBackend:
        """What the company's units of work stand on."""
        from deskstore.adapters.file import backend  # likewise

        return backend.FileBackend(self, identifiers.company_id(company_id), reads_copies=self.reads_copies)

    def replica(self, company_id: str) -> FileReplica:
        """The company as raw copies."""
        from deskstore.adapters.file.backend import FileBackend  # likewise
        from deskstore.adapters.file.replica import FileReplica  # for a mirror or a migration alone

        return FileReplica(FileBackend(self, identifiers.company_id(company_id), reads_copies=True))

    def inspection(self) -> FileInspection:
        """A look through what is kept here, for who looks for damage."""
        from deskstore.adapters.file.inspection import FileInspection  # the doctor's alone

        return FileInspection(self._place, self)

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """Take up to n tickets for a worker, smallest claimable_at first."""
        from deskstore.adapters.file import writing  # a process that only reads starts without it
        from deskstore.domain import claims

        backend = self.backend(company_id)
        wanted = claims.request(platform, n, worker, lease)
        claims.log(backend.company_id, wanted)
        if not await self.call(lambda: listing.exists(self._place, backend.company_id)):
            return []
        taking = backend.write(lambda company, now: writing.claim(company, wanted, now))
        return await claims.delivered(lambda: self.unit_of_work(company_id), taking, self.clock)

    async def companies(self) -> Sequence[str]:
        """Every registered company, ascending."""
        return await self.call(lambda: listing.companies(self._place))

    async def erase(self, company_id: str) -> Erasure | None:
        """Delete a company with all that is kept of it but one line."""
        handle = self._handle(identifiers.company_id(company_id))
        return await asyncio.wrap_future(self._writer(handle).submit(handle.erase))

    async def erasures(self) -> Sequence[Erasure]:
        """What stays of all companies that were erased here, ascending by time."""
        from deskstore.adapters.file import erasing  # hardly anybody asks

        return await self.call(lambda: erasing.erasures(self.path))

    async def health(self) -> Health:
        """How the storage is doing."""
        from deskstore.domain.ports import Health  # most programs never ask

        return Health(adapter="file", place=str(self.path), companies=len(await self.companies()))

    async def aclose(self) -> None:
        """Finish what is under way, make it durable, and close every company."""
        self._closed = True
        if os.getpid() == self._process:  # what a fork inherits is its parent's to close
            await asyncio.to_thread(self._finish)

    def times_erased(self, company_id: str) -> int:
        """How often this storage erased a company."""
        self._open()
        return self._handles.times_erased(company_id)

    async def read(
        self,
        company_id: str,
        erasures: int,
        look: Callable[[OpenCompany, Index], V],
        *,
        glance: Callable[[OpenCompany], V | None] | None = None,
    ) -> V | None:
        """What a glance at a company returns, or a look where that is None or not given; None when the company does not exist."""
        handle = self._handle(company_id)

        def job() -> V | None:
            handle.refuse_if_erased_since(erasures)
            found = handle.look(look, glance)
            self._handles.make_room()
            return found

        return await self._readers.run(job)

    async def write(self, company_id: str, erasures: int, run: Callable[[OpenCompany, datetime], V]) -> V:
        """What a job returns once it is committed together with all that waits beside it."""
        handle = self._handle(company_id)
        done = handle.put(run, erasures)
        self._writer(handle).submit(self._flush, handle)
        result: V = await asyncio.wrap_future(done)
        return result

    async def call(self, look: Callable[[], V]) -> V:
        """What a call returns that a reading thread makes."""
        self._open()
        return await self._readers.run(look)

    def _flush(self, handle: CompanyHandle) -> None:
        if handle.flush():
            self._checkpointer.submit(handle.checkpoint)
        self._handles.make_room()

    def _handle(self, company_id: str) -> CompanyHandle:
        self._open()
        return self._handles.of(company_id)

    def _writer(self, handle: CompanyHandle) -> ThreadPoolExecutor:
        return self._writers[crc32(handle.company_id.encode()) % WRITERS]

    def _open(self) -> None:
        if os.getpid() != self._process:
            raise StorageUnavailable("this storage was opened before a fork: open another one in this process")
        if self._closed:
            raise StorageUnavailable("this storage is closed: open another one with open_storage()")

    def _finish(self) -> None:
        with self._finishing:
            self._readers.shutdown()
            for executor in (*self._writers, self._checkpointer):
                executor.shutdown()
            for handle in self._handles.all():
                handle.finish()
