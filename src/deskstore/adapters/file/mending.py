"""
Mending what a look through a company found, one finding a commit.

What has to be moved is written to its new place and removed from the old one by the journal, in the transaction that also changes the
index: after a kill the old finding stands, or the mended state. Only what cannot be read or named, such as a link or a directory, is moved
by itself before.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Final

from deskstore.adapters.file import journal, layout
from deskstore.adapters.file.company import OpenCompany, checksum
from deskstore.adapters.file.database import CLAIMS_FROM
from deskstore.adapters.file.inspecting import on_disk
from deskstore.adapters.file.loading import Want
from deskstore.adapters.file.outside import check_soundness
from deskstore.adapters.file.tree import OnDisk, StrangerInTree
from deskstore.domain import times
from deskstore.domain.findings import LOSSES, Finding, Mended, Remedy
from deskstore.domain.identifiers import TICKET, Key

_STEP: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def mend_file(company: OpenCompany, finding: Finding, now: datetime) -> Mended:
    """Heal a file, or set it aside; inside the caller's transaction."""
    body = on_disk(company, finding.place)
    if (reason := _untouchable(finding, body)) is not None:
        return Mended(finding=finding, remedy=Remedy.LEFT, detail=reason)
    if not _is_text(finding.place):
        return _moved(company, finding)
    company.index.forget_doubt(finding.place)
    want = _want(finding)
    crc = want.crc(company.index) if want else None
    if want is None or crc is None:
        return _set_aside(company, finding, body)
    if company.index.pending_bodies([want.file]) or (isinstance(body, bytes) and checksum(body) == crc):
        return Mended(finding=finding, remedy=Remedy.HEALED, detail="it was healed from the journal meanwhile")
    right = company.index.journalled(want.file, crc)
    if right is None:
        return _give_up(company, finding, want, body, now)
    aside = _keep(company, want.file, body)
    journal.append(company, want.file, right, _crc(body))
    return Mended(finding=finding, remedy=Remedy.HEALED, detail=_lies_at(aside))


def reopen(company: OpenCompany, _: datetime) -> None:
    """Nothing but a look whether the database is sound: being opened has settled the rest; raises sqlite3.DatabaseError."""
    check_soundness(company.writer)


def nothing(_: OpenCompany, __: datetime) -> None:
    """Only wait for one's turn."""


def release_claims(company: OpenCompany, now: datetime) -> bool:
    """Hand tickets out again from now on; False when nobody had to wait."""
    waited = company.index.number(CLAIMS_FROM) > times.microseconds(now)
    if waited:
        company.index.set_meta(CLAIMS_FROM, 0)
    return waited


def close_to_others(root: Path, path: str) -> None:
    """
    Take the rights of everybody but the owner from a file or directory, never through a link.

    No file is opened for it: closing one takes from SQLite all locks that this process has on that file, see "How To Corrupt An SQLite
    Database File" at sqlite.org/howtocorrupt.html.
    """
    above = os.open(root, _STEP)
    *steps, name = path.split("/")
    try:
        for step in steps:
            below = os.open(step, _STEP, dir_fd=above)
            os.close(above)
            above = below
        mode = os.lstat(name, dir_fd=above).st_mode
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            os.chmod(name, stat.S_IMODE(mode) & 0o700, dir_fd=above)
            os.fsync(above)
    finally:
        os.close(above)


def _want(finding: Finding) -> Want | None:
    return Want(finding.key, finding.number) if finding.key else None


def _untouchable(finding: Finding, body: OnDisk) -> str | None:
    """Why nothing can be done here; None when something can."""
    match body:
        case StrangerInTree(path=path) if path != finding.place:
            return f"{body}: put the directory back that stood there"
        case OSError():
            return f"it cannot be read: {body.strerror}; see to the disk or the rights, or move it away"
        case _:
            return None


def _is_text(path: str) -> bool:
    """Whether the database can hold a path: a name that is not UTF-8 is no text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _moved(company: OpenCompany, finding: Finding) -> Mended:
    """Move away what can belong to no record, whatever it is."""
    try:
        aside = company.tree.move(finding.place, f"{layout.EDITED}/{finding.place}")
    except FileNotFoundError:
        return Mended(finding=finding, remedy=Remedy.HEALED, detail="it is gone meanwhile")
    return Mended(finding=finding, remedy=Remedy.SET_ASIDE, detail=_lies_at(aside))


def _set_aside(company: OpenCompany, finding: Finding, body: OnDisk) -> Mended:
    """Move away what belongs to no record that the index knows."""
    if body is None:
        return Mended(finding=finding, remedy=Remedy.HEALED, detail="it is gone meanwhile")
    aside = _keep(company, finding.place, body)
    _remove(company, finding.place, body)
    remedy = Remedy.LOST if finding.kind in LOSSES else Remedy.SET_ASIDE
    return Mended(finding=finding, remedy=remedy, detail=_lies_at(aside))


def _give_up(company: OpenCompany, finding: Finding, want: Want, body: OnDisk, now: datetime) -> Mended:
    """Let a record or a summary leave the index, since nothing holds it any more; what is left of it is set aside."""
    if company.index.state().mirror is not None:
        reason = "there is another store that may hold it: repair it with STORAGE_TYPE=hybrid"
        aside = _part_aside(company, want, body)
        return Mended(finding=finding, remedy=Remedy.LEFT, detail="; ".join(filter(None, (reason, _lies_at(aside)))))
    wants = [want] if want.number else [*_all_of(company, want.key)]
    asides = [_part_aside(company, each, body if each == want else on_disk(company, each.file)) for each in wants]
    _forget(company, want, now)
    return Mended(finding=finding, remedy=Remedy.LOST, detail=_lies_at(asides[0]), summaries=len(wants) - 1)


def _all_of(company: OpenCompany, key: Key) -> Iterator[Want]:
    yield Want(key)
    yield from (Want(key, number) for number in company.index.summary_numbers(key))


def _part_aside(company: OpenCompany, want: Want, body: OnDisk) -> str | None:
    if isinstance(body, OSError):
        return None
    aside = _keep(company, want.file, body)
    _remove(company, want.file, body)
    return aside


def _forget(company: OpenCompany, want: Want, now: datetime) -> None:
    index = company.index
    row, numbers = index.row(want.key), [want.number] if want.number else index.summary_numbers(want.key)
    versions = [summary[0] for number in numbers if (summary := index.summary(want.key, number))]
    for number in numbers:
        index.delete_summary(want.key, number)
    if row is not None and not want.number:
        versions += [row.version, row.processing.version if row.processing else 0]
        index.delete_record(want.key)
        if want.key.kind == TICKET:
            index.touch_platforms([want.key.platform], times.microseconds(now))
    # or a record that comes again might have a version that the lost one had
    index.set_meta("floor", max(index.number("floor"), *versions))


def _keep(company: OpenCompany, file: str, body: OnDisk) -> str | None:
    """Let the journal write a copy of what stands there to where such files lie; gives the copy's place."""
    if body is None:
        return None
    if not isinstance(body, bytes):
        return company.tree.move(file, f"{layout.EDITED}/{file}")
    aside = next(path for path in _names_aside(file) if _is_free(company, path))
    journal.append(company, aside, body, None)
    return aside


def _names_aside(file: str) -> Iterator[str]:
    wanted = f"{layout.EDITED}/{file}"
    return chain([wanted], (f"{wanted}.{number}" for number in count(2)))


def _is_free(company: OpenCompany, path: str) -> bool:
    try:
        return not company.index.is_in_motion(path) and not company.tree.exists(path)
    except StrangerInTree:
        return False


def _remove(company: OpenCompany, file: str, body: OnDisk) -> None:
    if isinstance(body, bytes):
        journal.append(company, file, None, checksum(body))


def _crc(body: OnDisk) -> int | None:
    return checksum(body) if isinstance(body, bytes) else None


def _lies_at(aside: str | None) -> str:
    return f"the old file is in {aside.encode(errors='backslashreplace').decode()}" if aside else ""
