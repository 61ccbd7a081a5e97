"""
A stateful test: any steps in several companies, against a model made of plain dictionaries.

    def test_any_steps_leave_what_the_rules_say() -> None:
        take_any_steps(lambda clock: MyStorage(clock=clock))

The model is deskstore.testing.model. Each example opens a storage, works in companies that nobody used before, and closes the storage. How
many examples there are is a fifth of what Hypothesis is set to, of as many steps as it is set to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar, cast

import pytest
from attrs import evolve
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_steps  # pyright: ignore[reportUnknownVariableType] - untyped there

from deskstore.domain.errors import ClaimLost, InvalidTransition, RequesterSuppressed, VersionConflict
from deskstore.domain.identifiers import TICKET, Key
from deskstore.domain.ports import Storage
from deskstore.domain.processing import PENDING, PROCESSING, Processing, ProcessingStatus
from deskstore.domain.records import Article, Ticket
from deskstore.services.erasing import erase_requester, lift_suppression
from deskstore.services.requeuing import requeue, take_back
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import LEASE, Desk, token_of
from deskstore.testing.makers import PLATFORM, a_checkpoint, a_payload, a_summary, a_ticket, an_article, fields, incoming
from deskstore.testing.model import BY_HAND, KEYS, NEXT, SKEW, Model, Work, agree, created_at_of, same_claims

COMPANIES: Final = 3
_A_COMPANY: Final = st.sampled_from([0, 0, 0, 0, 1, 2])  # most happens in one, so that much happens to one record
REQUESTER: Final = "kim@example.com"  #: of whom all tickets are
TICKETS: Final = tuple(key for key in KEYS if key.kind == TICKET)
_HOW: Final = st.sampled_from(["complete", "fail", "retry", "release", "renew"])
_HOW_EVER: Final = st.sampled_from(["complete", "fail", "retry", "release", "renew", "take back"])
T = TypeVar("T")


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
                await agree(model)
        finally:
            if self.models:
                await self.storage.aclose()

    @rule(company=_A_COMPANY, key=st.sampled_from(KEYS), text=st.sampled_from("xy"), note=st.sampled_from(["", "seen"]))
    def receive(self, company: int, key: Key, text: str, note: str) -> None:
        model = self.models[company]
        self.run(_receive(model, key, f"{text} of {company}", note, self.clock()))
        self.run(agree(model))

    @rule(company=_A_COMPANY, keys=st.lists(st.sampled_from(KEYS), min_size=2, unique=True), text=st.sampled_from("xy"))
    def receive_many(self, company: int, keys: list[Key], text: str) -> None:
        model = self.models[company]
        self.run(_receive_all(model, keys, f"{text} of {company}", "together", self.clock()))
        self.run(agree(model))

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
        self.run(agree(model))

    @rule(company=_A_COMPANY, key=st.sampled_from(KEYS), again=st.booleans())
    def delete(self, company: int, key: Key, again: bool) -> None:
        model = self.models[company]
        stored = self.run(model.desk.find(key))
        assert (stored is None) == (key not in model.kept)
        if stored is not None:
            self.run(model.desk.delete(stored))
            del model.kept[key]
        self.run(agree(model))
        if again:
            self.run(_receive(model, key, f"x of {company}", "again", self.clock()))

    @rule(company=_A_COMPANY, platform=st.sampled_from([PLATFORM, PLATFORM, "jira"]), n=st.integers(1, 3), wait=st.sampled_from([0, 65]))
    def claim(self, company: int, platform: str, n: int, wait: int) -> None:
        model, now = self.models[company], self.clock.move(timedelta(seconds=wait))
        taken = self.run(_claim(model, platform, n, now))
        self.claims += [(model, one) for one in taken]
        self.run(agree(model))

    @precondition(lambda self: bool(self.claims))
    @rule(data=st.data(), how=_HOW_EVER, summarise=st.booleans())
    def settle(self, data: st.DataObject, how: str, summarise: bool) -> None:
        model, taken = data.draw(st.sampled_from(self.claims))
        if how == "take back":
            self.run(_take_back(model, taken, self.clock()))
        else:
            self.run(_settle_as_expected(model, taken, how, summarise, self.clock()))
        self.run(agree(model))

    @rule(company=_A_COMPANY, how=_HOW, summarise=st.booleans(), text=st.sampled_from(["", "x", "y"]))
    def work(self, company: int, how: str, summarise: bool, text: str) -> None:
        model, now = self.models[company], self.clock.move(timedelta(seconds=65))
        for taken in self.run(_claim(model, PLATFORM, 1, now)):
            if text:
                self.run(_receive(model, taken.key, f"{text} of {company}", "meanwhile", now))
            self.run(_settle_as_expected(model, taken, how, summarise, now))
        self.run(agree(model))

    @rule(company=_A_COMPANY, key=st.sampled_from(TICKETS), status=st.sampled_from([*ProcessingStatus, None]))
    def set_status(self, company: int, key: Key, status: ProcessingStatus | None) -> None:
        model, now = self.models[company], self.clock()
        if status is None:
            self.run(_requeue(model, key, now))
            self.run(agree(model))
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
        self.run(agree(model))

    @rule(company=_A_COMPANY, key=st.sampled_from(KEYS), pinned=st.booleans(), text=st.sampled_from("xy"))
    def summarise(self, company: int, key: Key, pinned: bool, text: str) -> None:
        model = self.models[company]
        if key in model.kept:
            summary = a_summary(key, f"{text} of {company}", pinned=pinned)
            (added,) = self.run(model.desk.summarise(summary))
            model.kept[key].summarise(summary)
            assert added.number == len(model.kept[key].summaries)
        self.run(agree(model))

    @rule(company=_A_COMPANY, cursor=st.sampled_from(["", "page 2", "페이지 3"]))
    def keep_checkpoint(self, company: int, cursor: str) -> None:
        self.run(self.models[company].desk.keep_checkpoint(a_checkpoint(cursor)))
        self.models[company].cursor = cursor
        self.run(agree(self.models[company]))

    def agree(self, company: int) -> None:
        """See that a company is what the model says."""
        self.run(agree(self.models[company]))

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
        self.run(agree(self.models[company]))
        self._fill(company)

    @rule(company=_A_COMPANY, platform=st.sampled_from([PLATFORM, PLATFORM, "jira"]), really=st.sampled_from([False] * 4 + [True]))
    def erase_requester(self, company: int, platform: str, really: bool) -> None:
        model = self.models[company]
        if really and model.desk.company_id in self.run(_listed(self.storage)):
            self.run(_erase_requester(model, platform, f"x of {company}", self.clock()))
            self.run(agree(model))


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
    read = fields(text, created_at=created_at_of(key))
    payload = a_payload(key, text, note)
    if key.kind == TICKET:
        return evolve(a_ticket(key.id, platform=key.platform, payload=payload, read=read, now=now), version=version)
    return evolve(an_article(key.id, key.locale, platform=key.platform, payload=payload, read=read, now=now), version=version)


async def _receive(model: Model, key: Key, text: str, note: str, now: datetime) -> None:
    await _receive_all(model, [key], text, note, now)


async def _receive_all(model: Model, keys: Sequence[Key], text: str, note: str, now: datetime) -> None:
    """Save some records in one unit."""
    records = [await _received(model, key, text, note, now) for key in keys]
    committed = await model.desk.keep(*records)
    for record in records:
        model.save(record, committed.versions[record.key], text, now)


async def _received(model: Model, key: Key, text: str, note: str, now: datetime) -> Ticket | Article:
    stored = await model.desk.find(key)
    assert (stored is None) == (key not in model.kept)
    if stored is None:
        return _record(key, text, note, now, version=0)
    read = fields(text, created_at=created_at_of(key))
    return stored.receive(incoming(key, payload=a_payload(key, text, note), read=read), now=now)


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
    await same_claims(model)
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
    kept.settle(kept.work, how, now)
    if summarise:
        kept.summarise(a_summary(taken.key, kept.work.claimed_text))


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
