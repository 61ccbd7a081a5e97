"""One company as a storage has it open: who uses it, and what waits to be written to it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from deskstore.adapters.file import database, erasing, group, journal, layout, listing, opening
from deskstore.adapters.file.company import OpenCompany
from deskstore.adapters.file.group import Job
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.loading import at_one_moment
from deskstore.adapters.file.place import Place
from deskstore.domain.errors import CompanyErased, StorageError, StorageUnavailable, StoreReplaced

if TYPE_CHECKING:
    from deskstore.domain.erasures import Erasure

V = TypeVar("V")
logger: Final = logging.getLogger("deskstore")
_OVERDUE: Final = 4  # times what makes a checkpoint due


class CompanyHandle:
    """One company as this storage uses it: closed at first, opened when it is needed, closed when others need the room."""

    def __init__(self, place: Place, company_id: str) -> None:
        self.company_id: Final = company_id
        self._place: Final = place
        self._lock: Final = threading.RLock()
        self._guard: Final = threading.Condition(self._lock)
        self._is_awaited = False  #: whether anybody ever waited for another's use to end
        self._company: OpenCompany | None = None
        self._users = 0
        self._refusal: StoreReplaced | None = None
        self._damaged = False
        self._is_closing = False
        self._is_checkpoint_coming = False
        self.erasures = 0  #: how often this storage erased the company: what was open before refuses ever after
        self._waiting: Final = deque[Job]()  # without the guard, which whoever opens the company holds for long

    @property
    def path(self) -> Path:
        """Where the company lies."""
        return self._place.of(self.company_id)

    @property
    def remembers(self) -> bool:
        """Whether it has to refuse, also once it is closed, what was begun before the company was erased or replaced."""
        return self.erasures > 0 or self._refusal is not None

    def using(self, *, make: bool) -> AbstractContextManager[OpenCompany | None]:
        """
        The company, opened if need be; None when there is none and it is not to be made.

        Once it was found removed or replaced it stays refused, so that nothing is ever written into the void.
        """
        return _Use(self, make=make)

    def refuse_if_erased_since(self, erasures: int) -> None:
        """Raise CompanyErased when this storage erased the company after it had done so that many times."""
        if self.erasures != erasures:
            raise CompanyErased(self.company_id)

    def look(self, look: Callable[[OpenCompany, Index], V], glance: Callable[[OpenCompany], V | None] | None) -> V | None:
        """What a glance at the company returns, or a look where that is None or not given; None when there is no company."""
        with self.using(make=False) as company:
            if company is None:
                return None
            with database.translated(str(company.path)):
                company.check_in_place()
                if glance is not None and (found := glance(company)) is not None:
                    return found
                return at_one_moment(company, lambda index: look(company, index))

    def put(self, run: Callable[[OpenCompany, datetime], Any], erasures: int) -> Future[Any]:  # Any: each job has a result of its own kind
        """Let a job wait for the next commit, and give where its outcome goes; does not block."""
        job = Job(run, erasures)
        self._waiting.append(job)
        return job.done

    def flush(self) -> bool:
        """Commit what waits, tell whoever waited, and write the files; says whether the caller is to see to a checkpoint."""
        taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), group.MOST_JOBS))]
        jobs = [job for job in taken if job.done.set_running_or_notify_cancel() and self._is_welcome(job)]
        if not jobs:
            return False
        try:
            with self.using(make=True) as company:
                if company is None:
                    raise StorageUnavailable(f"{self.path} cannot be made")
                group.commit_together(company, jobs, self._place.clock)
                self._register(company)
                for job in jobs:
                    job.deliver()
                return self._write_files(company)
        except BaseException as error:
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(error)
            if isinstance(error, StorageError):
                return False
            raise

    def checkpoint(self) -> None:
        """Make the files durable if the company is open; what goes wrong is logged: nothing acknowledged depends on it."""
        try:
            if self._company is not None and self._refusal is None:
                self._checkpoint()
        except StorageError as error:
            logger.warning("checkpoint of %s failed: %s", self.path, error, extra={"company_id": self.company_id})
        finally:
            self._is_checkpoint_coming = False

    def _checkpoint(self) -> None:
        with self.using(make=False) as company:
            if company is not None:
                with database.translated(str(company.path)):
                    journal.checkpoint(company)

    def erase(self) -> Erasure | None:
        """Delete the company once nobody in this storage uses it any more, and give the line that stays; None if nothing was kept."""
        if not listing.exists(self._place, self.company_id):
            with database.translated(str(self._place.base)):
                erasing.sweep(self._place.base, wait=True)
            return None
        with self.using(make=True) as company:
            if company is None:
                return None
            erasure, was_kept = self._forbid(company)
            self.erasures += 1
            with self._nobody_else(), database.translated(str(company.path)):
                erasing.remember(self._place.base, erasure, is_listed=was_kept)
                erasing.remove(company.path, company.tree)
            logger.info("company erased", extra={"company_id": self.company_id, "operation": "erase"})
            return erasure if was_kept else None

    def _forbid(self, company: OpenCompany) -> tuple[Erasure, bool]:
        """What is to stay of the company, from which every commit is refused now, and whether anything was ever kept in it."""
        from deskstore.adapters.file import writing  # a process that only reads starts without it

        with database.translated(str(company.path)), database.transaction(company.writer, durable=True, begin=company.begin):
            company.check_in_place()
            was_kept = company.index.is_registered
            epoch = writing.forbid(company)
            return erasing.what_stays(company, epoch, self._place.clock()), was_kept

    def close_if_idle(self) -> bool:
        """Close the company unless somebody uses it or has something to write; says whether it is closed now."""
        with self._guard:
            if self._users or self._waiting:
                return False
            self._close()
            return True

    def finish(self) -> None:
        """Write what is not written yet, make everything durable, and close."""
        if self._company is not None and self._refusal is None:
            self._write_files(self._company)
        self.checkpoint()
        with self._guard:
            self._wait_until(lambda: not self._users)
            self._close()

    def _is_welcome(self, job: Job) -> bool:
        try:
            self.refuse_if_erased_since(job.erasures)
        except CompanyErased as refusal:
            job.done.set_exception(refusal)
            return False
        return True

    def take(self, *, make: bool) -> OpenCompany | None:
        """What `using` gives; to be given back."""
        with self._lock:
            if self._is_closing:
                self._wait_until(lambda: not self._is_closing)
            if self._refusal is not None:
                raise self._refusal
            if self._damaged and not self._users:
                self._set_database_aside()
            if self._company is None and (make or listing.exists(self._place, self.company_id)):
                self._company = opening.open_company(self._place, self.company_id)
            self._users += 1
            return self._company

    def give_back(self, error: BaseException | None) -> None:
        """Use the company no longer; the error is what came of it."""
        if error is not None:
            self._note(error)
        with self._lock:
            self._users -= 1
            if self._is_awaited:
                self._guard.notify_all()

    def _note(self, error: BaseException) -> None:
        if isinstance(error, StoreReplaced):
            self._refusal = error
        elif isinstance(error, StorageUnavailable):
            self._damaged = self._damaged or database.is_damaged(error.__cause__)

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        self._is_awaited = True
        self._guard.wait_for(is_so)

    @contextmanager
    def _nobody_else(self) -> Generator[None, None, None]:
        """Wait for whoever uses the company beside the caller, let nobody in meanwhile, and close it at the end."""
        with self._guard:
            self._is_closing = True
            try:
                self._wait_until(lambda: self._users == 1)
                yield
            finally:
                self._is_closing = False
                self._close()

    def _close(self) -> None:
        if self._company is not None:
            self._company.close()
            self._company = None

    def _set_database_aside(self) -> None:
        from deskstore.adapters.file import rebuilding  # seldom needed

        company, self._damaged = self._company, False
        if company is not None and company.is_alone():
            with database.translated(str(company.path)):
                rebuilding.set_aside(company.tree)
        self._close()

    def _register(self, company: OpenCompany) -> None:
        try:
            with database.translated(str(company.path)):
                opening.register(company)
        except StorageError as error:
            # only a lost database needs the file; the next commit or opener writes it
            logger.warning("%s: %s not written yet: %s", company.path, layout.COMPANY_FILE, error, extra={"company_id": self.company_id})

    def _write_files(self, company: OpenCompany) -> bool:
        try:
            with database.translated(str(company.path)):
                journal.write_files(company)
        except StorageError as error:
            # acknowledged all the same: the journal holds it, reads see it there, and the next writer or opener tries again
            logger.warning("%s: files not written yet: %s", company.path, error, extra={"company_id": self.company_id})
        if not journal.is_due(company, self._place.checkpoint_rows):
            return False
        if journal.is_due(company, self._place.checkpoint_rows, times=_OVERDUE):
            self.checkpoint()  # the disk is slower than the writers: let them feel it, before the journal outgrows the disk
            return False
        is_first, self._is_checkpoint_coming = not self._is_checkpoint_coming, True
        return is_first


class _Use:
    """A block that uses a company; a generator would cost each read of a record three times as much."""

    __slots__ = ("_handle", "_make")

    def __init__(self, handle: CompanyHandle, *, make: bool) -> None:
        self._handle = handle
        self._make = make

    def __enter__(self) -> OpenCompany | None:
        return self._handle.take(make=self._make)

    def __exit__(self, _: object, error: BaseException | None, traceback: object, /) -> None:
        self._handle.give_back(error)
