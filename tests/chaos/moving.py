"""Companies that move between two stores while they are written, and while processes that write, copy and swap them are killed."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import Factory, define, field

from deskstore.adapters.embedded.postgres import PostgresServer
from deskstore.domain.comparing import Depth
from deskstore.services.migrating import cut_over, finish_migration, roll_back, start_migration, verify_migration
from deskstore.testing.desk import Desk
from tests.chaos import large
from tests.chaos.cargo import Manifest, differences, load, manifest
from tests.chaos.parts import Finding, Orders, Part
from tests.chaos.travels import COMPANY, Travel
from tests.hybrid.kills import faults_of, told_before_the_kill
from tests.hybrid.mover import sides
from tests.postgres.preparing import MAJORS, prepare
from tests.servers.databases import databases_on

KILLS: Final = 200
JUDGED_EVERY: Final = 20  #: kills, after which another company is begun
_STEPS: Final = ("drain", "fence", "drain the rest", "flip", "mark")
_CARGO: Final = 2_000  #: tickets of a company that is killed on its way
_JOURNEY: Final = 10_000  #: tickets of one that is not; a hundred thousand at night
_A_WHILE_S: Final = 3.0
_TRIES: Final = 5  #: of a step that was refused, since a killed one was not yet ended or it was written too fast
Work = Callable[[Travel], Awaitable[Finding]]


# -- between files -------------------------------------------------------------------------------------------------------------------------


def _between_files(orders: Orders) -> Finding:
    """Kill at random moments, and judge each company after some of them."""
    draw = random.Random(orders.seed)
    kills = _kills(orders)
    failures: list[str] = []
    acknowledged = 0
    for company in range(kills // JUDGED_EVERY):
        with tempfile.TemporaryDirectory() as folder:
            told = _kill(Path(folder), f"company {company}", draw)
            acknowledged += len(told)
            failures += [f"company {company}: {fault}" for fault in asyncio.run(_judged(Path(folder), f"company {company}", told))]
    return Finding(states=kills, failures=failures, measured=f"{acknowledged:,} acknowledged")


def _kills(orders: Orders) -> int:
    return orders.kills or KILLS * (5 if orders.is_nightly else 1)


def _kill(folder: Path, company_id: str, draw: random.Random) -> list[str]:
    told: list[str] = []
    for number in range(JUDGED_EVERY):
        told += told_before_the_kill(folder, company_id, "", f"{number}", draw.uniform(0.0, 0.6))
    return told


async def _judged(folder: Path, company_id: str, told: list[str]) -> list[str]:
    near, far = sides(folder, "")
    try:
        return await faults_of(near, far, company_id, told) if told else []
    finally:
        await asyncio.gather(near.aclose(), far.aclose())


# -- between files and PostgreSQL ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _travelling(seed: int) -> AsyncGenerator[Travel]:
    """A folder for files and a database, between which a company may move; thrown away together."""
    with tempfile.TemporaryDirectory(prefix="deskstore-moving-") as folder, PostgresServer(major=MAJORS[-1]) as server:
        async with databases_on(server) as databases, databases.fresh() as database:
            await prepare(database)
            yield Travel(Path(folder), database.app_url, seed)


async def _loaded(travel: Travel, orders: Orders, tickets: int) -> Manifest:
    """What a company takes along, on files."""
    async with travel.opened() as (near, _):
        desk = Desk(near, COMPANY)
        await load(desk, samples=orders.samples, tickets=orders.tickets or tickets, seed=orders.seed)
        return await manifest(desk)


def _journey(orders: Orders) -> Finding:
    return asyncio.run(_travelled(orders))


async def _travelled(orders: Orders) -> Finding:
    """There and back while eight tasks write, compared by content at every stop."""
    async with _travelling(orders.seed) as travel:
        cargo = await _loaded(travel, orders, 10 * _JOURNEY if orders.is_nightly else _JOURNEY)
        travel.start_writing()
        try:
            told = await _there_and_back(travel, cargo)
        finally:
            travel.stop_writing()
        ledger = travel.ledger()
        told.failures += await travel.faults(cargo, ledger)
        async with travel.opened() as (near, far):
            await finish_migration(near, far, COMPANY, delete=True)
            told.failures += differences(cargo, await manifest(Desk(near, COMPANY)), "what nobody wrote to, at the end")
    things = sum(count for count, _ in cargo.values())
    measured = f"{things:,} things; {told}; {ledger.acknowledged:,} acknowledged meanwhile, refused {dict(ledger.refused)}"
    return Finding(states=things, failures=told.failures, measured=measured)


@define
class _Log:
    """How long each stage took, and what went wrong."""

    stages: list[str] = Factory(list[str])
    failures: list[str] = Factory(list[str])
    _began_s: float = field(init=False, default=Factory(time.monotonic))

    def note(self, stage: str) -> None:
        now_s = time.monotonic()
        self.stages.append(f"{stage} {now_s - self._began_s:.1f} s")
        self._began_s = now_s

    def __str__(self) -> str:
        return ", ".join(self.stages)


async def _there_and_back(travel: Travel, cargo: Manifest) -> _Log:
    log = _Log()
    async with travel.opened() as (near, far):
        between = (near, far, COMPANY)
        started = await start_migration(*between)
        log.note("filled")
        log.failures += [f"{one}" for one in started.rejects]
        for depth, swap in ((Depth.REHASH, cut_over), (Depth.CONTENT, roll_back)):
            verified = await verify_migration(*between, depth=depth)
            log.note(f"verified by {depth}")
            log.failures += [f"{one}" for one in verified.differences]
            if not verified.is_verified:
                return log
            swapped = await swap(*between)
            log.note(f"moved (held up {1000 * swapped.held_up_s:.0f} ms)")
            primary = far if swapped.lives_in == "target" else near
            log.failures += differences(cargo, await manifest(Desk(primary, COMPANY)), f"what nobody wrote to, in the {swapped.lives_in}")
            log.note("read back")
            await asyncio.sleep(_A_WHILE_S)
    return log


# -- kills at every step -------------------------------------------------------------------------------------------------------------------


def _at_every_step(orders: Orders) -> Finding:
    return asyncio.run(_killed_at_every_step(orders, _kills(orders)))


async def _killed_at_every_step(orders: Orders, kills: int) -> Finding:
    """Move a company there and back again and again; of each move almost every process is killed, and the whole is judged."""
    async with _travelling(orders.seed) as travel:
        cargo = await _loaded(travel, orders, _CARGO)
        hunt = _Hunt(travel, random.Random(orders.seed))
        while hunt.kills.total() < kills and not hunt.failures:
            travel.start_writing()
            try:
                await hunt.move()
            finally:
                travel.stop_writing()
            hunt.failures += await travel.faults(cargo, travel.ledger())
            hunt.go_on("finish")
        ledger = travel.ledger()
    told = f"{dict(sorted(hunt.kills.items()))}, {ledger.acknowledged:,} acknowledged, refused {dict(ledger.refused)}, moves {hunt.moves}"
    return Finding(states=hunt.kills.total(), failures=hunt.failures, measured=told)


@define
class _Hunt:
    """Kills processes that move a company, at places that are drawn."""

    travel: Travel
    random: random.Random
    kills: Counter[str] = Factory(Counter[str])
    failures: list[str] = Factory(list[str])
    moves: int = 0

    async def move(self) -> None:
        """Once to the other store, with kills in the filling, the draining and the swap, and a swap back and there again."""
        is_there = await self.travel.lives_in() == "source"
        start, over, back = ("start", "cutover", "rollback") if is_there else ("start-back", "rollback", "cutover")
        for _ in range(3):
            self._kill(start, self._any_call(40) if self.random.random() < 0.6 else f"at batch {self.random.uniform(0, 0.05)}")
        self.go_on(start)
        self.go_on("verify")
        self._kill("drain", self._any_call(12))
        for step in (over, over, back):
            self._kill_a_writer()
            self._kill(step, self._in_a_swap())
            self._kill("drain", self._any_call(12))
        self.go_on(over)
        self.moves += 1

    def go_on(self, step: str) -> None:
        """Take a step to its end."""
        answers: list[str] = []
        while len(answers) < _TRIES and "done" not in answers:
            answers.append(self.travel.take(step))
        if "done" not in answers:
            self.failures.append(f"{step} was refused again and again: {answers}")

    def _kill(self, step: str, where: str) -> None:
        """Let a process die on its way, unless it is done before."""
        if self.travel.take(step, where) == "killed":
            what, *more = where.split()
            self.kills[f"{step}, {' '.join(more[:-1])}" if what == "at" else step] += 1

    def _kill_a_writer(self) -> None:
        time.sleep(self.random.uniform(0.1, 0.6))
        self.travel.kill_a_writer(self.random.randrange(2))
        self.kills["a writer"] += 1

    def _any_call(self, most: int) -> str:
        return f"{self.random.choice(['before', 'after'])} {self.random.randint(1, most)}"

    def _in_a_swap(self) -> str:
        if self.random.random() < 0.4:
            return self._any_call(40)
        return f"at {self.random.choice(_STEPS)} {self.random.uniform(0, 0.01)}"


PARTS: Final = (
    Part("kills while a company is written and swapped", _between_files),
    Part("there and back under eight writers", _journey),
    Part("kills at every step, there and back", _at_every_step),
    *large.PARTS,
)
