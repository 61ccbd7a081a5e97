"""The file storage as somebody sees it who looks for damage: what was tried, what was found, and the means to mend it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

from deskstore.adapters.file import database, erasing, inspecting, mending, offering, outside
from deskstore.adapters.file.company import OpenCompany
from deskstore.adapters.file.place import Place
from deskstore.domain import identifiers
from deskstore.domain.erasures import Erasure
from deskstore.domain.errors import StorageUnavailable
from deskstore.domain.findings import BLOCKING, Check, Finding, FindingKind, Mended, Offer, Remedy

V = TypeVar("V")
LEAST_BYTES: Final = 256 * 2**20  #: free space below which something should be done
LEAST_INODES: Final = 10_000  #: a record is a file


class Access(Protocol):
    """Runs looks and jobs in their threads."""

    async def call(self, look: Callable[[], V]) -> V:
        """What a call returns that a reading thread makes."""
        ...

    async def write(self, company_id: str, erasures: int, run: Callable[[OpenCompany, datetime], V]) -> V:
        """What a job returns once it is committed."""
        ...

    def times_erased(self, company_id: str) -> int:
        """How often the company was erased here."""
        ...

    async def erase(self, company_id: str) -> Erasure | None:
        """Delete a company with all that is kept of it."""
        ...


class FileInspection:
    """A look through the files of companies, which changes nothing before somebody asks for it."""

    def __init__(self, place: Place, access: Access) -> None:
        self._place: Final = place
        self._access: Final = access

    async def checks(self) -> Sequence[Check]:
        """Whether the directory of all companies is there, can be written, has room, and is on a file system that can lock."""
        return await self._access.call(lambda: _checks(self._place.base))

    async def companies(self) -> Sequence[str]:
        """Every company of which something is there, ascending."""
        return await self._access.call(lambda: outside.companies(self._place))

    async def layout(self, company_id: str) -> int | None:
        """In which version of the layout a company is kept."""
        known = identifiers.company_id(company_id)
        return await self._access.call(lambda: outside.layout_of(self._place, known))

    async def findings(self, company_id: str) -> AsyncIterator[Finding]:
        """Whatever of a company is not as it was left."""
        steps = _Steps(inspecting.look(self._place, identifiers.company_id(company_id)))
        try:
            while (step := await self._access.call(steps.next)) is not None:
                for finding in step:
                    yield finding
        finally:
            await asyncio.to_thread(steps.close)

    async def offer(self, finding: Finding) -> Offer:
        """What a file that another hand wrote holds; raises InvalidRecord when that can be no record."""
        return await self._access.call(lambda: offering.offer(self._place, finding))

    async def mend(self, finding: Finding) -> Mended:
        """Heal what was found, or set it aside."""
        match finding.kind:
            case FindingKind.LEFTOVER | FindingKind.LAYOUT | FindingKind.WAITING | FindingKind.CLAIMS:
                return Mended(finding=finding, remedy=Remedy.LEFT, detail=finding.advice)
            case FindingKind.PERMISSIONS:
                return await self._close_to_others(finding)
            case FindingKind.STATE | FindingKind.DATABASE | FindingKind.ERASURE:
                return await self._settle(finding)
            case _:
                mended = await self._write(finding.company_id, lambda company, now: mending.mend_file(company, finding, now))
                # whoever is told where a file lies now finds it there: a commit's files are written before the company's next job
                await self._write(finding.company_id, mending.nothing)
                return mended

    async def release_claims(self, company_id: str) -> bool:
        """Hand tickets out again before the wait after a lost database is over; False when nobody had to wait."""
        return await self._write(identifiers.company_id(company_id), mending.release_claims)

    async def _close_to_others(self, finding: Finding) -> Mended:
        path = self._place.of(finding.company_id)

        def close() -> None:
            with database.translated(str(path)), suppress(FileNotFoundError):  # what is gone is open to nobody
                mending.close_to_others(path, finding.place)

        try:
            await self._access.call(close)
        except StorageUnavailable as error:
            return Mended(finding=finding, remedy=Remedy.LEFT, detail=str(error))
        return Mended(finding=finding, remedy=Remedy.HEALED)

    async def _settle(self, finding: Finding) -> Mended:
        """Let the ordinary way in settle what it can: a first open may find the damage, and the next one rebuilds."""
        if finding.kind == FindingKind.ERASURE:
            await self._access.erase(finding.company_id)
        else:
            for _ in range(2):
                try:
                    await self._write(finding.company_id, mending.reopen)
                    break
                except StorageUnavailable:
                    continue
        if [left for left in await self._outside(finding.company_id) if left.kind in BLOCKING]:
            return Mended(finding=finding, remedy=Remedy.LEFT, detail=f"it is as it was: {finding.advice}")
        return Mended(finding=finding, remedy=Remedy.HEALED)

    async def _outside(self, company_id: str) -> Sequence[Finding]:
        def look() -> Sequence[Finding]:
            path = self._place.of(company_id)
            with database.translated(str(path)):
                return outside.look(self._place, company_id) if path.is_dir() else []

        return await self._access.call(look)

    async def _write(self, company_id: str, run: Callable[[OpenCompany, datetime], V]) -> V:
        return await self._access.write(company_id, self._access.times_erased(company_id), run)


class _Steps:
    """A generator that several threads take turns with; a step under way ends before it is closed."""

    def __init__(self, steps: Generator[Sequence[Finding], None, None]) -> None:
        self._steps: Final = steps
        self._guard: Final = threading.Lock()

    def next(self) -> Sequence[Finding] | None:
        """The next batch, None at the end."""
        with self._guard:
            return next(self._steps, None)

    def close(self) -> None:
        """Let go of all that is open."""
        with self._guard:
            self._steps.close()


def _checks(base: Path) -> list[Check]:
    if not base.exists():
        above = next(path for path in base.absolute().parents if path.exists())
        return [Check(name="directory", is_fine=True, detail=f"{base} is not there yet: the first commit makes it"), *_room(above)]
    if not base.is_dir():
        return [Check(name="directory", is_fine=False, detail=f"{base} is not a directory: name another one with DATA_PATH")]
    return [Check(name="directory", is_fine=True, detail=str(base.absolute())), _lockable(base), *_room(base), _erasures(base)]


def _lockable(base: Path) -> Check:
    try:
        folder = tempfile.mkdtemp(dir=base, prefix=".probe-")
    except OSError as error:
        return Check(name="writable", is_fine=False, detail=f"{base}: {error.strerror}: see who owns it, and whether the disk is full")
    try:
        _probe(folder)
        return Check(name="writable", is_fine=True, detail="files can be written, and the file system can lock")
    except StorageUnavailable as error:
        return Check(name="writable", is_fine=False, detail=str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _erasures(base: Path) -> Check:
    doomed = base / erasing.DOOMED
    count = sum(1 for _ in doomed.iterdir()) if doomed.is_dir() else 0
    if not count:
        return Check(name="erasures", is_fine=True, detail="none is unfinished")
    said = f"{count:,} erased companies are not yet deleted from the disk: the next process that opens any company does that"
    return Check(name="erasures", is_fine=False, detail=said)


def _probe(folder: str) -> None:
    with (
        database.translated(folder),
        closing(database.connect(f"{folder}/probe.sqlite3", busy_s=0)) as connection,
        database.transaction(connection, durable=True),
    ):
        connection.execute("create table probe (x)")


def _room(path: Path) -> list[Check]:
    free = os.statvfs(path)
    free_bytes, inodes = free.f_bavail * free.f_frsize, free.f_favail
    space = Check(name="free space", is_fine=free_bytes >= LEAST_BYTES, detail=f"{free_bytes / 2**30:,.1f} GiB")
    if not free.f_files:  # some file systems make inodes as they are needed
        return [space]
    return [space, Check(name="free inodes", is_fine=inodes >= LEAST_INODES, detail=f"{inodes:,}, of which a record takes one")]
