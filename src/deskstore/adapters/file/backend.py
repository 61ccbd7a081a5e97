"""What the units of work of one company on files stand on: its reads, and the one way to change anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from deskstore.adapters.file.company import OpenCompany
from deskstore.adapters.file.group import Refused
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.reads import FileArticles, FileProgress, FileSummaries, FileTickets, Glance
from deskstore.domain.errors import StorageUnavailable

if TYPE_CHECKING:
    from deskstore.adapters.file.storage import FileStorage
    from deskstore.adapters.file.suppressing import FileSuppressions
    from deskstore.domain.changes import Changes, Committed
    from deskstore.domain.ports import BeforeCommit

V = TypeVar("V")
_HOOK_S: Final = 60.0  #: how long a unit's before_commit may take


class FileBackend:
    """One company on files."""

    def __init__(self, storage: FileStorage, company_id: str, *, reads_copies: bool) -> None:
        self._storage = storage
        self._reads_copies: Final = reads_copies
        self.company_id: Final = company_id
        self._erasures: Final = storage.times_erased(company_id)

    @property
    def tickets(self) -> FileTickets:
        """Its tickets."""
        return FileTickets(self)

    @property
    def articles(self) -> FileArticles:
        """Its articles."""
        return FileArticles(self)

    @property
    def summaries(self) -> FileSummaries:
        """The summaries of both."""
        return FileSummaries(self)

    @property
    def progress(self) -> FileProgress:
        """How far the processing of its tickets has come."""
        return FileProgress(self)

    @property
    def suppressions(self) -> FileSuppressions:
        """The requesters whose tickets are kept out."""
        from deskstore.adapters.file.suppressing import FileSuppressions  # hardly anybody asks

        return FileSuppressions(self)

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        """Check every guard and keep all changes, or raise and keep none."""
        from deskstore.adapters.file import writing  # a process that only reads starts without it

        loop = asyncio.get_running_loop()

        def run(company: OpenCompany, now: datetime) -> Committed:
            committed = writing.commit(company, changes, now)
            if before_commit is not None:
                _ask(asyncio.run_coroutine_threadsafe(_awaited(before_commit, changes), loop))
            return committed

        try:
            return await self.write(run)
        except Refused as refused:
            raise refused.__cause__ or refused from None

    async def read(self, look: Callable[[OpenCompany, Index], V], *, glance: Glance[V] | None = None) -> V | None:
        """What a glance at the company returns, or a look where that is None or not given; None when the company does not exist."""
        at_home = not self._reads_copies
        look = _at_home(look) if at_home else look
        at_a_glance = None if glance is None else partial(glance, at_home=at_home)
        return await self._storage.read(self.company_id, self._erasures, look, glance=at_a_glance)

    async def write(self, job: Callable[[OpenCompany, datetime], V]) -> V:
        """What a job returns once it is committed."""
        return await self._storage.write(self.company_id, self._erasures, job)


def _at_home(look: Callable[[OpenCompany, Index], V]) -> Callable[[OpenCompany, Index], V]:
    """The same look at a company that lives here; at any other it raises CompanyMoved."""

    def at_home(company: OpenCompany, index: Index) -> V:
        company.check_home(index.told_state())
        return look(company, index)

    return at_home


def _ask(answer: Future[None]) -> None:
    """Wait for a unit's before_commit; raises Refused for whatever it raised."""
    wait([answer], _HOOK_S)
    if answer.cancel() or answer.cancelled():
        raise StorageUnavailable(f"before_commit was cancelled, or took more than {_HOOK_S:g} s; nothing of its unit was kept")
    if (error := answer.exception()) is not None:
        raise Refused from error


async def _awaited(before_commit: BeforeCommit, changes: Changes) -> None:
    await before_commit(changes)
