"""
A look through a company that changes nothing: what it finds is named, and whoever asks decides what becomes of it.

It goes past the ordinary way in, which recovers, rebuilds and finishes erasures. No lock is held: whoever opens the company alone meanwhile
may recover it, and a look that meets a file in motion looks again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from typing import Final, TypeVar

from deskstore.adapters.file import database, layout, outside
from deskstore.adapters.file.body import NotOurs
from deskstore.adapters.file.company import OpenCompany
from deskstore.adapters.file.database import CLAIMS_FROM
from deskstore.adapters.file.envelope import read_record, read_summary
from deskstore.adapters.file.index import Index
from deskstore.adapters.file.loading import Want, at_one_moment, load
from deskstore.adapters.file.offering import offered, read_offer
from deskstore.adapters.file.place import Place
from deskstore.adapters.file.surveying import Entry, is_file_of_record, is_of_summary, survey, whose
from deskstore.adapters.file.tree import OnDisk, Tree
from deskstore.domain import times
from deskstore.domain.errors import CorruptRecord, InvalidRecord
from deskstore.domain.findings import BLOCKING, Finding, FindingKind
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, Kind
from deskstore.domain.mirror import Thing
from deskstore.domain.paging import EVERYTHING

T = TypeVar("T")

BATCH: Final = 100  #: files whose content is in memory at once
_ENTRIES: Final = 1_000  #: of the tree, whose names are in memory at once


def look(place: Place, company_id: str) -> Generator[Sequence[Finding], None, None]:
    """Whatever is not as it was left, a batch a step, however few its findings are."""
    path = place.of(company_id)
    with database.translated(str(path)):
        if not path.is_dir() or path.is_symlink():
            return
        first = outside.look(place, company_id)
        yield first
        if any(finding.kind in BLOCKING and finding.kind != FindingKind.STATE for finding in first):
            return
        if not outside.has_database(place, company_id):
            return
        with closing(onlooker(place, company_id)) as company:
            unnamed: set[str] = set()  # files of records with faults whose names do not tell the record: long ones, so there are few
            yield [*_notes(company, place)]
            yield from _records(company, unnamed)
            yield from _summaries(company, unnamed)
            yield from _tree(company, unnamed)


def onlooker(place: Place, company_id: str) -> OpenCompany:
    """The company, open to look at without a lock: nothing was recovered, and nothing may be written."""
    path = place.of(company_id)
    with ExitStack() as undo:
        tree = Tree.open(path)
        undo.callback(tree.close)
        # in place of the lock, which says that the company was recovered: others would rely on that
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        undo.callback(os.close, descriptor)
        connection = database.connect(str(path / layout.DATABASE), busy_s=place.busy_s, must_exist=True)
        undo.callback(connection.close)
        company = OpenCompany(place, company_id, tree, descriptor, connection)
        undo.pop_all()
        return company


def _notes(company: OpenCompany, place: Place) -> Iterator[Finding]:
    (waiting,) = company.writer.execute("select count(distinct file) from redo").fetchone()
    if waiting:
        what = f"{waiting:,} files of acknowledged units still stand in the journal"
        yield Finding(company_id=company.company_id, kind=FindingKind.WAITING, place=layout.DATABASE, what=what)
    until = company.index.number(CLAIMS_FROM)
    if until > times.microseconds(place.clock()):
        what = f"no ticket is handed out before {times.moment(until):%Y-%m-%d %H:%M:%S} UTC, since the database was rebuilt"
        yield Finding(company_id=company.company_id, kind=FindingKind.CLAIMS, place=layout.DATABASE, what=what)


# -- records and summaries ----------------------------------------------------------------------------------------------------------------


def _records(company: OpenCompany, unnamed: set[str]) -> Iterator[Sequence[Finding]]:
    for kind in (TICKET, ARTICLE):
        after: Key | None = None
        while True:
            keys, found = _looked(company, _records_after(company, kind, after))
            yield _noted(found, unnamed)
            if len(keys) < BATCH:
                break
            after = keys[-1]


def _summaries(company: OpenCompany, unnamed: set[str]) -> Iterator[Sequence[Finding]]:
    after: Thing | None = None
    while True:
        things, found = _looked(company, _summaries_after(company, after))
        yield _noted(found, unnamed)
        if len(things) < BATCH:
            return
        after = things[-1]


def _records_after(company: OpenCompany, kind: Kind, after: Key | None) -> Callable[[Index], tuple[list[Key], Sequence[Finding]]]:
    def look(index: Index) -> tuple[list[Key], Sequence[Finding]]:
        keys = index.keys(kind, EVERYTHING, after=after, limit=BATCH)
        return keys, _faults(company, index, [Want(key) for key in keys])

    return look


def _summaries_after(company: OpenCompany, after: Thing | None) -> Callable[[Index], tuple[list[Thing], Sequence[Finding]]]:
    def look(index: Index) -> tuple[list[Thing], Sequence[Finding]]:
        things = index.summaries(after=after, limit=BATCH)
        return things, _faults(company, index, [Want(thing.key, thing.number) for thing in things])

    return look


def _looked(company: OpenCompany, look: Callable[[Index], T]) -> T:
    """What a look gives that sees index and files as they were at one moment."""
    company.check_in_place()
    return at_one_moment(company, look)


def _noted(found: Sequence[Finding], unnamed: set[str]) -> Sequence[Finding]:
    unnamed.update(finding.place for finding in found if whose(finding.place) is None)
    return found


def _faults(company: OpenCompany, index: Index, wants: Sequence[Want]) -> Sequence[Finding]:
    loaded = zip(wants, load(company, index, wants), strict=True)
    return [_fault(company, index, want, error) for want, error in loaded if isinstance(error, CorruptRecord)]


def _fault(company: OpenCompany, index: Index, want: Want, error: CorruptRecord) -> Finding:
    kind, what = _judged(company.company_id, want, on_disk(company, want.file), error.reason)
    return Finding(
        company_id=company.company_id,
        kind=kind,
        place=want.file,
        what=what,
        key=want.key,
        number=want.number,
        is_healable=_is_in_journal(index, want),
    )


def _judged(company_id: str, want: Want, body: OnDisk, reason: str) -> tuple[FindingKind, str]:
    if body is None:
        return FindingKind.MISSING, "the file is missing"
    if not isinstance(body, bytes) or want.number:
        return FindingKind.DAMAGED, reason
    try:
        offer = read_offer(company_id, want.file, body)
    except InvalidRecord as refusal:
        return FindingKind.DAMAGED, f"the file is not the one deskstore wrote, and can be no record: {refusal}"
    whole = "was changed outside deskstore" if offer.key else "was replaced by a payload and nothing else"
    return FindingKind.EDITED, f"the file {whole}"


def _is_in_journal(index: Index, want: Want) -> bool:
    crc = want.crc(index)
    return crc is not None and index.journalled(want.file, crc) is not None


def on_disk(company: OpenCompany, file: str) -> OnDisk:
    """What stands at a path, or the error in place of it."""
    (body,) = company.tree.read_many([file])
    return body


# -- what stands in the tree --------------------------------------------------------------------------------------------------------------


def _tree(company: OpenCompany, unnamed: set[str]) -> Iterator[Sequence[Finding]]:
    with closing(survey(company.path)) as entries:
        while batch := [*islice(entries, _ENTRIES)]:
            suspects = _looked(company, _unknown_among(batch))
            yield [finding for entry in batch for finding in _open_to_others(company, entry)]
            yield [finding for entry in suspects if entry.path not in unnamed for finding in _unlisted(company, entry)]


def _unknown_among(batch: Sequence[Entry]) -> Callable[[Index], list[Entry]]:
    return lambda index: [entry for entry in batch if not _is_known(index, entry)]


def _is_known(index: Index, entry: Entry) -> bool:
    """Whether an entry is a directory of ours, a file of ours, or the place of a record that was looked at as such."""
    want = whose(entry.path)
    if want is not None:
        return want.crc(index) is not None
    return entry.belongs and not (entry.is_aside and entry.is_file) and not is_file_of_record(entry.path)


def _open_to_others(company: OpenCompany, entry: Entry) -> Iterator[Finding]:
    if entry.is_open_to_others and (entry.is_file or entry.is_directory):
        what = f"its rights are {entry.mode & 0o777:o} and should be {entry.mode & 0o700:o}"
        yield Finding(company_id=company.company_id, kind=FindingKind.PERMISSIONS, place=entry.path or ".", what=what)


def _unlisted(company: OpenCompany, entry: Entry) -> Iterator[Finding]:
    if entry.is_aside:
        yield _found(company, FindingKind.LEFTOVER, entry, "it was set aside")
    elif not entry.belongs:
        yield _found(company, FindingKind.STRANGER, entry, f"it is {entry.type}, and belongs to no record")
    else:
        yield from _without_a_row(company, entry)


def _without_a_row(company: OpenCompany, entry: Entry) -> Iterator[Finding]:
    body = on_disk(company, entry.path)
    want = whose(entry.path) or _named_inside(body)
    if body is None or (want is not None and not _is_added(company, want)):
        return
    if is_of_summary(entry.path):
        yield _found(company, FindingKind.STRANGER, entry, "it is a summary that nobody saved")
        return
    key = want.key if want else None
    try:
        offer = offered(company.company_id, entry.path, body)
        yield _found(company, FindingKind.ADDED, entry, "it was added outside deskstore", key=offer.key or key)
    except InvalidRecord as refusal:
        yield _found(company, FindingKind.DAMAGED, entry, f"the index does not know it, and it can be no record: {refusal}", key=key)


def _is_added(company: OpenCompany, want: Want) -> bool:
    """Whether a file stands where none is to be, and is not on its way out either."""

    def look(index: Index) -> bool:
        return want.crc(index) is None and isinstance(load(company, index, [want])[0], CorruptRecord)

    return _looked(company, look)


def _named_inside(body: OnDisk) -> Want | None:
    """The record that a file names itself; for names that do not tell."""
    if not isinstance(body, bytes):
        return None
    try:
        return Want(read_record(body)[1].key)
    except NotOurs:
        pass
    try:
        summary = read_summary(body)[1]
    except NotOurs:
        return None
    return Want(summary.key, summary.number)


def _found(company: OpenCompany, kind: FindingKind, entry: Entry, what: str, *, key: Key | None = None) -> Finding:
    return Finding(company_id=company.company_id, kind=kind, place=entry.path, what=what, key=key)
