"""Records in memory: for tests, and the plainest reading of what every storage promises."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from attrs import Factory, define

from deskstore.domain import claims, identifiers, paging, summaries, times
from deskstore.domain.changes import Changes, Committed
from deskstore.domain.commits import Standing, decide, standing_of
from deskstore.domain.erasures import Erasure, Removed, company_hash
from deskstore.domain.errors import CompanyErased, CompanyMoved, StorageUnavailable
from deskstore.domain.identifiers import ARTICLE, TICKET, Key, Kind
from deskstore.domain.mirror import CompanyState, Copy, Debt, Owed, Part, Thing, ThingDigest, Value, applicable, copy_of, digest_of
from deskstore.domain.paging import EVERYTHING, Filter, Page, Position
from deskstore.domain.ports import BeforeCommit, Health
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING, Checkpoint, PlatformStats, Processing, Progress
from deskstore.domain.receiving import Head, head_of
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import StaleSummary, Summary
from deskstore.domain.suppressions import Suppression, SuppressionName, names_of
from deskstore.domain.things import check_beginning, check_epoch, check_home, check_succession
from deskstore.domain.unit import BufferedUnit

R = TypeVar("R", bound=Ticket | Article)
logger: Final = logging.getLogger("deskstore")


@define(kw_only=True, eq=False)
class _Company:
    """All that is kept of one company."""

    state: CompanyState
    values: dict[Thing, Value] = Factory(dict[Thing, Value])
    deleted: dict[Thing, int] = Factory(dict[Thing, int])  #: versions of what was deleted while somebody had to be told
    debts: dict[str, dict[Thing, int]] = Factory(dict[str, dict[Thing, int]])  #: of each consumer
    floor: int = 0  #: the highest version ever deleted
    changed_at: dict[str, datetime] = Factory(dict[str, datetime])  #: when a platform's tickets last changed
    suppressions: set[Thing] = Factory(set[Thing])  #: the names of all that ever were
    summaries: dict[Key, int] = Factory(dict[Key, int])  #: of each record that has any, a number that none of them exceeds

    def of(self, part: Part) -> list[Value]:
        return [value for thing, value in sorted(self.values.items(), key=lambda item: item[0]) if thing.part == part]

    def standing(self, key: Key) -> Standing:
        return standing_of(self.record(key), self.processing(key), self.history(key))

    def amount(self) -> Removed:
        """How much there is of it."""
        parts = Counter(thing.part for thing in self.values)
        return Removed(
            tickets=parts["ticket"],
            articles=parts["article"],
            summaries=parts["summary"],
            processing=parts["processing"],
            claims=sum(isinstance(value, Processing) and value.claim is not None for value in self.values.values()),
            checkpoints=parts["checkpoint"],
            suppressions=parts["suppression"],
        )

    def record(self, key: Key) -> Ticket | Article | None:
        value = self.values.get(Thing(key.kind, *key))
        return value if isinstance(value, Ticket | Article) else None

    def processing(self, key: Key) -> Processing | None:
        value = self.values.get(Thing("processing", *key))
        return value if isinstance(value, Processing) else None

    def history(self, key: Key) -> list[Summary]:
        numbers = range(1, self.summaries.get(key, 0) + 1)
        found = (self.values.get(Thing("summary", *key, number)) for number in numbers)
        return [value for value in found if isinstance(value, Summary)]

    def secrets(self) -> set[bytes]:
        return {value.secret for value in map(self.values.get, self.suppressions) if isinstance(value, Suppression)}

    def suppressed(self, names: Iterable[SuppressionName]) -> dict[SuppressionName, Suppression]:
        found = (self.values.get(Thing("suppression", "", *name)) for name in names)
        return {value.name: value for value in found if isinstance(value, Suppression)}

    def kept_out(self, records: Iterable[Ticket | Article]) -> set[Key]:
        """Those whose requester is suppressed."""
        named = names_of(records, self.secrets())
        return {key for name in self.suppressed(named) for key in named[name]}

    def keep(self, copies: Iterable[Copy], now: datetime) -> None:
        for copy in copies:
            if copy.moves_progress(self.processing(copy.thing.key)):
                self.changed_at[copy.thing.platform] = max(now, self.changed_at.get(copy.thing.platform, now))
            if copy.value is None:
                self._forget(copy)
            else:
                self.values[copy.thing] = copy.value
                self.deleted.pop(copy.thing, None)
            if isinstance(copy.value, Suppression):
                self.suppressions.add(copy.thing)
            if isinstance(copy.value, Summary):
                self.summaries[copy.value.key] = max(self.summaries.get(copy.value.key, 0), copy.value.number)

    def versions(self, copies: Iterable[Copy]) -> dict[Thing, int]:
        """The version at which each thing stands here, or was deleted."""
        found = ((copy.thing, self.values.get(copy.thing)) for copy in copies)
        return {thing: value.version if value else self.deleted.get(thing, 0) for thing, value in found}

    def owe(self, consumers: Iterable[str], copies: Collection[Copy]) -> None:
        for consumer in consumers:
            self.debts.setdefault(consumer, {}).update({copy.thing: copy.version for copy in copies})

    def become(self, state: CompanyState) -> None:
        self.state = state
        self.debts = {consumer: debts for consumer, debts in self.debts.items() if consumer in state.consumers}
        if not state.consumers:
            self.deleted.clear()

    def _forget(self, copy: Copy) -> None:
        self.values.pop(copy.thing, None)
        if copy.thing.part in ("ticket", "article"):
            self._forget_parts(copy.thing.key)
        self.floor = max(self.floor, copy.version)
        if self.state.consumers:
            self.deleted[copy.thing] = copy.version

    def _forget_parts(self, key: Key) -> None:
        self.values.pop(Thing("processing", *key), None)
        for number in range(1, self.summaries.pop(key, 0) + 1):
            self.values.pop(Thing("summary", *key, number), None)


class MemoryStorage:
    """
    Every company's records in the memory of this process; gone with it.

    Args:
        clock: Gives the present moment, aware and UTC.
        reads_copies: Whether a company is read here that lives in another store; for who knows how old that may be, as the hybrid storage.
    """

    def __init__(self, clock: Callable[[], datetime] = times.now, *, reads_copies: bool = False) -> None:
        self.clock: Final = clock
        self.reads_copies: Final = reads_copies
        self.store_id: Final = f"memory-{uuid.uuid4()}"
        self._companies: dict[str, _Company] = {}
        self._erased: dict[str, int] = {}  #: in which epoch companies were erased last
        self._erasures: list[Erasure] = []
        self._closed = False
        self.lock: Final = asyncio.Lock()  #: held while a commit decides and writes

    def unit_of_work(self, company_id: str) -> BufferedUnit:
        """A unit of work of one company."""
        return BufferedUnit(self.backend(company_id))

    def backend(self, company_id: str) -> MemoryBackend:
        """What the company's units of work stand on."""
        return MemoryBackend(self, identifiers.company_id(company_id))

    def replica(self, company_id: str) -> MemoryReplica:
        """The company as raw copies."""
        return MemoryReplica(self, identifiers.company_id(company_id))

    async def claim(self, company_id: str, platform: str, n: int, *, worker: str, lease: timedelta) -> Sequence[Processing]:
        """Take up to n tickets for a worker, smallest claimable_at first."""
        named = identifiers.company_id(company_id)
        wanted = claims.request(platform, n, worker, lease)
        claims.log(named, wanted)
        async with self.lock:
            now = self.clock()
            company = self.known(named)
            if company is None:
                return []
            self.writable(named, company)
            free = [one for one in _processing_of(company, wanted.platform) if claims.is_claimable(one, now)]
            free.sort(key=lambda one: (times.microseconds(one.claimable_at), one.key))
            found = ((one, company.standing(one.key).text_digest) for one in free[: wanted.n])
            taken = claims.take(found, wanted, floor=company.floor, now=now)
            self.keep(company, [copy_of(one) for one in taken], now)
            return taken

    async def companies(self) -> Sequence[str]:
        """Every registered company, ascending."""
        self._open()
        return sorted(self._companies)

    async def erase(self, company_id: str) -> Erasure | None:
        """Remove a company with all that is kept of it but one line."""
        async with self.lock:
            company = self.known(identifiers.company_id(company_id))
            if company is None:
                return None
            epoch = self._erased[company_id] = self._companies.pop(company_id).state.epoch + 1
            named = company_hash(company_id)
            erasure = Erasure(company_hash=named, epoch=epoch, erased_at=self.clock(), removed=company.amount())
            self._erasures.append(erasure)
            logger.info("company erased", extra={"company_id": company_id, "operation": "erase"})
            return erasure

    async def erasures(self) -> Sequence[Erasure]:
        """What stays of all companies that were erased here, ascending by time."""
        self._open()
        return sorted(self._erasures, key=lambda one: one.erased_at)

    async def health(self) -> Health:
        """How the storage is doing."""
        return Health(adapter="memory", place="this process", companies=len(await self.companies()))

    async def aclose(self) -> None:
        """Let go of everything."""
        self._closed = True
        self._companies.clear()

    def known(self, company_id: str) -> _Company | None:
        """The company, or None before its first commit."""
        self._open()
        return self._companies.get(company_id)

    def registered(self, company_id: str) -> _Company:
        """The company, made if need be."""
        self._open()
        if company_id not in self._companies:
            epoch = self.erased_epoch(company_id) + 1
            self._companies[company_id] = _Company(state=CompanyState(primary=self.store_id, epoch=epoch))
        return self._companies[company_id]

    def writable(self, company_id: str, company: _Company) -> None:
        """Raise CompanyMoved when another store takes the company's writes, or is about to."""
        state = company.state
        if state.primary != self.store_id or state.swapping_to is not None:
            raise CompanyMoved(company_id, primary=state.primary, epoch=state.epoch, swapping_to=state.swapping_to)

    def erased_epoch(self, company_id: str) -> int:
        """The epoch in which a company of that name was erased last; 0 = never."""
        return self._erased.get(company_id, 0)

    def keep(self, company: _Company, copies: Sequence[Copy], now: datetime) -> None:
        """Keep copies of this store's own making, and owe them to whoever has to be told."""
        company.keep(copies, now)
        company.owe(company.state.owed_by(self.store_id), copies)

    def _open(self) -> None:
        if self._closed:
            raise StorageUnavailable("this storage is closed: open another one with open_storage()")


class MemoryBackend:
    """One company in memory."""

    def __init__(self, storage: MemoryStorage, company_id: str) -> None:
        self._storage = storage
        self._epoch = 0
        self.company_id: Final = company_id
        self.tickets: Final = MemoryTickets(self, TICKET, Ticket)
        self.articles: Final = MemoryArticles(self, ARTICLE, Article)
        self.summaries: Final = MemorySummaries(self)
        self.progress: Final = MemoryProgress(self)
        self.suppressions: Final = MemorySuppressions(self)

    @property
    def company(self) -> _Company:
        """
        The company's records, or none at all before its first commit.

        Raises:
            CompanyErased: What was seen before is gone.
            CompanyMoved: It lives in another store.
        """
        if 0 < self._epoch <= self._storage.erased_epoch(self.company_id):
            raise CompanyErased(self.company_id)
        found = self._storage.known(self.company_id)
        self._epoch = found.state.epoch if found else self._epoch
        if found is not None and not self._storage.reads_copies:
            check_home(self.company_id, found.state, self._storage.store_id)
        return found or _Company(state=CompanyState(primary=self._storage.store_id))

    async def apply(self, changes: Changes, before_commit: BeforeCommit | None = None) -> Committed:
        """Check every guard and keep all changes, or raise and keep none."""
        async with self._storage.lock:
            company, now = self.company, self._storage.clock()
            self._storage.writable(self.company_id, company)
            standing = {key: company.standing(key) for key in changes.keys}
            decision = decide(
                changes,
                standing,
                checkpoints=_checkpoints(company, changes),
                floor=company.floor,
                now=now,
                suppressions=company.suppressed(changes.suppression_names),
                kept_out=company.kept_out(change.record for change in changes.records),
            )
            if before_commit is not None:
                await before_commit(changes)
            if decision.copies:
                self._storage.keep(self._storage.registered(self.company_id), decision.copies, now)
            return decision.committed


def _checkpoints(company: _Company, changes: Changes) -> dict[tuple[str, str], int]:
    named = ((change.checkpoint.platform, change.checkpoint.stream) for change in changes.checkpoints)
    found = ((name, company.values.get(Thing("checkpoint", "", *name))) for name in named)
    return {name: value.version for name, value in found if value is not None}


class _MemoryRecords(Generic[R]):
    def __init__(self, backend: MemoryBackend, kind: Kind, type_: type[R]) -> None:
        self._backend = backend
        self._kind: Final = kind
        self._type: Final = type_

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, R]:
        company = self._backend.company
        found = ((key, company.record(key)) for key in keys)
        return {key: record for key, record in found if isinstance(record, self._type)}

    async def heads(self, keys: Collection[Key]) -> Mapping[Key, Head]:
        company = self._backend.company
        found = await self.find_many(keys)
        return {key: head_of(record, company.processing(key)) for key, record in found.items()}

    async def page(self, where: Filter, *, after: str | None = None, limit: int = 100) -> Page[R]:
        behind = None if after is None else paging.position(self._kind, after)
        found = [(place, record) for place, record in self._ordered(where) if behind is None or place < behind]
        return paging.page_of(self._kind, found[: limit + 1], limit)

    async def page_at(self, where: Filter, *, offset: int, limit: int = 100) -> Page[R]:
        return paging.page_of(self._kind, self._ordered(where)[offset : offset + limit + 1], limit)

    async def stream(self, where: Filter = EVERYTHING, *, after: Key | None = None) -> AsyncIterator[R]:
        for key in sorted(record.key for record in self._all(where)):
            if after is None or key > after:
                for record in (await self.find_many([key])).values():
                    yield record

    def _ordered(self, where: Filter) -> list[tuple[Position, R]]:
        found = [(Position.of(record.fields.created_at, record.key), record) for record in self._all(where)]
        return sorted(found, key=lambda item: item[0], reverse=True)

    def _all(self, where: Filter) -> list[R]:
        company = self._backend.company
        records = (value for value in company.values.values() if isinstance(value, self._type))
        return [record for record in records if where.passes(record, company.processing(record.key))]


class MemoryTickets(_MemoryRecords[Ticket]):
    """The tickets of one company in memory."""


class MemoryArticles(_MemoryRecords[Article]):
    """The articles of one company in memory."""

    async def locales(self, platform: str, article_id: str) -> Sequence[str]:
        """The locales the article exists in, ascending."""
        keys = (record.key for record in self._all(Filter(platform=platform)))
        return sorted(key.locale for key in keys if key.id == article_id)


class MemorySummaries:
    """The summaries of one company in memory."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    async def current_many(self, keys: Collection[Key]) -> Mapping[Key, Summary]:
        """The current summaries of those records that have any."""
        found = {key: summaries.current(await self.history(key)) for key in keys}
        return {key: summary for key, summary in found.items() if summary is not None}

    async def history(self, key: Key) -> Sequence[Summary]:
        """All summaries of a record, ascending by number."""
        return self._backend.company.history(key)

    async def stale(self, platform: str | None = None) -> AsyncIterator[StaleSummary]:
        """Records whose current summary was written of another text, ascending by key."""
        company = self._backend.company
        keys = [key for key in company.summaries if platform in (None, key.platform)]
        for key, summary in sorted((await self.current_many(keys)).items(), key=lambda item: item[0]):
            record = company.record(key)
            if record is not None and summary.is_stale(record.fields.text_digest):
                yield StaleSummary(key=key, summary=summary, text_digest=record.fields.text_digest)


class MemoryProgress:
    """How far the processing of one company has come, in memory."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    async def find_many(self, keys: Collection[Key]) -> Mapping[Key, Processing]:
        """The processing of those tickets that exist."""
        found = {key: self._backend.company.processing(key) for key in keys}
        return {key: processing for key, processing in found.items() if processing is not None}

    async def progress(self, platform: str) -> Progress:
        """How many tickets of a platform are in which status."""
        company = self._backend.company
        counts = Counter(processing.status for processing in _processing_of(company, platform))
        return Progress(
            platform=platform,
            pending=counts[PENDING],
            processing=counts[PROCESSING],
            completed=counts[COMPLETED],
            failed=counts[FAILED],
            last_updated=company.changed_at.get(platform),
        )

    async def stats(self) -> Sequence[PlatformStats]:
        """How many tickets and articles there are, a platform each."""
        things = self._backend.company.values
        tickets = Counter(thing.platform for thing in things if thing.part == "ticket")
        articles = Counter(thing.platform for thing in things if thing.part == "article")
        return [PlatformStats(platform=name, tickets=tickets[name], articles=articles[name]) for name in sorted(tickets | articles)]

    async def checkpoint(self, platform: str, stream: str) -> Checkpoint | None:
        """How far a stream has been read, or None."""
        value = self._backend.company.values.get(Thing("checkpoint", "", platform, stream))
        return value if isinstance(value, Checkpoint) else None


class MemorySuppressions:
    """The requesters of one company whose tickets are kept out, in memory."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    async def secrets(self) -> Collection[bytes]:
        return self._backend.company.secrets()

    async def find_many(self, names: Collection[SuppressionName]) -> Mapping[SuppressionName, Suppression]:
        return self._backend.company.suppressed(names)


class MemoryReplica:
    """One company in memory as raw copies."""

    def __init__(self, storage: MemoryStorage, company_id: str) -> None:
        self._storage = storage
        self._company_id = company_id

    async def store_id(self) -> str:
        """Which store this is."""
        return self._storage.store_id

    async def state(self) -> CompanyState | None:
        """Where the company lives, or None when it is unknown here."""
        company = self._storage.known(self._company_id)
        return company.state if company else None

    async def compare_and_set_state(self, expected: CompanyState | None, wanted: CompanyState) -> bool:
        """Set the state if it is as expected."""
        async with self._storage.lock:
            known = await self.state()
            if known != expected:
                return False
            if known is None:
                check_beginning(self._company_id, self._storage.erased_epoch(self._company_id), wanted)
            else:
                check_succession(self._company_id, known, wanted)
            self._storage.registered(self._company_id).become(wanted)
            return True

    async def copies(self, part: Part, *, after: Thing | None = None) -> AsyncIterator[Copy]:
        """All things of one part as they stand."""
        for value in self._values(part):
            copy = copy_of(value)
            if after is None or copy.thing > after:
                yield copy

    async def read(self, things: Collection[Thing]) -> Sequence[Copy]:
        """These things as they stand."""
        company = self._storage.known(self._company_id)
        return [_as_it_stands(company, thing) for thing in sorted(things)]

    async def outbox(self, consumer: str, limit: int) -> Sequence[Debt]:
        """Any at most limit debts to a consumer."""
        company = self._storage.known(self._company_id)
        owed = company.debts.get(consumer, {}) if company else {}
        return [Debt(thing, version) for thing, version in list(owed.items())[:limit]]

    async def owed(self, consumer: str, limit: int) -> Owed:
        """What a consumer has yet to be told of, as it stands; nothing is awaited here, so that it is of one moment."""
        company = self._storage.known(self._company_id)
        things = list(company.debts.get(consumer, {})) if company else []
        return Owed(
            state=company.state if company else None,
            copies=[_as_it_stands(company, thing) for thing in sorted(things[:limit])],
            is_all=len(things) <= limit,
        )

    async def acknowledge(self, consumer: str, debts: Collection[Debt], *, epoch: int | None) -> None:
        """Forget these debts to a consumer, each only up to its version."""
        async with self._storage.lock:
            owed = self._in_epoch(epoch).debts.get(consumer, {})
            for debt in debts:
                if owed.get(debt.thing, debt.version + 1) <= debt.version:
                    del owed[debt.thing]

    async def apply(self, copies: Collection[Copy], *, epoch: int | None) -> int:
        """Keep those copies that are newer than what stands here."""
        async with self._storage.lock:
            company = self._in_epoch(epoch)
            kept = applicable(copies, company.versions(copies), lambda key: company.record(key) is not None)
            self._storage.keep(company, kept, self._storage.clock())
            return len(kept)

    async def digests(self, part: Part, *, after: Thing | None = None, rehash: bool = False) -> AsyncIterator[ThingDigest]:
        """Name, version and digest of all things of one part."""
        async for copy in self.copies(part, after=after):
            if copy.value is not None:
                yield digest_of(copy.value, rehash=rehash)

    def _in_epoch(self, epoch: int | None) -> _Company:
        known = self._storage.known(self._company_id)
        check_epoch(self._company_id, known.state if known else None, epoch)
        return self._storage.registered(self._company_id)

    def _values(self, part: Part) -> list[Value]:
        company = self._storage.known(self._company_id)
        return company.of(part) if company else []


def _as_it_stands(company: _Company | None, thing: Thing) -> Copy:
    if company is None:
        return Copy(thing, 0, None)
    value = company.values.get(thing)
    return copy_of(value) if value is not None else Copy(thing, company.deleted.get(thing, 0), None)


def _processing_of(company: _Company, platform: str) -> list[Processing]:
    return [value for value in company.values.values() if isinstance(value, Processing) and value.key.platform == platform]
