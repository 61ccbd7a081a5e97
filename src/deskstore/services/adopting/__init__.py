"""
Adopting: taking over the tree that the prototype wrote, without changing it.

Tickets and articles come first, in the order of their files; those whose file is not named for their id after them, so that of two files
with one ticket the one that has its name is kept and the other named. Summaries come last, so that what stood inside a ticket is its first
summary. Every batch is one unit of work, and all of it can be repeated: what is kept already is unchanged. So a run that was interrupted is
simply run again.

It takes memory for the name of each file and the key of each record, as listing a directory does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final

from attrs import Factory, define, frozen

from deskstore.domain import identifiers
from deskstore.domain.errors import ConfigurationError, InvalidRecord
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.ports import Storage
from deskstore.formats import naive
from deskstore.formats.naive import Found, FoundSummary
from deskstore.services.adopting.database import adopt_database
from deskstore.services.adopting.placing import ARTICLES, SUMMARIES, TICKETS, Done, Placing
from deskstore.services.adopting.records import FoundRecord
from deskstore.services.adopting.report import AdoptReport, Difference, Ledger, NotPlaced, Remark, Row
from deskstore.services.adopting.tree import Entry, Tree
from deskstore.services.observing import use_case
from deskstore.services.receiving import BATCH_BYTES, BATCH_RECORDS

__all__ = ["AdoptReport", "Difference", "NotPlaced", "Remark", "Row", "adopt", "adopt_database"]

OTHER: Final = "other"
_KINDS: Final = {naive.TICKETS: TICKETS, naive.ARTICLES: ARTICLES, naive.SUMMARIES: SUMMARIES}


@use_case
async def adopt(
    storage: Storage,
    directory: Path,
    *,
    companies: Collection[str] = (),
    dry_run: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> AdoptReport:
    """
    Take over a tree that the prototype wrote: tickets, articles, summaries and how far the processing had come.

    Args:
        directory: Of the tree, with a directory for each company; nothing in it is changed.
        companies: Those to take over; all where none is named.
        dry_run: Only say what would become of the files.
        on_progress: Called with the number of files done, after each batch.

    Raises:
        ConfigurationError: The tree is deskstore's own, or has no directory for a company that was named.
        OSError: The directory cannot be read.
    """
    tree = Tree(directory)
    await asyncio.to_thread(tree.refuse_ours)
    await _refuse_where_kept(storage, directory)
    entries = await asyncio.to_thread(tree.companies)
    ledger = Ledger()
    done = Done(on_progress)
    for entry in _chosen(entries, companies, directory):
        placing = Placing(storage=storage, company_id=entry.path, ledger=ledger, is_dry=dry_run, where=_where)
        await _Company(company_id=entry.path, tree=tree, placing=placing, done=done).adopt(entry)
    return ledger.report()


async def _refuse_where_kept(storage: Storage, directory: Path) -> None:
    health = await storage.health()
    if health.adapter not in ("file", "hybrid"):
        return
    kept, given = await asyncio.to_thread(Path(health.place).resolve), await asyncio.to_thread(directory.resolve)
    if kept.is_relative_to(given) or given.is_relative_to(kept):
        raise ConfigurationError(f"{directory} and {kept}, where deskstore keeps its files, overlap: choose a DATA_PATH outside the tree")


def _chosen(entries: Sequence[Entry], companies: Collection[str], directory: Path) -> Sequence[Entry]:
    if missing := sorted({*companies} - {entry.path for entry in entries if entry.is_directory}):
        raise ConfigurationError(f"{directory} has no directory {missing[0]!r}: name a company that it has one for")
    return [entry for entry in entries if entry.path in companies] if companies else entries


def _where(path: str) -> tuple[str, str]:
    """The platform of a file, and the kind of what stands in its folder."""
    _, *steps = path.split("/")
    return steps[0] if len(steps) > 1 else "", _KINDS.get("".join(steps[1:2]), OTHER)


class _Turn(IntEnum):
    """In which of a company's three turns a file is kept."""

    NAMED = 0  #: records whose file has the name of their id
    OTHERS = 1  #: other records
    SUMMARIES = 2


@frozen
class _Read:
    """A file, and what it holds, or why it cannot be placed."""

    path: str  #: from the tree's directory on
    found: Found | None = None
    reason: str = ""
    size_bytes: int = 0


@define(kw_only=True)
class _Company:
    """One company on its way."""

    company_id: str
    tree: Tree
    placing: Placing
    done: Done
    waiting: Mapping[_Turn, deque[str]] = Factory(lambda: {turn: deque[str]() for turn in _Turn})
    files: dict[Key, str] = Factory(dict[Key, str])  #: of the records that were placed

    async def adopt(self, entry: Entry) -> None:
        """Keep all that can be placed, and name the rest."""
        if not entry.is_directory:
            self._leave(entry.path, entry.stranger or "it is not a directory of a company")
            return
        entries = await asyncio.to_thread(self.tree.files, self.company_id)
        try:
            identifiers.company_id(self.company_id)
        except InvalidRecord as error:
            for one in entries:
                self._leave(one.path, str(error))
            return
        progress = self._sorted(entries)
        for turn in _Turn:
            while self.waiting[turn]:
                await self._take(await asyncio.to_thread(self._next, self.waiting[turn]), turn)
        for path in progress:
            await self._compare(path)

    def _sorted(self, entries: Sequence[Entry]) -> list[str]:
        """Put the files into their turns, as far as their names tell, and give the progress files."""
        progress: list[str] = []
        for entry in entries:
            _, *steps = entry.path.split("/")
            if entry.stranger is not None:
                self._leave(entry.path, f"it is {entry.stranger}")
            elif "/".join(steps[1:]) == naive.PROGRESS:
                progress.append(entry.path)
            elif not entry.path.endswith(".json"):
                self._leave(entry.path, "the prototype wrote no such file: its names end in .json")
            else:
                self.waiting[_Turn.SUMMARIES if steps[1:2] == [naive.SUMMARIES] else _Turn.NAMED].append(entry.path)
        return progress

    def _next(self, waiting: deque[str]) -> list[_Read]:
        """Read the files of the next batch; in a worker thread."""
        batch: list[_Read] = []
        size_bytes = 0
        while waiting and len(batch) < BATCH_RECORDS and size_bytes < BATCH_BYTES:
            batch.append(self._read(waiting.popleft()))
            size_bytes += batch[-1].size_bytes
        return batch

    def _read(self, path: str) -> _Read:
        try:
            source = self.tree.read(path)
            return _Read(path, naive.read(source, self.company_id, self._below(path)), size_bytes=len(source))
        except InvalidRecord as error:
            return _Read(path, reason=str(error))

    async def _take(self, batch: Sequence[_Read], turn: _Turn) -> None:
        records: dict[str, FoundRecord] = {}
        summaries: dict[str, FoundSummary] = {}
        later = 0
        for one in batch:
            if one.found is None:
                self._leave(one.path, one.reason)
            elif (of := self._turn(one.path, one.found)) > turn:
                self.waiting[of].append(one.path)
                later += 1
            elif isinstance(one.found, FoundSummary):
                summaries[one.path] = one.found
            elif self._is_first(one.path, one.found):
                records[one.path] = one.found
        await self.placing.keep_records(records)
        await self.placing.keep_summaries(summaries)
        self.done.add(len(batch) - later)

    def _turn(self, path: str, found: Found) -> _Turn:
        if isinstance(found, FoundSummary):
            return _Turn.SUMMARIES
        key = found.incoming.key
        folder = naive.TICKETS if key.kind == TICKET else naive.ARTICLES
        return _Turn.NAMED if self._below(path) == f"{key.platform}/{folder}/{key.id}.json" else _Turn.OTHERS

    def _is_first(self, path: str, found: FoundRecord) -> bool:
        key = found.incoming.key
        if key in self.files:
            self._leave(path, f"it is {key} too, which {self.files[key]} is")
            return False
        self.files[key] = path
        return True

    async def _compare(self, path: str) -> None:
        """Name what a progress file says otherwise than a recount of the tree."""
        try:
            said = naive.read_progress(await asyncio.to_thread(self.tree.read, path))
        except InvalidRecord as error:
            self._leave(path, str(error))
            return
        self.placing.compare(path, path.split("/")[1], said)
        self.done.add(1)

    def _leave(self, path: str, reason: str) -> None:
        self.placing.leave(path, reason)

    def _below(self, path: str) -> str:
        """A file's path from the company's directory on."""
        return path.removeprefix(f"{self.company_id}/")
