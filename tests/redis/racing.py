"""
Readers and writers of the same few records through caches of their own, and a judge who knows what was committed when.

A read that gives what a commit had replaced before the read began is stale; a read that gives another company's or another key's value is
foreign; a read or a write that raises is failed. Each read and each commit of the storage beneath is held up at random between what
matters: after it took its snapshot, between the tombstones and the commit, and between the commit and what comes after it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from time import monotonic
from typing import Final, TypeVar

from attrs import define, evolve, field, frozen

from deskstore.adapters.redis import CachedStorage
from deskstore.adapters.redis.names import Subject
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.errors import ClaimLost, StorageError, VersionConflict
from deskstore.domain.identifiers import Key
from deskstore.domain.ports import Backend, BeforeCommit, ProgressReads, RecordReads, Storage, SummaryReads, UnitOfWork
from deskstore.domain.processing import PENDING, PROCESSING, Processing
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.domain.wrapping import WrappedStorage
from deskstore.testing.makers import a_summary, a_ticket, an_article

R = TypeVar("R", Ticket, Article)
V = TypeVar("V")
Value = Ticket | Article | Summary | Processing
Named = tuple[str, Subject, Key]
COMPANIES: Final = ("acme", "acme:zendesk")
IDS: Final = ("1", "2")
MANY: Final = 110  #: tickets of a unit that is too large to keep its keys away one by one


class Crash(BaseException):
    """The writer is gone; so it is nothing that any code could handle."""


@frozen(kw_only=True)
class Plan:
    """How a race is run."""

    reads: int = 1_000
    readers: int = 8
    writers: int = 3
    seed: int = 1
    longest_pause_s: float = 0.003
    crashes: float = 0.0  #: how many of the commits are the last thing their writer did
    cancelled: float = 0.0  #: how many of the reads are
    large: float = 0.02  #: how many of the units
    counts_from_commit: bool = True  #: a commit counts from its acknowledgement by the storage beneath; else from when the writer goes on
    subjects: Sequence[Subject] = ("ticket", "article", "summary", "processing")
    ids: Sequence[str] = IDS
    bound_s: float = 0.0  #: for how long old values are no fault


@define
class Judge:
    """What was committed when, and what was wrong with what was read."""

    plan: Plan
    commits: dict[Named, list[tuple[int, float]]] = field(factory=dict[Named, list[tuple[int, float]]])
    faults: list[str] = field(factory=list[str])
    reads: int = 0
    stale_within_bound: int = 0
    is_over: bool = False  #: a writer that is gone while it gives back what it claimed does not hear that it was cancelled

    def note(self, company_id: str, committed: Committed) -> None:
        """A commit is acknowledged."""
        for key, version in committed.versions.items():
            self._note((company_id, "ticket" if key.kind == "ticket" else "article", key), version)
        for summary in committed.summaries:
            self._note((company_id, "summary", summary.key), summary.number)
        for key, processing in committed.processing.items():
            self._note((company_id, "processing", key), processing.version)

    def note_processing(self, company_id: str, processing: Processing) -> None:
        """A claim is acknowledged."""
        self._note((company_id, "processing", processing.key), processing.version)

    def check(self, named: Named, began: float, value: Value | None) -> None:
        """Judge what a read gave that began at a moment."""
        self.reads += 1
        company_id, subject, key = named
        if value is not None and (value.key != key or _owner(value) not in (None, company_id)):
            self.faults.append(f"foreign: {named} is {value}")
        version = _order(value)
        missed = [at for newer, at in self.commits.get(named, ()) if newer > version and at < began]
        if not missed:
            return
        if began - min(missed) > self.plan.bound_s:
            self.faults.append(f"stale by {began - min(missed):.4f} s: {company_id} {subject} {key} at {version}")
        else:
            self.stale_within_bound += 1

    def _note(self, named: Named, version: int) -> None:
        noted = self.commits.setdefault(named, [])
        if all(known != version for known, _ in noted[-5:]):
            noted.append((version, monotonic()))
            del noted[:-50]


class Held(WrappedStorage):
    """A storage whose answers and commits are held up, and whose writers may be gone right after a commit."""

    def __init__(self, beneath: Storage, judge: Judge) -> None:
        super().__init__(beneath)
        self._judge = judge
        self._random = Random(judge.plan.seed)

    async def apply(self, backend: Backend, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        async def at_last(changes: Changes) -> None:
            if before_commit is not None:
                await before_commit(changes)
            await self._pause()

        committed = await super().apply(backend, changes, at_last)
        is_last = self._random.random() < self._judge.plan.crashes
        if self._judge.plan.counts_from_commit or is_last:
            self._judge.note(backend.company_id, committed)
        await self._pause()
        if is_last:
            raise Crash
        return committed

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        await self._pause()
        taken = await super().claim(company_id, platform, n, worker=worker, lease=lease)
        if self._judge.plan.counts_from_commit:
            for one in taken:
                self._judge.note_processing(company_id, one)
        await self._pause()
        return taken

    async def find_many(self, reads: RecordReads[R], keys: Collection[Key]) -> Mapping[Key, R]:
        return await self._late(await super().find_many(reads, keys))

    async def current_many(self, reads: SummaryReads, keys: Collection[Key]) -> Mapping[Key, Summary]:
        return await self._late(await super().current_many(reads, keys))

    async def processing(self, reads: ProgressReads, keys: Collection[Key]) -> Mapping[Key, Processing]:
        return await self._late(await super().processing(reads, keys))

    async def _late(self, found: V) -> V:
        await self._pause()
        return found

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.uniform(0, self._judge.plan.longest_pause_s))


async def race(judge: Judge, readers: Sequence[Storage], writers: Sequence[Storage]) -> Judge:
    """Let readers and writers run until enough was read, each of them through one of the storages in turn."""
    plan = judge.plan
    await _prepare(writers[0], judge)
    writing = [asyncio.ensure_future(_write(writers[n % len(writers)], judge, Random(plan.seed + n))) for n in range(plan.writers)]
    reading = [asyncio.ensure_future(_read(readers[n % len(readers)], judge, Random(plan.seed - n))) for n in range(plan.readers)]
    try:
        await asyncio.gather(*reading)
    finally:
        judge.is_over = True
        for task in (*writing, *reading):
            task.cancel()
        await asyncio.gather(*writing, *reading, return_exceptions=True)
    return judge


def hits(storages: Sequence[CachedStorage]) -> int:
    """How many values came from Redis."""
    return sum(storage.cache.ledger.all.hits for storage in storages)


async def _prepare(storage: Storage, judge: Judge) -> None:
    for company_id in COMPANIES:
        async with storage.unit_of_work(company_id) as uow:
            for number in (*IDS, *(f"more {n}" for n in range(MANY))):
                uow.tickets.save(a_ticket(number, text=company_id))
            for number in IDS:
                uow.articles.save(an_article(number, text=company_id))
                uow.summaries.add(_summary(a_ticket(number).key, company_id))
            with suppress(Crash):
                judge.note(company_id, await uow.commit())


async def _read(storage: Storage, judge: Judge, random: Random) -> None:
    while judge.reads < judge.plan.reads:
        named = _drawn(judge.plan, random)
        began = monotonic()
        reading = asyncio.ensure_future(_found(storage, named))
        if random.random() < judge.plan.cancelled:
            await asyncio.sleep(random.uniform(0, judge.plan.longest_pause_s))
            reading.cancel()
        try:
            judge.check(named, began, await reading)
        except asyncio.CancelledError:
            if not reading.cancelled():
                raise
            judge.reads += 1
        except StorageError as error:
            judge.faults.append(f"failed: reading {named}: {error!r}")
            judge.reads += 1


async def _found(storage: Storage, named: Named) -> Value | None:
    company_id, subject, key = named
    async with storage.unit_of_work(company_id) as uow:
        match subject:
            case "ticket":
                return await uow.tickets.find(key.platform, key.id)
            case "article":
                return await uow.articles.find(key.platform, key.id, key.locale)
            case "summary":
                return (await uow.summaries.current_many([key])).get(key)
            case "processing":
                return await uow.progress.find(key.platform, key.id)


async def _write(storage: Storage, judge: Judge, random: Random) -> None:
    while not judge.is_over:
        await asyncio.sleep(random.uniform(0, 3 * judge.plan.longest_pause_s))
        company_id = random.choice(COMPANIES)
        try:
            if random.random() < 0.1:
                await _claim(storage, company_id, judge)
            else:
                await _change(storage, company_id, judge, random)
        except (VersionConflict, ClaimLost, Crash):
            pass
        except StorageError as error:
            judge.faults.append(f"failed: writing to {company_id}: {error!r}")


async def _claim(storage: Storage, company_id: str, judge: Judge) -> None:
    for one in await storage.claim(company_id, a_ticket().platform, 2, worker="racer", lease=timedelta(microseconds=1)):
        judge.note_processing(company_id, one)


async def _change(storage: Storage, company_id: str, judge: Judge, random: Random) -> None:
    async with storage.unit_of_work(company_id) as uow:
        if random.random() < judge.plan.large:
            await _change_many(uow, company_id, random)
        else:
            await _change_one(uow, company_id, _drawn(judge.plan, random))
        judge.note(company_id, await uow.commit())


async def _change_one(uow: UnitOfWork, company_id: str, drawn: Named) -> None:
    _, subject, key = drawn
    match subject:
        case "ticket":
            stored = (await uow.tickets.heads([key])).get(key)
            uow.tickets.save(evolve(a_ticket(key.id, text=company_id), version=stored.version if stored else 0))
        case "article":
            stored = (await uow.articles.heads([key])).get(key)
            uow.articles.save(evolve(an_article(key.id, text=company_id), version=stored.version if stored else 0))
        case "summary":
            uow.summaries.add(_summary(key, company_id))
        case "processing":
            stored = (await uow.tickets.heads([key])).get(key)
            if stored is not None and stored.processing is not None and stored.processing.claim is None:
                wanted = PENDING if stored.processing.status != PENDING else PROCESSING
                uow.progress.save(stored.processing.to(wanted, now=stored.processing.changed_at))


async def _change_many(uow: UnitOfWork, company_id: str, random: Random) -> None:
    keys = [a_ticket(number).key for number in (random.choice(IDS), *(f"more {n}" for n in range(MANY)))]
    for key, head in (await uow.tickets.heads(keys)).items():
        uow.tickets.save(evolve(a_ticket(key.id, text=company_id), version=head.version))


def _drawn(plan: Plan, random: Random) -> Named:
    subject = random.choice(plan.subjects)
    number = random.choice(plan.ids)
    return random.choice(COMPANIES), subject, (an_article(number) if subject == "article" else a_ticket(number)).key


def _order(value: Value | None) -> int:
    """What grows with each commit: of summaries the number, since of two that wait for one lock the later may have the earlier version."""
    if value is None:
        return 0
    return value.number if isinstance(value, Summary) else value.version


def _summary(key: Key, company_id: str) -> Summary:
    return a_summary(key, content=json.dumps({"text": company_id}).encode())


def _owner(value: Value) -> str | None:
    """The company that a value says it belongs to."""
    if isinstance(value, Processing):
        return None
    text = value.data.get("text" if isinstance(value, Summary) else "description")
    return text if isinstance(text, str) else None
