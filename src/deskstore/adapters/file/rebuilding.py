"""A lost or damaged database, made anew from the files that vouch for themselves."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, TypeVar

from deskstore.adapters.file import layout, suppressing
from deskstore.adapters.file.body import NotOurs
from deskstore.adapters.file.company import checksum
from deskstore.adapters.file.database import CLAIMS_FROM
from deskstore.adapters.file.envelope import read_record, read_summary
from deskstore.adapters.file.index import Index, RecordRow
from deskstore.adapters.file.loading import until_heavy
from deskstore.adapters.file.surveying import is_directory_of_records, is_file_of_record, is_of_summary, whose
from deskstore.adapters.file.tree import OnDisk, StrangerInTree, Tree
from deskstore.adapters.file.vouching import read_row
from deskstore.domain import payloads, times
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.processing import CLOCK_SKEW, LONGEST_LEASE, MOST_ATTEMPTS
from deskstore.domain.summaries import Summary

V = TypeVar("V")
logger: Final = logging.getLogger("deskstore")
_AT_ONCE: Final = 500  #: files in memory


def set_aside(tree: Tree) -> None:
    """Move a damaged database out of the way; it is never deleted."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            tree.move(layout.DATABASE + suffix, f"{layout.DAMAGED}/state.sqlite3{suffix}")


def rebuild(tree: Tree, connection: sqlite3.Connection, company_id: str, *, lost: bool, now: datetime) -> None:
    """
    Fill a new database that has no triggers yet from the files, inside the caller's transaction.

    What the files do not hold is lost with the database: units after the last checkpoint, live claims, checkpoints. So nothing is handed
    out until the longest lease has passed, in case a worker still holds a claim.
    """
    index = Index(connection)
    records, summaries, strangers = _sorted_out(tree)
    count = _take_records(tree, index, company_id, records) + _take_summaries(tree, index, company_id, summaries)
    count += suppressing.take(tree, index)
    index.recount()
    if not (lost or count):
        return
    for stranger in strangers:
        if is_file_of_record(stranger.path) or is_directory_of_records(stranger.path):
            _doubt(index, stranger.path)
        logger.error("%s: %s and is left out", tree.path, stranger, extra={"company_id": company_id})
    index.register()
    index.set_meta("floor", max(index.highest_version(), times.microseconds(now)))
    index.set_meta(CLAIMS_FROM, times.microseconds(now + LONGEST_LEASE + CLOCK_SKEW))
    logger.warning(
        "%s: the database was lost and is rebuilt from %d files; units after the last checkpoint may be missing, "
        "and no ticket is handed out for %s",
        tree.path,
        count,
        LONGEST_LEASE,
        extra={"company_id": company_id},
    )


def company_of(tree: Tree) -> str | None:
    """The company that the files are of when nothing else tells: the first file that vouches for itself does."""
    for file in tree.walk():
        if not is_of_summary(file):
            with suppress(NotOurs, StrangerInTree, OSError):
                return read_record(tree.read(file) or b"")[0].company
    return None


def _sorted_out(tree: Tree) -> tuple[list[str], list[str], list[StrangerInTree]]:
    """The files of records, those of summaries, and what stands in the tree besides."""
    records: list[str] = []
    summaries: list[str] = []
    strangers: list[StrangerInTree] = []
    for path, objection in tree.survey():
        if objection is not None:
            strangers.append(StrangerInTree(path, objection))
        elif is_of_summary(path):
            summaries.append(path)
        else:
            records.append(path)
    return records, summaries, strangers


def _take_records(tree: Tree, index: Index, company_id: str, files: Sequence[str]) -> int:
    """
    Keep what the files of records hold, one step for many of them at a time: so each finds its code and data in the processor's caches.
    """
    count = 0
    for some in _batches(tree, files):
        found = _vouched(tree, index, company_id, some, lambda file, body: _record_in(company_id, file, body))
        index.put_records(found)
        count += len(found)
    return count


def _take_summaries(tree: Tree, index: Index, company_id: str, files: Sequence[str]) -> int:
    """Keep what the files of summaries hold, once the records are there."""
    count = 0
    for some in _batches(tree, files):
        for summary, crc in _vouched(tree, index, company_id, some, lambda file, body: _summary_in(index, company_id, file, body)):
            index.put_summary(summary, crc)
            count += 1
    return count


def _batches(tree: Tree, files: Sequence[str]) -> Iterator[Sequence[tuple[str, OnDisk]]]:
    start = 0
    while start < len(files):
        bodies = until_heavy(files[start : start + _AT_ONCE], tree.read_many)
        yield [*zip(files[start : start + len(bodies)], bodies, strict=True)]
        start += len(bodies)


def _vouched(tree: Tree, index: Index, company_id: str, files: Sequence[tuple[str, OnDisk]], read: Callable[[str, bytes], V]) -> list[V]:
    """What those files hold that vouch for themselves; the others are named, and remembered."""
    found: list[V] = []
    for file, body in files:
        try:
            if isinstance(body, (StrangerInTree, OSError)):
                raise body
            found.append(read(file, body or b""))
        except (NotOurs, StrangerInTree, OSError) as error:
            logger.error("%s/%s is left out: %s", tree.path, file, error, extra={"company_id": company_id})
            _doubt(index, file)
    return found


def _doubt(index: Index, file: str) -> None:
    """Remember a file that may have been a record, by the one that has its place there if its name tells."""
    want = whose(file)
    if want is not None:
        index.doubt(want.key, want.number, file)
    elif not is_of_summary(file):
        index.doubt(Key(ARTICLE if "/articles" in file else TICKET, "", "", ""), 0, file)


def _record_in(company_id: str, file: str, body: bytes) -> RecordRow:
    company, payload, row = read_row(body)
    if company != company_id or layout.record_path(Key(row.kind, row.platform, row.id, row.locale)) != file:
        raise NotOurs("it names another record or company than its place does")
    if payloads.digest(payload) != row.sha256:
        raise NotOurs("its payload is not the one that was received")
    _check_version(row.version)
    if row.processing_version is not None:
        _check_version(row.processing_version)
    if not 0 <= (row.attempts or 0) <= MOST_ATTEMPTS:
        raise NotOurs("nobody counts so many attempts")
    return row


def _summary_in(index: Index, company_id: str, file: str, body: bytes) -> tuple[Summary, int]:
    envelope, summary = read_summary(body)
    if envelope.company != company_id or layout.summary_path(summary.key, summary.number) != file:
        raise NotOurs("it names another summary or company than its place does")
    if payloads.digest(summary.content) != envelope.sha256:
        raise NotOurs("its content is not the one that was kept")
    if index.row(summary.key) is None:
        raise NotOurs("its record is missing")
    _check_version(summary.version)
    return summary, checksum(body)


def _check_version(version: int) -> None:
    if not 0 < version <= times.LAST_MOMENT_US:  # they are times: behind another one, no commit would find a number any more
        raise NotOurs("its version is none that deskstore gives")
