"""
A stateful test: any steps in several companies, against a model made of plain dictionaries.

    def test_any_steps_leave_what_the_rules_say() -> None:
        take_any_steps(lambda clock: MyStorage(clock=clock))

The model is written from the rules and shares no decision with any storage. Each example opens a storage, works in companies that nobody
used before, and closes the storage. How many examples there are is a fifth of what Hypothesis is set to, of as many steps as it is set to.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar, cast

import pytest
from attrs import Factory, define, evolve
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_steps  # pyright: ignore[reportUnknownVariableType] - untyped there

from deskstore.domain.errors import ClaimLost, InvalidTransition, RequesterSuppressed, VersionConflict
from deskstore.domain.identifiers import ARTICLE, TICKET, Key
from deskstore.domain.paging import EVERYTHING
from deskstore.domain.ports import Storage
from deskstore.domain.processing import COMPLETED, FAILED, PENDING, PROCESSING, Processing, ProcessingStatus
from deskstore.domain.records import Article, Ticket
from deskstore.domain.summaries import Summary
from deskstore.services.erasing import erase_requester, lift_suppression
from deskstore.services.requeuing import list_claims, requeue, take_back
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import LEASE, Desk, token_of
from deskstore.testing.makers import PLATFORM, a_checkpoint, a_payload, a_summary, a_ticket, an_article, digest, fields, incoming

COMPANIES: Final = 3
_A_COMPANY: Final = st.sampled_from([0, 0, 0, 0, 1, 2])  # most happens in one, so that much happens to one record
KEYS: Final = (
    *(Key(TICKET, PLATFORM, ticket_id) for ticket_id in ("1", "B", "e\u0301")),
    Key(TICKET, "jira", "1"),
    *(Key(ARTICLE, PLATFORM, "1", locale) for locale in ("", "ko")),
)
REQUESTER: Final = "kim@example.com"  #: of whom all tickets are
TICKETS: Final = tuple(key for key in KEYS if key.kind == TICKET)
_HOW: Final = st.sampled_from(["complete", "fail", "retry", "release", "renew"])
_HOW_EVER: Final = st.sampled_from(["complete", "fail", "retry", "release", "renew", "take back"])
SKEW: Final = timedelta(seconds=5)
BY_HAND: Final = timedelta(minutes=15) + SKEW  #: how long a ticket is left alone that somebody works on without a claim
NEXT: Final = {
    "pending": {"processing", "completed", "failed"},
    "processing": {"completed", "failed", "pending"},
    "failed": {"pending", "processing"},
    "completed": {"pending"},
}
T = TypeVar("T")


@define(kw_only=True)
class Work:
    """How far a ticket has come, in the model."""

    status: str = "pending"
    attempts: int = 0
    token: str | None = None
    claimed_text: str = ""
    again_at: datetime | None

    def is_claimed(self, now: datetime) -> bool:
        """Whether a claim lives."""
        return self.token is not None and self.again_at is not None and now < self.again_at


@define(kw_only=True)
class Kept:
    """A record in the model."""

    text: str
    payload: bytes
    created_at: datetime
    version: int
    work: Work | None
    summaries: list[Summary] = Factory(list[Summary])


@define
class Model:
    """A company as it should be."""

    desk: Desk
    kept: dict[Key, Kept] = Factory(dict[Key, Kept])
    newest: dict[Key, int] = Factory(dict[Key, int])  #: the highest version ever seen of each record
    cursor: str | None = None

    def tickets(self, platform: str) -> list[tuple[Key, Work]]:
        """The tickets of a platform that should be there, with their work."""
        return [(key, one.work) for key, one in sorted(self.kept.items(), key=_first) if one.work is not None and key.platform == platform]


def _first(item: tuple[Key, object]) -> Key:
    return item[0]


class DeskMachine(RuleBasedStateMachine):
    """Every step is taken in the storage and in the model, which must agree about what it gives and what it leaves."""

    open_storage: ClassVar[Callable[[ManualClock], Storage]]

    def __init__(self) -> None:
        super().__init__()
        # a loop of its own, which is not made the thread's: other tests have one
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.clock = ManualClock()
        self.models: list[Model] = []
        self.claims: list[tuple[Model, Processing]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:  # Any: what a coroutine may be sent
        return self.runner.run(work)

    @initialize()
    def open(self) -> None:
        self.storage = self.run(self._opened())
        self.models = [Model(Desk(self.storage, a_new_company())) for _ in range(COMPANIES)]
        for company in range(COMPANIES - 1):
            self._fill(company)

    def _fill(self, company: int) -> None:
        for key in KEYS:
            self.run(_receive(self.models[company], key, f"x of {company}", "", self.clock.move(timedelta(seconds=-1))))
        self.clock.move(timedelta(seconds=len(KEYS)))

    async def _opened(self) -> Storage:
        return type(self).open_storage(self.clock)

    def teardown(self) -> None:
        with self.runner:
            self.run(self._closed())

    async def _closed(self) -> None:
        try:
            for model in self.models:
                await _agree(model)
        finally:
            if self.models:
                await self.storage.aclose()

    @rule(company=_A_COMPANY, key=st.sampled_from(KEYS), text=st.sampled_from("xy"), note=st.sampled_from(["", "seen"]))
    def receive(self, company: int, key: Key, text: str, note: str) -> None:
        model = self.models[company]
        self.run(_receive(model, key, f"{text} of {company}", note, self.clock()))
        self.run(_agree(model))

    @rule(company=_A_COMPANY, keys=st.lists(st.sampled_from(KEYS), min_size=2, unique=True), text=st.sampled_from("xy"))
    def receive_many(self, company: int, keys: list[Key], text: str) -> None:
        model = self.models[company]
        self.run(_receive_all(model, keys, f"{text} of {company}", "together", self.clock()))
        self.run(_agree(model))

    @rule(company=_A_COMPANY, key=st.sampled_from(KEYS), other=st.sampled_from(KEYS))
    def save_what_changed_since(self, company: int, key: Key, other: Key) -> None:
        model = self.models[company]
        stored = model.kept.get(key)
        late = _record(key, "too late", "", self.clock(), version=stored.version - 1 if stored else 5)
        there = model.kept.get(other)
        fine = _record(other, "fine", "", self.clock(), version=there.version if there else 0)
        with pytest.raises(VersionConflict) as conflict:
            self.run(model.desk.keep(late) if other == key else model.desk.keep(fine, late))
        assert conflict.value.keys == (key,)
        self.run(_agree(model))

    @rule(company=_A_COMPANY, key=st.sampled_from(KEYS), again=st.booleans())
    def delete(self, company: int, key: Key, again: bool) -> None:
        model = self.models[company]
        stored = self.run(model.desk.find(key))
        assert (stored is None) == (key not in model.kept)
        if stored is not None:
            self.run(model.desk.delete(stored))
            del model.kept[key]
        self.run(_agree(model))
        if again:
            self.run(_receive(model, key, f"x of {company}", "again", self.clock()))

    @rule(company=_A_COMPANY, platform=st.sampled_from([PLATFORM, PLATFORM, "jira"]), n=st.integers(1, 3), wait=st.sampled_from([0, 65]))
    def claim(self, company: int, platform: str, n: int, wait: int) -> None:
        model, now = self.models[company], self.clock.move(timedelta(seconds=wait))
        taken = self.run(_claim(model, platform, n, now))
        self.claims += [(model, one) for one in taken]
        self.run(_agree(model))

    @precondition(lambda self: bool(self.claims))
    @rule(data=st.data(), how=_HOW_EVER, summarise=st.booleans())
    def settle(self, data: st.DataObject, how: str, summarise: bool) -> None:
        model, taken = data.draw(st.sampled_from(self.claims))
        if how == "take back":
            self.run(_take_back(model, taken, self.clock()))
        else:
            self.run(_settle_as_expected(model, taken, how, summarise, self.clock()))
        self.run(_agree(model))

    @rule(company=_A_COMPANY, how=_HOW, summarise=st.booleans(), text=st.sampled_from(["", "x", "y"]))
    def work(self, company: int, how: str, summarise: bool, text: str) -> None:
        model, now = self.models[company], self.clock.move(timedelta(seconds=65))
        for taken in self.run(_claim(model, PLATFORM, 1, now)):
            if text:
                self.run(_receive(model, taken.key, f"{text} of {company}", "meanwhile", now))
            self.run(_settle_as_expected(model, taken, how, summarise, now))
        self.run(_agree(model))

    @rule(company=_A_COMPANY, key=st.sampled_from(TICKETS), status=st.sampled_from([*ProcessingStatus, None]))
    def set_status(self, company: int, key: Key, status: ProcessingStatus | None) -> None:
        model, now = self.models[company], self.clock()
        if status is None:
            self.run(_requeue(model, key, now))
            self.run(_agree(model))
            return
        kept = model.kept.get(key)
        if kept is None or kept.work is None:
            return
        work = kept.work
        stood = self.run(model.desk.processing(key))
        if status != work.status and status not in NEXT[work.status]:
            with pytest.raises(InvalidTransition):
                stood.to(status, now=now)
        elif work.is_claimed(now):
            with pytest.raises(ClaimLost):
                self.run(model.desk.settle(stood.to(status, now=now)))
        else:
            self.run(model.desk.settle(stood.to(status, now=now)))
            if status != work.status:
                work.status, work.token = status.value, None
                work.again_at = {PENDING: now, PROCESSING: now + BY_HAND}.get(status)
        self.run(_agree(model))

    @rule(company=_A_COMPANY, key=st.sampled_from(KEYS), pinned=st.booleans(), text=st.sampled_from("xy"))
    def summarise(self, company: int, key: Key, pinned: bool, text: str) -> None:
        model = self.models[company]
        if key in model.kept:
            summary = a_summary(key, f"{text} of {company}", pinned=pinned)
            (added,) = self.run(model.desk.summarise(summary))
            model.kept[key].summaries.append(_numbered(model.kept[key], summary))
            assert added.number == len(model.kept[key].summaries)
        self.run(_agree(model))

    @rule(company=_A_COMPANY, cursor=st.sampled_from(["", "page 2", "페이지 3"]))
    def keep_checkpoint(self, company: int, cursor: str) -> None:
        self.run(self.models[company].desk.keep_checkpoint(a_checkpoint(cursor)))
        self.models[company].cursor = cursor
        self.run(_agree(self.models[company]))

    def agree(self, company: int) -> None:
        """See that a company is what the model says."""
        self.run(_agree(self.models[company]))

    @rule(seconds=st.sampled_from([1, 10, 60, 65, 65, 900, -3]))
    def move_the_clock(self, seconds: int) -> None:
        self.clock.move(timedelta(seconds=seconds))

    @rule(company=_A_COMPANY, really=st.sampled_from([False] * 9 + [True]))
    def erase(self, company: int, really: bool) -> None:
        model = self.models[company]
        if not really:
            return
        self.run(self.storage.erase(model.desk.company_id))
        self.claims = [(other, taken) for other, taken in self.claims if other is not model]
        self.models[company] = Model(model.desk)
        self.run(_agree(self.models[company]))
        self._fill(company)

    @rule(company=_A_COMPANY, platform=st.sampled_from([PLATFORM, PLATFORM, "jira"]), really=st.sampled_from([False] * 4 + [True]))
    def erase_requester(self, company: int, platform: str, really: bool) -> None:
        model = self.models[company]
        if really and model.desk.company_id in self.run(_listed(self.storage)):
            self.run(_erase_requester(model, platform, f"x of {company}", self.clock()))
            self.run(_agree(model))


async def _listed(storage: Storage) -> Sequence[str]:
    return await storage.companies()


async def _erase_requester(model: Model, platform: str, text: str, now: datetime) -> None:
    """Erase whom all tickets are of, on one platform; see that none comes in; and let them in again."""
    whose = (model.desk.storage, model.desk.company_id, platform, REQUESTER)
    gone = [key for key, _ in model.tickets(platform)]
    receipt = await erase_requester(*whose, batch_tickets=2)
    assert receipt is not None
    assert (receipt.tickets, receipt.summaries) == (len(gone), sum(len(model.kept.pop(key).summaries) for key in gone))
    for key in TICKETS:
        if key.platform == platform:
            with pytest.raises(RequesterSuppressed):
                await model.desk.keep(_record(key, text, "", now, version=0))
    assert await lift_suppression(*whose)


def take_any_steps(open_storage: Callable[[ManualClock], Storage], *, few: bool = False) -> None:
    """
    Take any steps in a storage, and raise where it does not agree with the model.

    Args:
        open_storage: Gives a storage that goes by that clock; called in a running loop, once an example.
        few: The same few steps each time, and none simpler is looked for: for storages that are known to be broken.
    """
    machine = type("Steps", (DeskMachine,), {"open_storage": staticmethod(open_storage)})
    asked = cast("Any", settings()).max_examples  # Any: Hypothesis leaves the type of its numbers open
    examples = 300 if few else max(10, asked // 5)
    bounds = settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    if few:
        bounds = settings(bounds, derandomize=True, database=None, phases=[Phase.generate])
    run_steps(machine, settings=bounds)


def _record(key: Key, text: str, note: str, now: datetime, *, version: int) -> Ticket | Article:
    read = fields(text, created_at=_created_at(key))
    payload = a_payload(key, text, note)
    if key.kind == TICKET:
        return evolve(a_ticket(key.id, platform=key.platform, payload=payload, read=read, now=now), version=version)
    return evolve(an_article(key.id, key.locale, platform=key.platform, payload=payload, read=read, now=now), version=version)


def _created_at(key: Key) -> datetime:
    """Two records each of one moment, so that their names must break the tie."""
    return datetime.fromisoformat(f"2026-01-01T00:00:0{KEYS.index(key) // 2}+00:00")


async def _receive(model: Model, key: Key, text: str, note: str, now: datetime) -> None:
    await _receive_all(model, [key], text, note, now)


async def _receive_all(model: Model, keys: Sequence[Key], text: str, note: str, now: datetime) -> None:
    """Save some records in one unit."""
    records = [await _received(model, key, text, note, now) for key in keys]
    committed = await model.desk.keep(*records)
    for record in records:
        _kept(model, record, committed.versions[record.key], text, now)


async def _received(model: Model, key: Key, text: str, note: str, now: datetime) -> Ticket | Article:
    stored = await model.desk.find(key)
    assert (stored is None) == (key not in model.kept)
    if stored is None:
        return _record(key, text, note, now, version=0)
    read = fields(text, created_at=_created_at(key))
    return stored.receive(incoming(key, payload=a_payload(key, text, note), read=read), now=now)


def _kept(model: Model, record: Ticket | Article, version: int, text: str, now: datetime) -> None:
    key, kept = record.key, model.kept.get(record.key)
    assert version > model.newest.get(key, 0), "a version was given again"
    model.newest[key] = version
    work = kept.work if kept else None
    if key.kind == TICKET and (work is None or (kept is not None and text != kept.text and not work.is_claimed(now))):
        work = Work(again_at=now)
    summaries = kept.summaries if kept else []
    model.kept[key] = Kept(text=text, payload=record.payload, created_at=_created_at(key), version=version, work=work, summaries=summaries)


async def _claim(model: Model, platform: str, n: int, now: datetime) -> Sequence[Processing]:
    free = [(work.again_at, key, work) for key, work in model.tickets(platform) if work.again_at and work.again_at <= now]
    expected = sorted(free, key=lambda one: one[:2])[:n]
    taken = await model.desk.claim(n, platform=platform)
    assert [one.key for one in taken] == [key for _, key, _ in expected]
    for processing, (_, key, work) in zip(taken, expected, strict=True):
        work.status, work.attempts, work.token = "processing", work.attempts + 1, token_of(processing)
        work.claimed_text, work.again_at = model.kept[key].text, now + LEASE + SKEW
    return taken


async def _take_back(model: Model, taken: Processing, now: datetime) -> None:
    """Take a ticket out of a worker's hands, if it still is in them."""
    await _same_claims(model)
    kept = model.kept.get(taken.key)
    work = kept.work if kept else None
    taken_back = await take_back(model.desk.storage, model.desk.company_id, [taken])
    if work is None or work.token != token_of(taken):
        assert taken_back == []
        return
    assert [one.key for one in taken_back] == [taken.key]
    work.status, work.attempts, work.token, work.again_at = "pending", work.attempts - 1, None, now


async def _requeue(model: Model, key: Key, now: datetime) -> None:
    """Put a ticket into the line again that is done with."""
    kept = model.kept.get(key)
    requeued = await requeue(model.desk.storage, model.desk.company_id, [key])
    is_done = kept is not None and kept.work is not None and kept.work.status in ("completed", "failed")
    assert [one.key for one in requeued] == ([key] if is_done else [])
    if kept is not None and is_done:
        kept.work = Work(again_at=now)


async def _settle_as_expected(model: Model, taken: Processing, how: str, summarise: bool, now: datetime) -> None:
    kept = model.kept.get(taken.key)
    if kept is None or kept.work is None or kept.work.token != token_of(taken):
        with pytest.raises(ClaimLost):
            await _settle(model, taken, how, summarise, now)
        return
    await _settle(model, taken, how, summarise, now)
    _settled(kept, kept.work, how, now)
    if summarise:
        kept.summaries.append(_numbered(kept, a_summary(taken.key, kept.work.claimed_text)))


async def _settle(model: Model, taken: Processing, how: str, summarise: bool, now: datetime) -> None:
    wanted = {
        "complete": lambda: taken.completed(now=now),
        "fail": lambda: taken.failed("it is broken", now=now, retry_at=None),
        "retry": lambda: taken.failed("no answer", now=now, retry_at=now + LEASE),
        "release": lambda: taken.released(now=now),
        "renew": lambda: taken.renewed(now + LEASE),
    }[how]()
    assert taken.claim is not None
    async with model.desk.unit() as uow:
        if summarise and taken.key in model.kept:
            uow.summaries.add(a_summary(taken.key, _claimed_text(model, taken)))
        uow.progress.save(wanted, token=token_of(taken))
        await uow.commit()


def _claimed_text(model: Model, taken: Processing) -> str:
    work = model.kept[taken.key].work
    return work.claimed_text if work else ""


def _settled(kept: Kept, work: Work, how: str, now: datetime) -> None:
    if how == "renew":
        work.again_at = now + LEASE + SKEW
        return
    if how != "release" and kept.text != work.claimed_text:
        kept.work = Work(again_at=now, claimed_text=work.claimed_text)
        return
    work.token = None
    work.status = {"complete": "completed", "fail": "failed", "retry": "failed", "release": "pending"}[how]
    work.again_at = {"complete": None, "fail": None, "retry": now + LEASE, "release": now}[how]


def _numbered(kept: Kept, summary: Summary) -> Summary:
    return evolve(summary, number=len(kept.summaries) + 1)


async def _agree(model: Model) -> None:
    """Compare all that can be read of a company with what should be there."""
    found = await model.desk.everything()
    assert {one.key: (one.payload, one.version) for one in found.records} == {
        key: (one.payload, one.version) for key, one in model.kept.items()
    }
    assert [one.key for one in found.records] == sorted(one for one in model.kept if one.kind == TICKET) + sorted(
        one for one in model.kept if one.kind == ARTICLE
    )
    stands = {
        one.key: (one.status.value, one.attempts, one.claim.token if one.claim else None, one.claimable_at) for one in found.processing
    }
    works = {key: one.work for key, one in model.kept.items() if one.work is not None}
    assert stands == {key: (one.status, one.attempts, one.token, one.again_at) for key, one in works.items()}
    assert (found.checkpoint.cursor if found.checkpoint else None) == model.cursor
    _same_summaries(found.summaries, model)
    await _same_stale(model)
    await _same_counts(model)
    await _same_pages(model)


def _same_summaries(found: Any, model: Model) -> None:  # Any: any sequence of summaries
    kept = [(one.key, one.number, one.content, one.source_digest, one.pinned) for one in found]
    expected = [
        one for _, record in sorted(model.kept.items(), key=lambda item: (item[0].kind == ARTICLE, item[0])) for one in record.summaries
    ]
    assert kept == [(one.key, one.number, one.content, one.source_digest, one.pinned) for one in expected]


async def _same_claims(model: Model) -> None:
    found = [one.key async for one in list_claims(model.desk.storage, model.desk.company_id)]
    assert found == sorted(key for key, one in model.kept.items() if one.work is not None and one.work.status == "processing")


async def _same_stale(model: Model) -> None:
    """Of each record with a summary the last pinned one counts, else the last."""
    shown = {key: max(one.summaries, key=lambda one: (one.pinned, one.number)) for key, one in model.kept.items() if one.summaries}
    expected = sorted(key for key, summary in shown.items() if summary.source_digest != digest(model.kept[key].text))
    assert [one.key for one in await model.desk.stale()] == expected


async def _same_counts(model: Model) -> None:
    for platform in (PLATFORM, "jira"):
        counts = Counter(work.status for _, work in model.tickets(platform))
        progress = await model.desk.progress(platform)
        told = {PENDING: progress.pending, PROCESSING: progress.processing, COMPLETED: progress.completed, FAILED: progress.failed}
        assert {status.value: count for status, count in told.items() if count} == dict(counts)


async def _same_pages(model: Model) -> None:

    expected = sorted((key for key in model.kept if key.kind == TICKET), key=lambda key: (model.kept[key].created_at, key), reverse=True)
    after, found = None, list[Key]()
    async with model.desk.unit() as uow:
        while True:
            page = await uow.tickets.page(EVERYTHING, after=after, limit=2)
            found += [ticket.key for ticket in page.items]
            after = page.next
            if after is None:
                break
    assert found == expected
