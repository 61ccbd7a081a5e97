"""Group commit: all units of a company that wait are one transaction and one sync, each of them whole or absent by itself."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from deskstore.adapters.file import database
from deskstore.adapters.file.company import OpenCompany
from deskstore.domain.errors import CommitOutcomeUnknown, StorageBusy, StorageError, StorageUnavailable

MOST_JOBS: Final = 256  #: in one transaction


class Refused(Exception):
    """A unit that its own before_commit does not let pass; the cause is what that raised."""


class Job:
    """
    Something to write, and where its outcome goes.

    Args:
        run: Writes, inside the transaction.
        erasures: How often the company had been erased when whoever asks opened it.
    """

    def __init__(self, run: Callable[[OpenCompany, datetime], Any], erasures: int) -> None:  # Any: each job has a result of its own kind
        self.run: Final = run
        self.erasures: Final = erasures
        self.done: Final[Future[Any]] = Future()
        self.result: Any = None
        self.error: Exception | None = None

    def carry_out(self, company: OpenCompany, now: datetime) -> bool:
        """Run inside the transaction; undo it and keep the error if it has one, unless that is the database's or the disk's."""
        company.writer.execute("savepoint job")
        try:
            self.result = self.run(company, now)
        except UnicodeDecodeError:
            raise  # it is the database's, whose text is none
        except (StorageError, Refused, ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            self.error = error
            company.writer.execute("rollback to job")
        company.writer.execute("release job")
        return self.error is None

    def deliver(self) -> None:
        """Tell whoever waits."""
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)


def commit_together(company: OpenCompany, jobs: Sequence[Job], clock: Callable[[], datetime]) -> None:
    """
    Carry out jobs in one durable transaction; what goes wrong with one of them stays with that one.

    Raises:
        StoreReplaced: The directory or database is not the one that was opened; nothing is acknowledged.
        StorageUnavailable: None of the jobs was kept.
        CommitOutcomeUnknown: The disk failed at the commit and again when it was asked to void it.
    """
    with database.translated(str(company.path)), company.thread_lock:
        if company.is_log_in_doubt:
            _replace_log(company)
        company.writer.execute("pragma synchronous=full")
        company.begin(company.writer)
        try:
            company.check_in_place()
            succeeded = [job.carry_out(company, clock()) for job in jobs]
        except BaseException:
            if company.writer.in_transaction:  # SQLite has rolled back by itself when the disk was full
                company.writer.execute("rollback")
            raise
        if not any(succeeded):
            company.writer.execute("rollback")
            return
        _commit(company)
        _make_sure_of(company)
        company.check_in_place()


def _commit(company: OpenCompany) -> None:
    try:
        company.writer.execute("commit")
    except sqlite3.Error as error:
        if not database.is_full(error):
            _void(company, error)
        elif company.writer.in_transaction:
            # no room for the last frame, which alone makes a commit of those before it: nothing is in doubt
            company.writer.execute("rollback")
        raise


def _make_sure_of(company: OpenCompany) -> None:
    """
    Write a commit once more if its log is in doubt: where a checkpoint failed to sync it meanwhile, the sync of the commit proves nothing.

    The kernel tells of what it could not write once, and that was told to the checkpoint.
    """
    with company.copying_back:
        is_in_doubt = company.is_log_in_doubt
    if is_in_doubt:
        try:
            database.make_log_whole(company.writer, company.database)
        except (sqlite3.Error, OSError) as error:
            raise CommitOutcomeUnknown(
                f"{company.path}: the disk failed while a commit was on its way, and when it was written once more ({error}): "
                "once the disk works, read what is there before you write again"
            ) from error


def _void(company: OpenCompany, error: sqlite3.Error) -> None:
    """
    Make sure that a commit which failed is none after a crash either.

    Its frames may stand in the log already, and a crash would find them whole: a small durable commit writes over their beginning.
    """
    company.is_log_in_doubt = True
    try:
        company.reconnect()
        with database.transaction(company.writer, durable=True, begin=company.begin):
            company.index.set_meta("voided", str(uuid.uuid4()))
    except (sqlite3.Error, OSError, StorageUnavailable) as again:
        raise CommitOutcomeUnknown(
            f"{company.path}: the disk failed at the commit ({error}) and again when it was to be voided ({again}): "
            "once the disk works, read what is there before you write again"
        ) from again
    with suppress(sqlite3.Error, OSError, StorageBusy):  # the commit is void; the log is replaced before the next one
        _replace_log(company)


def _replace_log(company: OpenCompany) -> None:
    if not database.renew(company.writer, company.database):
        raise StorageBusy(f"{company.path}: others read while the log of a failed disk is to be replaced; nothing was written, try again")
    company.is_log_in_doubt = False
