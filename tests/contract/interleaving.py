"""
Writers of one ticket whose steps are taken in a given order, and the question whether some serial order explains the end.

A commit is two steps: at the first it is sent, and held at the moment in which its guards hold and its locks are held; at the second it
goes on. So another commit or claim can be sent while it is held, and whatever that one reads before it waits for the lock is old.

Everything goes through the ports. A storage is tried by naming it in test_interleavings.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import permutations
from random import Random
from typing import Any, Final, Literal

from attrs import Factory, define, evolve, frozen

from deskstore.adapters.memory import MemoryStorage
from deskstore.domain.changes import AddSummary, Changes, DeleteRecord, SaveProcessing, SaveRecord
from deskstore.domain.errors import ClaimLost, InvalidTransition, TicketNotFound, VersionConflict
from deskstore.domain.ports import Storage
from deskstore.domain.processing import COMPLETED, Processing
from deskstore.domain.records import Ticket
from deskstore.testing.clock import ManualClock
from deskstore.testing.contract.fixtures import a_new_company
from deskstore.testing.desk import LEASE, Desk, token_of
from deskstore.testing.makers import a_summary, a_ticket, incoming

Verb = Literal["receive", "note", "claim", "renew", "complete", "fail", "set", "delete"]
Beginning = Literal["pending", "claimed", "expired"]
Sides = Callable[[ManualClock], AbstractAsyncContextManager[Sequence[Storage]]]
"""One storage, or several on the same place: the writers take turns with them."""

VERBS: Final[tuple[Verb, ...]] = ("receive", "note", "claim", "renew", "complete", "fail", "set", "delete")
BEGINNINGS: Final[tuple[Beginning, ...]] = ("pending", "claimed", "expired")
KEY: Final = a_ticket().key
STEPS: Final = {"receive": 3, "note": 3, "claim": 1, "renew": 2, "complete": 2, "fail": 2, "set": 3, "delete": 3}
_LOOKS: Final = 10
_MAY_FAIL: Final = (ClaimLost, InvalidTransition, TicketNotFound, VersionConflict)


@frozen(kw_only=True)
class Case:
    """Where it begins, who writes, and whose turn each step is."""

    beginning: Beginning
    verbs: tuple[Verb, ...]
    turns: tuple[int, ...]

    def __str__(self) -> str:
        """The case in short: which verb's step comes when."""
        return f"{self.beginning}: {' '.join(f'{self.verbs[turn]}{turn}' for turn in self.turns)}"


@frozen(kw_only=True)
class End:
    """What is left, as far as every serial order with the same result must leave it."""

    ticket: tuple[bytes, bytes] | None = None  #: payload and text digest
    processing: tuple[object, ...] | None = None
    summaries: tuple[bytes, ...] = ()
    progress: tuple[int, ...] = ()
    is_of_old_text: bool = False  #: whether it is completed with a summary of another text than the present one


@define
class _Writer:
    """One of the writers: what it does, and how far it has come."""

    desk: Desk
    number: int
    taken: Processing | None
    is_held: asyncio.Event = Factory(asyncio.Event)
    may_go: asyncio.Event = Factory(asyncio.Event)
    task: asyncio.Task[Any] | None = None  # Any: a commit and a claim give different things

    async def steps(self, verb: Verb) -> AsyncGenerator[None]:
        """Each step of the writer, the pauses between them being where others come in."""
        match verb:
            case "claim":
                self._send(self.desk.claim(worker=f"worker {self.number}"))
                yield
                return
            case "renew" | "complete" | "fail":
                changes = self._with_token(verb)
            case _:
                found, stood = await self.desk.find(KEY), await self._stood()
                yield
                changes = self._of_what_was_read(verb, found if isinstance(found, Ticket) else None, stood)
        self._send(self._commit(changes))
        yield
        self.may_go.set()
        yield

    @property
    def holds(self) -> bool:
        """Whether it holds the ticket's locks, as far as it was told."""
        return self.is_held.is_set() and not self.may_go.is_set()

    async def outcome(self) -> bool:
        """Whether what it wanted was done, once all is over."""
        self.may_go.set()
        if self.task is None:
            return False
        try:
            return bool(await self.task != [])
        except _MAY_FAIL:
            return False

    def _send(self, call: Any) -> None:  # Any: as the task
        self.task = asyncio.ensure_future(call)

    async def _commit(self, changes: Changes) -> object:
        async def hold(_: Changes) -> None:
            self.is_held.set()
            await self.may_go.wait()

        return await self.desk.storage.backend(self.desk.company_id).apply(changes, hold) if changes else []

    async def _stood(self) -> Processing | None:
        async with self.desk.unit() as uow:
            return await uow.progress.find(KEY.platform, KEY.id)

    def _with_token(self, verb: Verb) -> Changes:
        taken, now = self.taken, self.desk.storage.clock()
        if taken is None:
            return Changes()
        token = token_of(taken)
        match verb:
            case "renew":
                return Changes(processing=(SaveProcessing(taken.renewed(now + 2 * LEASE), token),))
            case "fail":
                return Changes(processing=(SaveProcessing(taken.failed("no answer", now=now, retry_at=None), token),))
            case _:
                summary = AddSummary(a_summary(KEY))
                return Changes(processing=(SaveProcessing(taken.completed(now=now), token),), summaries=(summary,))

    def _of_what_was_read(self, verb: Verb, found: Ticket | None, stood: Processing | None) -> Changes:
        now = self.desk.storage.clock()
        match verb:
            case "delete":
                return Changes(deletes=(DeleteRecord(KEY, found.version),)) if found else Changes()
            case "set":
                return (
                    Changes(processing=(SaveProcessing(evolve(stood, status=COMPLETED, claim=None, claimable_at=None)),))
                    if stood
                    else Changes()
                )
            case _:
                note = f"note {self.number}" if verb == "note" else ""
                came = incoming(KEY, "It does not start" if note else f"text {self.number}", note=note)
                new = a_ticket(payload=came.payload, read=came.fields, now=now)
                return Changes(records=(SaveRecord(found.receive(came, now=now) if found else new),))


def cases(writers: int) -> Iterator[Case]:
    """Every order of the steps of every choice of so many writers, from each beginning."""
    for beginning in BEGINNINGS:
        for verbs in _choices(writers):
            for turns in _orders([STEPS[verb] for verb in verbs]):
                yield Case(beginning=beginning, verbs=verbs, turns=turns)


def drawn(writers: int, n: int, seed: int) -> Iterator[Case]:
    """Cases of so many writers, drawn at random."""
    random = Random(f"{seed} {writers}")
    for _ in range(n):
        verbs: tuple[Verb, ...] = tuple(random.choice(VERBS) for _ in range(writers))
        turns = [number for number, verb in enumerate(verbs) for _ in range(STEPS[verb])]
        random.shuffle(turns)
        yield Case(beginning=random.choice(BEGINNINGS), verbs=verbs, turns=tuple(turns))


def _choices(writers: int, least: int = 0) -> Iterator[tuple[Verb, ...]]:
    if not writers:
        yield ()
    for place in range(least, len(VERBS) if writers else 0):
        first: tuple[Verb, ...] = (VERBS[place],)
        yield from (first + others for others in _choices(writers - 1, place))


def _orders(left: Sequence[int]) -> Iterator[tuple[int, ...]]:
    if not any(left):
        yield ()
    for number, steps in enumerate(left):
        if steps:
            fewer = [*left[:number], steps - 1, *left[number + 1 :]]
            yield from ((number, *others) for others in _orders(fewer))


async def breach(case: Case, sides: Sides, *, pause_s: float) -> str | None:
    """What no serial order explains about the end of a case; None when one does."""
    done, end = await _run(case, sides, pause_s)
    if end.is_of_old_text and "set" not in case.verbs:
        return f"{case}: it is completed, and its summary is of an old text"
    if not done and any([(await _serial(case, [number]))[0] for number in range(len(case.verbs))]):
        return f"{case}: nobody succeeded, though one of them would have alone"
    for order in permutations(done):
        if (len(order), end) == await _serial(case, order):
            return None
    return f"{case}: {[case.verbs[number] for number in done]} succeeded, and no order of them ends in {end}"


async def _run(case: Case, sides: Sides, pause_s: float) -> tuple[list[int], End]:
    """Who succeeded, and what is left."""
    clock = ManualClock()
    async with sides(clock) as storages:
        desks = [Desk(storage, company) for company in [a_new_company()] for storage in storages]
        taken = await _begin(desks[0], clock, case.beginning)
        writers = [_Writer(desks[number % len(desks)], number, taken) for number in range(len(case.verbs))]
        await _take_turns(case, writers, pause_s)
        for writer in writers:
            writer.may_go.set()
        outcomes = [await writer.outcome() for writer in writers]
        return [number for number, done in enumerate(outcomes) if done], await _end(desks[0])


async def _take_turns(case: Case, writers: Sequence[_Writer], pause_s: float) -> None:
    steps = [writer.steps(verb) for writer, verb in zip(writers, case.verbs, strict=True)]
    for turn in case.turns:
        await anext(steps[turn])
        await _settle(writers, turn, pause_s)
    for left in steps:
        await left.aclose()


async def _settle(writers: Sequence[_Writer], turn: int, pause_s: float) -> None:
    """Let what was sent come as far as it can: to its end, to where it is held, or to where it waits for another's locks."""
    task = writers[turn].task
    while task is not None and not task.done() and not any(writer.holds for writer in writers):  # noqa: ASYNC110 - of two things the first
        await asyncio.sleep(pause_s / _LOOKS)
    if task is not None and not task.done() and not writers[turn].holds:
        for _ in range(_LOOKS):
            await asyncio.sleep(pause_s / _LOOKS)


async def _begin(desk: Desk, clock: ManualClock, beginning: Beginning) -> Processing | None:
    await desk.keep(a_ticket())
    if beginning == "pending":
        return None
    (taken,) = await desk.claim(worker="the first")
    if beginning == "expired":
        clock.move(2 * LEASE)
    return taken


async def _end(desk: Desk) -> End:
    found = await desk.find(KEY)
    if not isinstance(found, Ticket):
        return End()
    stood, history, progress = await desk.processing(KEY), await desk.history(KEY), await desk.progress()
    return End(
        ticket=(found.payload, found.fields.text_digest),
        processing=(stood.status, stood.attempts, stood.error, stood.claim and stood.claim.worker, stood.claimable_at),
        summaries=tuple(summary.content for summary in history),
        progress=(progress.pending, progress.processing, progress.completed, progress.failed),
        is_of_old_text=stood.status == COMPLETED and any(summary.is_stale(found.fields.text_digest) for summary in history[-1:]),
    )


@asynccontextmanager
async def in_memory(clock: ManualClock, make: Callable[[ManualClock], Storage] = MemoryStorage) -> AsyncGenerator[Sequence[Storage]]:
    """One storage in memory."""
    yield [make(clock)]


_KNOWN: Final[dict[tuple[Beginning, tuple[Verb, ...], tuple[int, ...]], tuple[int, End]]] = {}


async def _serial(case: Case, order: Sequence[int]) -> tuple[int, End]:
    """How many succeed, and what is left, when writers come one after the other."""
    asked = (case.beginning, case.verbs, tuple(order))
    if asked not in _KNOWN:
        turns = tuple(number for number in order for _ in range(STEPS[case.verbs[number]]))
        done, end = await _run(evolve(case, turns=turns), in_memory, 0)
        _KNOWN[asked] = (len(done), end)
    return _KNOWN[asked]
