"""
Units of work whose every state is known, and the judge of what a crash leaves of them.

Everything goes through the public methods of the storage. Companies take turns, with names of several scripts; the redo journal is dropped
every few rows, so that checkpoints are in the midst of it all. `python -m tests.file.workload DIR run` works in DIR/data and prints `ACK n`
after each unit; `verify`, `open` and `verify-many` are what a tool calls that kills, fails and power-cuts it from outside.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, Protocol, cast

from attrs import Factory, define, evolve, frozen

from deskstore.adapters.file import FileStorage
from deskstore.adapters.file.tree import PRIVATE
from deskstore.domain.errors import StorageUnavailable
from deskstore.domain.identifiers import TICKET, Key, article_key, ticket_key
from deskstore.domain.paging import Filter
from deskstore.domain.ports import Storage, UnitOfWork
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING, Checkpoint, ProcessingStatus
from deskstore.domain.records import Article, Fields, Incoming, Ticket, new_article, new_ticket
from deskstore.domain.summaries import Summary
from deskstore.testing.clock import MORNING, ManualClock

COMPANIES: Final = ("Ümläut 한국/서울", "acme")
PLATFORM: Final = "freshdesk"
QUEUE: Final = "Очередь"  #: the platform whose tickets are claimed
HOT: Final = ticket_key(PLATFORM, "HOT")  #: the ticket that nearly every unit changes
STREAM: Final = "tickets"
LEASE: Final = timedelta(minutes=5)
CHECKPOINT_ROWS: Final = 10
ATTEMPTS: Final = 3
DATA: Final = "data"  #: below the folder, so that making it is part of the workload

Verb = Literal["save", "delete", "complete", "fail", "summarise", "claim", "finish"]


class Adapter(Protocol):
    """Makes the storage that is tried."""

    def __call__(self, path: Path, *, clock: Callable[[], datetime], checkpoint_rows: int) -> Storage: ...


# -- what a unit does ----------------------------------------------------------------------------------------------------------------------


@frozen
class Step:
    """One change of a unit."""

    verb: Verb
    key: Key


@frozen(kw_only=True)
class Plan:
    """Which units there are: the same for the workload and its judge."""

    units: int = 8
    companies: tuple[str, ...] = COMPANIES

    def company_of(self, unit: int) -> str:
        """The company that a unit belongs to."""
        return self.companies[(unit - 1) % len(self.companies)]

    def steps(self, unit: int) -> Sequence[Step]:
        """What a unit does: the same four turns over and over, with new tickets each time."""
        turn = (unit - 1) // len(self.companies)
        passing, guide = ticket_key(PLATFORM, "Größe/1"), article_key(PLATFORM, "안내", "pt-BR" if turn % 2 else "")
        queued = ticket_key(QUEUE, str(turn // 4))
        common = (Step("save", HOT), Step("summarise", HOT), Step("save", _new(turn)))
        match turn % 4:
            case 0:
                return (*common, Step("save", passing), Step("save", queued), Step("save", guide), *_if(turn, Step("fail", _new(turn - 1))))
            case 1:
                return (*common, Step("delete", passing), Step("save", guide), Step("summarise", guide), Step("complete", _new(turn - 1)))
            case 2:
                return (Step("claim", queued),)
            case _:
                return (*common, Step("save", passing), Step("summarise", queued), Step("finish", queued))


def _new(turn: int) -> Key:
    return ticket_key(PLATFORM, f"n {turn}")


def _if(condition: int, step: Step) -> tuple[Step, ...]:
    return (step,) if condition else ()


# -- what must be there afterwards ---------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Kept:
    """What is known of one record: which unit wrote it last, and what has become of it."""

    unit: int
    status: ProcessingStatus | None = None  #: None for an article
    attempts: int = 0
    error: str | None = None
    summaries: tuple[int, ...] = ()  #: the units that wrote them


@define
class Company:
    """All that one company holds."""

    records: dict[Key, Kept] = Factory(dict[Key, Kept])
    cursor: str | None = None

    def carry_out(self, step: Step, unit: int) -> None:
        """Do a step of a unit."""
        known = self.records.get(step.key)
        match step.verb, known:
            case "save", _:
                status = PENDING if step.key.kind == TICKET else None
                self.records[step.key] = Kept(unit=unit, status=status, summaries=known.summaries if known else ())
            case "delete", Kept():
                del self.records[step.key]
            case "summarise", Kept():
                self.records[step.key] = evolve(known, summaries=(*known.summaries, unit))
            case "claim", Kept():
                self.records[step.key] = evolve(known, status=PROCESSING, attempts=1)
            case "fail", Kept():
                self.records[step.key] = evolve(known, status=FAILED, error=_reason(unit))
            case (("complete" | "finish"), Kept()):
                self.records[step.key] = evolve(known, status=COMPLETED)
            case _:
                raise LookupError(f"unit {unit} cannot {step.verb} {step.key}, which is not there")

    def without_database(self) -> Company:
        """The same as the files alone tell it: claims and checkpoints are rows of the database."""
        return Company({key: _unclaimed(kept) for key, kept in self.records.items()})


def _unclaimed(kept: Kept) -> Kept:
    return evolve(kept, status=PENDING, attempts=0) if kept.status == PROCESSING else kept


def _reason(unit: int) -> str:
    return f"실패 {unit}"


State = Mapping[str, Company]


def expected(plan: Plan, units: int) -> State:
    """What every company holds after so many units."""
    state = {company_id: Company() for company_id in plan.companies}
    for unit in range(1, units + 1):
        company, steps = state[plan.company_of(unit)], plan.steps(unit)
        for step in steps:
            company.carry_out(step, unit)
        if steps[0].verb != "claim":
            company.cursor = str(unit)
    return state


# -- doing it ------------------------------------------------------------------------------------------------------------------------------


@define
class Performer:
    """Carries units out on a storage."""

    storage: Storage
    clock: ManualClock
    plan: Plan
    tokens: dict[str, str] = Factory(dict[str, str])  #: of the claim it holds in each company

    async def carry_out(self, unit: int) -> None:
        """Do a unit: once, and committed."""
        company_id, steps = self.plan.company_of(unit), self.plan.steps(unit)
        self.clock.now = _moment(unit)
        if steps[0].verb == "claim":
            (taken,) = await self.storage.claim(company_id, QUEUE, 1, worker="일꾼", lease=LEASE)
            self.tokens[company_id] = taken.claim.token if taken.claim else ""
            return
        async with self.storage.unit_of_work(company_id) as uow:
            for step in steps:
                await self._do(uow, step, unit)
            uow.progress.save_checkpoint(Checkpoint(platform=PLATFORM, stream=STREAM, cursor=str(unit)))
            await uow.commit()

    async def _do(self, uow: UnitOfWork, step: Step, unit: int) -> None:
        now = self.clock()
        match step.verb:
            case "save":
                await save(uow, step.key, unit, now)
            case "delete":
                found = await uow.tickets.find(step.key.platform, step.key.id)
                uow.tickets.delete(step.key, version=found.version if found else 0)
            case "summarise":
                uow.summaries.add(_summary(step.key, unit, now))
            case _:
                await self._settle(uow, step, unit)

    async def _settle(self, uow: UnitOfWork, step: Step, unit: int) -> None:
        now = self.clock()
        stood = await uow.progress.find(step.key.platform, step.key.id)
        if stood is None:
            raise LookupError(f"{step.key} has no processing")
        if step.verb == "fail":
            uow.progress.save(stood.failed(_reason(unit), now=now, retry_at=now + LEASE))
        else:
            token = self.tokens[uow.company_id] if step.verb == "finish" else None
            uow.progress.save(stood.completed(now=now), token=token)


def _moment(unit: int) -> datetime:
    return MORNING + timedelta(seconds=unit)


def _text_digest(key: Key, unit: int) -> bytes:
    return sha256(f"{key} {unit}".encode()).digest()


def _incoming(key: Key, unit: int) -> Incoming:
    """What a platform sends in a unit: of another size each time, over several sectors of a disk."""
    payload = json.dumps({"id": key.id, "unit": unit, "body": "ß" * (150 * (1 + unit % 5))}, ensure_ascii=False).encode()
    fields = Fields(subject=f"제목 {unit}", status=f"s{unit % 2}", created_at=MORNING, text_digest=_text_digest(key, unit))
    return Incoming(key=key, payload=payload, fields=fields)


def _summary(key: Key, unit: int, now: datetime) -> Summary:
    return Summary(key=key, content=json.dumps({"unit": unit}).encode(), source_digest=_text_digest(key, unit), created_at=now)


async def save(uow: UnitOfWork, key: Key, unit: int, now: datetime) -> None:
    """Save what a unit makes of a record over whatever stands there."""
    incoming = _incoming(key, unit)
    if key.kind == TICKET:
        ticket = await uow.tickets.find(key.platform, key.id)
        uow.tickets.save(ticket.receive(incoming, now=now) if ticket else new_ticket(incoming, now=now))
    else:
        article = await uow.articles.find(key.platform, key.id, key.locale)
        uow.articles.save(article.receive(incoming, now=now) if article else new_article(incoming, now=now))


@asynccontextmanager
async def opened(adapter: Adapter, folder: Path, clock: ManualClock) -> AsyncGenerator[Storage]:
    """The storage in a folder."""
    storage = adapter(folder / DATA, clock=clock, checkpoint_rows=CHECKPOINT_ROWS)
    try:
        yield storage
    finally:
        await storage.aclose()


@frozen(kw_only=True)
class Work:
    """The workload: all units one after the other; one that is refused because of the disk is tried again."""

    plan: Plan = Plan()
    adapter: Adapter = FileStorage
    attempts: int = ATTEMPTS

    def __call__(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        asyncio.run(self._run(folder, acknowledge))

    async def _run(self, folder: Path, acknowledge: Callable[[int], None]) -> None:
        clock = ManualClock()
        async with opened(self.adapter, folder, clock) as storage:
            performer = Performer(storage, clock, self.plan)
            for unit in range(1, self.plan.units + 1):
                await self._until_done(performer, unit)
                acknowledge(unit)

    async def _until_done(self, performer: Performer, unit: int) -> None:
        for attempt in range(1, self.attempts + 1):
            try:
                return await performer.carry_out(unit)
            except StorageUnavailable:
                if attempt == self.attempts:
                    raise


# -- judging what is left ------------------------------------------------------------------------------------------------------------------


async def seen(storage: Storage, plan: Plan) -> State:
    """What can be read of every company; raises AssertionError where two ways to read it do not agree."""
    return {company_id: await _company(storage, company_id) for company_id in plan.companies}


async def _company(storage: Storage, company_id: str) -> Company:
    async with storage.unit_of_work(company_id) as uow:
        tickets = [ticket async for ticket in uow.tickets.stream()]
        articles = [article async for article in uow.articles.stream()]
        await _agree(uow, tickets, articles)
        checkpoint = await uow.progress.checkpoint(PLATFORM, STREAM)
        records: list[Ticket | Article] = [*tickets, *articles]
        kept = {record.key: await _kept(uow, record) for record in records}
        await _counts_agree(uow, kept)
        return Company(kept, checkpoint.cursor if checkpoint else None)


async def _agree(uow: UnitOfWork, tickets: Sequence[Ticket], articles: Sequence[Article]) -> None:
    """Stream, page, find and filters tell the same."""
    assert [ticket.key for ticket in tickets] == sorted(ticket.key for ticket in tickets)
    page = await uow.tickets.page(Filter(), limit=1_000)
    assert sorted(page.items, key=lambda ticket: ticket.key) == tickets, "page and stream differ"
    assert await uow.tickets.find_many([ticket.key for ticket in tickets]) == {ticket.key: ticket for ticket in tickets}
    filtered = await uow.tickets.page_at(Filter(platform=PLATFORM, status="s1"), offset=0, limit=1_000)
    assert {ticket.key for ticket in filtered.items} == {
        one.key for one in tickets if (one.platform, one.fields.status) == (PLATFORM, "s1")
    }
    assert sorted((await uow.articles.page(Filter(), limit=1_000)).items, key=lambda article: article.key) == articles


async def _kept(uow: UnitOfWork, record: Ticket | Article) -> Kept:
    unit = cast(int, record.data["unit"])
    history = await uow.summaries.history(record.key)
    assert record.payload == _incoming(record.key, unit).payload, f"{record.key} is not what was sent"
    assert [one.number for one in history] == list(range(1, len(history) + 1))
    assert await uow.summaries.current(record.key) == (history[-1] if history else None)
    summaries = tuple(cast(int, one.data["unit"]) for one in history)
    if isinstance(record, Article):
        return Kept(unit=unit, summaries=summaries)
    processing = await uow.progress.find(record.platform, record.ticket_id)
    assert processing is not None, f"{record.key} has no processing"
    return Kept(unit=unit, status=processing.status, attempts=processing.attempts, error=processing.error, summaries=summaries)


async def _counts_agree(uow: UnitOfWork, kept: Mapping[Key, Kept]) -> None:
    """Progress and stats are a recount."""
    for platform in (PLATFORM, QUEUE):
        progress = await uow.progress.progress(platform)
        counted = Counter(one.status for key, one in kept.items() if key.platform == platform and key.kind == TICKET)
        told = {PENDING: progress.pending, PROCESSING: progress.processing, COMPLETED: progress.completed, FAILED: progress.failed}
        assert {status: n for status, n in told.items() if n} == dict(counted), f"progress of {platform}"
    kinds = Counter((key.platform, key.kind) for key in kept)
    told_stats = {(one.platform, kind): n for one in await uow.progress.stats() for kind, n in _of(one.tickets, one.articles) if n}
    assert told_stats == dict(kinds)


def _of(tickets: int, articles: int) -> Sequence[tuple[str, int]]:
    return (("ticket", tickets), ("article", articles))


@frozen(kw_only=True)
class Verdict:
    """The judge: after a crash there is exactly what some allowed number of units leaves, and work goes on from there."""

    plan: Plan = Plan()
    adapter: Adapter = FileStorage
    files_alone: bool = True  #: look, too, at what is left when the database is lost after a clean end

    def __call__(self, folder: Path, acked: int, upto: int) -> str | None:
        try:
            return asyncio.run(self._judge(folder, range(acked, min(acked + upto, self.plan.units) + 1)))
        except AssertionError as error:
            return f"what can be read does not agree: {error}"

    async def _judge(self, folder: Path, allowed: Sequence[int]) -> str | None:
        clock = ManualClock(_moment(self.plan.units + 1))
        async with opened(self.adapter, folder, clock) as storage:
            found = await seen(storage, self.plan)
            if not any(found == expected(self.plan, units) for units in allowed):
                return f"none of the states after {list(allowed)} units: {_difference(found, expected(self.plan, allowed[0]))}"
            await self._go_on(storage, clock)
            before = await seen(storage, self.plan)
        async with opened(self.adapter, folder, clock) as storage:
            if await seen(storage, self.plan) != before:
                return "closed and opened again, it holds something else"
            if list(await storage.companies()) != sorted(self.plan.companies):
                return f"the companies are {await storage.companies()}"
        return await self._judge_files_alone(folder, clock, before) if self.files_alone else None

    async def _go_on(self, storage: Storage, clock: ManualClock) -> None:
        for company_id in self.plan.companies:
            async with storage.unit_of_work(company_id) as uow:
                for key in (HOT, ticket_key(PLATFORM, "after")):
                    await save(uow, key, self.plan.units + 1, clock())
                await uow.commit()

    async def _judge_files_alone(self, folder: Path, clock: ManualClock, before: State) -> str | None:
        """Nothing but checkpoints and live claims may be in the database alone, once the storage was closed."""
        for own in (folder / DATA).glob(f"*/{PRIVATE}"):
            for path in own.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != "company.json":
                    path.unlink()
        async with opened(self.adapter, folder, clock) as storage:
            found = await seen(storage, self.plan)
        wanted = {company_id: company.without_database() for company_id, company in before.items()}
        return None if found == wanted else f"the files alone hold something else: {_difference(found, wanted)}"


def _difference(found: State, wanted: State) -> str:
    """The first few records that differ."""
    differing = [
        f"{company_id!r} {key}: {there.records.get(key)} instead of {company.records.get(key)}"
        for company_id, company in wanted.items()
        for there in (found[company_id],)
        for key in sorted({*company.records, *there.records})
        if there.records.get(key) != company.records.get(key)
    ]
    cursors = {company_id: (found[company_id].cursor, company.cursor) for company_id, company in wanted.items()}
    return "; ".join(differing[:4]) + f" ({len(differing)} records); cursors found and wanted: {cursors}"


@frozen(kw_only=True)
class Recovery:
    """Opens what was left, looks at it, and closes it."""

    plan: Plan = Plan()
    adapter: Adapter = FileStorage

    def __call__(self, folder: Path) -> None:
        asyncio.run(self._recover(folder))

    async def _recover(self, folder: Path) -> None:
        async with opened(self.adapter, folder, ManualClock(_moment(self.plan.units + 1))) as storage:
            for company_id in self.plan.companies:
                async with storage.unit_of_work(company_id) as uow:
                    await uow.tickets.page(Filter())


# -- the same for a tool that looks from outside -------------------------------------------------------------------------------------------


def _acknowledge(unit: int) -> None:
    os.write(1, f"ACK {unit}\n".encode())


def _verify_many(judge: Verdict) -> None:
    for line in sys.stdin:
        folder, acked, upto = line.rstrip("\n").split("\t")
        said = judge(Path(folder), int(acked), int(upto))
        os.write(1, (json.dumps([1 if said else 0, said or ""]) + "\n").encode())


def main(folder: str, command: str) -> int:
    """The exit code of one command."""
    plan = Plan(units=int(os.environ.get("UNITS", "8")))
    match command:
        case "run":
            Work(plan=plan)(Path(folder), _acknowledge)
        case "open":
            Recovery(plan=plan)(Path(folder))
        case "verify-many":
            _verify_many(Verdict(plan=plan))
        case _:
            said = Verdict(plan=plan)(Path(folder), int(os.environ["ACKED"]), int(os.environ["UPTO"]))
            os.write(2, (said or "").encode())
            return 1 if said else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
