"""A lost or damaged database, made anew from the files that vouch for themselves."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from deskstore.adapters.file import layout
from deskstore.adapters.file.body import NotOurs
from deskstore.adapters.file.company import checksum
from deskstore.adapters.file.database import CLAIMS_FROM
from deskstore.adapters.file.envelope import read_record, read_summary, read_whole
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.surveying import is_directory_of_records, is_file_of_record, is_of_summary, whose
from deskstore.adapters.file.tree import StrangerInTree, Tree
from deskstore.domain import payloads, times
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.processing import CLOCK_SKEW, LONGEST_LEASE

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
    files = sorted(tree.walk(), key=_summaries_last)
    count = sum(_take(tree, index, company_id, file, body) for file, body in _read(tree, files))
    index.recount()
    if not (lost or count):
        return
    for stranger in tree.strangers():
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


def _summaries_last(file: str) -> tuple[bool, str]:
    return is_of_summary(file), file


def _read(tree: Tree, files: Sequence[str]) -> Iterator[tuple[str, bytes | StrangerInTree | OSError | None]]:
    """The files with what they hold, so many at once that the way to them is gone once for all."""
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        yield from zip(some, tree.read_many(some), strict=True)


def _take(tree: Tree, index: Index, company_id: str, file: str, body: bytes | StrangerInTree | OSError | None) -> bool:
    try:
        if isinstance(body, (StrangerInTree, OSError)):
            raise body
        if is_of_summary(file):
            _take_summary(index, company_id, file, body or b"")
        else:
            _take_record(index, company_id, file, body or b"")
    except (NotOurs, StrangerInTree, OSError) as error:
        logger.error("%s/%s is left out: %s", tree.path, file, error, extra={"company_id": company_id})
        _doubt(index, file)
        return False
    return True


def _doubt(index: Index, file: str) -> None:
    """Remember a file that may have been a record, by the one that has its place there if its name tells."""
    want = whose(file)
    if want is not None:
        index.doubt(want.key, want.number, file)
    elif not is_of_summary(file):
        index.doubt(Key(ARTICLE if "/articles" in file else TICKET, "", "", ""), 0, file)


def _take_record(index: Index, company_id: str, file: str, body: bytes) -> None:
    company, record, processing, settled = read_whole(body)
    if company != company_id or layout.record_path(record.key) != file:
        raise NotOurs("it names another record or company than its place does")
    if payloads.digest(record.payload) != record.sha256:
        raise NotOurs("its payload is not the one that was received")
    index.put_record(record, processing, settled, checksum(body))


def _take_summary(index: Index, company_id: str, file: str, body: bytes) -> None:
    envelope, summary = read_summary(body)
    if envelope.company != company_id or layout.summary_path(summary.key, summary.number) != file:
        raise NotOurs("it names another summary or company than its place does")
    if payloads.digest(summary.content) != envelope.sha256:
        raise NotOurs("its content is not the one that was kept")
    if index.row(summary.key) is None:
        raise NotOurs("its record is missing")
    index.put_summary(summary, checksum(body))
